"""Use cases of the scheduler's rules: they are put, and run by hand."""

from collections.abc import Mapping

from taskrpc.core.ids import derived_id, serial_id
from taskrpc.core.model import Row
from taskrpc.core.rule import SchedulerRule, parse_rule
from taskrpc.engine.activities import Activities, OutdatedDefinitions
from taskrpc.engine.flow_triggers import FlowTriggers
from taskrpc.engine.rule_starts import RuleStarts, refuse_second, rule_of
from taskrpc.engine.rules import Rules, rule_not_found
from taskrpc.engine.scheduler import Scheduler
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.database import Database, Record
from taskrpc.store.recovery import through_outages
from taskrpc.store.scheduler_rules import SchedulerRules
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL


class Schedules(Rules):
    """The rules of all servers; what changes them makes this server's `scheduler` look."""

    def __init__(self, database: Database, activities: Activities, triggers: FlowTriggers, signals: Signals) -> None:
        self._database = database
        self._rules = SchedulerRules(database)
        super().__init__(self._rules)
        self._activities = activities
        self._starts = RuleStarts(activities, triggers)
        self._signals = signals
        self.scheduler = Scheduler(database, self._rules, self._starts, signals)

    async def put(self, rule_id: str, fields: Mapping[str, object]) -> Record:
        """Adds a rule or replaces it; raises `invalid-params`."""
        rule = parse_rule(SchedulerRule, fields)
        await self._activities.check(rule)
        following = rule.ticks.next_tick(await self._rules.now())
        row = await self._rules.put(rule_id, rule.as_kept(fields), following, rule.execute_on_setup)
        if row is None:
            raise _of_flow(await self.get(rule_id))
        self.scheduler.poke()
        return row

    async def delete(self, rule_id: str) -> None:
        """Deletes a rule; what it has started goes on. Raises `rule-not-found`, `invalid-params` for that of a flow."""
        row = await self.get(rule_id)
        if row["flow"] is not None:
            raise _of_flow(row)
        await super().delete(rule_id)

    async def run(self, rule_id: str, call_id: str | None) -> Row:
        """Starts what a rule asks for now, whatever its schedule says, and answers its row; a repeat with the same
        `call_id` starts nothing. Raises `rule-not-found`, `wrong-status` where the policy forbids a second one, …"""
        activity_id = derived_id("run", rule_id, call_id or serial_id())
        while True:
            try:
                return await through_outages(self._database, lambda: self._run(rule_id, activity_id))
            except OutdatedDefinitions:
                continue

    async def _run(self, rule_id: str, activity_id: str) -> Row:
        async with self._rules.taken("take_rule", rule_id) as (connection, row):
            if row is None:
                raise rule_not_found(rule_id)
            if repeated := await connection.fetchrow(SQL["tasks_by_id"], [activity_id]):
                return dict(repeated)
            await refuse_second(connection, rule_of(row), row)
            inserted = await self._starts.fire(connection, row, activity_id, None, row["next_at"])
        inserted.tell(self._signals)
        return next(new for new in inserted.rows if new["id"] == activity_id)


def _of_flow(row: Record) -> TaskRpcError:
    return invalid_params("id", f"{row['id']} is the trigger {row['trigger']} of the flow {row['flow']}; put that")
