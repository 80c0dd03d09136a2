"""Tasks that share a directory on one executor, and those that wait for somebody or for a time."""

import pytest

from taskrpc.errors import TaskRpcError
from tests.flowable.conftest import Stage
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
