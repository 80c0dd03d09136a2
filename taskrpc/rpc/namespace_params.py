"""Parameters of the methods about what flows keep by namespace."""

import base64
import binascii
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StrictInt,
    StrictStr,
    model_validator,
)

from taskrpc.core.definition import TEN_YEARS_MS, shown
from taskrpc.core.names import check_key, check_namespace, check_path
from taskrpc.rpc.params import Count, Exact, PageNumber, Revision

LONGEST_SECRET: Final = 64 * 1024


def _secret(value: object) -> SecretStr:
    """A secret's value; what is wrong with it is said without repeating it."""
    if not isinstance(value, str) or not value:
        raise ValueError("text that is not empty is expected; it is not shown here")
    if len(value.encode()) > LONGEST_SECRET:
        raise ValueError(f"a secret has at most {LONGEST_SECRET} bytes")
    return SecretStr(value)


def _bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"text in base64 is expected, not {shown(value)}")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("it is not base64 with padding") from None


def _task(value: object) -> object:
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) and value[key] for key in ("id", "type")):
        raise ValueError(f"a task is a mapping with id and type, not {shown(value)}")
    return value


Namespace = Annotated[StrictStr, AfterValidator(check_namespace)]
Key = Annotated[StrictStr, AfterValidator(check_key)]
Path = Annotated[StrictStr, AfterValidator(check_path)]
Description = Annotated[StrictStr, Field(max_length=1000)]
Tasks = Annotated[list[Annotated[dict[str, Any], BeforeValidator(_task)]], Field(min_length=1)]


class OfEntry(Exact):
    """`get` and `delete` of any kind: the name is called differently on the wire, and has rules of its own."""

    namespace: Namespace
    name: StrictStr


class OfKey(OfEntry):
    """`get` and `delete` of a key or a secret."""

    name: Key = Field(alias="key")


class PutKey(OfKey):
    """`awf.kv/put`."""

    value: Any
    ttl: Annotated[StrictInt, Field(ge=1, le=TEN_YEARS_MS)] | None = None


class PutSecret(OfKey):
    """`awf.secret/put`."""

    value: Annotated[SecretStr, BeforeValidator(_secret)]
    description: Description | None = None


class OfFile(OfEntry):
    """`get` and `delete` of a file."""

    name: Path = Field(alias="path")


class PutFile(OfFile):
    """`awf.namespace-file/put`: the content as text or in base64."""

    text: StrictStr | None = Field(None, alias="content")
    binary: Annotated[bytes, BeforeValidator(_bytes)] | None = Field(None, alias="contentBase64")

    @model_validator(mode="after")
    def _has_one_content(self) -> "PutFile":
        if (self.text is None) == (self.binary is None):
            raise ValueError("one of content and contentBase64 has to be given")
        return self

    @property
    def content(self) -> bytes:
        return self.text.encode() if self.text is not None else self.binary or b""


class OfTemplate(OfEntry):
    """`delete` of a template."""

    name: Key = Field(alias="id")


class GetTemplate(OfTemplate):
    """`awf.template/get`: as it is now, or one revision."""

    revision: Revision | None = None


class PutTemplate(OfTemplate):
    """`awf.template/put`: the tasks that flows take in, and what is done on errors and finally."""

    description: Description | None = None
    tasks: Tasks
    errors: Tasks | None = None
    finally_: Tasks | None = Field(None, alias="finally")

    @property
    def spec(self) -> dict[str, Any]:
        """What a revision keeps."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude={"namespace", "name"})


class ListOfNamespace(Exact):
    """`list` of any kind: names without contents, in their order; without a namespace those of all."""

    namespace: Namespace | None = None
    prefix: StrictStr = ""
    count: Count = 100
    page: PageNumber = 1
