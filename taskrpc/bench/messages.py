"""The calls of executors as bytes that are ready to be sent, and the few things that are read from answers."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from taskrpc.bench.plan import Form, Plan
from taskrpc.wire.codecs import JSON, YAML, Codec

Task = tuple[bytes, bytes]  # id and execId

DEFINITION: Final = "bench/task"
HEALTH: Final = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
LONGEST_POLL_MS: Final = 600_000
_END_OF_HEAD: Final = b"\r\n\r\n"
_HOUR_MS: Final = 3_600_000
_MOST_POLLED: Final = 1000

_CODECS: Final[dict[Form, Codec]] = {"json": JSON, "yaml": YAML}
_RESULT: Final = {"imported": 1234, "skipped": 0}
# Placeholders for ids, which the server makes in the same form: so the length of a body is known beforehand.
_ID: Final = "aaaaaaaa-aaaa-7aaa-aaaa-aaaaaaaaaaaa"
_EXEC_ID: Final = "bbbbbbbb-bbbb-4bbb-bbbb-bbbbbbbbbbbb"
_YAML_ID: Final = re.compile(rb"(?m)^ *- id: (\S+)$")
_YAML_EXEC_ID: Final = re.compile(rb"(?m)^ *execId: (\S+)$")


def payload(size: int) -> dict[str, object]:
    """Params of a task, `size` bytes of JSON: records as an import of resources would have, no two of them alike."""
    params: dict[str, Any] = {"type": "bench", "input": [], "note": ""}
    room = size - len(orjson.dumps(params))
    if room < 0:
        raise ValueError(f"a payload has at least {size - room} bytes")
    step = len(orjson.dumps(_record(0))) + 1
    params["input"] = [_record(number) for number in range(room // step)]
    params["note"] = "x" * (size - len(orjson.dumps(params)))
    return params


def _record(number: int) -> dict[str, str]:
    checksum = hashlib.md5(number.to_bytes(4, "big"), usedforsecurity=False).hexdigest()
    return {"url": f"https://example.org/bulk/{number:06d}.ndjson.gz", "md5": checksum, "resourceType": "Patient"}


class _OfExecution:
    """A call about one execution, made once but for its two ids."""

    def __init__(self, codec: Codec, method: str, **params: object) -> None:
        call = {"method": f"awf.task/{method}", "params": {"id": _ID, "execId": _EXEC_ID, **params}}
        body = codec.encode(call)
        self._head = _head(codec, len(body))
        self._before, rest = body.split(_ID.encode())
        self._between, self._after = rest.split(_EXEC_ID.encode())

    def body(self, task: Task) -> bytes:
        """The call alone, as an entry of a list of calls."""
        return b"%b%b%b%b%b" % (self._before, task[0], self._between, task[1], self._after)

    def request(self, task: Task) -> bytes:
        """The whole request."""
        return b"%b%b%b%b%b%b" % (self._head, self._before, task[0], self._between, task[1], self._after)


def _head(codec: Codec, length: int) -> bytes:
    lines = "POST /rpc HTTP/1.1", "Host: localhost", f"Content-Type: {codec.content_type}", f"Content-Length: {length}"
    return "\r\n".join((*lines, "", "")).encode()


class Messages:
    """All calls of one load. Those of executions take the ids that `tasks` found in the answer to a poll."""

    def __init__(self, plan: Plan) -> None:
        self._codec = _CODECS[plan.form]
        self._params = payload(plan.payload)
        of_definition = {"taskDefinitions": [DEFINITION]}
        self._create = {"definition": DEFINITION, "params": self._params}
        self.create = self._call("create-and-execute", self._create)
        self.poll = self._call("poll", {**of_definition, "maxBatchSize": plan.array})
        self.poll_started = self._call("long-poll", {**of_definition, "start": True})
        self.poll_many_started = self._call("poll", {**of_definition, "start": True, "maxBatchSize": _MOST_POLLED})
        self.poll_array_started = self._call("poll", {**of_definition, "start": True, "maxBatchSize": plan.array})
        self.wait = self._call("long-poll", {**of_definition, "timeout": LONGEST_POLL_MS})
        self._start = _OfExecution(self._codec, "start")
        self._success = _OfExecution(self._codec, "success", result=_RESULT)
        following = {**of_definition, "start": True, "timeout": 1000}
        self._success_and_poll = _OfExecution(self._codec, "success", result=_RESULT, poll=following)
        self._heartbeat = _OfExecution(self._codec, "notify", notification="heartbeat")
        self.start, self.success = self._start.request, self._success.request
        self.success_and_poll, self.heartbeat = self._success_and_poll.request, self._heartbeat.request

    def _http(self, body: bytes) -> bytes:
        return _head(self._codec, len(body)) + body

    def _call(self, method: str, params: object) -> bytes:
        return self._http(self._codec.encode({"method": f"awf.task/{method}", "params": params}))

    def define(self) -> bytes:
        """Puts the definition with time limits so long that nothing of a load ever reaches them."""
        limits = {"id": DEFINITION, "requestedToStartTimeout": _HOUR_MS, "inProgressTimeout": _HOUR_MS}
        return self._http(self._codec.encode({"method": "awf.definition/put", "params": limits}))

    def create_many(self, count: int) -> bytes:
        """Creates tasks in one body."""
        return self._list([self._codec.encode(self._creation())] * count)

    def create_named(self, ids: Iterable[str]) -> bytes:
        """Creates tasks with ids of ours, in one body."""
        return self._list([self._codec.encode(self._creation(id=task_id)) for task_id in ids])

    def start_many(self, tasks: Sequence[Task]) -> bytes:
        """Starts executions in one body."""
        return self._list([self._start.body(task) for task in tasks])

    def success_many(self, tasks: Sequence[Task]) -> bytes:
        """Ends executions in one body."""
        return self._list([self._success.body(task) for task in tasks])

    def success_many_and_poll(self, tasks: Sequence[Task]) -> bytes:
        """Ends executions, and fetches as many tasks as an array has, started, in one body."""
        return self._list([*map(self._success.body, tasks), self.poll_array_started.partition(_END_OF_HEAD)[2]])

    def _creation(self, **further: str) -> object:
        return {"method": "awf.task/create-and-execute", "params": {**self._create, **further}}

    def _list(self, calls: Sequence[bytes]) -> bytes:
        return self._http(b"[%b]" % b",".join(calls))

    def tasks(self, body: bytes) -> list[Task]:
        """The tasks that an answer hands out; of a list of answers the last."""
        if self._codec is YAML:
            return list(zip(_YAML_ID.findall(body), _YAML_EXEC_ID.findall(body), strict=True))
        answer = orjson.loads(body)
        resources = (answer[-1] if isinstance(answer, list) else answer)["result"]["resources"]
        return [(resource["id"].encode(), resource["execId"].encode()) for resource in resources]


def check_all(body: bytes) -> None:
    """Raises ValueError when the answer to a list of calls has a refusal in it."""
    if b'"error":' in body:
        raise ValueError("a call of the list was refused")
