"""Tests of what serves files."""
