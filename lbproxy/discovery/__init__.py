"""Backends that DNS knows: names are looked up, and what is found becomes backends."""
