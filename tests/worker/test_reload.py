"""A worker that takes another config while clients are there."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure

from lbproxy.balance.peak_ewma import PeakEwma
from lbproxy.balance.standing import Standing, State
from lbproxy.config import model
from lbproxy.control.link import Duty, Names
from lbproxy.errors import ConfigError
from lbproxy.health.said import Said
from lbproxy.static.cache import Entry
from lbproxy.static.files import Folder
from lbproxy.worker.serve import Worker
from tests.certificates import Authority
from tests.config.folder import temporary_folder
from tests.proxy.wires import OK, Wire
from tests.transport.turning import TransportCase
from tests.worker.test_serve import GET, UP, Parent, WorkerCase

SLOW = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslo"
C = model.Backend("c", "c:80")


def standings_of(config: model.Config) -> dict[Names, Standing]:
    """All backends are up."""
    return {(pool.name, each.name): UP for pool in config.pools for each in pool.backends}


class ServeCase(WorkerCase):
    def changed(self, **fields: Any) -> model.Config:
        """The config that is served, with other values."""
        self.config = attrs.evolve(self.config, **fields)
        return self.config

    def with_pool(self, **fields: Any) -> model.Config:
        """The same with other values in its pool."""
        return self.changed(pools=(attrs.evolve(self.config.pools[0], **fields),))

    def take(self, config: model.Config) -> None:
        """Serve by another config, whose backends are all up."""
        self.worker.serve(config, standings_of(config))

    @property
    def dialled(self) -> list[str]:
        """The hosts of the connections that are being made."""
        return [each[0] for each in self.reactor.tcpClients]

    def accept(self) -> Wire:
        """The oldest connection that is being made stands."""
        factory: Any = self.reactor.tcpClients.pop(0)[2]
        return Wire(self.reactor, factory.buildProtocol(None))

    def refuse(self) -> None:
        """It is refused."""
        factory: Any = self.reactor.tcpClients.pop(0)[2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def status(self, client: Wire) -> bytes:
        """The status of the one answer that the client has got."""
        answer = client.take()
        self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)
        return answer.split(b" ")[1]


class PlanTests(ServeCase):
    """How requests are answered that come on connections from before."""

    def other_pool(self) -> model.Config:
        """A config in which another pool answers instead."""
        pool = model.Pool("other", (C,), slow_start=0.0)
        return self.changed(routes=(model.Route("/", pool="other"),), pools=(pool,))

    def test_next_request(self) -> None:
        """The next one on a kept-alive connection goes by the new route, however often it came."""
        client = self.client()
        for _ in range(3):
            client.give(GET)
            self.backend(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            self.assertEqual(self.status(client), b"200")
        self.take(self.other_pool())
        client.give(GET)
        self.assertEqual(self.dialled, ["c"])
        self.backend(OK)
        self.assertEqual(self.status(client), b"200")

    def test_pipelined(self) -> None:
        """So does one that was sent before, and whose turn comes after."""
        client = self.client()
        for _ in range(2):
            client.give(GET)
            self.backend(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            client.take()
        client.give(GET)
        client.give(GET)
        backend = self.accept()
        self.take(self.other_pool())
        backend.give(OK)
        self.assertEqual(self.status(client), b"200")
        self.assertEqual(self.dialled, ["c"])
        self.backend(OK)
        self.assertEqual(self.status(client), b"200")

    def test_under_way(self) -> None:
        """What is under way is finished by the old plan: its pool, its retries, its answer."""
        client = self.client(GET)
        first = self.dialled
        self.take(self.other_pool())
        self.refuse()
        (second,) = self.dialled
        self.assertEqual({*first, second}, {"a", "b"})
        backend = self.accept()
        backend.give(SLOW)
        backend.give(b"w!")
        self.assertTrue(client.value().endswith(b"slow!"))
        self.assertEqual(self.status(client), b"200")
        self.reactor.advance(0)
        self.assertFalse(backend.open)

    def test_no_route(self) -> None:
        """A route that is gone is gone for the next request."""
        client = self.client(GET)
        self.backend(OK)
        client.take()
        self.take(self.changed(routes=(model.Route("/api/", pool="api"),)))
        client.give(GET)
        self.assertEqual(self.status(client), b"404")

    def test_limits_of_routes(self) -> None:
        """What a route allows is what it allows now."""
        post = GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n")
        client = self.client(post + b"body body")
        self.backend(OK)
        client.take()
        self.take(self.changed(routes=(model.Route("/", pool="api", max_body=5),)))
        client.give(post)
        self.assertEqual(self.status(client), b"413")

    def test_folders(self) -> None:
        """A folder that stays keeps what is remembered of its files; another one is another one."""
        root = temporary_folder(self)
        for name in ("one", "two"):
            (root / name).mkdir()
            (root / name / "x.txt").write_text(name)

        def routes(name: str) -> tuple[model.Route, ...]:
            return (model.Route("/", static=str(root / name)),)

        self.patch(Entry, "settled", lambda *_: True)  # What is new could change unseen.
        ask = GET.replace(b" / ", b" /x.txt ")
        self.take(self.changed(routes=routes("one")))
        client = self.client(ask)
        self.assertTrue(client.take().endswith(b"one"))
        with mock.patch.object(Folder, "_look_up", side_effect=AssertionError("not remembered")):
            self.take(self.changed(stop=model.Stop(5.0)))
            client.give(ask)
            self.assertTrue(client.take().endswith(b"one"))
        self.take(self.changed(routes=routes("two")))
        client.give(ask)
        self.assertTrue(client.take().endswith(b"two"))


class PoolTests(ServeCase):
    def test_standings(self) -> None:
        """How all stand is known from the first moment."""
        config = self.with_pool(backends=(*self.config.pools[0].backends, C))
        down = attrs.evolve(UP, state=State.DOWN)
        drained = attrs.evolve(UP, given=0)
        told = {("api", "a"): down, ("api", "b"): drained, ("api", "c"): UP}
        self.worker.serve(config, told)
        client = self.client()
        for _ in range(3):
            client.give(GET)
            self.assertEqual(self.dialled, ["c"])
            self.backend(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    def test_unknown(self) -> None:
        """What is told of who is gone, or not there yet, is nothing."""
        self.take(self.with_pool(backends=(C,)))
        for names in (("api", "a"), ("other", "c")):
            self.worker.learn(names, UP)
        self.client(GET)
        self.assertEqual(self.dialled, ["c"])

    def test_health(self) -> None:
        """The report is of the new config, in its order."""
        other = model.Pool("first", (C,))
        self.take(self.changed(pools=(other, *self.config.pools)))
        _, told = self.health(self.client())
        names = [(each["name"], len(each["backends"])) for each in told["pools"]]
        self.assertEqual(names, [("first", 1), ("api", 2)])

    def test_load(self) -> None:
        """What is under way at who has left is not told any more."""
        self.client(GET)
        self.take(self.with_pool(backends=(C,)))
        self.client(GET)
        self.successResultOf(self.worker.count())
        self.assertEqual(self.parent.load.in_flight, {("api", "c"): 1})
        self.assertEqual(self.parent.load.waiting, {"api": 0})

    def test_new_pool(self) -> None:
        """What live traffic shows of a new pool is told to the parent."""
        pool = model.Pool("other", (C,), slow_start=0.0)
        routes = (model.Route("/", pool="other"),)
        self.take(self.changed(pools=(*self.config.pools, pool), routes=routes))
        self.client(GET)
        self.refuse()
        self.assertIn(("suspect", ("other", "c")), self.parent.told)

    def test_policy(self) -> None:
        """A policy is made anew only if it is another one."""
        pool = self.worker._upstreams["api"].pool
        before = pool._balancer
        self.take(self.with_pool(max_in_flight=5))
        self.assertIs(pool._balancer, before)
        self.take(self.with_pool(balancer="peak_ewma"))
        self.assertIsInstance(pool._balancer, PeakEwma)
        self.assertIs(self.worker._upstreams["api"].pool, pool)

    def test_said(self) -> None:
        """A worker's part of what a backend can bear stays its part."""
        worker = Worker(self.reactor, Duty(self.config, workers=2), random.Random(1))
        worker.link = Parent()
        worker.privilegedStartService()
        told = {("api", "a"): attrs.evolve(UP, said=Said(capacity=3)), ("api", "b"): UP}
        worker.serve(self.with_pool(retry=model.Retry(1)), told)
        limits = [each.limit for each in worker._upstreams["api"].pool.backends]
        self.assertEqual(limits, [2, 256])

    def test_stop(self) -> None:
        """A changed `stop.drain` holds for the next end."""
        self.client(GET)
        self.take(self.changed(stop=model.Stop(2.0)))
        self.worker.drain()
        self.reactor.pump([0.5] * 3)
        self.assertFalse(self.worker.drained.called)
        self.reactor.pump([0.5] * 3)
        self.assertTrue(self.worker.drained.called)


