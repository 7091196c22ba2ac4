"""The generated part of a page of the docs."""

from __future__ import annotations

BEGIN = "<!-- What follows is written by `make bench RECORD=1`. -->"
END = "<!-- What is generated ends here. -->"


def filled(page: str, generated: str, begin: str = BEGIN, end: str = END) -> str:
    """The page with its part between the markers replaced.

    Raises:
        ValueError: If it has no such part.
    """
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError("The page has no part to be generated.")
    return f"{before}{begin}\n\n{generated.strip()}\n\n{end}{after}"
