"""What rules of the scheduler start, at a tick or by hand, in the transaction that holds the rule."""

from datetime import datetime

import orjson

from taskrpc.core.rule import SCHEDULER_RULE, SchedulerRule
from taskrpc.core.timestamps import format_time
from taskrpc.engine.activities import Activities, Activity
from taskrpc.engine.flow_triggers import FlowTriggers
from taskrpc.errors import TaskRpcError
from taskrpc.store.creations import Inserted
from taskrpc.store.database import Connection, Record
from taskrpc.store.scheduler_rules import SchedulerRules
from taskrpc.store.statements import SQL


class RuleStarts:
    """Starts what rules ask for: tasks and workflows, and the executions of flows whose triggers they are."""

    def __init__(self, activities: Activities, triggers: FlowTriggers) -> None:
        self._activities = activities
        self._triggers = triggers

    async def fire(
        self, connection: Connection, row: Record, activity_id: str, tick: datetime | None, following: datetime | None
    ) -> Inserted:
        """Starts what a rule asks for and notes it, with its next tick. Raises what refuses it."""
        rule = rule_of(row)
        inserted = await self._activities.start(connection, [await self._activity(row, rule, activity_id, tick)])
        for refusal in inserted.refused.values():
            raise refusal
        started = {"id": activity_id, "resourceType": rule.resource}
        await SchedulerRules.note_fire(connection, row, following, tick, started)
        return inserted

    async def _activity(self, row: Record, rule: SchedulerRule, activity_id: str, tick: datetime | None) -> Activity:
        if row["flow"] is not None:
            return await self._triggers.scheduled(row, rule, activity_id, tick)
        requester = {"id": row["id"], "resourceType": SCHEDULER_RULE}
        if tick is not None:
            requester["tick"] = format_time(tick)
        return await self._activities.prepare(rule, activity_id, requester, rule.request.params)


def rule_of(row: Record) -> SchedulerRule:
    """The rule that a row keeps."""
    return SchedulerRule.model_validate(orjson.loads(row["spec"]))


async def open_status(connection: Connection, row: Record) -> str | None:
    """The status of what a rule, which is locked, started last; None where that is done, or there is nothing."""
    status: str | None = await connection.fetchval(SQL["status_of_started"], row["id"])
    return None if status == "done" else status


async def refuse_second(connection: Connection, rule: SchedulerRule, row: Record) -> None:
    """Raises `wrong-status` where the rule, which is locked, does not allow to start anything while what it started
    last is not done."""
    status = await open_status(connection, row)
    if rule.concurrency_policy != "allow" and status is not None:
        started = orjson.loads(row["started"])
        raise TaskRpcError(
            "wrong-status",
            f"{started['resourceType']} {started['id']}, which rule {row['id']} started last, is {status}",
            {"status": status},
        )
