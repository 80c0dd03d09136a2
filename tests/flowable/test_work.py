"""Tasks that share a directory on one executor, and those that wait for somebody or for a time."""

from pathlib import Path
from typing import Any

import pytest
from taskrpc_executors import FlowLeaves

from taskrpc import Executor
from taskrpc.errors import TaskRpcError
from tests.databases import Clock
from tests.executor.conftest import serving
from tests.executor.workshop import empty_workshop
from tests.flowable.conftest import Stage
from tests.leaves.processes import written
from tests.system.waiting import until

SHARED = """
id: shared
namespace: company.garden
tasks:
  - id: bed
    type: core.flow.WorkingDirectory
    tasks:
      - id: sow
        type: scripts.shell.Commands
        taskRunner: {type: core.runner.Process}
        commands: ['echo "sown by {{ taskrun.id }}" > {{ workingDir }}/bed.txt']
      - id: reap
        type: scripts.shell.Commands
        commands: ['echo "::{\\"outputs\\": {\\"found\\": \\"$(cat {{ workingDir }}/bed.txt)\\"}}::"']
  - id: elsewhere
    type: scripts.shell.Commands
    commands: ['test ! -e bed.txt']
"""


async def test_tasks_of_a_directory_find_what_those_before_them_left(stage: Stage) -> None:
    course = await stage.run(SHARED)
    assert course.states == ["bed SUCCESS", "sow SUCCESS", "reap SUCCESS", "elsewhere SUCCESS"]
    assert course.outputs("reap")["vars"] == {"found": f"sown by {course.run('sow')['id']}"}


async def test_a_directory_keeps_files_for_the_next_execution(stage: Stage) -> None:
    flow = """
id: cached
namespace: company.garden
tasks:
  - id: shed
    type: core.flow.WorkingDirectory
    cache: {patterns: ["node_modules/**"], ttl: PT1H}
    tasks:
      - id: count
        type: scripts.node.Script
        beforeCommands:
          - mkdir -p node_modules/tools
          - |
            cd node_modules/tools
            test -e index.js || echo "module.exports = 'made at {{ execution.id }}'" > index.js
            cd ../..
        script: |
          console.log('::' + JSON.stringify({outputs: {tool: require('tools')}}) + '::')
"""
    first = await stage.run(flow)
    made = f"made at {first.workflow['id']}"
    assert first.outputs("count")["vars"] == {"tool": made}
    again = await stage.run(flow)
    assert again.outputs("count")["vars"] == {"tool": made}
    other = await stage.run(flow.replace("id: cached", "id: other"))
    assert other.outputs("count")["vars"] == {"tool": f"made at {other.workflow['id']}"}


async def test_a_directory_begins_with_files_of_its_namespace(stage: Stage) -> None:
    for path in ("plans/spring.txt", "plans/spring.md", "notes/spring.txt"):
        file = {"namespace": "company.garden", "path": path, "content": f"this is {path}"}
        await stage.client.call("awf.namespace-file/put", file)
    flow = """
id: planned
namespace: company.garden
tasks:
  - id: bed
    type: core.flow.WorkingDirectory
    namespaceFiles: {enabled: true, include: ["plans/*.*"], exclude: ["plans/*.md"]}
    tasks:
      - id: look
        type: scripts.shell.Commands
        commands:
          - there=$(find . -type f | sort | xargs); is=$(cat plans/spring.txt)
          - 'echo "::{\\"outputs\\": {\\"there\\": \\"$there\\", \\"is\\": \\"$is\\"}}::"'
"""
    found = (await stage.run(flow)).outputs("look")["vars"]
    assert found == {"there": "./plans/spring.txt", "is": "this is plans/spring.txt"}


LONG_WORK = """
id: lost
namespace: company.garden
tasks:
  - id: bed
    type: core.flow.WorkingDirectory
    tasks:
      - id: sow
        type: scripts.shell.Commands
        commands: ['echo $$ >> {ran}; while ! [ -e {go} ]; do sleep 0.05; done']
"""


async def test_a_directory_that_began_anew_is_not_served_by_an_executor_that_was_cut_off(
    database_url: str, clock: Clock, tmp_path: Path
) -> None:
    ran, go = tmp_path / "ran", tmp_path / "go"
    async with empty_workshop(database_url, tmp_path) as at:
        stage = Stage(at.running, at.client, at.http, clock)
        executor = Executor(at.running.url)
        FlowLeaves(at.running.url).register(executor, concurrency=1)
        async with serving(executor):
            id = await stage.begin(LONG_WORK.format(ran=ran, go=go))
            await written(ran)
            await stage.pass_time(121)
            await stage.pass_time(10)
            (directory,) = await _polled(stage, "core.flow.WorkingDirectory")
            child = await until(lambda: _ready(stage, f"working-directory:{id}-1"))
            go.touch()
            await until(lambda: _handed_back(stage, child))
            for _ in ("the task", "the end"):
                (task,) = await _polled(stage, f"working-directory:{id}-1")
                await stage.client.success(task["id"], task["execId"], {})
            await stage.client.success(directory["id"], directory["execId"], {"outputFiles": {}})
            await stage.ended(id)
    assert len(ran.read_text().split()) == 1


async def _polled(stage: Stage, definition: str) -> list[Any]:
    """One task, in this test's hands."""
    answer = await stage.client.long_poll([definition], start=True)
    return list(answer["resources"])


async def _ready(stage: Stage, definition: str) -> str | None:
    """The id of the task that waits in a queue."""
    found = (await stage.client.list(include_definitions=[definition], status=["ready"]))["resources"]
    return found[0]["id"] if found else None


async def _handed_back(stage: Stage, task: str) -> bool:
    log = (await stage.client.status(task, include_log=True))["log"]
    return any(entry["action"] == "awf.task/release" for entry in log)


PAUSE = """
id: pause
namespace: company.garden
tasks:
  - id: approve
    type: core.flow.Pause
    onResume: [{id: reason, type: STRING}]
    tasks:
      - {id: approved, type: scripts.shell.Commands, commands: [echo approved]}
  - id: grow
    type: core.flow.Pause
    delay: PT5M
    tasks:
      - {id: grown, type: scripts.shell.Commands, commands: [echo grown]}
  - {id: tell, type: core.log.Log, message: "{{ outputs.approve.onResume.reason }}"}
"""


async def test_an_execution_waits_for_somebody_and_for_a_time(stage: Stage) -> None:
    id = await stage.begin(PAUSE)
    assert (await stage.until_state(id, "PAUSED")).states == ["approve PAUSED"]
    await stage.pass_time(3600)
    with pytest.raises(TaskRpcError, match=r"invalid-params: .*reason"):
        await stage.client.workflow_resume(id)
    assert (await stage.course(id)).states == ["approve PAUSED"]
    await stage.client.workflow_resume(id, inputs={"reason": "it is spring"})

    async def grows() -> bool:
        return (await stage.course(id)).states == ["approve SUCCESS", "approved SUCCESS", "grow PAUSED"]

    await until(grows)
    await stage.pass_time(299)
    assert await grows()
    await stage.pass_time(2)
    course = await stage.ended(id)
    assert course.states[2:] == ["grow SUCCESS", "grown SUCCESS", "tell SUCCESS"]
    assert course.messages[-1] == "it is spring"
