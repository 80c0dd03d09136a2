"""Use cases of events: resources are published, and rules that listen for them put, read and deleted."""

from collections.abc import Mapping
from typing import Any

import orjson

from taskrpc.core.ids import serial_id
from taskrpc.core.rule import SubscriptionRule, parse_rule
from taskrpc.engine.activities import Activities
from taskrpc.engine.matcher import Matcher
from taskrpc.engine.schedules import rule_not_found
from taskrpc.store.batcher import Batcher, Spawn
from taskrpc.store.database import Database, Record
from taskrpc.store.occurrences import NewEvent, Occurrences
from taskrpc.store.signals import Signals
from taskrpc.store.subscription_rules import SubscriptionRules


class Subscriptions:
    """The rules of all servers, and events from outside; what happens here makes this server's `matcher` look."""

    def __init__(self, database: Database, spawn: Spawn, activities: Activities, signals: Signals) -> None:
        self._rules = SubscriptionRules(database)
        self._activities = activities
        self._events: Batcher[NewEvent, bool] = Batcher("publish", database, spawn, Occurrences(database).publish)
        self.matcher = Matcher(database, activities, signals)

    async def publish(self, resource: Mapping[str, Any], call_id: str | None) -> None:
        """Tells a resource to those who listen; a repeat with the same `call_id` starts nothing twice."""
        event = NewEvent(call_id or serial_id(), orjson.dumps(resource).decode())
        if await self._events.submit(event):
            self.matcher.poke()

    async def put(self, rule_id: str, fields: Mapping[str, object]) -> Record:
        """Adds a rule or replaces it; raises `invalid-params`."""
        rule = parse_rule(SubscriptionRule, fields)
        await self._activities.check_definition(rule)
        return await self._rules.put(rule_id, rule.as_kept(fields))

    async def get(self, rule_id: str) -> Record:
        """A rule; raises `rule-not-found`."""
        rows = await self._rules.read(rule_id)
        if not rows:
            raise rule_not_found(rule_id)
        return rows[0]

    async def everything(self) -> list[Record]:
        """All rules, by their ids."""
        return await self._rules.read()

    async def delete(self, rule_id: str) -> None:
        """Deletes a rule; what it has started goes on. Raises `rule-not-found`."""
        await self.get(rule_id)
        await self._rules.delete(rule_id)
