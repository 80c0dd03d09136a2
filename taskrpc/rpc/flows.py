"""Methods of `awf.flow/`."""

from taskrpc.core.model import Resource
from taskrpc.engine.flows import flow_name
from taskrpc.rpc import flow_params as p
from taskrpc.rpc.registry import method
from taskrpc.rpc.services import Context, Services


@method("awf.flow/put", p.PutFlow, in_turn=True)
async def put(services: Services, context: Context, params: p.PutFlow) -> Resource:
    """Adds a flow, or a new revision of it; executions keep theirs, and putting the same again adds none. A flow with
    mistakes is refused with all of them."""
    resource = await services.flows.put(params.document, params.source)
    services.hints.put_definitions()
    services.schedules.scheduler.poke()
    return {"resource": resource}


@method("awf.flow/validate", p.PutFlow)
async def validate(services: Services, context: Context, params: p.PutFlow) -> Resource:
    """Whether a flow could be put, with the path of every mistake; nothing is kept."""
    mistakes = await services.flows.validate(params.document, params.source)
    return {"valid": not mistakes, "errors": mistakes}


@method("awf.flow/get", p.GetFlow)
async def get(services: Services, context: Context, params: p.GetFlow) -> Resource:
    """A flow as it is now, or one `revision` of it, also if it was deleted since."""
    return {"resource": await services.flows.get(flow_name(params.namespace, params.id), params.revision)}


@method("awf.flow/list", p.ListFlows)
async def list_flows(services: Services, context: Context, params: p.ListFlows) -> Resource:
    """All flows that the key is for, without their documents, by their names."""
    bound = None if context.access is None else context.access.definitions
    return {"resources": await services.flows.everything(params.namespace, bound)}


@method("awf.flow/delete", p.OfFlow, in_turn=True)
async def delete(services: Services, context: Context, params: p.OfFlow) -> Resource:
    """Deletes a flow: its executions go on, its revisions stay, and nothing starts it any more."""
    await services.flows.delete(flow_name(params.namespace, params.id))
    services.hints.put_definitions()
    return {}
