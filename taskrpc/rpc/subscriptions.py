"""Methods of `awf.event/` and `awf.subscription/`."""

from taskrpc.core.model import Resource
from taskrpc.core.rule import SUBSCRIPTION_RULE
from taskrpc.rpc import rule_params as p
from taskrpc.rpc.registry import method
from taskrpc.rpc.rules import rule_resource
from taskrpc.rpc.services import Context, Services
from taskrpc.store.database import Record


def _resource(row: Record) -> Resource:
    return rule_resource(SUBSCRIPTION_RULE, row, {})


@method("awf.event/publish", p.Publish)
async def publish(services: Services, context: Context, params: p.Publish) -> Resource:
    """Tells a resource to the subscriptions and rules that it fits; they go on within moments."""
    await services.subscriptions.publish(params.resource, params.call_id)
    return {}


@method("awf.subscription/put", p.PutRule)
async def put(services: Services, context: Context, params: p.PutRule) -> Resource:
    """Adds a rule that starts something whenever a resource fits, or replaces it."""
    return {"resource": _resource(await services.subscriptions.put(params.id, params.fields))}


@method("awf.subscription/get", p.OfRule)
async def get(services: Services, context: Context, params: p.OfRule) -> Resource:
    """A rule."""
    return {"resource": _resource(await services.subscriptions.get(params.id))}


@method("awf.subscription/list", p.Nothing)
async def list_rules(services: Services, context: Context, params: p.Nothing) -> Resource:
    """All rules, by their ids."""
    return {"resources": [_resource(row) for row in await services.subscriptions.everything()]}


@method("awf.subscription/delete", p.OfRule)
async def delete(services: Services, context: Context, params: p.OfRule) -> Resource:
    """Deletes a rule; what it has started goes on."""
    await services.subscriptions.delete(params.id)
    return {}
