"""Words of somebody else's program, in a line of ours."""

from __future__ import annotations


def one_line(words: str) -> str:
    """Words as one line, without what a terminal would take for a command."""
    if words.isprintable():
        return words
    return " ".join("".join(each if each.isprintable() else " " for each in words).split())
