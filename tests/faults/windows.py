"""Spans of time as (begin, end): what is done with those in which something was disturbed."""

import bisect
from collections.abc import Iterable, Sequence

Window = tuple[float, float]


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same spans in order, those that touch each other as one."""
    found: list[Window] = []
    for begin, end in sorted(windows):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def common(some: Sequence[Window], others: Sequence[Window]) -> list[Window]:
    """When there is one of some merged windows and one of others; merged and in order."""
    return merged(
        (max(begin, since), min(end, until)) for begin, end in some for since, until in touching(others, begin, end)
    )


def touching(windows: Sequence[Window], begin: float, end: float, grace: float = 0.0) -> list[Window]:
    """Those of some merged windows that touch a span of time, each counted as `grace` seconds longer."""
    first = bisect.bisect_left(windows, begin - grace, key=lambda window: window[1])
    found = []
    for since, until in windows[first:]:
        if since > end:
            break
        found.append((since, until + grace))
    return found
