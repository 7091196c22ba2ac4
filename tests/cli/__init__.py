"""Tests of the `lbproxy` command."""
