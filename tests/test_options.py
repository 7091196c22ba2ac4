"""Tests of the command line of `twistd lbproxy`."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any, ClassVar

import attrs
from twisted.application import app
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.load import load
from lbproxy.config.model import Backend, Config, default_config
from lbproxy.errors import ConfigError
from lbproxy.options import Options
from tests.config.folder import temporary_folder
from tests.transport.test_passed import passed

EXAMPLE = str(Path(__file__).parents[1] / "examples" / "lbproxy.toml")

#: The example, for a file that stands anywhere.
MOVABLE = Path(EXAMPLE).read_text().replace('"../public"', '"."')


class OptionsTestCase(SynchronousTestCase):
    """A command line to read."""

    def options(self, *words: str) -> Options:
        """Read a command line."""
        options = Options()
        options.parseOptions(list(words))
        return options

    def settings(self, *words: str) -> Config:
        """What a command line makes of the config."""
        return self.options(*words).settings

    def file(self, text: str) -> str:
        """A config file."""
        path = temporary_folder(self) / "lb.toml"
        path.write_text(text)
        return str(path)


class OptionsTests(OptionsTestCase):
    """What the options do."""

    def test_none(self) -> None:
        """Without options the defaults run, without backends of their own."""
        options = self.options()
        self.assertEqual(options.settings, default_config())
        self.assertFalse(options["with-backends"])

    def test_with_backends(self) -> None:
        """The backends can be asked for."""
        self.assertTrue(self.options("--with-backends")["with-backends"])

    def test_no_admin(self) -> None:
        """A second balancer with the same config leaves the admin listener to the first one."""
        settings = self.settings("--config", self.file(MOVABLE), "--no-admin")
        self.assertIsNone(settings.admin)

    def test_config(self) -> None:
        """A config file takes the place of the defaults."""
        for option in (("--config", EXAMPLE), ("-c", EXAMPLE), (f"--config={EXAMPLE}",)):
            self.assertEqual(self.settings(*option), load(EXAMPLE))

    def test_not_passed(self) -> None:
        """A socket that systemd has not passed is told as a mistake, at the start and later."""
        endpoint = "haproxy:systemd:domain=INET:name=web"
        path = self.file(MOVABLE.replace("tcp:3000", endpoint))
        load(path)  # Only who is to listen can know.
        line = Path(path).read_text().partition(endpoint)[0].count("\n") + 1
        where = f"{path}:{line}: listeners.web.endpoint: "
        said = f'{where}no socket named "web" was passed by systemd'
        with self.assertRaises(SystemExit) as ended:
            self.options("-c", path)
        self.assertTrue(str(ended.exception.code).startswith(said), ended.exception.code)
        with passed("web"):
            options = self.options("-c", path)
        with self.assertRaises(ConfigError) as refused:
            options.read()
        self.assertTrue(str(refused.exception).startswith(said), refused.exception)

    def test_port(self) -> None:
        """The first listener's port, and nothing else of its endpoint."""
        self.assertEqual(self.settings("--port", "0").listeners[0].endpoint, "tcp:0")
        for before, after in (
            ("tcp:80:interface=127.0.0.1", "tcp:8080:interface=127.0.0.1"),
            ("tcp6:port=80", "tcp6:8080"),
            ("haproxy:tcp:80", "haproxy:tcp:8080"),
        ):
            path = self.file(MOVABLE.replace("tcp:3000", before))
            settings = self.settings("-c", path, "--port", "8080")
            self.assertEqual(settings.listeners[0].endpoint, after)

    def test_backend(self) -> None:
        """Addresses take the place of the pool's backends, and keep their order."""
        settings = self.settings("--backend", "127.0.0.1:9", "--backend", "[::1]:7")
        self.assertEqual(
            settings.pools[0].backends,
            (Backend("127.0.0.1:9", "127.0.0.1:9"), Backend("[::1]:7", "[::1]:7")),
        )
        self.assertEqual(settings.pools[0].name, "api")

    def test_static(self) -> None:
        """A folder takes the place of the one that is served, wherever twistd goes."""
        settings = self.settings("--static", ".")
        self.assertEqual(settings.routes[1].static, os.getcwd())
        self.assertEqual(settings.routes[0], default_config().routes[0])

    def test_access_log(self) -> None:
        """A file, wherever twistd goes, or standard output."""
        settings = self.settings("--access-log", "x.log")
        self.assertEqual(settings.access_log, os.path.abspath("x.log"))
        self.assertEqual(self.settings("--access-log", "-").access_log, "-")

    def test_nothing_else_changes(self) -> None:
        """All options together change only their values."""
        changed = self.settings(
            *("-c", EXAMPLE, "--port", "1", "--backend", "a:1", "--static", "."),
            *("--access-log", "x"),
        )
        config = load(EXAMPLE)
        self.assertEqual(
            changed,
            attrs.evolve(
                config,
                listeners=(attrs.evolve(config.listeners[0], endpoint="tcp:1"),),
                pools=(attrs.evolve(config.pools[0], backends=(Backend("a:1", "a:1"),)),),
                routes=(config.routes[0], attrs.evolve(config.routes[1], static=os.getcwd())),
                access_log=os.path.abspath("x"),
            ),
        )


