"""Histories by hand: a story tells step by step what happened to tasks, as clients and the log would write it down.

Left alone it tells of a service without a fault. What a bad service would have done is told with `act`, which checks
nothing.
"""

import itertools
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

from tests.faults.history import History, Record, history_of

PLAIN: Final = "faults/plain"
LIMITED: Final = "faults/limited"
BRIEF: Final = "faults/brief"
_QUICK: Final = {"requestedToStartTimeout": 1000, "inProgressTimeout": 2000, "retryDelay": 500, "allowedRetryCount": 2}
_SERVERS: Final = ("server-0", "server-1")
_ACTIONS: Final = {"create": "create-and-execute"}


class Story:
    """A run that is being told; `now` is its clock, in seconds."""

    def __init__(self, definitions: dict[str, Record] | None = None, **run: Any) -> None:
        self.now = 0.0
        self.there: dict[str, Record] = {}
        self._ops, self._seqs, self._numbers = itertools.count(1), itertools.count(1), itertools.count(1)
        head = {"kind": "run", "at": 0.0, "wall": 0.0, "definitions": definitions or {}, "servers": [*_SERVERS], **run}
        self.records: list[Record] = [head]

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def write(self, kind: str, **fields: Any) -> None:
        """One line of the history, of now; the clock goes on a little."""
        self.now = round(self.now + 0.001, 6)
        self.records.append({"kind": kind, "at": self.now, **fields})

    def invoke(self, method: str, client: str = "client", server: str = "server-0", **params: Any) -> str:
        """Sends a call; answers its id."""
        op = f"{client}:{next(self._ops)}"
        self.write("invoke", op=op, client=client, server=server, method=f"awf.{method}", params=params)
        return op

    def refused(self, method: str, type: str, **params: Any) -> None:
        """A call that was refused."""
        self.write("fail", op=self.invoke(method, **params), error={"type": type, "message": ""})

    def unanswered(self, method: str, **params: Any) -> None:
        """A call whose answer did not come."""
        self.write("info", op=self.invoke(method, **params), why="ConnectionResetError")

    def create(self, task_id: str, definition: str = PLAIN, *, heard: bool = True, **params: Any) -> None:
        """A task comes into being, ready unless it is to wait."""
        given = {"id": task_id, "definition": definition, **params}
        op = self.invoke("task/create-and-execute", **given)
        self.begin(task_id, definition, "waiting" if "executeAt" in params else "ready", params=params.get("params"))
        self._answer(op, task_id if heard else None)

    def begin(self, task_id: str, definition: str, status: str, **fields: Any) -> None:
        """Something is there that no client asked for."""
        given = {name: value for name, value in fields.items() if value is not None}
        resource = {"id": task_id, "resourceType": "AidboxTask", "definition": definition, **given}
        self.there[task_id] = {**resource, "status": "created", "meta": {"versionId": "0"}}
        self.happens("create", task_id, status)

    def happens(self, what: str, task_id: str, status: str, **changes: Any) -> None:
        """A transition that the log tells; fields that are None vanish from the resource."""
        resource, before = self.there[task_id], self.there[task_id]["status"]
        resource |= {"status": status, **changes}
        resource["meta"] = {"versionId": str(int(resource["meta"]["versionId"]) + 1)}
        for name in [name for name, value in resource.items() if value is None]:
            del resource[name]
        self.log(what, task_id, before, status, resource.get("execId"))
        if status in ("waiting", "ready"):
            resource.pop("execId", None)

    def log(self, what: str, task_id: str, before: str, after: str, exec_id: str | None = None) -> None:
        """A line of the log alone."""
        kind = self.there[task_id]["resourceType"]
        room = "workflow" if kind == "AidboxWorkflow" else "task"
        self.write(
            "transition",
            resource={
                "id": f"{task_id}.{next(self._seqs)}",
                "subject": {"id": task_id, "resourceType": kind},
                "action": f"awf.{room}/{_ACTIONS.get(what, what)}",
                "action-params": {"id": task_id} | ({"execId": exec_id} if exec_id else {}),
                "status-before": before,
                "status-after": after,
                "meta": {"createdAt": datetime.fromtimestamp(self.now, UTC).isoformat()},
            },
        )

    def poll(
        self, task_id: str, exec_id: str, *, client: str = "client", heard: bool = True, start: bool = False
    ) -> None:
        """A task is handed out."""
        definitions = [self.there[task_id]["definition"]]
        op = self.invoke("task/poll", client, taskDefinitions=definitions, start=start)
        count = {"retryCount": self.there[task_id].get("retryCount", 0) + 1} if start else {}
        self.happens("poll", task_id, "in-progress" if start else "requested", execId=exec_id, **count)
        if heard:
            self.write("ok", op=op, answer={"resources": [deepcopy(self.there[task_id])]})
        else:
            self.write("info", op=op, why="TimeoutError")

    def act(self, what: str, task_id: str, status: str, *, heard: bool = True, **changes: Any) -> None:
        """A call about a task that is accepted: `execId` and `callId` are its params, the rest changes the task."""
        params = {name: changes.pop(name) for name in ("execId", "callId") if name in changes}
        op = self.invoke(f"task/{what}", id=task_id, **params)
        self.happens(what, task_id, status, **changes)
        self._answer(op, task_id if heard else None)

    def start(self, task_id: str, exec_id: str, **further: Any) -> None:
        count = self.there[task_id].get("retryCount", 0) + 1
        self.act("start", task_id, "in-progress", execId=exec_id, retryCount=count, **further)

    def succeed(self, task_id: str, exec_id: str, **further: Any) -> None:
        self.act("success", task_id, "done", execId=exec_id, outcome="succeeded", **further)

    def finish(self, task_id: str, exec_id: str) -> None:
        """The whole way of a ready task."""
        self.poll(task_id, exec_id)
        self.start(task_id, exec_id)
        self.succeed(task_id, exec_id)

    def look(self, task_id: str) -> None:
        """Somebody reads a task."""
        self.write("ok", op=self.invoke("task/status", id=task_id), answer={"resource": deepcopy(self.there[task_id])})

    def fault(self, name: str, seconds: float, target: str = "server-0") -> None:
        """Something is done to a party, which is back after so many seconds."""
        number = next(self._numbers)
        self.write("fault", number=number, fault=name, target=target)
        self.wait(seconds)
        self.write("healed", number=number)

    def _answer(self, op: str, task_id: str | None) -> None:
        if task_id is None:
            self.write("info", op=op, why="ConnectionResetError")
        else:
            self.write("ok", op=op, answer={"resource": deepcopy(self.there[task_id])})

    def end(self) -> History:
        """The history with everything as it is now at the end."""
        return history_of([*self.records, *({"kind": "resource", "resource": each} for each in self.there.values())])

    def drained(self, answering: Sequence[str] = _SERVERS) -> History:
        """The history of a run whose faults are over and whose queue is empty; these servers answer by then."""
        self.write("mark", name="faults-over")
        for server in answering:
            self.write("ok", op=self.invoke("task/list", "probe", server), answer={"resources": [], "total": 0})
        self.write("mark", name="drained")
        return self.end()


def quick_story(**run: Any) -> Story:
    """A story of definitions with times of a second or two; one allows one task at a time, one ends it after 3 s."""
    limited, brief = {**_QUICK, "concurrencyLimit": 1}, {**_QUICK, "timeout": 3000}
    return Story({PLAIN: _QUICK, LIMITED: limited, BRIEF: brief}, **run)
