"""One run: the world is opened, works, is maltreated, comes to rest, and is read. What remains is its history."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.faults.checker.liveness import ANSWER_SECONDS, DRAIN_SECONDS, PROBE
from tests.faults.collector import collect, drained
from tests.faults.definitions import DEFINITIONS
from tests.faults.occasions import delete_rules
from tests.faults.parties import Party, over_http
from tests.faults.plan import Lane, Strike, names_of, planned
from tests.faults.processes import faketime_library
from tests.faults.recorder import RecordedClient, Recorder
from tests.faults.striker import Striker
from tests.faults.workload import define, run_workload
from tests.faults.world import World

Progress = Callable[[str], None]
_PROBE_PAUSE_SECONDS: Final = 0.2
# Stuck is what takes longer; the checker says so. Waiting on tells whether it would have come at all.
_PATIENCE_SECONDS: Final = 2 * DRAIN_SECONDS


class Opened(NamedTuple):
    """A world that was started, who maltreats it, and the faults that are not possible in it, with the reasons."""

    world: World
    nemesis: Striker
    skipped: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of run: which faults when, and the world in which they happen. `opened` gets the directory of the
    history, the seed, what writes to it, and the checkout of a `former` version with which servers begin, if there is
    one. Who sees all faults for `complete_minutes` has to see all of rule 10."""

    lanes: Mapping[str, Lane]
    opened: Callable[[Path, str, Recorder, Path | None], AbstractAsyncContextManager[Opened]]
    complete_minutes: float | None = None
    former: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All its faults."""
        return names_of(self.lanes)


async def run(
    scenario: Scenario,
    directory: Path,
    minutes: float,
    seed: str,
    wanted: Collection[str],
    say: Progress = lambda _: None,
) -> None:
    """Makes a history in `directory`. `say` is told of each phase and of each fault."""
    recorder = Recorder(directory / "run.jsonl")
    say("starting PostgreSQL and the servers")
    try:
        async with scenario.opened(directory, seed, recorder, scenario.former) as (world, nemesis, skipped):
            recorder.write("run", **_head(scenario, world, minutes, seed, wanted), skipped=dict(skipped))
            plan = planned(seed, minutes * 60, set(wanted) - skipped.keys(), scenario.lanes)
            await _maltreat(world, nemesis, recorder, minutes * 60, seed, plan, say)
            await _come_to_rest(world, recorder, say)
            say("reading what is there")
            await collect(world.servers[0].url, recorder)
            _record_defects(world, recorder)
    finally:
        recorder.close()


def _head(scenario: Scenario, world: World, minutes: float, seed: str, wanted: Collection[str]) -> dict[str, Any]:
    long_enough = scenario.complete_minutes is not None and minutes >= scenario.complete_minutes
    complete = set(wanted) == set(scenario.names) and long_enough and scenario.former is None
    names = [server.name for server in world.servers]
    run_is = {"minutes": minutes, "seed": seed, "nemesis": sorted(wanted), "complete": complete, "servers": names}
    wrong_clocks = faketime_library() is not None
    former = scenario.former and str(scenario.former)
    return {**run_is, "former": former, "wrong_clocks": wrong_clocks, "wall": time.time(), "definitions": DEFINITIONS}


async def _maltreat(
    world: World,
    nemesis: Striker,
    recorder: Recorder,
    seconds: float,
    seed: str,
    plan: Mapping[str, Sequence[Strike]],
    say: Progress,
) -> None:
    """Has clients work while the nemesis does what is planned."""
    ends_at = asyncio.get_running_loop().time() + seconds
    left = sum(len(strikes) for strikes in plan.values())

    def struck() -> None:
        nonlocal left
        left -= 1
        say(f"working, {left} faults to come")

    def is_over() -> bool:
        return left == 0 and asyncio.get_running_loop().time() >= ends_at

    with contextlib.ExitStack() as at_the_end:
        with_flows = await define(_administrator("first-administrator", world, recorder, seed, at_the_end))
    await asyncio.gather(*(executors.start() for executors in world.executors))
    say(f"working, {left} faults to come")
    workload = run_workload(recorder, world.addresses, seed, with_flows=with_flows, is_over=is_over)
    await _side_by_side(recorder, nemesis.run(plan, struck), workload)
    with contextlib.ExitStack() as at_the_end:
        await delete_rules(_administrator("last-administrator", world, recorder, seed, at_the_end))


async def _side_by_side(recorder: Recorder, *works: Coroutine[Any, Any, None]) -> None:
    """Carries all out, and watches meanwhile whether there is a processor to do so."""
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(recorder.watch_stalls())
        async with asyncio.TaskGroup() as together:
            for work in works:
                together.create_task(work)
        watching.cancel()


def _administrator(name: str, world: World, recorder: Recorder, seed: str, at_the_end: contextlib.ExitStack) -> Party:
    return Party(name, over_http(recorder, name, world.addresses, at_the_end), seed)


async def _come_to_rest(world: World, recorder: Recorder, say: Progress) -> None:
    """The last fault is over: every server has to answer, and the queue to drain."""
    recorder.write("mark", name="faults-over")
    say("waiting for answers")
    await asyncio.gather(*(_probe(recorder, server.name, server.url) for server in world.servers))
    say("waiting for the queue to drain")
    if await drained(world.servers[0].url, _PATIENCE_SECONDS):
        recorder.write("mark", name="drained")
    await asyncio.gather(*(executors.kill() for executors in world.executors))


def _record_defects(world: World, recorder: Recorder) -> None:
    """Whatever was done to a server, it logs no traceback."""
    for server in world.servers:
        for text in server.log.split("Traceback ")[1:]:
            recorder.write("defect", server=server.name, text=text[:2000])


async def _probe(recorder: Recorder, name: str, url: str) -> None:
    """Asks a server until it answers, or for longer than it may take."""
    client = RecordedClient(recorder, PROBE, name, url)
    deadline = asyncio.get_running_loop().time() + 2 * ANSWER_SECONDS
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(client.hang_up)
        while asyncio.get_running_loop().time() < deadline:
            reply = await client.call("awf.task/poll", taskDefinitions=["faults/none"])
            if reply is not None and reply.status == 200:
                return
            await asyncio.sleep(_PROBE_PAUSE_SECONDS)
