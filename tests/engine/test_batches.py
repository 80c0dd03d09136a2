"""Lists of calls on a real database: they take effect in their order, whatever shares a statement."""

from typing import Any

from taskrpc.errors import TaskRpcError
from taskrpc.rpc.batch import Entry, carry_out
from taskrpc.rpc.services import Context
from tests.engine.headless import Headless


async def _carry_out(server: Headless, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    return await carry_out(server.parts.services, Context(), [Entry(method, params) for method, params in calls])


async def test_definitions_that_are_put_in_one_list_are_put_in_its_order(server: Headless) -> None:
    puts = [("awf.definition/put", {"id": "d", "priority": n}) for n in range(20)]
    answers = await _carry_out(server, *puts, ("awf.definition/get", {"id": "d"}))
    assert [answer["resource"]["priority"] for answer in answers] == [*range(20), 19]
    revisions = [answer["resource"]["revision"] for answer in answers]
    assert revisions == sorted(revisions)


async def test_a_whole_life_in_one_list(server: Headless) -> None:
    task = await server.started()
    execution = {"id": task["id"], "execId": task["execId"]}
    progress = {**execution, "notification": "progress", "progress-current": 1}
    *_, feedback, done, again = await _carry_out(
        server,
        ("awf.task/notify", progress),
        ("awf.task/feedback", {**execution, "feedback": 1, "append": True}),
        ("awf.task/feedback", {**execution, "feedback": 2, "append": True}),
        ("awf.task/success", execution),
        ("awf.task/fail", execution),
    )
    assert feedback["resource"]["feedback"].text == "[1,2]"
    assert done["resource"]["outcome"] == "succeeded"
    assert isinstance(again, TaskRpcError)
    assert again.type == "wrong-status"


async def test_the_second_of_two_creations_of_one_id_finds_the_first(server: Headless) -> None:
    first, second = await _carry_out(server, *[("awf.task/create-and-execute", {"definition": "d", "id": "t"})] * 2)
    assert first["resource"]["id"] == "t"
    assert isinstance(second, TaskRpcError)
    assert second.type == "task-already-exists"
