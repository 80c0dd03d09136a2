"""What the decisions of a workflow may say: lists of actions, checked as a whole before any of them takes effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StrictStr, ValidationError

from taskrpc.core.definition import Kind, Name, mistakes, shown
from taskrpc.errors import Mistake, invalid_params_of

PREFIX: Final = "awf.workflow.action/"
MOST_ACTIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task or a workflow to be started. `path` is where its request stands, for mistakes that are found later."""

    kind: Kind
    definition: str
    label: str | None
    params: dict[str, Any] | None
    path: str


@dataclass(frozen=True, slots=True)
class End:
    """How a workflow ends: `action` with its prefix, as the log tells it; `path` is where the action stands."""

    action: str
    outcome: Literal["succeeded", "failed"]
    path: str
    result: object = None
    error: object = None
    reason: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a decision says: activities to start, or the end of the workflow, or neither."""

    schedules: tuple[Schedule, ...] = ()
    end: End | None = None


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Request(_Exact):
    definition: Name
    label: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None
    params: dict[str, Any] | None = None


class _DoNothing(_Exact):
    action: str


class _Schedule(_DoNothing):
    request: _Request = Field(validation_alias=AliasChoices("task-request", "workflow-request"))


class _Complete(_DoNothing):
    result: Any = None


class _Fail(_DoNothing):
    error: Any = None


_FORMS: Final[Mapping[str, type[_DoNothing]]] = {
    "schedule-task": _Schedule,
    "schedule-workflow": _Schedule,
    "do-nothing": _DoNothing,
    "complete-workflow": _Complete,
    "fail": _Fail,
    "unknown-error": _Fail,
}
_REASONS: Final[Mapping[str, Mapping[str, object]]] = {
    "fail": {"type": "awf.workflow/failed-by-executor", "message": "Failed by executor"},
    "unknown-error": {"type": "awf.executor/unknown-error", "message": "Unknown error"},
}


def parse_decision(result: object) -> Decision:
    """What the result of a decision task says: one action, a list of actions, or nothing at all (do-nothing).

    Of several activities with one label it is the first. Raises `invalid-params` that lists the mistakes of all actions
    with their paths below `result`.
    """
    if result is None:
        return Decision()
    entries = result if isinstance(result, list) else [result]
    if len(entries) > MOST_ACTIONS:
        raise invalid_params_of([Mistake("result", f"at most {MOST_ACTIONS} actions are possible, not {len(entries)}")])
    found: list[Mistake] = []
    said: list[Schedule | End] = []
    for n, entry in enumerate(entries):
        path = f"result.{n}" if isinstance(result, list) else "result"
        try:
            said += _read(entry, path)
        except _Mistaken as mistaken:
            found += mistaken.mistakes
    ends = [each for each in said if isinstance(each, End)]
    found += [_beside_an_end(each) for each in said if ends and each is not ends[0]]
    if found:
        raise invalid_params_of(found)
    return Decision(_first_of_each_label(said), ends[0] if ends else None)


class _Mistaken(Exception):
    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__()
        self.mistakes = mistakes


def _read(entry: object, path: str) -> list[Schedule | End]:
    if not isinstance(entry, dict):
        raise _Mistaken(Mistake(path, f"an action is a mapping with the key action, not {shown(entry)}"))
    name = _name(entry, path)
    try:
        action = _FORMS[name].model_validate(_without_nulls(entry))
    except ValidationError as error:
        raise _Mistaken(*mistakes(error, path)) from None
    match action:
        case _Schedule(request=request):
            place = f"{path}.{'task-request' if entry.get('task-request') is not None else 'workflow-request'}"
            kind: Kind = "task" if name == "schedule-task" else "workflow"
            return [Schedule(kind, request.definition, request.label, request.params, place)]
        case _Complete(result=result):
            return [End(PREFIX + name, "succeeded", path, result=result)]
        case _Fail(error=error):
            return [End(PREFIX + name, "failed", path, error=error, reason=_REASONS[name])]
    return []


def _name(entry: Mapping[str, object], path: str) -> str:
    """The name of an action without its prefix, which may be left out."""
    given = entry.get("action")
    if given is None:
        raise _Mistaken(Mistake(f"{path}.action", "is required"))
    name = given.removeprefix(PREFIX) if isinstance(given, str) else None
    if name is None or name not in _FORMS:
        known = ", ".join(PREFIX + each for each in _FORMS)
        raise _Mistaken(Mistake(f"{path}.action", f"one of {known} is expected, not {shown(given)}"))
    return name


def _without_nulls(entry: dict[str, Any]) -> dict[str, Any]:
    """What is null counts as absent, in an action and in its request."""
    return {
        key: {name: inner for name, inner in value.items() if inner is not None}
        if key.endswith("-request") and isinstance(value, dict)
        else value
        for key, value in entry.items()
        if value is not None
    }


def _first_of_each_label(said: Sequence[Schedule | End]) -> tuple[Schedule, ...]:
    """A label that occurs again starts nothing again."""
    schedules = [each for each in said if isinstance(each, Schedule)]
    first = {each.label: each for each in reversed(schedules)}
    return tuple(each for each in schedules if each.label is None or first[each.label] is each)


def _beside_an_end(other: Schedule | End) -> Mistake:
    if isinstance(other, End):
        return Mistake(f"{other.path}.action", "the workflow ends with another action of this list already")
    return Mistake(other.path, "the workflow ends with this decision, so nothing can be started")
