"""The text that Prometheus reads, read with Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.observe.exposition import Family, counted, render
from lbproxy.observe.metrics import BREAKERS, EJECTIONS, SESSIONS, Counts, Metrics
from tests.observe.test_metrics import attempt, record

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """The values, by their names and labels."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


class RenderTests(SynchronousTestCase):
    def test_labels(self) -> None:
        """Whatever stands in a label is read as it was."""
        odd = 'a\\b"c\nd{e="f"},é'
        text = render([Family("x_up", "gauge", "Up.", ("name", "none"), {(odd, None): 0.25})])
        self.assertEqual(samples(text), {("x_up", (("name", odd), ("none", ""))): 0.25})

    def test_kinds(self) -> None:
        """Each metric has its kind and its meaning."""
        text = render(counted(Counts()))
        kinds = {family.name: family.type for family in text_string_to_metric_families(text)}
        self.assertEqual(kinds["lbproxy_requests"], "counter")
        self.assertEqual(kinds["lbproxy_request_seconds"], "histogram")
        self.assertEqual(text.count("# HELP "), len(kinds))

    def test_counted(self) -> None:
        """What was counted is there, and histograms add up from bucket to bucket."""
        metrics = Metrics()
        tried = attempt("a", outcome="closed", decision="retry")
        refused = attempt("a", outcome="closed", decision="budget_spent")
        answered = attempt("b", outcome="answered", connected=0.003, first_byte=0.02)
        metrics.observe(record(tried, answered), 100.004)
        metrics.observe(record(refused, status=502, reason="closed"), 100.004)
        metrics.observe(record(answered, status=404), 109.0)
        counts = metrics.take()
        counts.of((EJECTIONS, "api", "a"))[0] = 2
        counts.of((BREAKERS, "api", None))[0] = 3
        for reason in ("ended", "closed"):
            counts.of((SESSIONS, "db", "api", "a", reason))[:] = [1, 30, 50]
        read = samples(render(counted(counts)))
        a, b = (("backend", "a"), ("pool", "api")), (("backend", "b"), ("pool", "api"))
        exchange = tuple(sorted((*b, ("route", "/"))))

        def requests(*labels: tuple[str, str]) -> float:
            told = (("route", "/"), ("pool", "api"), *labels)
            return read["lbproxy_requests_total", tuple(sorted(told))]

        self.assertEqual(requests(b[0], ("reason", "answered"), ("status", "2xx")), 1)
        self.assertEqual(requests(b[0], ("reason", "answered"), ("status", "4xx")), 1)
        self.assertEqual(requests(a[0], ("reason", "closed"), ("status", "5xx")), 1)
        self.assertEqual(read["lbproxy_bytes_out_total", exchange], 10)
        self.assertEqual(read["lbproxy_request_seconds_count", exchange], 2)
        for bound, expected in (("0.0025", 0), ("0.005", 1), ("5.0", 1), ("10.0", 2), ("+Inf", 2)):
            labels = tuple(sorted((*exchange, ("le", bound))))
            self.assertEqual(read["lbproxy_request_seconds_bucket", labels], expected, bound)
        self.assertEqual(read["lbproxy_connect_seconds_count", b], 2)
        self.assertEqual(read["lbproxy_first_byte_seconds_count", b], 2)
        closed = (*a, ("reason", "closed"))
        self.assertEqual(read["lbproxy_attempts_failed_total", closed], 2)
        self.assertEqual(read["lbproxy_retries_total", closed], 1)
        self.assertEqual(read["lbproxy_ejections_total", a], 2)
        self.assertEqual(read["lbproxy_breaker_opened_total", (("pool", "api"),)], 3)
        session = (a[0], ("listener", "db"), a[1])
        self.assertEqual(read["lbproxy_sessions_total", (*session, ("reason", "ended"))], 1)
        self.assertEqual(read["lbproxy_session_bytes_out_total", session], 100)
