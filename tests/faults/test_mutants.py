"""Safeguards are taken out of copies of the service: a short trace shows each to the checker, and the whole service
nothing."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Template
from tests.databases import empty
from tests.faults.checker.check import check
from tests.faults.mutants import patches, traces
from tests.faults.mutants.patches import Edit, copied
from tests.faults.mutants.stage import Stage, staged

Trace = Callable[[Stage], Awaitable[None]]

# A connection that breaks on a machine with too much to do makes a server look after what the mutant forgets.
PLAYS: Final = 3

MUTANTS: Final = {
    "without the fence": (patches.WITHOUT_FENCE, traces.slow_executor, 4),
    "without the poll behind NOTIFY": (patches.WITHOUT_POLL_BEHIND_NOTIFY, traces.lost_hint, 9),
    "with creates that are repeated blindly": (patches.REPEATS_BLINDLY, traces.create_without_an_answer, 1),
    "with the clock of the process": (patches.OWN_CLOCK, traces.wrong_clock, 6),
    "with decisions side by side": (patches.DECIDES_SIDE_BY_SIDE, traces.many_events, 8),
}


async def violated(server_url: str, package: Path, place: Path, trace: Trace) -> list[tuple[int, str]]:
    """The rules that the service in a directory violates, with what is said about it."""
    async with empty(server_url) as database_url, staged(package, place, database_url) as stage:
        await trace(stage)
        history = await stage.history()
    return [(violation.rule, str(violation)) for violation in check(history)]


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_service_without_a_safeguard_is_found(name: str, database_template: Template, tmp_path: Path) -> None:
    edits, trace, rule = MUTANTS[name]
    found: list[tuple[int, str]] = []
    for n in range(PLAYS):
        place = tmp_path / str(n)
        (place / "copy").mkdir(parents=True)
        found = await violated(database_template.server_url, copied(place / "copy", *edits), place, trace)
        if rule in [number for number, _ in found]:
            return
    pytest.fail(f"rule {rule} was not violated: {found}")


@pytest.mark.parametrize("name", MUTANTS)
async def test_the_service_with_its_safeguard_passes_the_same_trace(
    name: str, database_template: Template, tmp_path: Path
) -> None:
    (tmp_path / "copy").mkdir()
    package = copied(tmp_path / "copy")
    assert await violated(database_template.server_url, package, tmp_path, MUTANTS[name][1]) == []


def test_a_patch_that_does_not_fit_any_more_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 times, not once"):
        copied(tmp_path, Edit("parts.py", "what stands nowhere", ""))
