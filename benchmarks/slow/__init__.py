"""One of two real backends made slow, under each balancer: `python -m benchmarks.slow`."""
