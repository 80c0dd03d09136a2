"""Tasks that are done again: for each value, for each batch of a file, until a condition holds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from tests.flowable.conftest import Course, Stage
from tests.system.waiting import until

LETTERS = """
id: letters
namespace: company.post
tasks:
  - id: each
    type: core.flow.ForEach
    values: [Ada, Grace, Edith]
    tasks:
      - {id: write, type: core.debug.Return, format: "Dear {{ taskrun.value }} ({{ taskrun.iteration }})"}
      - id: ask
        type: core.flow.If
        condition: "{{ taskrun.value == 'Grace' }}"
        then:
          - id: add
            type: core.debug.Return
            format: "P.S. for {{ parent.taskrun.value }}: {{ outputs.write[parent.taskrun.value].value }}"
      - {id: post, type: core.debug.Return, format: "{{ outputs.write[taskrun.value].value }} posted"}
"""


async def test_tasks_are_done_for_each_value_in_turn(stage: Stage) -> None:
    course = await stage.run(LETTERS)
    assert [state.removesuffix(" SUCCESS") for state in course.states] == [
        "each", "write[Ada]", "ask[Ada]", "post[Ada]", "write[Grace]", "ask[Grace]", "add", "post[Grace]",
        "write[Edith]", "ask[Edith]", "post[Edith]",
    ]  # fmt: skip
    assert course.outputs("write", "Edith") == {"value": "Dear Edith (2)"}
    assert course.outputs("add") == {"value": "P.S. for Grace: Dear Grace (1)"}
    assert course.outputs("post", "Ada") == {"value": "Dear Ada (0) posted"}


async def test_values_may_come_from_another_task(stage: Stage) -> None:
    flow = LETTERS.replace("[Ada, Grace, Edith]", '"{{ outputs.names.value }}"').replace(
        "tasks:\n  - id: each",
        """tasks:\n  - {id: names, type: core.debug.Return, format: '["Joan", 7]'}\n  - id: each""",
        1,
    )
    course = await stage.run(flow)
    assert [state for state in course.states if state.startswith("post")] == ["post[Joan] SUCCESS", "post[7] SUCCESS"]


async def test_at_most_so_many_values_are_at_work_and_the_tasks_of_each_side_by_side(stage: Stage) -> None:
    flow = """
id: groups
namespace: company.post
tasks:
  - id: each
    type: core.flow.ForEach
    values: [1, 2, 3, 4]
    concurrencyLimit: 2
    tasks:
      - id: both
        type: core.flow.Parallel
        tasks:
          - {id: say, type: core.log.Log, message: "at {{ parent.taskrun.value }}"}
          - {id: work, type: scripts.shell.Commands, commands: ["sleep 0.{{ parent.taskrun.value }}"]}
"""
    course = await stage.run(flow)
    assert sorted(course.messages) == ["at 1", "at 2", "at 3", "at 4"]
    times = [_times(run) for run in course.runs if run["taskId"] == "both"]
    most = max(sum(began <= at < ended for began, ended in times) for at, _ in times)
    assert (len(times), most) == (4, 2)


def _times(run: dict[str, str]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(run["startDate"]), datetime.fromisoformat(run["endDate"])


PACK = """
id: pack
namespace: company.post
inputs: [{id: letters, type: FILE}]
tasks:
  - {id: read, type: core.debug.Return, format: "{{ read(inputs.letters) | trim | split('\\n') | join('+') }}"}
outputs: [{id: packed, type: STRING, value: "{{ outputs.read.value }}"}]
"""
PACK_ALL = """
id: pack-all
namespace: company.post
tasks:
  - id: write
    type: scripts.shell.Script
    script: for n in $(seq 1 10); do echo "letter $n" >> letters; done
    outputFiles: [letters]
  - id: pack
    type: core.flow.ForEachItem
    items: "{{ outputs.write.outputFiles.letters }}"
    batch: {rows: 4}
    namespace: company.post
    flowId: pack
    wait: true
    transmitFailed: true
    inputs: {letters: "{{ taskrun.items }}"}
    labels: {part: "of {{ taskrun.iteration }}"}
  - {id: merged, type: core.debug.Return, format: "{{ outputs.pack_merge.subflowOutputs }}"}