class LogTests(ServeCase):
    def test_reopened(self) -> None:
        """The log goes to where the new config says once it is opened anew."""
        path = temporary_folder(self) / "access.log"
        self.take(self.changed(access_log=str(path)))
        self.assertFalse(path.exists())
        self.worker.reopen()
        client = self.client(GET)
        self.backend(OK)
        client.take()
        self.reactor.pump([0.5, 0.5])
        self.assertEqual(path.read_text().count("\n"), 1)

    def test_not_reopened(self) -> None:
        """One that cannot be opened is told to who asks."""
        self.take(self.changed(access_log="/nowhere/access.log"))
        self.assertRaises(OSError, self.worker.reopen)


class RefusedTests(ServeCase):
    """A config that cannot be had: nothing changes for it."""

    def assert_refused(self, config: model.Config, told: str) -> None:
        """It is refused with these words, and the one before is served."""
        for ask in (
            lambda: self.worker.prepare(config, {}),
            lambda: self.worker.serve(config, standings_of(config)),
        ):
            self.assertIn(told, str(self.assertRaises(ConfigError, ask)))
        self.assertEqual(self.parent.told.count("ready"), 1)
        self.assertEqual([each for each in self.parent.told if each[0] == "listening"], [])
        client = self.client(GET)
        self.assertIn(self.dialled[0], "ab")
        self.backend(OK)
        self.assertEqual(self.status(client), b"200")
        self.assertEqual(list(self.worker._listeners), ["tcp:3000"])
        self.assertEqual(self.worker._opened, {})

    def test_folder(self) -> None:
        """A folder that is not there."""
        other = model.Pool("other", (C,))
        listeners = (model.Listener("other", "tcp:4000"),)
        routes = (model.Route("/", static="/nowhere"),)
        config = attrs.evolve(self.config, listeners=listeners, routes=routes, pools=(other,))
        self.assert_refused(config, "cannot serve the folder '/nowhere'")

    def test_certificate(self) -> None:
        """A certificate that cannot be read, of a listener that stays or of a new one."""
        tls = model.ListenerTLS(("/nowhere.pem",))
        for listener in (model.Listener("web", "tcp:3000"), model.Listener("new", "tcp:4000")):
            listeners = (attrs.evolve(listener, tls=tls),)
            config = attrs.evolve(self.config, listeners=listeners)
            self.assert_refused(
                config, f"listeners.{listener.name}.tls: no such file: /nowhere.pem"
            )

    def test_authorities(self) -> None:
        """A file of authorities that cannot be read."""
        pool = attrs.evolve(self.config.pools[0], tls=True, verify="/nowhere.pem")
        config = attrs.evolve(self.config, pools=(pool,))
        self.assert_refused(config, "pools.api.verify: no such file: /nowhere.pem")

    def test_own_policy(self) -> None:
        """A user's own policy that cannot be made: what was opened before is closed."""
        pool = attrs.evolve(self.config.pools[0], balancer="own")
        listeners = (*self.config.listeners, model.Listener("new", "tcp:4000"))
        config = attrs.evolve(self.config, listeners=listeners, pools=(pool,))
        self.patch(self.worker, "_policy", mock.Mock(side_effect=ZeroDivisionError))
        self.assertRaises(ZeroDivisionError, self.worker.prepare, config, {})
        self.assertEqual((self.worker._opened, self.worker._next), ({}, None))

    def test_prepared(self) -> None:
        """What was prepared is served, though its files have gone meanwhile."""
        folder = temporary_folder(self)
        (folder / "there").mkdir()
        authority = Authority(folder)
        certificate = authority.issue("site.pem", "shop.example")
        tls = model.ListenerTLS((str(certificate),))
        pool = attrs.evolve(self.config.pools[0], tls=True, verify=str(authority.file))
        config = self.changed(
            listeners=(model.Listener("web", "tcp:3000", tls=tls),),
            routes=(model.Route("/", static=str(folder / "there")),),
            pools=(pool,),
        )
        self.worker.prepare(config, {})
        (folder / "there").rmdir()
        certificate.unlink()
        authority.file.unlink()
        self.take(config)
        self.assertEqual(self.parent.told[-1][0], "listening")


