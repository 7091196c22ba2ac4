"""Measure single functions: `python -m benchmarks.micro`."""

from __future__ import annotations

import random
import statistics
import timeit

from benchmarks.micro.cases import Case, cases

#: Series of each case; what other programs take of the processor only ever adds.
SERIES = 9


def microseconds(case: Case) -> list[float]:
    """Microseconds a call in each series, least first."""
    timer = timeit.Timer(case.run)
    number, _ = timer.autorange()
    number = max(1, number // 2)
    return sorted(taken * 1e6 / number / case.calls for taken in timer.repeat(SERIES, number))


def main() -> None:
    """Print what each case takes."""
    print(f"{'':43}{'least':>9}{'median':>9}  µs/call")
    for case in cases(random.Random(0)):
        taken = microseconds(case)
        print(f"{case.name:43}{taken[0]:9.2f}{statistics.median(taken):9.2f}", flush=True)


if __name__ == "__main__":
    main()
