"""The world of the cases on a real service: executions in a real database, whose clock is moved to what comes next.

It has the shape of `tests.flows.simulation.World`, so that the same cases run in both. Cases are synchronous: they run
in a thread, and everything that is real happens in the loop of the test.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import orjson

from taskrpc.core.flow.advance.events import Event, Killed, Log, Restarted, Resumed
from taskrpc.core.flow.advance.state import State, begin
from taskrpc.core.flow.model import Flow
from taskrpc.core.ids import serial_id
from taskrpc.engine.execution_starts import workflow_of
from taskrpc.engine.flows import flow_name
from taskrpc.engine.requests import TaskRequest
from taskrpc.errors import TaskRpcError
from taskrpc.store.workflows import WorkflowCreations
from tests.databases import Clock, connected
from tests.engine.headless import Headless
from tests.flows.execution import Execution
from tests.flows.simulation import SECOND

T = TypeVar("T")

# In one look, since what is due becomes an event at any moment.
PLANNED = """
select (select count(*) from taskrpc.event e join taskrpc.execution x on x.id = e.workflow_id) as events,
    (select count(*) from taskrpc.task where queued and kind = 'task') as ready,
    extract(epoch from least(
        (select min(at) from taskrpc.execution_timer),
        (select min(wake_at) from taskrpc.task where wake_at is not null)
    ) - taskrpc.now())::float8 as seconds
