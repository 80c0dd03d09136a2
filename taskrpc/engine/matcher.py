"""Tells events to those who listen: subscriptions end with what fits them, rules start what they ask for.

An event, what it ends and what it starts are one transaction: so each is told once, whatever dies.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from taskrpc.core.built_in import Subscribe
from taskrpc.core.ids import derived_id
from taskrpc.core.model import Resource, kept_task
from taskrpc.core.rule import SUBSCRIPTION_RULE, SubscriptionRule
from taskrpc.core.selection import fits
from taskrpc.engine.activities import Activities, Activity, OutdatedDefinitions
from taskrpc.engine.loop import run_every
from taskrpc.errors import TaskRpcError
from taskrpc.store import occurrences as events
from taskrpc.store.creations import Inserted
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.occurrences import MOST_TAKEN, Occurrences
from taskrpc.store.recovery import through_outages
from taskrpc.store.signals import Signals

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 1.0
# Under load the events of several commits are told together; and what is locked is tried again after a while.
_BREATH_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Event:
    seq: int
    id: str
    at: Any
    resource: Resource
    left_for: frozenset[str] | None

    @classmethod
    def of(cls, row: Record) -> "_Event":
        resource = kept_task(row["task"]) if row["task"] is not None else orjson.loads(row["resource"])
        left_for = None if row["left_for"] is None else frozenset(row["left_for"])
        return cls(row["seq"], row["id"], row["at"], resource, left_for)


class Matcher:
    """Looks for events when something has happened on this server, and once a second for those of others."""

    def __init__(self, database: Database, activities: Activities, signals: Signals) -> None:
        self._database = database
        self._occurrences = Occurrences(database)
        self._activities = activities
        self._signals = signals
        self._poke = asyncio.Event()
        self._listening = True
        self._next_at = 0.0

    def poke(self) -> None:
        """Makes it look soon: there is an event."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_at:
            self._poke.set()
        else:
            loop.call_at(self._next_at, self._poke.set)

    def changed(self, rows: Sequence[Any]) -> None:
        """Tasks have changed on this server: that is an event, if somebody listens."""
        self._listening = self._listening or any(row["listens"] is not None for row in rows)
        if self._listening:
            self.poke()

    async def run(self) -> None:
        """Runs for ever."""
        await run_every("events", self._round, self._poke)

    async def _round(self) -> float:
        told, left = MOST_TAKEN, False
        while told >= MOST_TAKEN and not left:
            try:
                told, left = await through_outages(self._database, self._tell)
            except OutdatedDefinitions:
                continue
        self._listening = await self._occurrences.somebody_listens()
        self._next_at = asyncio.get_running_loop().time() + _BREATH_SECONDS
        return _BREATH_SECONDS if left else LONGEST_PAUSE_SECONDS

    async def _tell(self) -> tuple[int, bool]:
        """Tells the oldest events; how many, and whether some are left because somebody is at a subscription."""
        async with self._database.connection() as connection, connection.transaction():
            rows = await events.take(connection)
            if not rows:
                return 0, False
            subscriptions, rules = await events.listeners(connection, rows)
            taken = [_Event.of(row) for row in rows]
            ends = _ends(taken, subscriptions)
            ended, locked = await events.finish(connection, {id: _result(event) for id, event in ends.items()})
            inserted = await self._start(connection, taken, rules)
            left = _left(ends, locked)
            await events.forget(connection, rows, left)
        inserted.tell(self._signals)
        self._signals.changed(ended)
        return len(rows), bool(left)

    async def _start(self, connection: Connection, taken: Sequence[_Event], rules: Sequence[Record]) -> Inserted:
        prepared = {activity.id: activity for rule in rules async for activity in self._prepared(rule, taken)}
        if not prepared:
            return Inserted()
        inserted = await self._activities.start(connection, list(prepared.values()))
        for refused, refusal in inserted.refused.items():
            requester = prepared[refused].requester
            log.warning("an event starts nothing for %s: %s", requester, refusal.message)
        return inserted

    async def _prepared(self, row: Record, taken: Sequence[_Event]) -> AsyncIterator[Activity]:
        """What a rule asks for: once for each event that fits, but not for what it has started itself."""
        rule = SubscriptionRule.model_validate(orjson.loads(row["spec"]))
        for event in taken:
            if event.left_for is not None or event.at < row["created_at"] or _is_started_by(row["id"], event.resource):
                continue
            if not fits(rule.select_by, event.resource):
                continue
            requester = {"id": row["id"], "resourceType": SUBSCRIPTION_RULE, "event": event.id}
            activity_id = derived_id("event", row["id"], event.id)
            try:
                params = rule.filled_params(event.resource)
                yield await self._activities.prepare(rule, activity_id, requester, params)
            except TaskRpcError as refusal:
                log.warning("rule %s: event %s starts nothing: %s", row["id"], event.id, refusal.message)


def _ends(taken: Sequence[_Event], subscriptions: Sequence[Record]) -> dict[str, _Event]:
    """The first event that fits, for each subscription that one fits; only what happened since it began counts."""
    found = {}
    for row in subscriptions:
        selection = Subscribe.model_validate(orjson.loads(row["params"])).select_by
        for event in taken:
            is_meant = event.left_for is None or row["id"] in event.left_for
            if is_meant and event.at >= row["since"] and fits(selection, event.resource):
                found[row["id"]] = event
                break
    return found


def _left(ends: Mapping[str, _Event], locked: set[str]) -> dict[int, list[str]]:
    """The subscriptions that could not be ended, by their events."""
    left = defaultdict(list)
    for subscription_id in sorted(locked):
        left[ends[subscription_id].seq].append(subscription_id)
    return dict(left)


def _result(event: _Event) -> str:
    return orjson.dumps({"resource": event.resource}).decode()


def _is_started_by(rule_id: str, resource: Resource) -> bool:
    requester = resource.get("requester")
    if not isinstance(requester, Mapping):
        return False
    return (requester.get("id"), requester.get("resourceType")) == (rule_id, SUBSCRIPTION_RULE)
