"""The envelope of `/rpc`: from a body's value to calls, and from what came of each to the answer's body.

There are two forms. The plain one is `{method, params?, id?}`, answered by `{result, id?}` or `{error: {type,
message, data?}, id?}`. An entry with `jsonrpc: "2.0"` is strict JSON-RPC 2.0 and answered as such.
Each entry of a batch is answered in its own form.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.wire.faults import shown

MAX_BATCH: Final = 1000


class _Absent:
    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""The `id` of a call that has none, which is not the same as `null`."""


class Call(NamedTuple):
    """A proper entry of a request: its method, params ({} if it has none), id to echo, and form."""

    method: str
    params: dict[str, object]
    id: object
    strict: bool

    @property
    def is_notification(self) -> bool:
        """Whether the caller wants no answer, not even to an error: strict and without an id."""
        return self.strict and self.id is ABSENT


class BadCall(NamedTuple):
    """An entry that is no proper call, and the refusal that stands for it."""

    error: TaskRpcError
    id: object
    strict: bool

    @property
    def is_notification(self) -> bool:
        """Whether it gets no answer; JSON-RPC does answer, with a null id, what is no request at all."""
        return self.strict and self.id is ABSENT and self.error.type != "invalid-request"


class Request(NamedTuple):
    """What a body asks for: a single call, or a batch of them in order."""

    calls: list[Call | BadCall]
    is_batch: bool


class Answer(NamedTuple):
    """What goes back for one call, and the HTTP status it gives the response if it is the only one."""

    body: dict[str, object]
    status: int


_KEYS: Final = frozenset(("method", "params", "id", "jsonrpc"))
_ID_TYPES: Final = frozenset((str, int, float, type(None)))
_KINDS: Final[Mapping[type, str]] = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}
_JSON_RPC_CODES: Final[Mapping[str, int]] = {
    "unparsable-body": -32700,
    "invalid-request": -32600,
    "method-not-found": -32601,
    "invalid-params": -32602,
    "internal-error": -32603,
}
_OTHER_CODE: Final = -32000


def parse(body: object) -> Request:
    """The calls of a decoded body.

    An entry that is no proper call becomes a `BadCall` in its place. Raises `invalid-request` if the body is
    neither a mapping nor a list of 1 to 1000 entries; `unparsable` makes the answer then.
    """
    if isinstance(body, dict):
        return Request([_call(body)], is_batch=False)
    if not isinstance(body, list):
        raise _invalid(f"a request is a mapping, or a list of them as a batch, not {_kind(body)}")
    if not 0 < len(body) <= MAX_BATCH:
        raise _invalid(f"a batch has 1 to {MAX_BATCH} entries, not {len(body)}")
    # An entry that is no mapping does not show its form; next to a strict one it is taken to be strict too.
    strict = any(isinstance(entry, dict) and _is_strict(entry) for entry in body)
    calls = [_call(entry) if isinstance(entry, dict) else _stray(entry, strict) for entry in body]
    return Request(calls, is_batch=True)


def success(call: Call, result: object) -> Answer | None:
    """The answer to a call that was carried out; None for a notification."""
    if call.is_notification:
        return None
    if call.strict:
        return Answer({"jsonrpc": "2.0", "result": result, "id": call.id}, 200)
    return Answer(_with_id({"result": result}, call.id), 200)


def failure(call: Call | BadCall, error: TaskRpcError) -> Answer | None:
    """The answer to a call that was refused; None for a notification."""
    if call.is_notification:
        return None
    if call.strict:
        call_id = None if call.id is ABSENT else call.id
        return Answer({"jsonrpc": "2.0", "error": _strict_error(error), "id": call_id}, 200)
    return Answer(_with_id({"error": error.to_wire()}, call.id), error.http_status)


def unparsable(error: TaskRpcError) -> Answer:
    """The answer to a body in which no call was found, whatever was wrong with it.

    It is in the plain form with its HTTP status, since nothing tells that the caller expects the strict one;
    to a JSON-RPC client the response as a whole has failed.
    """
    return Answer({"error": error.to_wire()}, error.http_status)


def respond(request: Request, answers: Sequence[Answer | None]) -> tuple[int, object | None]:
    """The HTTP status and the body of the response, from one answer per call in order; no body with a 204."""
    if not request.is_batch:
        answer = answers[0]
        return (204, None) if answer is None else (answer.status, answer.body)
    bodies = [answer.body for answer in answers if answer is not None]
    return (200, bodies) if bodies else (204, None)


def _call(entry: dict[str, object]) -> Call | BadCall:
    strict = "jsonrpc" in entry and _is_strict(entry)
    method, params, call_id = entry.get("method"), entry.get("params"), entry.get("id", ABSENT)
    try:
        if call_id is not ABSENT and type(call_id) not in _ID_TYPES:
            call_id = ABSENT
            raise _invalid(f"id must be a text, a number or null, not {_kind(entry['id'])}")
        if not entry.keys() <= _KEYS:
            raise _unknown_key(entry)
        if "jsonrpc" in entry and not strict:
            raise _invalid('jsonrpc must be "2.0", or be left out for the plain form')
        if not isinstance(method, str) or not method:
            raise _no_method(entry, method)
        if params is None:
            params = {}
        elif not isinstance(params, dict):
            raise _no_mapping(params, strict)
        return Call(method, params, call_id, strict)
    except TaskRpcError as error:
        return BadCall(error, call_id, strict)


def _stray(entry: object, strict: bool) -> BadCall:
    return BadCall(_invalid(f"an entry of a batch is a mapping, not {_kind(entry)}"), ABSENT, strict)


def _is_strict(entry: dict[str, object]) -> bool:
    version = entry.get("jsonrpc")
    return version == "2.0" or (isinstance(version, float) and version == 2.0)


def _unknown_key(entry: dict[str, object]) -> TaskRpcError:
    unknown = next(key for key in entry if key not in _KEYS)
    return _invalid(f'the key "{shown(unknown)}" is unknown; a request has method, params, id and jsonrpc')


def _no_method(entry: dict[str, object], method: object) -> TaskRpcError:
    problem = "is missing" if "method" not in entry else "is empty" if method == "" else f"is {_kind(method)}"
    return _invalid(f'method {problem}; it must be a text such as "awf.task/poll"')


def _no_mapping(params: object, strict: bool) -> TaskRpcError:
    if strict and isinstance(params, list):
        return invalid_params("params", "must be a mapping; params by position are not supported")
    return _invalid(f"params must be a mapping, not {_kind(params)}")


def _strict_error(error: TaskRpcError) -> dict[str, object]:
    return {
        "code": _JSON_RPC_CODES.get(error.type, _OTHER_CODE),
        "message": error.message,
        "data": {"type": error.type} | {**(error.data or {}), "type": error.type},
    }


def _with_id(body: dict[str, object], call_id: object) -> dict[str, object]:
    if call_id is not ABSENT:
        body["id"] = call_id
    return body


def _invalid(message: str) -> TaskRpcError:
    return TaskRpcError("invalid-request", message)


def _kind(value: object) -> str:
    return _KINDS[type(value)]
