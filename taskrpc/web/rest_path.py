"""What the paths of REST name. They are split before they are decoded: ids of workflows may have slashes."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from taskrpc.core.submission import STATUSES
from taskrpc.errors import TaskRpcError, invalid_params

PREFIX: Final = "/api/v1/runtime/workflow"
_RAW_PREFIX: Final = PREFIX.encode() + b"/"

Resource = Literal["tasks", "statuses", "task", "status", "response", "request"]
_OF_TASK: Final[dict[str, Resource]] = {"status": "status", "response": "response", "request": "request"}


@dataclass(frozen=True, slots=True)
class Place:
    """A resource of a workflow; `task` is an id, or empty where the resource is of none."""

    resource: Resource
    workflow: str
    task: str = ""


def place_of(raw_path: bytes) -> Place:
    """What a path names, as it was sent. Raises `not-found`.

    In the id of a workflow `~` stands for a slash, since many proxies refuse `%2F`.
    """
    if not raw_path.startswith(_RAW_PREFIX):
        raise _nothing_at(raw_path)
    parts = raw_path.removeprefix(_RAW_PREFIX).split(b"/")
    workflow = _decoded(parts[0].replace(b"~", b"/"), raw_path)
    match [_decoded(part, raw_path) for part in parts[1:]]:
        case ["task"]:
            return Place("tasks", workflow)
        case ["task", "status"]:
            return Place("statuses", workflow, "status")
        case ["task", task] if task:
            return Place("task", workflow, task)
        case ["task", task, last] if task and last in _OF_TASK:
            return Place(_OF_TASK[last], workflow, task)
    raise _nothing_at(raw_path)


def _decoded(part: bytes, raw_path: bytes) -> str:
    try:
        text = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise _nothing_at(raw_path) from None
    if "\0" in text:
        raise _nothing_at(raw_path)
    return text


def _nothing_at(raw_path: bytes) -> TaskRpcError:
    return TaskRpcError("not-found", f"There is nothing at {raw_path[:200].decode('latin-1')!r}")


def statuses_of(text: str | None) -> list[str] | None:
    """The statuses that a query asks for, separated by commas; None for all. Raises `invalid-params`."""
    if text is None:
        return None
    statuses = text.split(",")
    for status in statuses:
        if status not in STATUSES:
            raise invalid_params("taskStatuses", f"{status[:40]!r} is none of {', '.join(STATUSES)}")
    return statuses
