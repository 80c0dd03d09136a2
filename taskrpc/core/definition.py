"""Definitions: how the tasks of a name are timed, retried, limited and checked."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from taskrpc.core.schema import Schema, compile_schema
from taskrpc.errors import MOST_MISTAKES, Mistake, TaskRpcError, invalid_params, invalid_params_of

# What is created with a definition; a flow is a workflow whose decisions the server takes.
Kind = Literal["task", "workflow"]
DefinitionKind = Literal["task", "workflow", "flow"]
TEN_YEARS_MS: Final = 315_360_000_000
Milliseconds = Annotated[StrictInt, Field(ge=0, le=TEN_YEARS_MS)]
Limit = Annotated[StrictInt, Field(ge=0, le=1_000_000_000)]
Priority = Annotated[StrictInt, Field(ge=-1_000_000_000, le=1_000_000_000)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=255)]
Label = Annotated[StrictStr, Field(min_length=1, max_length=255)]

_LONGEST_VALUE: Final = 200


class Backoff(BaseModel):
    """How delays grow from attempt to attempt: `delay * factor^(attempt - 1)`, at most `max` ms, ± a share `jitter`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    factor: float = Field(default=1, ge=1, le=1000, strict=True)
    max: Milliseconds | None = None
    jitter: float = Field(default=0, ge=0, le=1, strict=True)


def _step_of_path(step: object) -> object:
    if type(step) not in (str, int):
        raise ValueError(f"a step is a key or the number of an element, not {shown(step)}")
    return step


# Decisions are short and cost nothing but their executor's time: they are tried more often, and sooner.
_DEFAULTS_OF_WORKFLOWS: Final[Mapping[str, int]] = {"allowedRetryCount": 10, "retryDelay": 1000}

PathStep = Annotated[str | int, BeforeValidator(_step_of_path)]