class ReadTests(OptionsTestCase):
    """The config read again, while the balancer runs."""

    def test_changed(self) -> None:
        """What the file says now, and what the command line said over it."""
        path = self.file(MOVABLE)
        options = self.options("-c", path, "--port", "1")
        before = options.settings
        self.assertEqual(options.read(), before)
        changed = MOVABLE.replace("# slow_start = 10.0", "slow_start = 5.0")
        self.assertNotEqual(changed, MOVABLE)
        Path(path).write_text(changed)
        pools = (attrs.evolve(before.pools[0], slow_start=5.0), *before.pools[1:])
        self.assertEqual(options.read(), attrs.evolve(before, pools=pools))
        self.assertEqual(options.settings, before)

    def test_elsewhere(self) -> None:
        """It is the same file when the working directory is another one."""
        path = self.file(MOVABLE)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(os.path.dirname(path))
        options = self.options("-c", "lb.toml", "--static", ".", "--access-log", "x.log")
        os.chdir(before)
        self.assertEqual(options.read(), options.settings)

    def test_wrong(self) -> None:
        """What is wrong is told, be it in the file or about the command line over it."""
        path = self.file(MOVABLE)
        options = self.options("-c", path, "--backend", "a:1")
        for text, told in (
            ("workers = 0\n" + MOVABLE, "lb.toml:1: workers: "),
            (
                MOVABLE + '[pools.b]\nbackends = [{ name = "b", address = "b:1" }]\n',
                "--backend: the config has 2 pools, not one",
            ),
        ):
            Path(path).write_text(text)
            self.assertIn(told, str(self.assertRaises(ConfigError, options.read)))
        Path(path).unlink()
        self.assertIn(path, str(self.assertRaises(ConfigError, options.read)))

    def test_defaults(self) -> None:
        """Without a file it is always the same, unless the folder that is served has gone."""
        folder = temporary_folder(self) / "page"
        folder.mkdir()
        options = self.options("--static", str(folder))
        self.assertEqual(options.read(), options.settings)
        folder.rmdir()
        error = self.assertRaises(ConfigError, options.read)
        self.assertEqual(str(error), f"no such folder: {folder}; name one with --static")


class MistakeTests(OptionsTestCase):
    """What is told of mistakes."""

    def assert_refused(self, message: str, *words: str) -> None:
        """See that a command line is refused."""
        error = self.assertRaises(usage.UsageError, self.settings, *words)
        self.assertIn(message, str(error))

    def test_port(self) -> None:
        """A port is a number that fits."""
        for port in ("", "x", "-1", "65536"):
            self.assert_refused("--port: expected a port from 0 to 65535", "--port", port)

    def test_port_of_a_path(self) -> None:
        """A listener without a port cannot be given one."""
        path = self.file(MOVABLE.replace("tcp:3000", "unix:/run/x"))
        message = "--port: listeners.web listens on unix:/run/x"
        self.assert_refused(message, "-c", path, "--port", "1")

    def test_backend(self) -> None:
        """An address is checked as in a file, and is given once."""
        self.assert_refused('--backend: expected "host:port"', "--backend", "3001")
        self.assert_refused(
            "--backend: an address is given", "--backend", "a:1", "--backend", "a:1"
        )

    def test_backend_of_which_pool(self) -> None:
        """With several pools it is not said which backends are replaced."""
        more = '[pools.b]\nbackends = [{ name = "b", address = "b:1" }]\n'
        path = self.file(MOVABLE + more)
        message = "--backend: the config has 2 pools, not one"
        self.assert_refused(message, "-c", path, "--backend", "a:1")

    def test_static(self) -> None:
        """The folder must be there, and a route that serves it."""
        self.assert_refused("no such folder: /no/such", "--static", "/no/such")
        text = MOVABLE.replace('static = "."', 'pool = "api"')
        message = "--static: the config has no route that serves files"
        self.assert_refused(message, "-c", self.file(text), "--static", ".")

    def test_strange_words(self) -> None:
        """Options and words that nobody knows are refused."""
        self.assert_refused("option --prot not recognized", "--prot", "1")
        self.assert_refused("Wrong number of arguments", "lb.toml")


class TwistdTests(OptionsTestCase):
    """What twistd makes of mistakes."""

    def twistd(self, *words: str) -> tuple[str, str, object]:
        """Its standard output, its standard error if Python ends it so, and its exit code."""

        class ServerOptions(usage.Options):
            """As twistd's own, with one subcommand."""

            subCommands: ClassVar[Any] = [("lbproxy", None, Options, "balance")]

            def parseOptions(self, options: object = None) -> None:
                super().parseOptions(["lbproxy", *words])

        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            ended = self.assertRaises(SystemExit, app.run, self.fail, ServerOptions)
        message = ended.code if isinstance(ended.code, str) else ""
        # Python prints a text and makes it status 1.
        return output.getvalue(), message, 1 if message else ended.code

    def test_config(self) -> None:
        """The mistakes in a config file are all that is printed."""
        path = self.file('worker = 1\n[[routes]]\npath = "/"\nstatic = "."\n[listeners.a]\nx = 1\n')
        output, message, status = self.twistd("--config", path)
        self.assertEqual(output, "")
        lines = message.split("\n")
        self.assertEqual(lines[0], f"{path}:1: worker: unknown key; did you mean workers?")
        self.assertEqual(len(lines), 3)
        self.assertEqual(status, 1)

    def test_missing_config(self) -> None:
        """So it is with a file that is not there."""
        output, message, status = self.twistd("-c", "gone.toml")
        self.assertEqual(output, "")
        self.assertEqual(message, "gone.toml: cannot read the config: No such file or directory")
        self.assertEqual(status, 1)

    def test_option(self) -> None:
        """A wrong option is told below the options that there are."""
        output, _, status = self.twistd("--port", "x")
        self.assertTrue(
            output.endswith("--port: expected a port from 0 to 65535, found x\n"), output
        )
        self.assertEqual(status, 1)
