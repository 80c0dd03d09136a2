"""Every call about a task in every status: what it may do, what it is refused with, and that a refusal changes nothing.

What is expected stands here a second time, in words of its own: it must not follow from the table of the code.
"""

from typing import Any, Final

import pytest

from taskrpc.core.lifecycle import EDGES
from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_BY_CALLS: Final = {"create", "poll", "due", "event", "requested-timeout", "in-progress-timeout", "dropped"}
CALLS: Final = sorted({call for _, call, _ in EDGES} - NOT_BY_CALLS)

# The tasks of the target: their status and outcome.
TASKS: Final = {
    "waiting": ("waiting", None),
    "ready": ("ready", None),
    "again": ("waiting", None),
    "requested": ("requested", None),
    "running": ("in-progress", None),
    "stopping": ("in-progress", None),
    "succeeded": ("done", "succeeded"),
    "failed": ("done", "failed"),
    "canceled": ("done", "canceled"),
}
OF_EXECUTION: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "start": ("requested", {}),
    "notify": ("in-progress", {"notification": "heartbeat"}),
    "feedback": ("in-progress", {"feedback": 1}),
    "success": ("in-progress", {}),
    "fail": ("in-progress", {}),
    "release": ("in-progress or requested", {}),
}
REPEATED: Final = {("success", "succeeded"), ("fail", "failed"), ("fail", "again")}


def params_of(call: str, task: str, target: Target) -> dict[str, Any]:
    if call not in OF_EXECUTION:
        return {"id": task}
    return target.tasks[task] | OF_EXECUTION[call][1]


def allowed(call: str, task: str) -> bool:
    """Whether the task is changed, or a repeat answered; such calls are not made here."""
    status, outcome = TASKS[task]
    if (call, task) in REPEATED:
        return True
    if call in OF_EXECUTION:
        return status in OF_EXECUTION[call][0].split(" or ")
    return outcome in ("failed", "canceled") if call == "retry" else status != "done"


def refusal_of(call: str, task: str, params: dict[str, Any]) -> dict[str, Any]:
    status, outcome = TASKS[task]
    data = {"status": status, "outcome": outcome} if outcome else {"status": status}
    if call in ("cancel", "stop"):
        return {"type": "task-has-been-done", "message": f"Task {task} is done already: {outcome}", "data": data}
    if call in OF_EXECUTION and status in ("waiting", "ready"):
        message = f"execId {params['execId']} is not the current execution of task {task}"
        return {"type": "stale-exec-id", "message": message, "data": data}
    now = f"{status} ({outcome})" if outcome else status
    needed = "done with outcome failed or canceled" if call == "retry" else OF_EXECUTION[call][0]
    return {
        "type": "wrong-status",
        "message": f"Task {task} is {now}; {call} needs a task that is {needed}",
        "data": data,
    }


async def test_the_table_names_every_call_and_every_status() -> None:
    assert set(CALLS) == set(OF_EXECUTION) | {"cancel", "stop", "retry"}
    assert {status for status, _ in TASKS.values()} | {"created"} == {status for edge in EDGES for status in edge[::2]}


@pytest.mark.parametrize("call", CALLS)
async def test_an_edge_of_the_life_cycle_is_where_a_call_is_allowed(call: str) -> None:
    statuses = {before for before, what, _ in EDGES if what == call}
    assert {TASKS[task][0] for task in TASKS if allowed(call, task) and (call, task) not in REPEATED} == statuses


@pytest.mark.parametrize(
    ("call", "task"), [(call, task) for call in CALLS for task in TASKS if not allowed(call, task)]
)
async def test_a_call_in_a_wrong_status_is_refused(call: str, task: str, target: Target) -> None:
    params = params_of(call, task, target)
    refusal = await target.refusal({"method": f"awf.task/{call}", "params": params})
    assert refusal == (422, refusal_of(call, task, params))


@pytest.mark.parametrize(
    ("call", "task"), [(call, task) for call in CALLS for task in TASKS if not allowed(call, task)]
)
async def test_a_call_id_does_not_make_a_wrong_status_right(call: str, task: str, target: Target) -> None:
    params = params_of(call, task, target)
    refusal = await target.refusal({"method": f"awf.task/{call}", "params": params | {"callId": "first"}})
    assert refusal == (422, refusal_of(call, task, params))


@pytest.mark.parametrize(("call", "task"), sorted(REPEATED))
async def test_a_repeated_end_is_answered_and_changes_nothing(call: str, task: str, target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.call(f"awf.task/{call}", **params_of(call, task, target))
    assert reply.result["resource"]["status"] == TASKS[task][0]


@pytest.mark.parametrize("call", sorted(OF_EXECUTION))
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("exec_id", ["", "x", "foreign", "upper case", "x" * 100_000])
async def test_another_exec_id_is_stale_in_every_status(call: str, task: str, exec_id: str, target: Target) -> None:
    own, foreign = target.tasks[task]["execId"], target.tasks["other"]["execId"]
    exec_id = {"foreign": foreign, "upper case": own.upper()}.get(exec_id, exec_id)
    if exec_id == own:  # the made-up one of tasks without an execution has no letters
        exec_id += " "
    params = {"id": task, "execId": exec_id} | OF_EXECUTION[call][1]
    assert await target.refusal({"method": f"awf.task/{call}", "params": params}) == (422, {
        "type": "stale-exec-id",
        "message": f"execId {exec_id[:80]} is not the current execution of task {task}",
        "data": {"status": TASKS[task][0]},
    })  # fmt: skip


@pytest.mark.parametrize("call", [*CALLS, "status", "result"])
@pytest.mark.parametrize("task", [
    "nobody", "", " ", "two words", "a/b", "../a", "é", "A" * 65, "a" * 100_000, "' or 1=1 --", "Running", "running\n",
])  # fmt: skip
async def test_a_task_that_is_not_there_is_not_found_whatever_its_id_looks_like(
    call: str, task: str, target: Target
) -> None:
    further = {"execId": "x"} | OF_EXECUTION[call][1] if call in OF_EXECUTION else {}
    refusal = await target.refusal({"method": f"awf.task/{call}", "params": {"id": task} | further})
    assert refusal == (404, {"type": "task-not-found", "message": f"There is no task {task[:80]!r}"})


@pytest.mark.parametrize("task", TASKS)
async def test_an_id_that_is_taken_is_refused_in_every_status(task: str, target: Target) -> None:
    params = {"definition": "test/other", "id": task, "params": {"n": 1}}
    status, error = await target.refusal({"method": "awf.task/create-and-execute", "params": params})
    assert (status, error["type"], error["message"]) == (
        409, "task-already-exists", f"There is a task {task} already",
    )  # fmt: skip
    assert error["data"]["resource"]["id"] == task
    assert error["data"]["resource"]["status"] == TASKS[task][0]
