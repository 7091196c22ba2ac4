"""The origin: an nginx that costs little, on two ports as if it were two servers."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.macro.peers.nginx import FOLDERS, MAIN, descriptors

KIB = 1024
MIB = 1024 * KIB

#: What the site has, in bytes.
FILES = {"2k": 2 * KIB, "64k": 64 * KIB, "1m": MIB, "10m": 10 * MIB}

#: A JSON answer of 200 bytes, as an API gives them.
SMALL = '{"id":4711,"state":"on its way","lines":[{"dish":"souvlaki","count":2}],"note":"%s"}'
SMALL %= "x" * (200 - len(SMALL) + 2)

# An upload is read whole, into memory, before it is answered: the outer server hands it on
# without its body to the inner one. `return` alone would answer while the body still comes.
_HTTP = """
http {{
{folders}
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    client_max_body_size 0;
    client_body_buffer_size 16m;

    upstream inner {{
        server 127.0.0.1:{inner};
        keepalive 64;
    }}

    server {{
        listen 127.0.0.1:{inner} backlog=4096;
        default_type application/json;
        return 200 '{small}';
    }}

    server {{
{listens}
        root {site};
        location = /small {{
            default_type application/json;
            return 200 '{small}';
        }}
        location /varied {{
            default_type application/json;
            add_header ETag '"$request_id"';
            add_header Cache-Control "private, max-age=$msec";
            return 200 '{small}';
        }}
        location = /health {{
            return 200 'ok';
        }}
        location = /upload {{
            proxy_pass http://inner;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }}
    }}
}}
"""


def make_site(folder: Path) -> None:
    """Write the files that the origin serves, of bytes that do not compress."""
    folder.mkdir()
    chance = random.Random(0)
    for name, size in FILES.items():
        (folder / name).write_bytes(chance.randbytes(size))


def config(folder: Path, site: Path, ports: Sequence[int], inner: int) -> str:
    """The origin's config file.

    Args:
        folder: For all that it writes.
        site: From `make_site`.
        ports: Where it listens.
        inner: The port of the inner server.
    """
    return MAIN.format(folder=folder, descriptors=descriptors(), modules="") + _HTTP.format(
        folders=FOLDERS.format(folder=folder),
        inner=inner,
        site=site,
        small=SMALL,
        listens="\n".join(f"        listen 127.0.0.1:{port} backlog=4096;" for port in ports),
    )


def arguments(folder: Path, site: Path, ports: Sequence[int], inner: int) -> list[str]:
    """Write the config, and say how the origin is started."""
    os.makedirs(folder, exist_ok=True)
    path = folder / "nginx.conf"
    path.write_text(config(folder, site, ports, inner), encoding="utf-8")
    return ["nginx", "-c", str(path), "-p", str(folder), "-e", str(folder / "error.log")]
