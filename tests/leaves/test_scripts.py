"""Commands and scripts as real processes: what they say, what they see, and how they fail."""

import os
import signal
from typing import Any

import pytest
from taskrpc_executors.flows.reports import LARGEST_LINES, LARGEST_METRICS

from taskrpc.wire.codecs import JSON
from tests.executor.conftest import resource_of
from tests.leaves.conftest import Bench
from tests.system.waiting import until

COMMANDS = "scripts.shell.Commands"
SHELL = "scripts.shell.Script"
NODE = "scripts.node.Script"


async def test_commands_say_what_they_found_and_are_counted(bench: Bench) -> None:
    outputs = await bench.outputs(
        COMMANDS,
        commands=[
            "echo one; echo two >&2",
            """echo '::{"outputs": {"rows": 3, "name": "ä"}}::'""",
            """echo '::{"outputs": {"rows": 4}}::'""",
            """echo '::{"outputs": {"lines": 2}, "metrics": [{"name": "n", "type": "counter", "value": 1}]}::' >&2""",
            "printf 'no end of line'",
        ],
    )
    assert outputs == {
        "exitCode": 0,
        "vars": {"rows": 4, "name": "ä", "lines": 2},
        "outputFiles": {},
        "stdOutLineCount": 4,
        "stdErrLineCount": 2,
    }


async def test_what_is_written_can_be_watched(bench: Bench) -> None:
    id = await bench.begin(
        COMMANDS, commands=["echo first", "echo second >&2", "while ! [ -e go ]; do sleep 0.01; done"]
    )

    async def seen() -> Any:
        return (await resource_of(bench.client, id)).get("feedback")

    batches = await until(seen)
    await bench.client.stop(id)
    lines = [line for batch in batches for line in batch["lines"]]
    assert {"stream": "stdout", "text": "first"} in lines


async def test_of_very_many_lines_the_first_are_kept(bench: Bench) -> None:
    id = await bench.begin(COMMANDS, commands=["seq 100000"])
    outputs = (await bench.client.result(id))["resource"]
    lines = [line["text"] for batch in outputs["feedback"] for line in batch["lines"]]
    assert outputs["result"]["stdOutLineCount"] == 100_000
    assert lines[:1000] == [str(number) for number in range(1, 1001)]
    assert lines[1000:] == ["… further lines are not kept"]


async def test_of_very_long_lines_and_many_metrics_the_first_are_kept(bench: Bench) -> None:
    program = """
for number in range(3000):
    print(chr(0x1F600) * 3000)
    print('::{"metrics": [{"name": "' + "m" * 3000 + '", "value": 1}]}::')
"""
    id = await bench.begin(COMMANDS, inputFiles={"p.py": program}, commands=["PYTHONUTF8=1 python3 p.py"])
    ended = (await bench.client.result(id))["resource"]
    assert ended["result"]["stdOutLineCount"] == 6000
    entries = [entry for batch in ended["feedback"] for entry in batch["lines"]]
    assert abs(LARGEST_LINES + LARGEST_METRICS - len(JSON.encode(entries))) < 20_000
    told = [entry["text"] for entry in entries if entry.get("stream") == "stderr"]
    assert sorted(told) == ["… further lines are not kept", "… further metrics are not kept"]


async def test_a_command_that_fails_ends_the_others_and_keeps_what_was_made(bench: Bench) -> None:
    error = await bench.error(
        COMMANDS,
        commands=[
            """echo '::{"outputs": {"n": 1}}::'""",
            "echo made > out.txt",
            "echo bad luck >&2; (exit 7)",
            "echo never",
        ],
        outputFiles=["*.txt"],
    )
    assert error["type"] == "exit-code"
    assert error["message"] == "The commands ended with exit code 7: bad luck"
    outputs = error["data"]["outputs"]
    assert (outputs["exitCode"], outputs["vars"], outputs["stdOutLineCount"]) == (7, {"n": 1}, 1)
    assert await bench.content(outputs["outputFiles"]["out.txt"]) == b"made\n"


async def test_the_last_words_of_a_command_are_few(bench: Bench) -> None:
    error = await bench.error(COMMANDS, commands=["head -c 900000 /dev/zero | tr '\\0' x >&2; exit 3"])
    assert error["type"] == "exit-code"
    assert len(error["message"]) < 1100


async def test_without_fail_fast_the_last_command_decides(bench: Bench) -> None:
    assert (await bench.outputs(COMMANDS, commands=["false", "echo on"], failFast=False))["stdOutLineCount"] == 1
    assert (await bench.error(COMMANDS, commands=["true", "false"], failFast="false"))["type"] == "exit-code"


