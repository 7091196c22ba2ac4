"""nginx, with one worker."""

from __future__ import annotations

import resource
from pathlib import Path

from benchmarks.macro.peers.peer import Command, Kind, Place, asked_version

#: Where Debian puts the module for TCP; other systems build it in, or not at all.
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

#: What any nginx of ours begins with: one worker in the foreground, all files in its folder.
MAIN = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{modules}
events {{
    worker_connections 8192;
    multi_accept on;
}}
"""

#: Its default folders are those of the machine's own nginx.
FOLDERS = """\
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
"""

_HTTP = """
http {{
{folders}
    access_log {folder}/access.log combined buffer=64k flush=1s;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    default_type application/octet-stream;

    upstream origin {{
{servers}
        keepalive 256;
        keepalive_requests 1000000000;
    }}

    server {{
        listen 127.0.0.1:{port}{tls} backlog=4096;
{location}
    }}
}}
"""

_PROXY = """\
        client_max_body_size 0;
        location / {
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
        }
"""

_FILES = """\
        root {site};
        open_file_cache max=100;
"""

_STREAM = """
stream {{
    log_format basic '$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received';
    access_log {folder}/access.log basic buffer=64k flush=1s;

    upstream origin {{
{servers}
    }}

    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_pass origin;
        proxy_connect_timeout 2s;
    }}
}}
"""


def descriptors() -> int:
    """How many a worker may open: as many as the system lets it, up to what we need."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 20000 if hard == resource.RLIM_INFINITY else min(20000, hard)


class Nginx:
    """nginx as a proxy with kept-alive connections to the origin, or as a server of files."""

    name = "nginx"
    install = "apt-get install nginx-light libnginx-mod-stream"

    @property
    def kinds(self) -> frozenset[Kind]:
        kinds = frozenset(Kind)
        return kinds if STREAM_MODULE.exists() else kinds - {Kind.TCP}

    def version(self) -> str | None:
        return asked_version(["nginx", "-v"], r"nginx/(\S+)")

    def prepare(self, place: Place) -> Command:
        config = place.write("nginx.conf", self.config(place))
        log = str(place.folder / "error.log")
        return Command(["nginx", "-c", str(config), "-p", str(place.folder), "-e", log])

    def config(self, place: Place) -> str:
        """The config file."""
        tcp = place.kind is Kind.TCP
        main = MAIN.format(
            folder=place.folder,
            descriptors=descriptors(),
            modules=f"load_module {STREAM_MODULE};" if tcp else "",
        )
        servers = "\n".join(f"        server 127.0.0.1:{port};" for port in place.origins)
        if tcp:
            return main + _STREAM.format(folder=place.folder, servers=servers, port=place.port)
        tls = place.kind is Kind.TLS
        location = _FILES.format(site=place.site) if place.kind is Kind.STATIC else _PROXY
        if tls:
            location += f"        ssl_certificate {place.certificate};\n"
            location += f"        ssl_certificate_key {place.certificate};\n"
        return main + _HTTP.format(
            folders=FOLDERS.format(folder=place.folder),
            folder=place.folder,
            servers=servers,
            port=place.port,
            tls=" ssl" if tls else "",
            location=location,
        )
