"""Methods of `awf.task/`: for executors and for those who have work done. Thin: the engine does the work."""

from collections.abc import Awaitable

import orjson

from taskrpc.core.lifecycle import phase
from taskrpc.core.model import Queue, Resource, Row, task_resource
from taskrpc.engine.requests import TaskRequest, json_text
from taskrpc.errors import TaskRpcError
from taskrpc.rpc import params as p
from taskrpc.rpc.listing import listed
from taskrpc.rpc.registry import method
from taskrpc.rpc.services import Context, Services


def _resource(row: Row) -> Resource:
    answer: Resource = {"resource": task_resource(row)}
    if row["stop_requested"] and row["status"] == "in-progress":
        answer["stopRequested"] = True
    return answer


async def _handed_out(
    services: Services, context: Context, queues: frozenset[Queue], most: int, start: bool, wait_ms: int
) -> Resource:
    """Thousands of calls wait in here: so it is not given the params, and they are gone meanwhile."""
    seconds = wait_ms / 1000 if context.may_wait else 0
    if seconds:
        services.hints.waiting_for_tasks()
    polling = services.dispatcher.poll(queues, most, seconds, start, context.caller)
    del queues
    rows = await polling
    context.handed_out = context.handed_out or bool(rows)
    return {"resources": [task_resource(row) for row in rows]}


def _poll(services: Services, context: Context, poll: p.Poll, wait_ms: int) -> Awaitable[Resource]:
    return _handed_out(services, context, poll.queues, poll.max_batch_size, poll.start, wait_ms)


@method("awf.task/poll", p.Poll, hands_out=lambda _: True)
def poll(services: Services, context: Context, params: p.Poll) -> Awaitable[Resource]:
    """Hands out ready tasks; answers at once, with an empty list when there is none."""
    return _poll(services, context, params, 0)


@method("awf.task/long-poll", p.LongPoll, hands_out=lambda _: True)
def long_poll(services: Services, context: Context, params: p.LongPoll) -> Awaitable[Resource]:
    """Hands out ready tasks as soon as there is one; answers an empty list after `timeout` ms."""
    return _poll(services, context, params, params.timeout)


@method("awf.task/start", p.OfExecution)
async def start(services: Services, context: Context, params: p.OfExecution) -> Resource:
    """Begins the execution of a task that was handed out; of any number of calls with one execId one succeeds."""
    done = await services.tasks.change("start", params.id, params.exec_id, params.call_id)
    return _resource(done.row)


@method("awf.task/notify", p.Notify)
async def notify(services: Services, context: Context, params: p.Notify) -> Resource:
    """Says that an execution is alive, and how far it is; answers its new deadline, and whether it is to stop."""
    detail = orjson.dumps(params.detail).decode()
    values = (json_text(params.progress), detail)
    done = await services.tasks.change("notify", params.id, params.exec_id, params.call_id, values, len(detail))
    resource = task_resource(done.row)
    answer = {key: resource[key] for key in ("inProgressTimeoutAt", "inProgressTimeout")}
    return answer | ({"stopRequested": True} if done.row["stop_requested"] else {})


@method("awf.task/success", p.Success, hands_out=lambda params: params.poll is not None)
async def success(services: Services, context: Context, params: p.Success) -> Resource:
    """Ends an execution well, with its result; `poll` fetches the next tasks in the same round trip."""
    done = await services.tasks.finish("success", params.id, params.exec_id, params.call_id, params.result)
    return await _and_next(services, context, _resource(done.row), params.poll)


@method("awf.task/fail", p.Fail, hands_out=lambda params: params.poll is not None)
async def fail(services: Services, context: Context, params: p.Fail) -> Resource:
    """Ends an execution badly, with its error: the task is tried again while attempts are left."""
    error = params.error if params.error is not None else params.result
    done = await services.tasks.finish("fail", params.id, params.exec_id, params.call_id, error)
    return await _and_next(services, context, _resource(done.row), params.poll)


async def _and_next(services: Services, context: Context, answer: Resource, following: p.NextPoll | None) -> Resource:
    """Adds the tasks of an end's `poll`. The end is committed: when nothing can be fetched the list is empty."""
    if following is None:
        return answer
    try:
        return answer | await _poll(services, context, following, following.timeout)
    except TaskRpcError:
        return answer | {"resources": []}


@method("awf.task/release", p.Release)
async def release(services: Services, context: Context, params: p.Release) -> Resource:
    """Hands a requested or running task back to its queue, at no cost of an attempt."""
    done = await services.tasks.change("release", params.id, params.exec_id, params.call_id)
    return _resource(done.row)


@method("awf.task/feedback", p.Feedback)
async def feedback(services: Services, context: Context, params: p.Feedback) -> Resource:
    """Stores what others can read while the task runs; with `append` a list grows."""
    text = orjson.dumps(params.feedback).decode()
    values = (text, params.append)
    done = await services.tasks.change("feedback", params.id, params.exec_id, params.call_id, values, len(text))
    return _resource(done.row)


@method("awf.task/create-and-execute", p.Create)
async def create_and_execute(services: Services, context: Context, params: p.Create) -> Resource:
    """Creates a task; it is ready at once, or at `executeAt`."""
    row = await services.tasks.create(
        TaskRequest(
            definition=params.definition,
            params=params.params,
            id=params.id,
            label=params.label,
            execute_at=params.execute_at,
            priority=params.priority,
            callback=None if params.callback is None else params.callback.model_dump(),
        )
    )
    return _resource(row)


@method("awf.task/status", p.StatusOf)
async def status(services: Services, context: Context, params: p.StatusOf) -> Resource:
    """A task as it is, and its phase; on request with its settings and its log."""
    row = await services.tasks.row(params.id)
    answer: Resource = {
        "resource": task_resource(row),
        "phase": phase(row["status"], row["outcome"], row["stop_requested"]),
    }
    if params.settings:
        answer["settings"] = await services.reading.settings(params.id)
    if params.log:
        answer["log"] = await services.reading.history(params.id)
    return answer


@method("awf.task/cancel", p.OfTask)
async def cancel(services: Services, context: Context, params: p.OfTask) -> Resource:
    """Ends a task at once; a running executor learns it from `wrong-status`."""
    return _resource((await services.tasks.change("cancel", params.id, None, params.call_id)).row)


@method("awf.task/stop", p.OfTask)
async def stop(services: Services, context: Context, params: p.OfTask) -> Resource:
    """Asks a running task to stop until its deadline; a task that does not run is canceled at once."""
    return _resource((await services.tasks.change("stop", params.id, None, params.call_id)).row)


@method("awf.task/retry", p.OfTask)
async def retry(services: Services, context: Context, params: p.OfTask) -> Resource:
    """Begins a new generation of a task that failed or was canceled."""
    return _resource((await services.tasks.change("retry", params.id, None, params.call_id)).row)


@method("awf.task/result", p.Result)
async def result(services: Services, context: Context, params: p.Result) -> Resource:
    """Waits until a task is done, at most `timeout` ms; answers it as it then is."""
    seconds = params.timeout / 1000 if context.may_wait else 0
    return _resource(await services.tasks.result(params.id, seconds, context.caller))


@method("awf.task/list", p.ListOf)
async def list_tasks(services: Services, context: Context, params: p.ListOf) -> Resource:
    """One page of tasks, the newest first unless `sort` says otherwise, and how many there are (to 100,000)."""
    return await listed(services, params, ("task", "decision"))
