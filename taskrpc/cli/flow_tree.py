"""The task runs of an execution as a tree with states and durations, and, where no terminal is, as lines."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

Status = Mapping[str, Any]

MOST_CHILDREN: Final = 40
_MOST_MESSAGES: Final = 5
_COLORS: Final = {
    "SUCCESS": "green", "WARNING": "yellow", "FAILED": "red", "KILLED": "red", "CANCELLED": "red", "RUNNING": "cyan",
    "PAUSED": "magenta", "RETRYING": "yellow",
}  # fmt: skip
_OVER: Final = frozenset({"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "SKIPPED", "RETRIED"})


def tree_of(status: Status, now: datetime | None = None) -> Tree:
    """An execution as `awf.workflow/status` answers it, with its task runs and its log."""
    now = now or datetime.now(UTC)
    resource = status["resource"]
    tree = Tree(_line(resource["definition"], resource.get("state", resource["status"]), _lasted(resource, now)))
    children: dict[str | None, list[Status]] = defaultdict(list)
    for run in status["taskRuns"]:
        children[run.get("parentTaskRunId")].append(run)
    _grow(tree, children, None, messages_of(status), now)
    return tree


def _grow(
    tree: Tree, children: Mapping[str | None, Sequence[Status]], parent: str | None,
    messages: Mapping[str, Sequence[str]], now: datetime,
) -> None:  # fmt: skip
    runs = children.get(parent, ())
    for run in runs[:MOST_CHILDREN]:
        branch = tree.add(_line(title_of(run), run["state"], _duration(run, now)))
        told = messages.get(run["id"], ())
        for message in told[:_MOST_MESSAGES]:
            branch.add(Text(message, "dim"))
        if len(told) > _MOST_MESSAGES:
            branch.add(Text(f"… {len(told) - _MOST_MESSAGES} more lines", "dim"))
        _grow(branch, children, run["id"], messages, now)
    if len(runs) > MOST_CHILDREN:
        counts = Counter(run["state"] for run in runs[MOST_CHILDREN:])
        more = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
        tree.add(Text(f"… {len(runs) - MOST_CHILDREN} more: {more}", "dim"))


def _line(title: str, state: str, duration: str) -> Text:
    return Text.assemble(title, "  ", (state, _COLORS.get(state, "")), (f"  {duration}" if duration else "", "dim"))


def is_over(status: Status) -> bool:
    """Whether an execution has ended, and what is done after it."""
    return status["resource"]["status"] == "done" and all(run["state"] in _OVER for run in status["taskRuns"])


def title_of(run: Status) -> str:
    """A task run's name, with the loop's value that it is for."""
    value = run.get("value")
    attempts = len(run.get("attempts", ()))
    again = f" (attempt {attempts})" if attempts > 1 else ""
    return str(run["taskId"]) + ("" if value is None else f" [{value[:40]}]") + again


def messages_of(status: Status) -> dict[str, list[str]]:
    """What the log of an execution says, by task runs."""
    messages: dict[str, list[str]] = defaultdict(list)
    for entry in status.get("log", ()):
        said = entry.get("action-params", {})
        if entry["action"] == "awf.workflow/log" and "taskRunId" in said:
            messages[said["taskRunId"]].append(said["message"])
    return messages


def lines_of(status: Status, told: set[str]) -> Iterable[str]:
    """A line for each task run that has ended since: `told` has the ids of those that were told."""
    messages = messages_of(status)
    for run in status["taskRuns"]:
        if run["state"] in _OVER and run["id"] not in told:
            told.add(run["id"])
            yield f"{run['state']:<9} {_duration(run, datetime.now(UTC)):>8}  {title_of(run)}"
            yield from (f"{'':<9} {'':>8}    {message}" for message in messages.get(run["id"], ()))


def _duration(run: Status, now: datetime) -> str:
    if "startDate" not in run:
        return ""
    ended = datetime.fromisoformat(run["endDate"]) if "endDate" in run else now
    return _shown((ended - datetime.fromisoformat(run["startDate"])).total_seconds())


def _lasted(resource: Status, now: datetime) -> str:
    meta = resource["meta"]
    ended = datetime.fromisoformat(meta["lastUpdated"]) if resource["status"] == "done" else now
    return _shown((ended - datetime.fromisoformat(meta["createdAt"])).total_seconds())


def _shown(seconds: float) -> str:
    minutes, rest = divmod(max(seconds, 0.0), 60)
    return f"{rest:.2f} s" if not minutes else f"{minutes:.0f} min {rest:.0f} s"
