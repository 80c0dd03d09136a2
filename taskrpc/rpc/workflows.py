"""Methods of `awf.workflow/`. Decisions are tasks, which executors poll, start and end with methods of `awf.task/`."""

from taskrpc.core.access import Access
from taskrpc.core.model import Resource, task_resource
from taskrpc.engine.requests import TaskRequest
from taskrpc.rpc import workflow_params as p
from taskrpc.rpc.listing import listed
from taskrpc.rpc.params import OfTask, Result
from taskrpc.rpc.registry import method
from taskrpc.rpc.services import Context, Services


@method("awf.workflow/create-and-execute", p.CreateWorkflow)
async def create_and_execute(services: Services, context: Context, params: p.CreateWorkflow) -> Resource:
    """Creates a workflow; it is in progress at once, or at `executeAt`, and its first decision can be polled."""
    request = TaskRequest(
        definition=params.definition,
        params=params.params,
        id=params.id,
        label=params.label,
        execute_at=params.execute_at,
        callback=None if params.callback is None else params.callback.model_dump(),
    )
    return {"resource": task_resource(await services.workflows.create(request))}


@method("awf.workflow/status", p.StatusOfWorkflow)
async def status(services: Services, context: Context, params: p.StatusOfWorkflow) -> Resource:
    """A workflow as it is; on request with what it has started, its decisions, a flow's task runs, its log."""
    answer: Resource = {"resource": task_resource(await services.workflows.row(params.id))}
    if params.activities:
        kinds = ("task", "workflow")
        activities = await services.reading.children(params.id, kinds, "include-activities?")
        answer["activities"] = [_shown(activity, context.access) for activity in activities]
    if params.decisions:
        answer["decisions"] = await services.reading.children(params.id, ("decision",), "include-decisions?")
    if params.task_runs:
        answer["taskRuns"] = await services.executions.commands.task_runs(params.id)
        labels = await services.executions.commands.labels(params.id)
        answer |= {} if labels is None else {"labels": labels}
    if params.log:
        answer["log"] = await services.reading.history(params.id)
    return answer


def _shown(activity: Resource, access: Access | None) -> Resource:
    """An activity for whoever may see its workflow. Who has an execId may end the execution: so it is not told to keys
    that are for other definitions."""
    if access is None or access.is_for(activity):
        return activity
    return {name: value for name, value in activity.items() if name != "execId"}


@method("awf.workflow/cancel", OfTask)
async def cancel(services: Services, context: Context, params: OfTask) -> Resource:
    """Ends a workflow at once, with everything that it has started; running executors learn it from `wrong-status`."""
    return {"resource": task_resource(await services.workflows.cancel(params.id, params.call_id))}


@method("awf.workflow/kill", OfTask)
async def kill(services: Services, context: Context, params: OfTask) -> Resource:
    """Ends the execution of a flow, with its subflows: the same as `cancel`."""
    return await cancel(services, context, params)


@method("awf.workflow/resume", p.Resume)
async def resume(services: Services, context: Context, params: p.Resume) -> Resource:
    """Lets a paused task run of a flow go on; `taskRunId` says which, if there are several."""
    by = None if context.access is None else context.access.name
    commands = services.executions.commands
    row = await commands.resume(params.id, params.task_run_id, params.inputs, by, params.call_id)
    return {"resource": task_resource(row)}


@method("awf.workflow/restart", OfTask)
async def restart(services: Services, context: Context, params: OfTask) -> Resource:
    """Has what failed in the execution of a flow done again, and what follows it; the workflow is in progress again."""
    return {"resource": task_resource(await services.executions.commands.restart(params.id, params.call_id))}


@method("awf.workflow/replay", p.Replay)
async def replay(services: Services, context: Context, params: p.Replay) -> Resource:
    """Begins a new execution with the inputs of this one, from its beginning or from a task run on; answers the new."""
    row = await services.executions.commands.replay(params.id, params.task_run_id, params.new_id, params.call_id)
    return {"resource": task_resource(row)}


@method("awf.workflow/result", Result)
async def result(services: Services, context: Context, params: Result) -> Resource:
    """Waits until a workflow is done, at most `timeout` ms; answers it as it then is."""
    seconds = params.timeout / 1000 if context.may_wait else 0
    return {"resource": task_resource(await services.workflows.result(params.id, seconds, context.caller))}


@method("awf.workflow/list", p.ListOfWorkflows)
async def list_workflows(services: Services, context: Context, params: p.ListOfWorkflows) -> Resource:
    """One page of workflows, the newest first unless `sort` says otherwise, and how many there are (to 100,000)."""
    return await listed(services, params, ("workflow",))
