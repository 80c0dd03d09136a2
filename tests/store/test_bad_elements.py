"""Elements that make their statement fail: they fail alone, and it takes few statements to find them."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from taskrpc.core.lifecycle import Call
from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Batcher
from taskrpc.store.transitions import KINDS, Answer, Done, Outcome, TransitionElement, Transitions
from tests.engine.headless import Headless

POISON = """
create function taskrpc.poison() returns trigger language plpgsql as $$ begin
    if new.id like 'poisoned%' then raise exception 'poisoned'; end if;
    return new;
end $$;
create trigger poison before insert or update on taskrpc.task for each row execute function taskrpc.poison();
"""


async def test_a_poisoned_element_fails_alone_after_few_statements(
    still: Headless, observer: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [*(f"t{n}" for n in range(255)), "poisoned"]
    await asyncio.gather(*(still.create(id=task_id) for task_id in ids))
    tasks = await still.poll(maxBatchSize=256, start=True)
    await observer.execute(POISON)
    transitions = Transitions(KINDS["success"], still.parts.database, still.parts.signals)
    flushes = []

    async def counted(elements: Sequence[TransitionElement]) -> Sequence[Outcome]:
        flushes.append(len(elements))
        return await transitions.run(elements)

    async with asyncio.TaskGroup() as group:
        successes: Batcher[TransitionElement, Answer] = Batcher(
            "success", still.parts.database, group.create_task, counted
        )
        calls = [Call("success", task["id"], f"call of {task['id']}", True, task["execId"]) for task in tasks]
        answers = await asyncio.gather(
            *(successes.submit(TransitionElement(call, (None, 0))) for call in calls), return_exceptions=True
        )
    by_id = dict(zip([task["id"] for task in tasks], answers, strict=True))
    assert isinstance(by_id.pop("poisoned"), asyncpg.RaiseError)
    assert all(isinstance(answer, Done) for answer in by_id.values())
    assert (flushes[0], len(flushes)) == (256, 1 + 2 * 8)
    assert [record.getMessage() for record in caplog.records] == ["success of poisoned failed"]


@pytest.mark.parametrize("limits", [{}, {"queueLimit": 1000}], ids=["free", "limited"])
async def test_a_creation_that_fails_is_an_incident_for_its_caller_alone(
    still: Headless, observer: asyncpg.Connection, caplog: pytest.LogCaptureFixture, limits: dict[str, Any]
) -> None:
    await still.call("awf.definition/put", id="test/task", **limits)
    await observer.execute(POISON)
    ids = [f"{'poisoned' if n == 30 else 't'}{n}" for n in range(60)]
    with caplog.at_level(logging.ERROR):
        answers = await asyncio.gather(*(still.create(id=task_id) for task_id in ids), return_exceptions=True)
    refused = [(n, answer) for n, answer in enumerate(answers) if isinstance(answer, BaseException)]
    ((n, error),) = refused
    assert isinstance(error, TaskRpcError)
    assert (n, error.type) == (30, "internal-error")
    assert error.data is not None
    assert f"incident {error.data['incident']} in awf.task/create-and-execute" in caplog.text
    assert await observer.fetchval("select count(*) from taskrpc.task") == 59
    assert await observer.fetchval("select coalesce(max(used), 59) from taskrpc.gate") == 59