class ListenerCase(TransportCase):
    """A worker on real sockets."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = temporary_folder(self)
        self.config = model.Config(
            (self.listener("one"),), (model.Route("/", static=str(self.folder)),), access_log=None
        )
        self.worker = Worker(self.reactor, Duty(self.config), random.Random(1))
        self.parent = Parent()
        self.worker.link = self.parent
        self.worker.privilegedStartService()
        self.worker.startService()
        self.worker.start()
        self.worker.accept(frozenset({0}))
        self.addCleanup(self.end)

    def end(self) -> None:
        """All ends."""
        self.worker.end()
        self.reactor.settle()
        self.successResultOf(self.worker.drained)
        self.assertEqual(self.reactor.watched, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def listener(self, name: str, **more: Any) -> model.Listener:
        """One on a Unix socket in the folder."""
        path = Path(self.folder, more.pop("path", name))
        return model.Listener(name, f"unix:{path}", **more)

    def take(self, *listeners: model.Listener) -> None:
        """Serve these from now on."""
        self.config = attrs.evolve(self.config, listeners=listeners)
        self.worker.serve(self.config, {})
        self.reactor.settle()

    def client(self, path: str) -> socket.socket:
        """A client of a listener."""
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(str(self.folder / path))
        client.setblocking(False)
        return client

    def ask(self, client: socket.socket, request: bytes = GET) -> bytes:
        """The status of the answer to a request."""
        client.send(request)
        self.reactor.settle()
        return self.read(client)[9:12]


class ListenerTests(ListenerCase):
    def test_opened(self) -> None:
        """A listener that is new accepts as the others do, and the parent hears where."""
        self.take(self.listener("one"), self.listener("two"))
        for path in ("one", "two"):
            self.assertEqual(self.ask(self.client(path)), b"404")
        told = {name: f"unix:{self.folder / name}" for name in ("one", "two")}
        self.assertEqual(self.parent.told[-1], ("listening", told))

    def test_not_yet(self) -> None:
        """While no queue is the worker's, nobody is accepted on a new one either."""
        self.worker.accept(frozenset())
        self.take(self.listener("one"), self.listener("two"))
        client = self.client("two")
        self.assertEqual(self.ask(client), b"")
        self.worker.accept(frozenset({0}))
        self.reactor.settle()
        self.assertEqual(self.read(client)[9:12], b"404")

    def test_closed(self) -> None:
        """One that is gone accepts nobody, and its idle clients are parted from."""
        self.take(self.listener("one"), self.listener("two"))
        first, second = self.client("one"), self.client("two")
        for client in (first, second):
            self.assertEqual(self.ask(client), b"404")
        self.take(self.listener("two"))
        self.assertTrue(self.ended(first))
        self.assertEqual(self.ask(second), b"404")
        self.assertRaises(OSError, self.client, "one")

    def test_closed_busy(self) -> None:
        """A client with a request finishes it, and is told that it was the last."""
        self.take(self.listener("one"), self.listener("two"))
        client = self.client("one")
        for _ in range(3):
            self.ask(client)
        client.send(GET[:-2])
        self.reactor.settle()
        self.take(self.listener("two"))
        client.send(GET[-2:])
        self.reactor.settle()
        answer = self.read(client)
        self.assertEqual(answer[9:12], b"404")
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        self.assertTrue(self.ended(client))

    def test_moved(self) -> None:
        """A listener of the same name elsewhere is another one."""
        client = self.client("one")
        self.assertEqual(self.ask(client), b"404")
        self.take(self.listener("one", path="two"))
        self.assertTrue(self.ended(client))
        self.assertEqual(self.ask(self.client("two")), b"404")

    def test_renamed(self) -> None:
        """One of another name at the same place stays, and so do its clients."""
        client = self.client("one")
        self.assertEqual(self.ask(client), b"404")
        self.take(self.listener("other", path="one"))
        self.assertEqual(self.ask(client), b"404")
        self.assertEqual(self.ask(self.client("one")), b"404")
        self.assertEqual(list(self.parent.told[-1][1]), ["other"])

    def test_renamed_in_routes(self) -> None:
        """Its clients follow it: by the routes of its new name, and when it is closed."""
        Path(self.folder, "index.html").write_text("here")
        client = self.client("one")
        for name in ("one", "other", "third"):
            route = model.Route("/", static=str(self.folder), listener=name)
            self.config = attrs.evolve(self.config, routes=(route,))
            self.take(self.listener(name, path="one"), self.listener("two"))
            self.assertEqual(self.ask(client), b"200", name)
        self.take(self.listener("two"))
        self.assertTrue(self.ended(client))

    def test_limits(self) -> None:
        """Changed limits and timeouts are for those who come from now on."""
        before = self.client("one")
        self.assertEqual(self.ask(before), b"404")
        limits = attrs.evolve(self.config.listeners[0].limits, target=10)
        timeouts = model.DownstreamTimeouts(idle=2.0)
        self.take(self.listener("one", limits=limits, timeouts=timeouts))
        long = GET.replace(b" / ", b" /" + b"x" * 20 + b" ")
        self.assertEqual(self.ask(before, long), b"404")
        after = self.client("one")
        self.assertEqual(self.ask(after, long), b"414")
        after = self.client("one")
        self.assertEqual(self.ask(after), b"404")
        for _ in range(5):
            self.reactor.advance(0.5)
        self.reactor.settle()
        self.assertEqual((self.ended(after), self.ended(before)), (True, False))

    def test_given_up(self) -> None:
        """What was opened for a config that is not served is closed."""
        config = attrs.evolve(self.config, listeners=(self.listener("one"), self.listener("two")))
        self.worker.prepare(config, {})
        waiting = self.client("two")
        self.worker.give_up()
        self.reactor.settle()
        self.assertRaises(OSError, self.client, "two")
        self.assertRaises(OSError, waiting.send, GET)
        self.take(*config.listeners)
        self.assertEqual(self.ask(self.client("two")), b"404")

    def test_in_use(self) -> None:
        """If one cannot be bound, those that were before it are closed again."""
        taken = self.listening()
        port = taken.getsockname()[1]
        bad = model.Listener("bad", f"tcp:{port}:interface=127.0.0.1")
        config = attrs.evolve(self.config, listeners=(self.listener("two"), bad))
        error = self.assertRaises(ConfigError, self.worker.prepare, config, {})
        self.assertIn(f"listeners.bad.endpoint: cannot listen on port {port}", str(error))
        self.reactor.settle()
        self.assertRaises(OSError, self.client, "two")
        self.assertEqual(self.ask(self.client("one")), b"404")

    def test_inherited(self) -> None:
        """Sockets that another process has bound are taken over, this worker's and no other's."""
        doors = [self.listening() for _ in range(2)]
        given = [os.dup(each.fileno()) for each in doors]
        new = model.Listener("new", "tcp:80")
        self.config = attrs.evolve(self.config, listeners=(self.listener("one"), new))
        self.worker.serve(self.config, {}, {"tcp:80": given})
        answers = []
        for door in doors:
            client = socket.create_connection(door.getsockname())
            self.addCleanup(client.close)
            client.setblocking(False)
            answers.append(self.ask(client))
        self.assertEqual(answers, [b"404", b""])

    def test_draining(self) -> None:
        """A worker that drains takes no listeners: it opens nothing, and keeps nothing open."""
        client = self.client("one")
        client.send(GET[:-2])
        self.reactor.settle()
        self.worker.leave()
        door = self.listening()
        given = os.dup(door.fileno())
        before = list(self.parent.told)
        config = attrs.evolve(self.config, listeners=(model.Listener("new", "tcp:80"),))
        self.worker.serve(config, {}, {"tcp:80": [given]})
        self.assertRaises(OSError, os.fstat, given)
        self.assertEqual(self.parent.told, before)
        self.assertEqual(self.ask(client, GET[-2:]), b"404")
        self.assertTrue(self.ended(client))

    def test_ended(self) -> None:
        """One that has ended makes nothing any more that nobody would close."""
        self.worker.end()
        self.reactor.settle()
        self.successResultOf(self.worker.drained)
        given = os.dup(self.listening().fileno())
        pools = (*self.config.pools, model.Pool("new", (model.Backend("n", "n:80"),)))
        self.worker.serve(attrs.evolve(self.config, pools=pools), {}, {"tcp:80": [given]})
        self.assertRaises(OSError, os.fstat, given)
        self.assertEqual(list(self.worker._timer._timed), [])


