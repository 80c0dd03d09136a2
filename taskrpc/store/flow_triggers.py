"""The triggers of flows in the database, put together with their flow, and stopped by what they have started."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from taskrpc.core.flow.preconditions import met
from taskrpc.errors import invalid_params
from taskrpc.store.database import Connection, Database
from taskrpc.store.recovery import fetch_through_outages
from taskrpc.store.statements import SQL
from taskrpc.store.workflows import NewWorkflow


@dataclass(frozen=True, slots=True)
class NewRule:
    """The rule of the scheduler that a trigger is; `next_tick` says when it ticks first after a moment."""

    id: str
    spec: Mapping[str, object]
    next_tick: Callable[[datetime], datetime | None]


@dataclass(frozen=True, slots=True)
class NewTrigger:
    """A trigger that holds from now on; `spec` is what the flow says about it. `path` is where it stands there."""

    id: str
    type: str
    spec: Mapping[str, object]
    path: str
    rule: NewRule | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """What the state of an execution meets of the preconditions of a trigger of another flow, and what is started if
    nothing else is wanted: None where that would be refused."""

    flow: str
    trigger: str
    names: Sequence[str]
    workflow: NewWorkflow | None


async def advance_triggers(connection: Connection, advances: Sequence[Advance], at: int) -> list[NewWorkflow]:
    """Notes what has been met at a time, microseconds since 1970, inside the caller's transaction. Answers what starts.

    `advances` are in the order of their triggers, as everywhere: two transactions never wait for each other.
    """
    started: list[NewWorkflow] = []
    for advance in advances:
        row = await connection.fetchrow(SQL["hold_met"], advance.flow, advance.trigger)
        rules = None if row is None else orjson.loads(row["spec"]).get("preconditions")
        if row is None or rules is None:  # it was stopped, deleted or changed meanwhile
            continue
        after, fires = met(rules, orjson.loads(row["met"]), advance.names, at)
        await connection.execute(SQL["put_met"], advance.flow, advance.trigger, orjson.dumps(after).decode())
        if fires and advance.workflow is not None:
            started.append(advance.workflow)
    return started


async def put_triggers(connection: Connection, flow: str, triggers: Sequence[NewTrigger]) -> None:
    """Makes the triggers of a flow these, inside the caller's transaction, which has locked the definitions. Raises
    `invalid-params` where somebody else has a rule of the same id."""
    specs = [orjson.dumps(trigger.spec).decode() for trigger in triggers]
    ids, types = [trigger.id for trigger in triggers], [trigger.type for trigger in triggers]
    rows = await connection.fetch(SQL["put_flow_triggers"], flow, ids, types, specs)
    stopped = {row["id"] for row in rows if row["stopped"]}
    scheduled = [(trigger, trigger.rule) for trigger in triggers if trigger.rule is not None]
    await connection.execute(SQL["delete_rules_of_flow"], flow, [rule.id for _, rule in scheduled])
    for trigger, rule in scheduled:
        if trigger.id not in stopped:
            await _put_rule(connection, flow, trigger, rule)


async def _put_rule(connection: Connection, flow: str, trigger: NewTrigger, rule: NewRule) -> None:
    first = rule.next_tick(await connection.fetchval(SQL["clock"]))
    spec = orjson.dumps(rule.spec).decode()
    if await connection.fetchrow(SQL["put_scheduler_rule"], rule.id, spec, first, False, flow, trigger.id) is None:
        raise invalid_params(trigger.path, f"there is a rule {rule.id} of the scheduler, which is not of this flow")


class FlowTriggerStore:
    """Reads triggers, and stops them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listeners(self) -> list[tuple[str, str]]:
        """The triggers that listen to other flows, each as its flow and its id."""
        return [(row["flow"], row["id"]) for row in await fetch_through_outages(self._database, "flow_listeners")]

    async def webhooks(self, flow: str) -> list[str]:
        """The ids of the addresses of a flow that can be called."""
        return [row["id"] for row in await fetch_through_outages(self._database, "webhooks_of_flow", flow)]

    async def is_stopped(self, flow: str, trigger: str) -> bool:
        """Whether a trigger starts nothing any more."""
        rows = await fetch_through_outages(self._database, "is_trigger_stopped", flow, trigger)
        return bool(rows and rows[0]["stopped"])

    async def stop(self, flow: str, trigger: str, reason: str) -> None:
        """Has a trigger start nothing any more, until it is changed."""
        await fetch_through_outages(self._database, "stop_trigger", flow, trigger, reason)

    async def requester(self, workflow_id: str) -> Mapping[str, Any]:
        """Who asked for an execution; nothing where nobody is known."""
        rows = await fetch_through_outages(self._database, "requester", workflow_id)
        requester: Mapping[str, Any] = orjson.loads(rows[0]["requester"] or "{}") if rows else {}
        return requester
