"""Use cases of events: resources are published, and rules that listen for them are put."""

from collections.abc import Mapping
from typing import Any

import orjson

from taskrpc.core.ids import serial_id
from taskrpc.core.rule import SubscriptionRule, parse_rule
from taskrpc.engine.activities import Activities
from taskrpc.engine.matcher import Matcher
from taskrpc.engine.rules import Rules
from taskrpc.store.batcher import Batcher, Spawn
from taskrpc.store.database import Database, Record
from taskrpc.store.occurrences import NewEvent, Occurrences
from taskrpc.store.signals import Signals
from taskrpc.store.subscription_rules import SubscriptionRules


class Subscriptions(Rules):
    """The rules of all servers, and events from outside; what happens here makes this server's `matcher` look."""

    def __init__(self, database: Database, spawn: Spawn, activities: Activities, signals: Signals) -> None:
        self._rules = SubscriptionRules(database)
        super().__init__(self._rules)
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