class SecureTests(ListenerCase):
    """Listeners that speak TLS, or did."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(self.folder)

    def certificate(self, name: str) -> str:
        """A file with a certificate for this name."""
        return str(self.authority.issue(f"{name}.pem", name))

    def secure(self, *names: str) -> model.Listener:
        """The listener with certificates for these names."""
        tls = model.ListenerTLS(tuple(self.certificate(name) for name in names))
        return self.listener("one", tls=tls)

    def shown(self, name: str) -> list[str]:
        """The names in the certificate that a client sees who asks for one; none if it is plain."""
        context = self.authority.client()
        context.check_hostname = False
        client = context.wrap_socket(
            self.client("one"), server_hostname=name, do_handshake_on_connect=False
        )
        self.addCleanup(client.close)

        def shaken() -> bool:
            try:
                client.do_handshake()
            except BlockingIOError:
                return False
            except OSError as error:
                if getattr(error, "errno", None) in (2, 3):  # It wants to read, or to write.
                    return False
                raise
            return True

        try:
            self.reactor.work(shaken)
        except OSError:
            return []
        certificate: Any = client.getpeercert()
        return [value for _, value in certificate["subjectAltName"]]

    def test_on_and_off(self) -> None:
        """TLS is for those who come from now on; those who are there stay as they are."""
        plain = self.client("one")
        self.assertEqual(self.ask(plain), b"404")
        self.take(self.secure("shop.example"))
        self.assertEqual(self.shown("shop.example"), ["shop.example"])
        self.assertEqual(self.ask(plain), b"404")
        self.assertEqual(self.ask(self.client("one")), b"400")  # It is told to ask by https.
        self.assertTrue(self.worker._listeners[self.config.listeners[0].endpoint]._watch.running)
        self.take(self.listener("one"))
        self.assertEqual(self.ask(self.client("one")), b"404")
        self.assertFalse(self.worker._listeners[self.config.listeners[0].endpoint]._watch.running)

    def test_certificates(self) -> None:
        """Another list of certificates is for the next handshake."""
        self.take(self.secure("shop.example"))
        self.assertEqual(self.shown("other.example"), ["shop.example"])
        self.take(self.secure("shop.example", "other.example"))
        self.assertEqual(self.shown("other.example"), ["other.example"])
        self.take(self.secure("other.example"))
        self.assertEqual(self.shown("shop.example"), ["other.example"])

    def test_guests(self) -> None:
        """Whose handshake is under way is served, and heeded until it has ended."""
        self.take(self.secure("shop.example"))
        guest = self.client("one")
        guest.send(b"\x16\x03\x01")
        self.reactor.settle()
        for _ in range(3):
            self.take(self.secure("shop.example", "other.example"))
            self.take(self.secure("shop.example"))
        self.assertEqual(self.worker._site.clients, 1)
        for _ in range(25):
            self.reactor.advance(0.5)
        self.reactor.settle()
        self.assertRaises(OSError, guest.send, GET)
