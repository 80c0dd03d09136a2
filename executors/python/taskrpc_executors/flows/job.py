"""What a leaf task of a flow is given: the properties as they stand in the flow, and where it belongs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from taskrpc.client import AsyncClient, AsyncFiles, RetryPolicy
from taskrpc.core.definition import invalid, mistakes
from taskrpc.core.file_uri import uri_of
from taskrpc.errors import invalid_params_of
from taskrpc.executor import Task
from taskrpc.wire.codecs import JSON

from .workspace import Workspace

PLACE: Final = "$execution"
# Properties that every task of a flow may have; all but the time-out are the flow engine's matter.
_OF_EVERY_TASK: Final = frozenset(
    {"id", "type", "description", "disabled", "runIf", "allowFailure", "allowWarning", "retry", "workerGroup"}
    | {"logLevel", "logToFile", "taskCache", "pluginDefaultsRef", "version"}
)
_PATIENCE: Final = RetryPolicy(budget=120.0)

P = TypeVar("P", bound="Properties")


def _parsed(value: object) -> object:
    """A list or mapping that an expression made is text."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        return JSON.decode(value.encode())
    return value


def _text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[list[Text], BeforeValidator(lambda value: _parsed([value] if _is_plain(value) else value))]
TextMap = Annotated[dict[str, Text], BeforeValidator(_parsed)]


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and not value.lstrip().startswith("[")


class Properties(BaseModel):
    """The properties of a type; one that is not known is a mistake. `timeout` is ISO 8601, as in PT30S."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    timeout: timedelta | None = None


class FilesOfExecution(BaseModel):
    """Where the task puts its files, and the token that opens them."""

    prefix: str
    token: str | None = None


class Place(BaseModel):
    """Where a task belongs; the flow engine sends it as `$execution`. Unknown keys are for others."""

    namespace: str | None = None
    taskRunId: str | None = None
    files: FilesOfExecution | None = None
    cache: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """How the service is reached."""

    url: str
    api_key: str | None = None

    def client(self, retry: RetryPolicy = _PATIENCE) -> AsyncClient:
        """A client of its methods."""
        return AsyncClient(self.url, api_key=self.api_key, retry=retry)


@dataclass(frozen=True, slots=True)
class Job:
    """A leaf task that is carried out: its properties (not yet checked), its place, the directory it works in."""

    task: Task
    given: Mapping[str, Any]
    place: Place
    workspace: Workspace
    service: Service

    def properties(self, model: type[P]) -> P:
        """The properties of a type, with the directory filled in; raises `invalid-params` that lists every mistake."""
        return read_properties(model, self.workspace.filled(dict(self.given)))

    def files(self) -> AsyncFiles:
        """The internal storage, as far as this task may use it."""
        token = self.place.files.token if self.place.files is not None else None
        return AsyncFiles(self.service.url, token=token, api_key=self.service.api_key, retry=_PATIENCE)

    @property
    def prefix(self) -> str:
        """What the URIs of this task's files begin with."""
        return self.place.files.prefix if self.place.files is not None else uri_of(f"tasks/{self.task.id}/")


def read_properties(model: type[P], given: Mapping[str, Any]) -> P:
    """Properties without those that every task may have; null counts as absent."""
    own = {key: value for key, value in given.items() if key not in _OF_EVERY_TASK and value is not None}
    try:
        return model.model_validate(own)
    except ValidationError as error:
        raise invalid(error) from None


Leaf = Callable[[Job], Awaitable[dict[str, Any]]]
"""Carries out the tasks of one type; answers their outputs."""


def read_place(params: Mapping[str, Any]) -> Place:
    """Where the task belongs; nowhere, for one that no flow has made."""
    try:
        return Place.model_validate(params.get(PLACE) or {})
    except ValidationError as error:
        raise invalid_params_of(mistakes(error, PLACE)) from None


class NamespaceFiles(BaseModel):
    """`namespaceFiles`: which files of which namespaces are put into the directory."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = True
    include: Texts = Field(default_factory=list)
    exclude: Texts = Field(default_factory=list)
    namespaces: Texts = Field(default_factory=list)
    folderPerNamespace: bool = False
