"""What becomes of one task: its result or error, its reports, its stop, its loss to somebody else."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from taskrpc import AsyncClient, Executor, Task, TaskRpcError
from tests.executor.conftest import DEADLINE, DEFINITION, create, done, resource_of, serving
from tests.system.waiting import until

# A third of this is the interval of the heartbeats.
SHORT = {"inProgressTimeout": 600, "allowedRetryCount": 1}


def both_kinds(work: Callable[[Task], Any]) -> pytest.MarkDecorator:
    """Run a test with `work` as a sync and as an async function."""

    async def work_async(task: Task) -> Any:
        return work(task)

    return pytest.mark.parametrize("function", [work, work_async], ids=["sync", "async"])


@both_kinds(lambda task: {"id": task.id, "definition": task.definition, "params": task.params})
async def test_the_return_value_is_the_result(url: str, client: AsyncClient, function: Any) -> None:
    executor = Executor(url)
    executor.task(DEFINITION)(function)
    id = await create(client, {"b": 1, "a": [True, None]})
    async with serving(executor):
        resource = await done(client, id)
    assert resource["outcome"] == "succeeded"
    assert resource["result"] == {"id": id, "definition": DEFINITION, "params": {"b": 1, "a": [True, None]}}


def divide_by_zero(task: Task) -> float:
    return 1 / 0


def refuse(task: Task) -> None:
    raise TaskRpcError("out-of-paper", "The tray is empty.", {"tray": 2})


def leave(task: Task) -> None:
    raise SystemExit("I am out of here\0")


async def test_an_exception_is_logged(url: str, client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    executor = Executor(url)
    executor.task(DEFINITION)(divide_by_zero)
    await client.definition_put(DEFINITION, SHORT)
    with caplog.at_level(logging.DEBUG, "taskrpc.executor"):
        async with serving(executor):
            id = await create(client)
            await done(client, id)
    warning, trace = [record for record in caplog.records if id in record.getMessage()]
    assert warning.levelname == "WARNING"
    assert warning.getMessage() == f"task {id} of {DEFINITION} failed: ZeroDivisionError: division by zero"
    assert trace.levelname == "DEBUG"
    assert "return 1 / 0" in trace.getMessage()


@both_kinds(divide_by_zero)
async def test_an_exception_is_the_error(url: str, client: AsyncClient, function: Any) -> None:
    error = await failing(url, client, function)
    assert error["type"] == "ZeroDivisionError"
    assert error["message"] == "division by zero"
    assert "divide_by_zero" in error["traceback"]


@both_kinds(refuse)
async def test_an_error_of_the_functions_own_keeps_its_type_and_data(
    url: str, client: AsyncClient, function: Any
) -> None:
    error = await failing(url, client, function)
    assert (error["type"], error["message"], error["data"]) == (
        "out-of-paper",
        "The tray is empty.",
        {"tray": 2},
    )


@both_kinds(leave)
async def test_leaving_fails_the_task_and_not_the_executor(url: str, client: AsyncClient, function: Any) -> None:
    error = await failing(url, client, function)
    assert (error["type"], error["message"]) == ("SystemExit", "I am out of here\\x00")


@both_kinds(lambda task: {1, 2})
async def test_a_result_without_a_json_form_is_an_error(url: str, client: AsyncClient, function: Any) -> None:
    assert (await failing(url, client, function))["type"] == "TypeError"


@both_kinds(lambda task: "a\0b")
async def test_a_result_that_the_service_refuses_is_an_error(url: str, client: AsyncClient, function: Any) -> None:
    assert (await failing(url, client, function))["type"] == "unparsable-body"


async def failing(url: str, client: AsyncClient, function: Any) -> dict[str, Any]:
    """The error of a task that `function` fails, and proof that the executor works on."""
    executor = Executor(url)
    executor.task(DEFINITION)(function)
    executor.task("test/other")(lambda task: "fine")
    await client.definition_put(DEFINITION, {"allowedRetryCount": 1})
    id = await create(client)
    async with serving(executor):
        resource = await done(client, id)
        assert (await done(client, await create(client, definition="test/other")))["result"] == "fine"
    assert resource["outcome"] == "failed"
    error: dict[str, Any] = resource["error"]
    return error


async def test_a_cancellation_inside_the_function_is_an_error(url: str, client: AsyncClient) -> None:
    async def cancel_itself(task: Task) -> None:
        raise asyncio.CancelledError

    assert (await failing(url, client, cancel_itself))["type"] == "CancelledError"


async def test_heartbeats_keep_a_long_task_alive(url: str, client: AsyncClient) -> None:
    executor, enough = Executor(url), asyncio.Event()

    @executor.task(DEFINITION)
    async def work(task: Task) -> str:
        await enough.wait()
        return "still here"

    await client.definition_put(DEFINITION, SHORT)
    id = await create(client)

    async def heartbeats() -> bool:
        return len(await log_of(client, id, "awf.task/notify")) >= 5

    async with serving(executor):
        await until(heartbeats)
        enough.set()
        resource = await done(client, id)
    assert (resource["result"], resource["retryCount"]) == ("still here", 1)


async def log_of(client: AsyncClient, id: str, action: str) -> list[dict[str, Any]]:
    """The params of the calls of one kind in the task's log, oldest first."""
    log = (await client.status(id, include_log=True))["log"]
    return [entry.get("action-params") or {} for entry in log if entry["action"] == action]