"""
EXECUTIONS = """
select e.id, t.rev from taskrpc.execution e join taskrpc.task t using (id)
order by t.created_at, nullif(split_part(t.label, '/', 4), '')::int, e.key
"""
READY = "select id, name, params, label, parent_id from taskrpc.task where queued and kind = 'task' order by id"
BUSY = "select count(*) from taskrpc.event e join taskrpc.execution x on x.id = e.workflow_id"
LOGS = """
select at, params from taskrpc.log where task_id = $1 and action = 'awf.workflow/log' order by seq
"""


class RealExecution(Execution):
    """An execution of the service, looked at anew each time."""

    def __init__(self, world: "RealWorld", id: str, flow: Flow) -> None:
        self.world = world
        self.id = id
        self.flow = flow

    @property
    def state(self) -> State:  # type: ignore[override]
        """As it is in the database now."""
        return self.world.wait(self.world.state(self.id))

    @property
    def logs(self) -> list[Log]:  # type: ignore[override]
        """What its log says."""
        return self.world.wait(self.world.logs(self.id))


class RealWorld:
    """The service, its executors, its clock."""

    def __init__(self, server: Headless, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.clock = clock
        self._loop = loop
        self.flows: dict[tuple[str, str], Flow] = {}
        self._known: dict[str, RealExecution] = {}
        self._count = 0
        self._directories: dict[str, dict[str, str]] = {}

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Has something done in the loop of the test."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    @property
    def now(self) -> int:
        """The database's time."""
        return self.wait(self.server.parts.services.executions.commands._starts.now())

    # -- executions --------------------

    @property
    def executions(self) -> dict[str, RealExecution]:
        """All executions that there are, the oldest first."""
        return self.wait(self._executions())

    async def _executions(self) -> dict[str, RealExecution]:
        async with connected(self.clock.url) as connection:
            rows = await connection.fetch(EXECUTIONS)
        for row in rows:
            if row["id"] not in self._known:
                loaded = await self.server.parts.services.flows.of_rev(row["rev"])
                assert loaded is not None
                flow = self.flows.get((loaded.flow.namespace, loaded.flow.id), loaded.flow)
                self._known[row["id"]] = RealExecution(self, row["id"], flow)
        return {row["id"]: self._known[row["id"]] for row in rows}

    async def state(self, id: str) -> State:
        """The state of an execution."""
        cached = await self.server.parts.services.executions.commands._steps.load(id)
        assert cached is not None
        return cached.state

    async def logs(self, id: str) -> list[Log]:
        """The lines of an execution's log."""
        async with connected(self.clock.url) as connection:
            rows = await connection.fetch(LOGS, id)
        entries = [orjson.loads(row["params"]) for row in rows]
        return [Log(0, 0, entry["level"], entry["message"], entry["taskId"]) for entry in entries]

    # -- what people do --------------------

    def start(
        self, flow: Flow, inputs: Mapping[str, Any] | None = None, *, checked: bool = True, admission: str = "RUN",
        labels: Mapping[str, str] | None = None,
    ) -> RealExecution:  # fmt: skip
        """A new execution."""
        id = self.wait(self._start(flow, dict(inputs or {}), checked, dict(labels or {})))
        return self.executions[id]

    async def _start(self, flow: Flow, inputs: dict[str, Any], checked: bool, labels: dict[str, str]) -> str:
        services = self.server.parts.services
        loaded = await services.flows.load(flow_name(flow.namespace, flow.id))
        assert loaded is not None
        starts = services.executions.commands._starts
        request = TaskRequest(
            definition=flow_name(flow.namespace, flow.id), params=inputs, id=f"execution-{self._next()}"
        )
        if checked:
            workflow = await starts.new(request, loaded, serial_id(), labels=labels)
        else:
            defaults = {each.id: each.defaults for each in flow.inputs if each.defaults is not None}
            state = begin(loaded.flow, str(request.id), await starts.now(), {**defaults, **inputs}, labels)
            workflow = workflow_of(request, loaded, serial_id(), state)
        await WorkflowCreations(self.server.parts.database, self.server.parts.signals).run([workflow])
        return workflow.id

    def _next(self) -> int:
        self._count += 1
        return self._count

    def tell(self, execution: Execution, event: Event) -> None:
        """Has something done with an execution by a call."""
        id = execution.state.head.id
        match event:
            case Killed():
                with contextlib.suppress(TaskRpcError):  # it is done already
                    self.wait(self.server.call("awf.workflow/kill", id=id))
            case Restarted():
                self.wait(self.server.call("awf.workflow/restart", id=id))
            case Resumed(run=run, inputs=inputs):
                self.wait(self.server.call("awf.workflow/resume", id=id, taskRunId=f"{id}-{run}", inputs=dict(inputs)))

    def replay(self, execution: Execution, target: int | None) -> RealExecution:
        """A new execution from an old one."""
        id = execution.state.head.id
        where = {} if target is None else {"taskRunId": f"{id}-{target}"}
        made = self.wait(self.server.call("awf.workflow/replay", id=id, **where))
        return self.executions[made["resource"]["id"]]

    def store(self, text: str, ending: str = "") -> str:
        """Puts a file away; answers its URI."""
        path = f"uploads/{self._next()}{ending}"
        self.wait(self._write(path, text))
        return f"kestra:///{path}"

    async def _write(self, path: str, text: str) -> None:
        async def pieces() -> Any:
            yield text.encode()

        await self.server.parts.services.files.write(path, pieces())

    # -- time --------------------

    def settle(self, until: int | None = None, stop: Callable[[], bool] = lambda: False) -> None:
        """Lets everything happen, up to a time (microseconds from now), or until `stop` says so."""
        end = None if until is None else self.now + until
        while not stop():
            planned = self.wait(self._planned())
            if planned["events"]:
                self.wait(asyncio.sleep(0.002))
            elif planned["ready"]:
                self.wait(self._work())
            elif not stop():  # it was asked before that look
                seconds = planned["seconds"]
                if seconds is None or (end is not None and self.now + seconds * SECOND > end):
                    return
                self.wait(self._advance(max(seconds, 0)))

    async def _planned(self) -> Any:
        async with connected(self.clock.url) as connection:
            return await connection.fetchrow(PLANNED)

    async def _advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        self.server.parts.reaper.poke()
        await asyncio.sleep(0.002)

    async def _quiet(self) -> None:
        """Returns when no execution has anything to work off."""
        deadline = asyncio.get_running_loop().time() + 20
        async with connected(self.clock.url) as connection:
            while await connection.fetchval(BUSY):
                assert asyncio.get_running_loop().time() < deadline, "executions do not come to rest"
                await asyncio.sleep(0.002)

    async def _work(self) -> None:
        """What executors do: every task that is ready is done."""
        async with connected(self.clock.url) as connection:
            rows = await connection.fetch(READY)
        for row in rows:
            (task,) = await self.server.poll(row["name"], start=True)
            await self._quiet()
            await self._do(task)

    async def _do(self, task: Any) -> None:
        params, name = task["params"], task["definition"]
        place = params.pop("$execution", {})
        if name == "core.flow.WorkingDirectory":
            files = {name: await self._content(text) for name, text in params.get("inputFiles", {}).items()}
            self._directories[place["taskRunId"]] = {"": json.dumps(task), **files}
        elif params.get("$end"):
            await self.server.of("success", task)
            await self._close(name.partition(":")[2])
        else:
            await self.server.of("success", task, result=await self._outputs(name, params))

    async def _content(self, text: str) -> str:
        if not text.startswith("kestra:///"):
            return text
        return (await self.server.parts.services.files.content(text, 2**20)).decode()

    async def _close(self, directory: str) -> None:
        files = self._directories.pop(directory)
        task = json.loads(files.pop(""))
        wanted = task["params"].get("outputFiles", [])
        outputs = {}
        for name in wanted:
            if name in files:
                outputs[name] = await self._upload(files[name])
        await self.server.of("success", task, result={"outputFiles": outputs})

    async def _upload(self, text: str) -> str:
        path = f"uploads/{self._next()}"
        await self._write(path, text)
        return f"kestra:///{path}"

    async def _outputs(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("type", name).endswith("core.storage.LocalFiles"):
            files = self._directories.get(name.partition(":")[2], {})
            files.update(params.get("inputs", {}))
            wanted = params.get("outputs", [])
            return {"uris": {each: await self._upload(files[each]) for each in files if each and each in wanted}}
        return {key: value for key, value in params.items() if key != "type"}
