"""Keys of a probe that do not go together."""

from __future__ import annotations

from tests.config.test_load import BASE, TCP_BASE, LoadTestCase

#: A pool's `health`, and for each key that is told, what is told.
HTTP = (
    ('{ tcp = true, json = true, statuses = ["2xx"] }', {"json": "tcp = true", "statuses": "tcp"}),
    ('{ tcp = true, headers = { A = "b" }, path = "/" }', {"headers": "tcp", "path": "tcp"}),
    ('{ method = "HEAD", body = "a" }', {"body": "an answer to HEAD has none"}),
    ("{ port = 9, interval = 0.1 }", {"timeout": "longer than the interval"}),
)
TCP = (
    ('{ body = "a", json = true }', {"body": "goes only with path", "json": "goes only with path"}),
    ('{ method = "HEAD" }', {"method": "goes only with path"}),
)
#: What is accepted.
GOOD_HTTP = (
    "{ tcp = true, port = 9 }",
    "{ tcp = true, json = false }",
    '{ method = "OPTIONS", body = "a", json = true }',
)
GOOD_TCP = ("{ tcp = true }", "{ port = 9 }", '{ path = "/x", port = 9, body = "a", json = true }')


class ProbingTests(LoadTestCase):
    def told(self, text: str) -> dict[str, str]:
        """What is told, by the key of `health`."""
        lines = (line.split(": ", 2) for line in self.mistakes(text))
        return {key.rpartition(".")[2]: message for _, key, message in lines}

    def test_contradictions(self) -> None:
        """Each key that does not go with the rest is told, with the reason."""
        for base, pool, cases in ((BASE, "api", HTTP), (TCP_BASE, "db", TCP)):
            for health, wanted in cases:
                text = base.replace(f"[pools.{pool}]", f"[pools.{pool}]\nhealth = {health}")
                told = self.told(text)
                self.assertEqual(told.keys(), wanted.keys(), health)
                for key, message in wanted.items():
                    self.assertIn(message, told[key])

    def test_accepted(self) -> None:
        """What goes together."""
        for base, pool, cases in ((BASE, "api", GOOD_HTTP), (TCP_BASE, "db", GOOD_TCP)):
            for health in cases:
                text = base.replace(f"[pools.{pool}]", f"[pools.{pool}]\nhealth = {health}")
                self.load(text)

    def test_port_of_a_unix_socket(self) -> None:
        """A Unix socket has no ports."""
        text = BASE.replace("[pools.api]", "[pools.api]\nhealth.port = 9")
        told = self.told(text.replace("127.0.0.1:3001", "unix:/run/x"))
        self.assertEqual(told, {"port": "a backend at a Unix socket has no ports"})

    def test_statuses(self) -> None:
        """Statuses and classes add up."""
        text = BASE.replace("[pools.api]", '[pools.api]\nhealth.statuses = ["3xx", 204, 301]')
        health = self.load(text).pools[0].health
        assert health is not None
        self.assertEqual(health.statuses, {*range(300, 400), 204})
