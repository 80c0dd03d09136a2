"""Schedule triggers, as rules of the scheduler."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from taskrpc.core.flow.durations import SECOND, parse_duration
from taskrpc.core.flow.model import Trigger
from taskrpc.core.rule import LONGEST_DEADLINE_SECONDS, SchedulerRule, parse_rule


def rule_id(flow_name: str, trigger_id: str) -> str:
    """The id of the rule that a trigger is."""
    return f"{flow_name}/{trigger_id}"


def rule_of(flow_name: str, trigger: Trigger) -> tuple[SchedulerRule, dict[str, object]]:
    """The rule that a trigger is, checked, and as it is kept. Without `allowConcurrent` a tick waits until what the
    rule started last is done; without `lateMaximumDelay` no tick is too late."""
    rules = trigger.properties
    fields: dict[str, Any] = {
        "schedule": rules["cron"],
        "timezone": rules.get("timezone", "UTC"),
        "concurrency-policy": "allow" if rules.get("allowConcurrent") else "wait",
        "start-deadline-seconds": _deadline(rules.get("lateMaximumDelay")),
        "missed-ticks": rules.get("recoverMissedSchedules", "ALL").lower(),
        "workflow-request": {"definition": flow_name},
    }
    rule = parse_rule(SchedulerRule, fields)
    return rule, rule.as_kept(fields)


def variables(rule: SchedulerRule, tick: datetime) -> dict[str, str]:
    """What `trigger` means in an execution that a tick starts: its `date`, and those of the ticks around it."""
    around = {"date": tick, "next": rule.ticks.next_tick(tick), "previous": rule.ticks.previous_tick(tick)}
    return {name: _shown(at, rule.ticks.zone) for name, at in around.items() if at is not None}


def _shown(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _deadline(delay: str | None) -> int:
    if delay is None:
        return LONGEST_DEADLINE_SECONDS
    return min(max(-(-parse_duration(delay) // SECOND), 1), LONGEST_DEADLINE_SECONDS)