"""


async def test_each_batch_of_a_file_is_an_execution_and_their_outputs_are_merged(stage: Stage) -> None:
    await stage.put(PACK)
    course = await stage.run(PACK_ALL)
    assert course.outputs("pack_items")["numberOfBatches"] == 3
    assert course.outputs("pack_items")["iterations"]["SUCCESS"] == 3
    merged = (await stage.content(course.outputs("merged")["value"])).decode().splitlines()
    assert len(merged) == 3
    packed = (await stage.client.workflow_list(include_definitions=["company.post.pack"]))["resources"]
    assert sorted(each["result"]["packed"] for each in packed) == [
        "letter 1+letter 2+letter 3+letter 4",
        "letter 5+letter 6+letter 7+letter 8",
        "letter 9+letter 10",
    ]


async def test_a_batch_that_fails_fails_the_task_if_that_is_transmitted(stage: Stage) -> None:
    fail = "tasks:\n  - {id: fail, type: core.execution.Fail, condition: \"{{ read(inputs.letters) contains '9' }}\"}"
    await stage.put(PACK.replace("tasks:", fail))
    course = await stage.run(PACK_ALL, "FAILED")
    assert course.run("pack")["state"] == "FAILED"
    course = await stage.run(PACK_ALL.replace("transmitFailed: true", "transmitFailed: false"))
    assert course.run("pack")["state"] == "SUCCESS"


@contextlib.asynccontextmanager
async def site(*statuses: int) -> AsyncIterator[str]:
    """A site that answers with these statuses, one after the other, then always with the last."""
    left = [*statuses]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = left.pop(0) if len(left) > 1 else left[0]
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/status"


POLL = """
id: poll
namespace: company.post
inputs: [{id: site, type: URI}]
tasks:
  - id: until
    type: core.flow.LoopUntil
    condition: "{{ outputs.ask.code == 200 }}"
    checkFrequency: {interval: PT30S, maxIterations: 5}
    failOnMaxReached: true
    tasks:
      - id: ask
        type: core.http.Request
        uri: "{{ inputs.site }}"
        options: {allowFailed: true}
  - {id: tell, type: core.log.Log, message: "{{ outputs.ask.code }} after {{ outputs.until.iterationCount }}"}
"""


async def paused(stage: Stage, id: str, turn: int) -> Course:
    """The execution when it waits after a turn of its loop: the next one has its number already."""

    async def there() -> Course | None:
        course = await stage.course(id)
        counts = [run.get("outputs", {}).get("iterationCount") for run in course.runs]
        return course if course.workflow["state"] == "PAUSED" and counts[0] == turn + 1 else None

    found: Course = await until(there)
    return found


async def test_a_site_is_asked_until_it_answers_well(stage: Stage) -> None:
    async with site(503, 404, 200) as url:
        id = await stage.begin(POLL, site=url)
        for turn in (1, 2):
            assert (await paused(stage, id, turn)).states == ["until PAUSED", "ask SUCCESS"]
            await stage.pass_time(30)
        course = await stage.ended(id)
    assert course.messages == ["200 after 3"]


async def test_a_site_that_never_answers_well_is_asked_so_many_times(stage: Stage) -> None:
    async with site(503) as url:
        id = await stage.begin(POLL.replace("maxIterations: 5", "maxIterations: 2"), site=url)
        await paused(stage, id, 1)
        await stage.pass_time(30)
        course = await stage.ended(id, "FAILED")
    assert course.states == ["until FAILED", "ask SUCCESS"]


async def test_an_answer_that_is_a_failure_ends_the_loop_unless_it_is_allowed(stage: Stage) -> None:
    async with site(503, 200) as url:
        course: Course = await stage.run(POLL.replace("{allowFailed: true}", "{}"), "FAILED", site=url)
    assert course.states == ["until FAILED", "ask FAILED"]


@pytest.mark.parametrize(("type", "limit"), [("EachSequential", ""), ("EachParallel", "concurrent: 2, ")])
async def test_the_former_loops_do_the_same(stage: Stage, type: str, limit: str) -> None:
    flow = f"""
id: former
namespace: company.post
tasks:
  - {{id: each, type: core.flow.{type}, value: ["a", "b"], {limit}tasks: [
      {{id: say, type: core.debug.Return, format: "{{{{ taskrun.value }}}}"}}]}}
"""
    course = await stage.run(flow)
    assert sorted(course.states) == ["each SUCCESS", "say[a] SUCCESS", "say[b] SUCCESS"]
