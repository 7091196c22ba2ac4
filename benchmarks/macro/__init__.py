"""The whole proxy under load, in rounds with its peers: `python -m benchmarks.macro`."""
