"""Methods of `awf.scheduler/`."""

import orjson

from taskrpc.core.model import Resource, task_resource
from taskrpc.core.rule import SCHEDULER_RULE
from taskrpc.core.timestamps import format_time
from taskrpc.rpc import rule_params as p
from taskrpc.rpc.registry import method
from taskrpc.rpc.rules import rule_resource
from taskrpc.rpc.services import Context, Services
from taskrpc.store.database import Record


def _resource(row: Record) -> Resource:
    known: Resource = {} if row["flow"] is None else {"flow": row["flow"], "trigger": row["trigger"]}
    if row["next_at"] is not None:
        known["next-tick"] = format_time(row["next_at"])
    if row["fired_at"] is not None:
        tick = {} if row["fired_tick"] is None else {"tick": format_time(row["fired_tick"])}
        known["last-fire"] = {**tick, "at": format_time(row["fired_at"]), "started": orjson.loads(row["started"])}
    if row["skipped"] is not None:
        known["last-skip"] = orjson.loads(row["skipped"])
    return rule_resource(SCHEDULER_RULE, row, known)


@method("awf.scheduler/put", p.PutRule)
async def put(services: Services, context: Context, params: p.PutRule) -> Resource:
    """Adds a rule or replaces it; a new one with `execute-on-setup` starts at once."""
    return {"resource": _resource(await services.schedules.put(params.id, params.fields))}


@method("awf.scheduler/get", p.OfRule)
async def get(services: Services, context: Context, params: p.OfRule) -> Resource:
    """A rule, with its next tick and what it did last."""
    return {"resource": _resource(await services.schedules.get(params.id))}


@method("awf.scheduler/list", p.Nothing)
async def list_rules(services: Services, context: Context, params: p.Nothing) -> Resource:
    """All rules, by their ids."""
    return {"resources": [_resource(row) for row in await services.schedules.everything()]}


@method("awf.scheduler/delete", p.OfRule)
async def delete(services: Services, context: Context, params: p.OfRule) -> Resource:
    """Deletes a rule; what it has started goes on."""
    await services.schedules.delete(params.id)
    return {}


@method("awf.scheduler/run", p.RunRule)
async def run(services: Services, context: Context, params: p.RunRule) -> Resource:
    """Starts what a rule asks for now, whatever its schedule says; its ticks stay as they are."""
    return {"resource": task_resource(await services.schedules.run(params.id, params.call_id))}
