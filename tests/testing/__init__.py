"""Tests of the simulator, and some hundreds of its lives."""
