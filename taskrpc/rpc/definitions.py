"""Methods of `awf.definition/`."""

from taskrpc.core.definition import Definition
from taskrpc.core.model import Resource
from taskrpc.rpc import rule_params as p
from taskrpc.rpc.registry import method
from taskrpc.rpc.services import Context, Services


def _resource(definition: Definition) -> Resource:
    fields = definition.spec.model_dump(exclude_none=True)
    return {
        "id": definition.name,
        "resourceType": "AidboxTaskDefinition",
        "revision": definition.rev,
        **fields,
    }


@method("awf.definition/put", p.PutDefinition, in_turn=True)
async def put(services: Services, context: Context, params: p.PutDefinition) -> Resource:
    """Adds a definition or replaces it; open tasks keep their timeouts and retries, limits hold for them at once."""
    definition, admitted = await services.definitions.put(params.id, dict(params.model_extra or {}))
    services.signals.queued(admitted)
    services.hints.put_definitions()
    return {"resource": _resource(definition)}


@method("awf.definition/get", p.OfDefinition)
async def get(services: Services, context: Context, params: p.OfDefinition) -> Resource:
    """A definition with all its fields, defaults filled in."""
    await services.definitions.look()
    return {"resource": _resource(services.definitions.get(params.id))}


@method("awf.definition/list", p.Nothing)
async def list_definitions(services: Services, context: Context, params: p.Nothing) -> Resource:
    """All definitions that the key is for, by name."""
    await services.definitions.look()
    bound = None if context.access is None else context.access.definitions
    shown = [each for each in services.definitions.everything() if bound is None or each.name in bound]
    return {"resources": [_resource(definition) for definition in shown]}


@method("awf.definition/delete", p.OfDefinition, in_turn=True)
async def delete(services: Services, context: Context, params: p.OfDefinition) -> Resource:
    """Deletes a definition: its tasks stay, new ones of the name get the defaults."""
    await services.definitions.look()
    services.signals.queued(await services.definitions.delete(params.id))
    services.hints.put_definitions()
    return {}