class DefinitionSpec(BaseModel):
    """The fields of a definition as people write them; the names are those of the wire."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: DefinitionKind = "task"
    description: StrictStr | None = None
    requestedToStartTimeout: Annotated[StrictInt, Field(ge=1, le=TEN_YEARS_MS)] = 10_000
    inProgressTimeout: Annotated[StrictInt, Field(ge=1, le=TEN_YEARS_MS)] = 120_000
    allowedRetryCount: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 2
    retryDelay: Milliseconds = 10_000
    retryBackoff: Backoff = Backoff()
    timeout: Annotated[StrictInt, Field(ge=1, le=TEN_YEARS_MS)] | None = None
    concurrencyLimit: Limit | None = None
    concurrencyPath: Annotated[list[PathStep], Field(min_length=1, max_length=32)] | None = None
    queueLimit: Limit | None = None
    priority: Priority = 0
    retention: Milliseconds | None = None
    params: Any = None
    result: Any = None
    error: Any = None

    @model_validator(mode="before")
    @classmethod
    def _has_the_defaults_of_its_kind(cls, fields: dict[str, object]) -> dict[str, object]:
        return {**_DEFAULTS_OF_WORKFLOWS, **fields} if fields.get("kind") in ("workflow", "flow") else fields

    @property
    def starts(self) -> Kind:
        """The kind of what is created with the definition."""
        return "task" if self.kind == "task" else "workflow"

    @field_validator("concurrencyLimit", "concurrencyPath", "queueLimit")
    @classmethod
    def _limits_tasks(cls, limit: object, info: ValidationInfo) -> object:
        if limit is not None and info.data.get("kind") != "task":
            raise ValueError("a workflow has no limit; give it to the definitions of the tasks that it starts")
        return limit

    @field_validator("params", "result", "error")
    @classmethod
    def _is_a_schema(cls, document: object) -> object:
        if not isinstance(document, (dict, bool)):
            raise ValueError(f"a JSON Schema is a mapping, true or false, not {shown(document)}")
        compile_schema(document)
        return document


@dataclass(frozen=True, slots=True)
class Definition:
    """One revision of a definition, ready for use.

    Revisions 0 and -1 are the defaults, for tasks and workflows of names that nobody defined.
    """

    name: str
    rev: int
    spec: DefinitionSpec

    def _schema(self, document: object) -> Schema | None:
        return None if document is None else compile_schema(document)

    @property
    def params_schema(self) -> Schema | None:
        return self._schema(self.spec.params)

    @property
    def result_schema(self) -> Schema | None:
        return self._schema(self.spec.result)

    @property
    def error_schema(self) -> Schema | None:
        return self._schema(self.spec.error)

    def gate_value(self, task: Mapping[str, object]) -> str | None:
        """What stands at concurrencyPath in a task: JSON, or its hash where that is long; "" for nothing there."""
        if self.spec.concurrencyPath is None:
            return None
        value: object = task
        for step in self.spec.concurrencyPath:
            value = _step(value, step)
        text = "" if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        return text if len(text) <= _LONGEST_VALUE else "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def gate(self, value: str | None) -> str | None:
        """The key of the gate that a task with this value passes; None without a concurrencyLimit."""
        if self.spec.concurrencyLimit is None:
            return None
        return f"concurrency/{len(self.name)}/{self.name}/{value or ''}"

    @property
    def queue_gate(self) -> str | None:
        """The key of the gate that counts the open tasks; None without a queueLimit."""
        return None if self.spec.queueLimit is None else f"queue/{self.name}"


def _step(value: object, step: str | int) -> object:
    if isinstance(value, Mapping):
        return value.get(str(step))
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return value[step]
    return None


def default_definition(name: str, kind: Kind = "task") -> Definition:
    """What holds for tasks, or workflows, of a name that has no definition."""
    return Definition(name, *_DEFAULTS[kind])


_DEFAULTS: Final = {"task": (0, DefinitionSpec()), "workflow": (-1, DefinitionSpec(kind="workflow"))}


# What a flow is for those who create executions of it; the flow itself is read by who runs it.
FLOW_SPEC: Final = DefinitionSpec(kind="flow")
LARGEST_DEFINITION: Final = 256 * 1024


def parse_definition(fields: Mapping[str, object]) -> DefinitionSpec:
    """Checks the fields of a definition (without its id); raises `invalid-params` that lists every mistake."""
    given = {key: value for key, value in fields.items() if value is not None}
    if len(orjson.dumps(given)) > LARGEST_DEFINITION:
        raise TaskRpcError("invalid-params", f"A definition has at most {LARGEST_DEFINITION} bytes")
    if given.get("kind") == "flow":
        raise invalid_params("kind", 'task or workflow is expected, not "flow": flows are put with awf.flow/put')
    try:
        return DefinitionSpec.model_validate(given)
    except ValidationError as error:
        raise invalid(error) from None


# Pydantic speaks to programmers ("Input should be a valid dictionary"); these words are the protocol's.
_EXPECTED: Final = {
    "model_type": "a mapping is expected",
    "dict_type": "a mapping is expected",
    "list_type": "a list is expected",
    "string_type": "text is expected",
    "string_too_short": "text that is not empty is expected",
    "int_type": "an integer is expected",
    "int_parsing": "an integer is expected",
    "float_type": "a number is expected",
    "bool_type": "true or false is expected",
}


def invalid(error: ValidationError) -> TaskRpcError:
    """`invalid-params` with every mistake that pydantic found."""
    return invalid_params_of(mistakes(error))


def mistakes(error: ValidationError, below: str = "") -> list[Mistake]:
    """What pydantic found, each with a dotted path (under `below`) and a sentence that names the value."""
    found = []
    for mistake in error.errors(include_url=False, include_context=False)[:MOST_MISTAKES]:
        path = ".".join(str(part) for part in (below, *mistake["loc"]) if part != "") or "params"
        match mistake["type"]:
            case "extra_forbidden":
                message = "is not known here"
            case "missing":
                message = "is required"
            case "value_error":
                message = mistake["msg"].removeprefix("Value error, ")
            case type:
                message = f"{_EXPECTED.get(type, mistake['msg'])}, not {shown(mistake['input'])}"
        found.append(Mistake(path, message))
    return found


def shown(value: object) -> str:
    """A value as JSON for a message, shortened."""
    text = orjson.dumps(value, default=lambda other: str(other)[:80]).decode()
    return text if len(text) <= 80 else text[:76] + " …"
