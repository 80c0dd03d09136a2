"""The scheduler: every server watches all rules, and whoever comes first judges a tick."""

import asyncio
import logging
from datetime import datetime
from functools import partial
from typing import Final

from taskrpc.core.cron import turn
from taskrpc.core.ids import derived_id
from taskrpc.core.rule import SchedulerRule
from taskrpc.core.timestamps import format_time
from taskrpc.engine.activities import OutdatedDefinitions
from taskrpc.engine.loop import run_every
from taskrpc.engine.rule_starts import RuleStarts, open_status, refuse_second, rule_of
from taskrpc.errors import TaskRpcError
from taskrpc.store.creations import Inserted
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.recovery import OUTAGES, through_outages
from taskrpc.store.scheduler_rules import SchedulerRules
from taskrpc.store.signals import Signals

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 1.0
# A tick that has come and is still there is in another server's hands.
_BUSY_PAUSE_SECONDS: Final = 0.05
_JUDGED_AT_ONCE: Final = 4
# A rule that could not be judged is tried again so much later.
ASIDE_SECONDS: Final = 5.0


class Scheduler:
    """Judges ticks, sleeps until the next one, at most LONGEST_PAUSE_SECONDS."""

    def __init__(self, database: Database, rules: SchedulerRules, starts: RuleStarts, signals: Signals) -> None:
        self._database = database
        self._rules = rules
        self._starts = starts
        self._signals = signals
        self._poke = asyncio.Event()
        self._aside: dict[str, float] = {}

    def poke(self) -> None:
        """Makes it look now: a rule was put, the clock was moved, or the database is back."""
        self._poke.set()

    async def run(self) -> None:
        """Runs for ever."""
        await run_every("scheduler", self._round, self._poke)

    async def _round(self) -> float:
        now = asyncio.get_running_loop().time()
        self._aside = {rule_id: until for rule_id, until in self._aside.items() if until > now}
        turns = asyncio.Semaphore(_JUDGED_AT_ONCE)
        due = await self._rules.due(self._aside)
        for refusal in await asyncio.gather(*(self._attempt(rule_id, turns) for rule_id in due)):
            if refusal is not None:
                raise refusal
        seconds = await self._rules.seconds_until_tick(self._aside)
        if seconds is None:
            return LONGEST_PAUSE_SECONDS
        return min(max(seconds, 0.001), LONGEST_PAUSE_SECONDS) if seconds > 0 else _BUSY_PAUSE_SECONDS

    async def _attempt(self, rule_id: str, turns: asyncio.Semaphore) -> TaskRpcError | None:
        """Judges a tick, or puts its rule aside for a while; answers what hinders all rules: the database is away."""
        async with turns:
            try:
                await through_outages(self._database, partial(self._judge, rule_id))
            except OutdatedDefinitions:
                pass  # it is due still, and the definition is known now
            except TaskRpcError as refusal:
                if not self._database.is_available:
                    return refusal
                log.info("rule %s has to wait: %s", rule_id, refusal)
                self._put_aside(rule_id)
            except Exception:
                log.exception("rule %s could not be judged; the others go on", rule_id)
                self._put_aside(rule_id)
        return None

    def _put_aside(self, rule_id: str) -> None:
        self._aside[rule_id] = asyncio.get_running_loop().time() + ASIDE_SECONDS

    async def _judge(self, rule_id: str) -> None:
        async with self._rules.taken("take_due_rule", rule_id) as (connection, row):
            inserted = Inserted() if row is None else await self._decide(connection, row)
        inserted.tell(self._signals)

    async def _decide(self, connection: Connection, row: Record) -> Inserted:
        """Starts what the rule asks for, or notes why not; the next tick is written either way. One that has to wait is
        left as it is."""
        rule, tick = rule_of(row), row["next_at"]
        if rule.concurrency_policy == "wait" and await open_status(connection, row) is not None:
            return Inserted()
        verdict = turn(rule.ticks, tick, row["now"], rule.start_deadline_seconds, rule.missed_ticks)
        try:
            if not verdict.fires:
                raise _missed(rule, tick, row["now"])
            await refuse_second(connection, rule, row)
            activity_id = derived_id("tick", row["id"], format_time(tick))
            return await self._starts.fire(connection, row, activity_id, tick, verdict.following)
        except TaskRpcError as refusal:
            if refusal.type in OUTAGES:
                raise
            log.warning("rule %s: the tick of %s starts nothing: %s", row["id"], format_time(tick), refusal.message)
            reason = {"tick": format_time(tick), "type": refusal.type, "message": refusal.message}
            await self._rules.note_skip(connection, row, verdict.following, reason)
            return Inserted()


def _missed(rule: SchedulerRule, tick: datetime, now: datetime) -> TaskRpcError:
    late = (now - tick).total_seconds()
    reason = f"the deadline is {rule.start_deadline_seconds} s"
    if rule.missed_ticks != "all":
        reason += (
            f", and of missed ticks {'only the last starts' if rule.missed_ticks == 'last' else 'none start'} anything"
        )
    return TaskRpcError("missed", f"nobody was there to start it for {late:.0f} s; {reason}")
