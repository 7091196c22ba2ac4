"""Hashes on which every process and every machine agrees."""

from __future__ import annotations

from hashlib import blake2b

_MASK = 2**64 - 1


def hash64(data: bytes) -> int:
    """A number from 0 to 2^64 - 1 for some bytes; `hash()` differs from process to process."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def mix64(number: int) -> int:
    """Another such number for one of them, one to one.

    It is the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
    Generators", OOPSLA 2014): each bit of the result depends on each bit given, at a tenth of the
    price of a digest.
    """
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _MASK
    return number ^ (number >> 31)
