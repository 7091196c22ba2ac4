"""A DNS server on a loopback address, whose names the test changes as it likes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from twisted.names import dns

#: The longest answer by UDP (RFC 1035, section 4.2.1).
SHORT = 512

Twist = Callable[[dns.Message], None]


def a(address: str) -> dns.Record_A:
    """An IPv4 address."""
    return dns.Record_A(address)


def aaaa(address: str) -> dns.Record_AAAA:
    """An IPv6 address."""
    return dns.Record_AAAA(address)


def srv(target: str, port: int, priority: int = 0, weight: int = 0) -> dns.Record_SRV:
    """A place of a service."""
    return dns.Record_SRV(priority, weight, port, target.encode())


class Nameserver:
    """Answers on one port by UDP and TCP, in threads of its own.

    A name that has no records does not exist. Answers that are too long for UDP are cut.

    Attributes:
        port: Of both.
        asked: The names and types that it was asked for, and by which way.
        silent: Whether it hears and says nothing.
        rude: Whether it ends each connection without an answer.
        twist: Changes each answer before it goes out.
    """

    def __init__(self, port: int = 0) -> None:
        self._names: dict[str, tuple[int, tuple[Any, ...]]] = {}
        self.asked: list[tuple[str, int, str]] = []
        self.silent = self.rude = False
        self.twist: Twist = lambda message: None
        self._stream = socket.create_server(("127.0.0.1", port))
        self.port: int = self._stream.getsockname()[1]
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", self.port))
        self._threads = [
            threading.Thread(target=serve, daemon=True) for serve in (self._by_udp, self._by_tcp)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, name: str, *records: Any, ttl: int = 60) -> None:
        """Give a name these records and no others."""
        self._names[name] = (ttl, records)

    def remove(self, name: str) -> None:
        """Have a name exist no more."""
        del self._names[name]

    def close(self) -> None:
        """Be there no more, so that the kernel refuses what is asked."""
        with suppress(OSError):
            self._datagrams.shutdown(socket.SHUT_RDWR)  # Wakes who waits, and fails nevertheless.
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._datagrams.close()
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _by_udp(self) -> None:
        with suppress(OSError):
            while True:
                data, client = self._datagrams.recvfrom(SHORT)
                if not data:
                    return
                answer = self._answer(data, "udp")
                if len(answer) > SHORT:
                    message = dns.Message()
                    message.fromStr(answer)
                    message.trunc, message.answers = 1, message.answers[:1]
                    answer = message.toStr()
                if not self.silent:
                    self._datagrams.sendto(answer, client)

    def _by_tcp(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._stream.accept()
                with connection, suppress(OSError, struct.error):
                    (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
                    data = connection.recv(length, socket.MSG_WAITALL)
                    answer = self._answer(data, "tcp")
                    if self.rude:
                        continue
                    if not self.silent:
                        connection.sendall(struct.pack("!H", len(answer)) + answer)
                    connection.recv(1)  # The client closes first.

    def _answer(self, data: bytes, way: str) -> bytes:
        message = dns.Message()
        message.fromStr(data)
        (query,) = message.queries
        message.answer = message.recAv = 1
        name = str(query.name).lower()
        self.asked.append((name, query.type, way))
        if name not in self._names:
            message.rCode = dns.ENAME
        told: set[str] = set()
        while name in self._names and name not in told:
            told.add(name)
            ttl, records = self._names[name]
            alias = ""
            for record in records:
                if record.TYPE in (query.type, dns.CNAME):
                    header = dns.RRHeader(
                        name.encode(), record.TYPE, ttl=ttl, payload=record, auth=True
                    )
                    message.answers.append(header)
                if record.TYPE == dns.CNAME:
                    alias = str(record.name)
            name = alias
        self.twist(message)
        return message.toStr()
