"""The cases of tests/flows on a real service: what holds in the simulated world holds in a database."""

import asyncio

import pytest

from tests.databases import Clock
from tests.engine.headless import headless
from tests.executions.cases import RealCase
from tests.flows.test_flow_cases import CASES, FOLDER


@pytest.mark.skipif(not CASES, reason=f"there are no cases in {FOLDER}; FLOW_CASES names a folder that has some")
@pytest.mark.parametrize("name", CASES or ["none"])
async def test_a_case_comes_out_as_it_did_there(name: str, database_url: str, clock: Clock) -> None:
    await clock.stop()
    async with headless(database_url) as server:
        case = RealCase(FOLDER / name, server, clock, asyncio.get_running_loop())
        await asyncio.to_thread(case.run)
