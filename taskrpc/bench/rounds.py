"""Several contestants, one after the other, over and over: what disturbs the machine meets all of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from taskrpc.bench.measurement import Figures

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """One run of a contestant: its round, from 1, and what it has shown."""

    round: int
    contestant: T
    figures: Figures


async def interleaved(
    contestants: Sequence[T],
    rounds: int,
    run: Callable[[T], Awaitable[Figures]],
    on_run: Callable[[Run[T]], None],
) -> dict[T, list[Figures]]:
    """The figures of all contestants, a list by round for each; `on_run` hears of each run as it ends."""
    figures: dict[T, list[Figures]] = {contestant: [] for contestant in contestants}
    for number in range(1, rounds + 1):
        for contestant in contestants:
            figures[contestant].append(await run(contestant))
            on_run(Run(number, contestant, figures[contestant][-1]))
    return figures
