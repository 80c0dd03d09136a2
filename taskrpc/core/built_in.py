"""Tasks that the server does itself: their names, their params, and what may be put about them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from taskrpc.core.definition import TEN_YEARS_MS, mistakes
from taskrpc.core.selection import Selection
from taskrpc.core.timestamps import parse_time
from taskrpc.errors import TaskRpcError, invalid_params, invalid_params_of

WAIT: Final = "awf.task/wait"
SUBSCRIBE: Final = "awf.task/subscribe"
CLEAN_UP: Final = "awf.task/clean-up-activities"
CALLBACK: Final = "awf.task/callback"

Whole = Annotated[StrictInt, Field(ge=0)]
Names = Annotated[list[StrictStr], Field(max_length=1000)]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Duration(_Params):
    """How long a wait takes; at least one of the three."""

    hours: Whole | None = None
    minutes: Whole | None = None
    seconds: Whole | None = None

    @model_validator(mode="after")
    def _says_how_long(self) -> "Duration":
        given = (self.hours, self.minutes, self.seconds)
        if given == (None, None, None):
            raise ValueError("hours, minutes or seconds have to be given")
        seconds = (self.hours or 0) * 3600 + (self.minutes or 0) * 60 + (self.seconds or 0)
        if seconds * 1000 > TEN_YEARS_MS:
            raise ValueError("a wait takes ten years at most")
        return self


class Wait(_Params):
    """Params of `awf.task/wait`: a duration from the beginning of the task, or the time of its end."""

    duration: Duration | None = None
    until: StrictStr | None = None

    @field_validator("until")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        parse_time(text)
        return text

    @model_validator(mode="after")
    def _says_one(self) -> "Wait":
        if (self.duration is None) == (self.until is None):
            raise ValueError("one of duration and until has to be given")
        return self

    @property
    def ends_at(self) -> datetime | None:
        """When the wait is over, where that is said as a time."""
        return None if self.until is None else parse_time(self.until)


class Subscribe(_Params):
    """Params of `awf.task/subscribe`: the conditions that a resource has to fit."""

    select_by: Selection = Field(alias="select-by")


Unit = Literal["minute", "hour", "day", "week", "month", "year"]
# The longest of its kind; together with a month of 31 days more than any calendar has.
_UNIT: Final[Mapping[str, timedelta]] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}
_CENTURY: Final = timedelta(days=36600)


class RetentionPolicy(_Params):
    """How long what is done is kept, counted from its last change; units also in the plural."""

    unit: Unit
    value: Whole

    @field_validator("unit", mode="before")
    @classmethod
    def _singular(cls, unit: object) -> object:
        return unit.removesuffix("s") if isinstance(unit, str) else unit

    @model_validator(mode="after")
    def _is_within_a_century(self) -> "RetentionPolicy":
        if self.value > _CENTURY / _UNIT[self.unit]:
            raise ValueError(f"{self.value} {self.unit}s are more than a hundred years")
        return self


class CleanUpRule(_Params):
    """What a clean-up deletes: what is older than the policy says, of some definitions, or of all but some."""

    policy: RetentionPolicy = Field(alias="retentionPolicy")
    include: Names | None = Field(None, alias="includeDefinitions")
    exclude: Names | None = Field(None, alias="excludeDefinitions")

    @model_validator(mode="after")
    def _includes_or_excludes(self) -> "CleanUpRule":
        if self.include is not None and self.exclude is not None:
            raise ValueError("one of includeDefinitions and excludeDefinitions may be given, not both")
        return self


class CleanUp(_Params):
    """Params of `awf.task/clean-up-activities`."""

    rules: Annotated[list[CleanUpRule], Field(min_length=1, max_length=100)]


class Callback(_Params):
    """Params of `awf.task/callback`, which only the server makes."""

    @model_validator(mode="before")
    @classmethod
    def _is_made_by_the_server(cls, params: object) -> object:
        raise ValueError("callbacks are made by the server: give callback {url, headers} to what is to be told of")


_PARAMS: Final[Mapping[str, type[_Params]]] = {
    WAIT: Wait,
    SUBSCRIBE: Subscribe,
    CLEAN_UP: CleanUp,
    CALLBACK: Callback,
}
BUILT_INS: Final = frozenset(_PARAMS)
# They begin with their creation, so nothing can be put off.
AT_ONCE: Final = frozenset({WAIT, SUBSCRIBE})
_FIELDS: Final = frozenset({"description", "retention", "timeout"})
# What a clean-up needs to go on soon when its server has died; it tells of itself every few seconds.
_OWN_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    CLEAN_UP: {"inProgressTimeout": 15_000, "allowedRetryCount": 10, "retryDelay": 1000},
    CALLBACK: {
        "inProgressTimeout": 30_000,
        "allowedRetryCount": 10,
        "retryDelay": 5000,
        "retryBackoff": {"factor": 2, "max": 3_600_000, "jitter": 0.2},
        "retention": 604_800_000,
    },
}


def parse_params(name: str, params: object, path: str = "params") -> _Params:
    """The params of a built-in task, which stand at `path`; raises `invalid-params` with every mistake."""
    try:
        return _PARAMS[name].model_validate({} if params is None else params)
    except ValidationError as error:
        raise invalid_params_of(mistakes(error, path)) from None


def definition_fields(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """All fields of a built-in's definition, given those that somebody puts. Raises `invalid-params` for others than
    `description`, `retention` and `timeout`: the rest belongs to the server."""
    for field in fields:
        if field not in _FIELDS:
            raise invalid_params(field, f"{name} is done by the server: only {', '.join(sorted(_FIELDS))} can be put")
    return {**_OWN_FIELDS.get(name, {}), **fields}


def refuse_polls(names: list[str]) -> None:
    """Raises ValueError when a poll asks for tasks that the server does itself."""
    for name in names:
        if name in BUILT_INS:
            raise ValueError(f"{name} is done by the server itself; executors cannot poll it")


def refuse_time(name: str) -> TaskRpcError:
    """`invalid-params` for an `executeAt` of a task that begins with its creation."""
    return invalid_params(
        "executeAt", f"{name} begins at once; to begin later let a rule or a workflow create it later"
    )
