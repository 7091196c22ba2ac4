"""Balancers among many backends, on a clock of their own: `python -m benchmarks.scale`."""
