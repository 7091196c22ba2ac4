"""Tests of the files in deploy/, by what they start."""
