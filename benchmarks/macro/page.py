"""The generated part of a page of the docs."""

from __future__ import annotations

BEGIN = "<!-- What follows is written by `make bench RECORD=1`. -->"
END = "<!-- What is generated ends here. -->"


def filled(page: str, generated: str) -> str:
    """The page with its part between the markers replaced.

    Raises:
        ValueError: If it has no such part.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("The page has no part to be generated.")
    return f"{before}{BEGIN}\n\n{generated.strip()}\n\n{END}{after}"
