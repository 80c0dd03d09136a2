"""Tells events to those who listen: subscriptions end with what fits them, rules start what they ask for.

An event, what it ends and what it starts are one transaction: so each is told once, whatever dies.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final

import orjson

from taskrpc.core.built_in import SUBSCRIBE, Subscribe
from taskrpc.core.ids import derived_id
from taskrpc.core.model import Resource, kept_task
from taskrpc.core.rule import SUBSCRIPTION_RULE, SubscriptionRule
from taskrpc.core.selection import fits
from taskrpc.engine.activities import Activities, Activity, OutdatedDefinitions
from taskrpc.engine.loop import run_every
from taskrpc.errors import TaskRpcError
from taskrpc.store import occurrences as events
from taskrpc.store.creations import Inserted
from taskrpc.store.database import CommitUnknown, Connection, Database, Record
from taskrpc.store.occurrences import MOST_TAKEN, Occurrences
from taskrpc.store.recovery import OUTAGES, through_outages
from taskrpc.store.signals import Signals

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 1.0
# Under load the events of several commits are told together; and what is locked is tried again after a while.
_BREATH_SECONDS: Final = 0.01


# How much one transaction tells: what rules start, events times subscriptions, and what subscriptions end with.
MOST_STARTED: Final = 1000
MOST_COMPARED: Final = 200_000
MOST_ENDED: Final = 1000
MOST_RESULT_BYTES: Final = 32 * 2**20
# An event that cannot be told is tried again so much later; the others go on meanwhile.
ASIDE_SECONDS: Final = 60.0
# Others get the event loop after so many subscriptions that were compared with what has happened.
_COMPARED_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class _Event:
    seq: int
    id: str
    at: Any
    resource: Resource
    keys: frozenset[str]
    left_for: frozenset[str] | None

    @classmethod
    def of(cls, row: Record) -> "_Event":
        resource = kept_task(row["task"]) if row["task"] is not None else orjson.loads(row["resource"])
        left_for = None if row["left_for"] is None else frozenset(row["left_for"])
        return cls(row["seq"], row["id"], row["at"], resource, frozenset(row["keys"]), left_for)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a transaction has told: whether there may be more events, and whether something was left for later."""

    more: bool
    left: bool = False


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
        self._taken: list[int] = []
        self._aside: dict[int, float] = {}

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
        now = asyncio.get_running_loop().time()
        self._aside = {seq: until for seq, until in self._aside.items() if until > now}
        most, told = MOST_TAKEN, _Told(more=True)
        while told.more and not told.left:
            try:
                told = await through_outages(self._database, partial(self._tell, most))
            except OutdatedDefinitions:
                continue
            except (TaskRpcError, CommitUnknown):
                raise
            except Exception as error:
                most = self._after_failure(error)
        self._listening = await self._occurrences.somebody_listens()
        self._next_at = asyncio.get_running_loop().time() + _BREATH_SECONDS
        return _BREATH_SECONDS if told.left else LONGEST_PAUSE_SECONDS

    def _after_failure(self, error: Exception) -> int:
        """Finds the event that cannot be told, and puts it aside; answers how many to take next."""
        if not self._taken:
            raise error
        if len(self._taken) > 1:
            return len(self._taken) // 2
        self._aside[self._taken[0]] = asyncio.get_running_loop().time() + ASIDE_SECONDS
        log.error("event %s cannot be told; the others go on", self._taken[0], exc_info=error)
        return MOST_TAKEN

    async def _tell(self, most: int) -> _Told:
        """Tells the oldest events, or what of them is not too much for one transaction."""
        self._taken = []
        async with self._database.connection() as connection, connection.transaction():
            rows = await events.take(connection, most, list(self._aside))
            if not rows:
                return _Told(more=False)
            self._taken = [row["seq"] for row in rows]
            subscriptions, rules = await events.listeners(connection, rows)
            most_events = max(MOST_COMPARED // max(len(subscriptions), 1), 1)
            taken, prepared = await self._prepared([_Event.of(row) for row in rows[:most_events]], rules)
            ends = await _ends(taken, subscriptions)
            results = _portion(ends)
            ended, locked = await events.finish(connection, results)
            inserted = await self._start(connection, prepared)
            left = _left({id: event for id, event in ends.items() if id in locked or id not in results})
            await events.forget(connection, [event.seq for event in taken], left)
        inserted.tell(self._signals)
        self._signals.changed(ended)
        return _Told(len(rows) >= most or len(taken) < len(rows), bool(left))

    async def _start(self, connection: Connection, prepared: Mapping[str, Activity]) -> Inserted:
        if not prepared:
            return Inserted()
        inserted = await self._activities.start(connection, list(prepared.values()))
        for refused, refusal in inserted.refused.items():
            requester = prepared[refused].requester
            log.warning("an event starts nothing for %s: %s", requester, refusal.message)
        return inserted

    async def _prepared(
        self, taken: Sequence[_Event], rows: Sequence[Record]
    ) -> tuple[Sequence[_Event], dict[str, Activity]]:
        """What rules ask for, and the events that it is about: without the last ones where it is a lot."""
        rules: dict[str, list[tuple[Record, SubscriptionRule]]] = defaultdict(list)
        for row in rows:
            rules[row["listens"]].append((row, SubscriptionRule.model_validate(orjson.loads(row["spec"]))))
        prepared: dict[str, Activity] = {}
        for n, event in enumerate(taken, start=1):
            for row, rule in chain.from_iterable(rules.get(key, ()) for key in sorted(event.keys)):
                if _is_meant(row, rule, event):
                    prepared |= await self._asked(row, rule, event)
            size = sum(activity.size for activity in prepared.values())
            if len(prepared) >= MOST_STARTED or size >= MOST_RESULT_BYTES:
                return taken[:n], prepared
            await asyncio.sleep(0)
        return taken, prepared

    async def _asked(self, row: Record, rule: SubscriptionRule, event: _Event) -> dict[str, Activity]:
        """What a rule asks for when an event has happened, by its id; nothing where that is refused."""
        requester = {"id": row["id"], "resourceType": SUBSCRIPTION_RULE, "event": event.id}
        activity_id = derived_id("event", row["id"], event.id)
        try:
            params = rule.filled_params(event.resource)
            return {activity_id: await self._activities.prepare(rule, activity_id, requester, params)}
        except TaskRpcError as refusal:
            if refusal.type in OUTAGES:
                raise
            log.warning("rule %s: event %s starts nothing: %s", row["id"], event.id, refusal.message)
            return {}


def _is_meant(row: Record, rule: SubscriptionRule, event: _Event) -> bool:
    """Whether an event fits a rule that was there already; one does not hear of what it has started itself."""
    if event.left_for is not None or event.at < row["created_at"] or _is_started_by(row["id"], event.resource):
        return False
    return fits(rule.select_by, event.resource)


async def _ends(taken: Sequence[_Event], subscriptions: Sequence[Record]) -> dict[str, _Event]:
    """The first event that fits, for each subscription that one fits; only what happened since it began counts."""
    by_key: dict[str, list[_Event]] = defaultdict(list)
    for event in taken:
        for key in event.keys:
            by_key[key].append(event)
    found = {}
    for n, row in enumerate(subscriptions, start=1):
        selection = Subscribe.model_validate(orjson.loads(row["params"])).select_by
        for event in by_key[row["listens"]]:
            if _may_hear(row, event) and fits(selection, event.resource):
                found[row["id"]] = event
                break
        if n % _COMPARED_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


def _may_hear(row: Record, event: _Event) -> bool:
    """Whether an event is of concern to a subscription: it began before, and it is not its own beginning."""
    is_meant = event.left_for is None or row["id"] in event.left_for
    return is_meant and event.at >= row["since"] and not _is_about(row["id"], event.resource)


def _portion(ends: Mapping[str, _Event]) -> dict[str, str]:
    """The results of as many subscriptions as one transaction should end, one at least."""
    texts: dict[int, str] = {}
    results: dict[str, str] = {}
    size = 0
    for subscription_id, event in ends.items():
        if event.seq not in texts:
            texts[event.seq] = _result(event)
        size += len(texts[event.seq])
        if results and (size > MOST_RESULT_BYTES or len(results) >= MOST_ENDED):
            break
        results[subscription_id] = texts[event.seq]
    return results


def _left(ends: Mapping[str, _Event]) -> dict[int, list[str]]:
    """The subscriptions that were not ended, by the events that they are to end with."""
    left = defaultdict(list)
    for subscription_id in sorted(ends):
        left[ends[subscription_id].seq].append(subscription_id)
    return dict(left)


def _result(event: _Event) -> str:
    return orjson.dumps({"resource": event.resource}).decode()


def _is_about(task_id: str, resource: Resource) -> bool:
    return (resource.get("id"), resource.get("definition")) == (task_id, SUBSCRIBE)


def _is_started_by(rule_id: str, resource: Resource) -> bool:
    requester = resource.get("requester")
    if not isinstance(requester, Mapping):
        return False
    return (requester.get("id"), requester.get("resourceType")) == (rule_id, SUBSCRIPTION_RULE)
