"""Tests of what the benchmarks make of their measurements; nothing is measured here."""
