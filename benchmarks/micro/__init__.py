"""Single functions of the path of each request: `python -m benchmarks.micro`."""
