"""Ends that also fetch the next tasks: the end is committed, whatever becomes of the rest."""

from types import SimpleNamespace
from typing import Any, cast

from taskrpc.errors import TaskRpcError
from taskrpc.rpc.registry import find
from taskrpc.rpc.services import Context, Services
from taskrpc.store.transitions import Done
from tests.unit.core.test_model import ROW


async def _ended(*_: object) -> Done:
    return Done({**ROW, "status": "done", "outcome": "succeeded", "stop_requested": False})


async def _away(*_: object) -> list[Any]:
    raise TaskRpcError("unavailable", "the database is away")


async def test_an_end_whose_next_tasks_cannot_be_fetched_is_answered_all_the_same() -> None:
    services = cast(
        "Services", SimpleNamespace(tasks=SimpleNamespace(finish=_ended), dispatcher=SimpleNamespace(poll=_away))
    )
    method = find("awf.task/success")
    params = method.parse({"id": "t1", "execId": "e", "poll": {"taskDefinitions": ["test/task"]}})
    answer: Any = await method.handler(services, Context(), params)
    assert (answer["resource"]["outcome"], answer["resources"]) == ("succeeded", [])