def report_much(task: Task) -> None:
    for number in range(1, 2001):
        task.progress(number, 2000, "rows")
    for word in ("one", "two", "three"):
        task.message(word)
        task.feedback(word, append=True)


@both_kinds(report_much)
async def test_reports_arrive_in_order_and_progress_is_coalesced(url: str, client: AsyncClient, function: Any) -> None:
    executor = Executor(url)
    executor.task(DEFINITION)(function)
    id = await create(client)
    async with serving(executor):
        resource = await done(client, id)
    assert resource["progress"] == {"current": 2000, "total": 2000, "unit": "rows"}
    assert resource["feedback"] == ["one", "two", "three"]
    notices = await log_of(client, id, "awf.task/notify")
    assert [notice["message"] for notice in notices if "message" in notice] == ["one", "two", "three"]
    assert sum("progress-current" in notice for notice in notices) < 20


async def test_feedback_without_a_json_form_is_refused_at_once(url: str, client: AsyncClient) -> None:
    error = await failing(url, client, lambda task: task.feedback({1, 2}))
    assert error["type"] == "TypeError"


async def test_an_async_function_of_a_canceled_task_is_cancelled(url: str, client: AsyncClient) -> None:
    executor, cancelled = Executor(url), asyncio.Event()

    @executor.task(DEFINITION)
    async def work(task: Task) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await canceled_midway(client, executor, cancelled.wait)


async def test_a_thread_of_a_canceled_task_is_asked_to_stop_and_its_result_thrown_away(
    url: str, client: AsyncClient
) -> None:
    executor, stopped = Executor(url), threading.Event()

    @executor.task(DEFINITION)
    def work(task: Task) -> str:
        while not task.stop_requested:
            threading.Event().wait(0.01)
        stopped.set()
        return "too late"

    resource = await canceled_midway(client, executor, lambda: asyncio.to_thread(stopped.wait, DEADLINE))
    assert "result" not in resource


async def canceled_midway(client: AsyncClient, executor: Executor, noticed: Callable[[], Any]) -> dict[str, Any]:
    """Cancel a running task, wait until its function noticed; the slot is free again afterwards."""
    await client.definition_put(DEFINITION, SHORT)
    first, second = await create(client), await create(client)
    async with serving(executor):
        await until(lambda: is_running(client, first))
        await client.cancel(first)
        async with asyncio.timeout(DEADLINE):
            await noticed()
        await until(lambda: is_running(client, second))
    resource = await resource_of(client, first)
    assert (resource["status"], resource["outcome"]) == ("done", "canceled")
    return resource


async def is_running(client: AsyncClient, id: str) -> bool:
    return bool((await resource_of(client, id))["status"] == "in-progress")


async def test_a_task_that_is_asked_to_stop_may_end_with_what_it_has(url: str, client: AsyncClient) -> None:
    executor = Executor(url)

    @executor.task(DEFINITION)
    async def work(task: Task) -> str:
        await task.stopped()
        assert task.stop_requested
        return "a part"

    await client.definition_put(DEFINITION, SHORT)
    id = await create(client)
    async with serving(executor):
        await until(lambda: is_running(client, id))
        await client.stop(id)
        resource = await done(client, id)
    assert (resource["outcome"], resource["result"]) == ("canceled", "a part")


TOO_LARGE = "x" * 9 * 2**20


async def test_a_result_that_is_refused_is_a_failure_which_says_so(url: str, client: AsyncClient) -> None:
    executor = Executor(url)
    executor.task(DEFINITION)(lambda task: TOO_LARGE)
    await client.definition_put(DEFINITION, SHORT)
    async with serving(executor):
        resource = await done(client, await create(client))
    assert (resource["outcome"], resource["error"]["type"]) == ("failed", "body-too-large")
    assert resource["error"]["message"].startswith("The result was refused: The body is larger than")


def fail_at_length(task: Task) -> None:
    raise TaskRpcError("out-of-paper", "The tray is empty." * 1000, {"outputs": TOO_LARGE})


async def test_of_an_error_that_is_refused_the_beginning_is_told(url: str, client: AsyncClient) -> None:
    executor = Executor(url)
    executor.task(DEFINITION)(fail_at_length)
    await client.definition_put(DEFINITION, {"allowedRetryCount": 1})
    async with serving(executor):
        resource = await done(client, await create(client))
    assert (resource["outcome"], resource["error"]["type"]) == ("failed", "out-of-paper")
    assert resource["error"]["message"].startswith("The tray is empty.The tray")
    assert "without its data, which were refused: The body is larger than" in resource["error"]["message"]
    assert len(resource["error"]["message"]) < 2200
