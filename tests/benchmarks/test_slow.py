"""One of two backends made slow: what is asked, what is counted, and what is shown."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro.page import filled
from benchmarks.macro.wrk import Load, LoadFailed
from benchmarks.slow import arrivals
from benchmarks.slow.__main__ import BEGIN, END, PAGE, main
from benchmarks.slow.backend import app
from benchmarks.slow.measure import Found
from benchmarks.slow.table import table


class Origin(BaseHTTPRequestHandler):
    """Answers, and fails when it is asked for that; notes what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        self.send_response(503 if self.path.startswith("/ill") else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class ArrivalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        Origin.asked = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        server.daemon_threads = True
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def test_open_loop(self) -> None:
        """So many requests come as the process gives, each for another target."""
        load = arrivals.run(self.port, "/work", 200.0, 0.3, seed=1)
        self.assertEqual((load.requests, load.errors), (len(Origin.asked), 0))
        self.assertApproximates(load.requests, 60, 25)
        self.assertEqual(len(set(Origin.asked)), load.requests)
        self.assertTrue(0.0 < load.p50 <= load.p99)

    def test_errors(self) -> None:
        """Where nothing is answered there are no latencies, and it is said so."""
        with self.assertRaises(LoadFailed) as caught:
            arrivals.run(self.port, "/ill", 200.0, 0.1, seed=1)
        self.assertIn(f"{len(Origin.asked)} errors", str(caught.exception))


class BackendTests(SynchronousTestCase):
    def test_slower(self) -> None:
        """It takes longer when told, and its probes do not."""
        self.addCleanup(app.config.update, SLOWER=0.0)
        client = app.test_client()
        self.assertEqual(client.post("/slower?seconds=0.25").status_code, 200)
        self.assertEqual(app.config["SLOWER"], 0.25)
        self.assertEqual(client.post("/slower?seconds=0").status_code, 200)
        self.assertEqual(client.get("/work/1/orders/2?page=3").get_json(), {"done": "1/orders/2"})
        self.assertEqual(client.get("/health").data, b"ok")


class ShownTests(SynchronousTestCase):
    def test_table(self) -> None:
        """A line for each balancer, with the ratio, and errors where there were some."""
        fast = Load(1000, 50000, 5.0, 0.02, 0.03, 0)
        found = Found(fast, Load(500, 25000, 5.0, 0.04, 0.24, 2))
        lines = table("12 clients", {"round_robin": found, "peak_ewma": Found(fast, fast)})
        _, _, first, second = lines.splitlines()
        self.assertEqual(
            first,
            "| `round_robin` | 20.0 / 30.0 | 40.0 / 240, 2 errors ! | 8.00 | 200 / 100 |",
        )
        self.assertIn("| 1.00 | 200 / 200 |", second)

    def test_docs(self) -> None:
        """The page of the docs has its part."""
        self.assertIn("new", filled(PAGE.read_text(encoding="utf-8"), "new", BEGIN, END))

    def test_refusals(self) -> None:
        """What is not there is named, and the docs show all balancers or are left alone."""
        for arguments, words in (
            (["--balancers", "dice"], "no balancer dice"),
            (["--balancers", "peak_ewma"], "--print"),
        ):
            with self.assertRaises(SystemExit) as caught:
                main(arguments)
            self.assertIn(words, str(caught.exception.code))