async def test_a_process_that_is_killed_has_the_exit_code_of_shells(bench: Bench) -> None:
    error = await bench.error(COMMANDS, commands=["kill -SEGV $$"])
    assert error["data"]["outputs"]["exitCode"] == 128 + signal.SIGSEGV


async def test_commands_see_their_own_environment_and_no_keys_of_the_executor(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKRPC_KEY", "hidden")
    outputs = await bench.outputs(
        COMMANDS,
        env={"GREETING": "hello world", "N": 3},
        commands=['echo "::{\\"outputs\\": {\\"got\\": \\"$GREETING $N [$TASKRPC_KEY] $PATH\\"}}::"'],
    )
    assert outputs["vars"]["got"] == f"hello world 3 [] {os.environ['PATH']}"


async def test_commands_may_have_others_before_them_and_another_interpreter(bench: Bench) -> None:
    outputs = await bench.outputs(
        COMMANDS,
        interpreter=["python3", "-c"],
        failFast=False,
        beforeCommands=["n = 40"],
        commands=["import json", "print('::' + json.dumps({'outputs': {'n': n + 2}}) + '::')"],
    )
    assert outputs["vars"] == {"n": 42}
    error = await bench.error(COMMANDS, interpreter=["/no/such/shell"], commands=["true"])
    assert error["message"] == "/no/such/shell cannot be run: No such file or directory"


async def test_outputs_without_end_fail_the_task_and_do_not_hold_it_up(bench: Bench) -> None:
    long = (
        """python3 -c "print('::{\\"outputs\\": {\\"a\\": \\"' + 'x' * 2000000 + '\\"}}::'); print('y\\n' * 100000)" """
    )
    error = await bench.error(COMMANDS, commands=[long])
    assert error["type"] == "bad-output"
    plain = "head -c 3000000 /dev/zero | tr '\\0' x"
    assert (await bench.outputs(COMMANDS, commands=[plain]))["stdOutLineCount"] == 1


async def test_lines_that_only_look_like_outputs_are_lines(bench: Bench) -> None:
    outputs = await bench.outputs(
        COMMANDS, commands=["echo '::{no json}::'; echo '::[1]::'; echo '::{\"outputs\": 3}::'"]
    )
    assert (outputs["vars"], outputs["stdOutLineCount"]) == ({}, 3)


async def test_a_node_script_finds_packages_in_its_directory(bench: Bench) -> None:
    outputs = await bench.outputs(
        NODE,
        beforeCommands=[
            "mkdir -p node_modules/greet",
            "echo 'module.exports = n => `hi ${n}`' > node_modules/greet/index.js",
        ],
        inputFiles={"in.json": '{"name": "Ada"}'},
        script="""
const greet = require("greet");
const {name} = JSON.parse(require("fs").readFileSync("in.json"));
console.log("::" + JSON.stringify({outputs: {said: greet(name)}}) + "::");
""",
    )
    assert outputs["vars"] == {"said": "hi Ada"}


@pytest.mark.parametrize(
    ("type", "properties", "message"),
    [
        (COMMANDS, {}, "commands: is required"),
        (COMMANDS, {"commands": []}, "commands: "),
        (COMMANDS, {"commands": ["true"], "comands": 1}, "comands: is not known here"),
        (SHELL, {"script": "true", "containerImage": "ubuntu"}, "containerImage: is not known here"),
        (
            SHELL,
            {"script": "true", "taskRunner": {"type": "io.kestra.plugin.scripts.runner.docker.Docker"}},
            "taskRunner: tasks run as local processes",
        ),
        (SHELL, {"script": "true", "timeout": "soon"}, "timeout: "),
        (SHELL, {"script": "true", "$execution": {"files": 1}}, "$execution.files: "),
        (SHELL, {"script": "x" * 200_000}, "/bin/sh cannot be run: Argument list too long"),
        (SHELL, {"script": "true", "namespaceFiles": {}}, "namespaceFiles.namespaces: is required"),
    ],
)
async def test_properties_that_cannot_be_carried_out_are_refused(
    bench: Bench, type: str, properties: dict[str, Any], message: str
) -> None:
    error = await bench.error(type, **properties)
    assert error["type"] == "invalid-params"
    assert error["message"].startswith(message), error["message"]


async def test_what_every_task_of_a_flow_may_have_is_accepted(bench: Bench) -> None:
    common = {"id": "a", "description": "d", "retry": {"type": "constant"}, "allowFailure": True}
    runner = {"taskRunner": {"type": "io.kestra.plugin.core.runner.Process"}}
    assert (await bench.outputs(COMMANDS, **common, **runner, commands=["true"], timeout="PT1M"))["exitCode"] == 0
