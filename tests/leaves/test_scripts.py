"""Commands and scripts as real processes: outputs, files, time-outs, stops, and nothing that lives on."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from taskrpc_executors.flows.reports import LARGEST_LINES, LARGEST_METRICS

from taskrpc.wire.codecs import JSON
from tests.executor.conftest import resource_of, until
from tests.leaves.conftest import Bench

COMMANDS = "scripts.shell.Commands"
SHELL = "scripts.shell.Script"
NODE = "scripts.node.Script"


def lives(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(*pids: int) -> None:
    async def none() -> bool:
        return not any(lives(pid) for pid in pids)

    await until(none)


async def written(path: Path) -> list[int]:
    """The numbers in a file, once it has a whole line."""

    async def numbers() -> list[int]:
        text = await asyncio.to_thread(lambda: path.read_text() if path.exists() else "")
        return [int(each) for each in text.split()] if text.endswith("\n") else []

    found: list[int] = await until(numbers)
    return found


async def test_commands_say_what_they_found_and_are_counted(bench: Bench) -> None:
    outputs = await bench.outputs(
        COMMANDS,
        commands=[
            "echo one; echo two >&2",
            """echo '::{"outputs": {"rows": 3, "name": "ä"}}::'""",
            """echo '::{"outputs": {"rows": 4}, "metrics": [{"name": "n", "type": "counter", "value": 1}]}::' >&2""",
            "printf 'no end of line'",
        ],
    )
    assert outputs == {
        "exitCode": 0,
        "vars": {"rows": 4, "name": "ä"},
        "outputFiles": {},
        "stdOutLineCount": 3,
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


async def test_before_commands_and_another_interpreter(bench: Bench) -> None:
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


async def test_files_go_in_and_come_out(bench: Bench) -> None:
    stored = await bench.store("some/items.bin", b"\x00\xff")
    outputs = await bench.outputs(
        SHELL,
        inputFiles={"in/a.txt": "text of $WORKING_DIR", "in/b.bin": stored},
        beforeCommands=["mkdir -p out/deep", "ln -s /etc/passwd out/link"],
        script=f"cp in/b.bin out/b\ncp in/a.txt out/deep/a\ncat {stored} > out/c",
        outputFiles=["out/**"],
    )
    assert sorted(outputs["outputFiles"]) == ["out/b", "out/c", "out/deep/a"]
    assert await bench.content(outputs["outputFiles"]["out/b"]) == b"\x00\xff"
    assert await bench.content(outputs["outputFiles"]["out/c"]) == b"\x00\xff"
    text = (await bench.content(outputs["outputFiles"]["out/deep/a"])).decode()
    assert text.startswith("text of /")
    assert not os.access(text.removeprefix("text of "), os.F_OK)


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["*"], ["a.txt", "b.log"]),
        (["*.txt"], ["a.txt"]),
        (["**"], ["a.txt", "b.log", "d/c.txt", "d/e/.hidden"]),
        (["**/*.txt"], ["a.txt", "d/c.txt"]),
        (["d/*"], ["d/c.txt"]),
        (["{a,b}.*", "none"], ["a.txt", "b.log"]),
        (["$WORKING_DIR/a.txt"], ["a.txt"]),
        ([], []),
        ('["b.log"]', ["b.log"]),
    ],
)
async def test_outputs_are_found_by_globs(bench: Bench, patterns: Any, found: list[str]) -> None:
    script = "mkdir -p d/e; touch a.txt b.log d/c.txt d/e/.hidden"
    outputs = await bench.outputs(SHELL, script=script, outputFiles=patterns)
    assert sorted(outputs["outputFiles"]) == found


async def test_the_name_of_a_stored_file_is_no_part_of_a_command(bench: Bench) -> None:
    uri = await bench.store("e/%24%28touch%20gotcha%29%3B%20'x'%20%26%20y.txt", b"hello")
    commands = [f"cat {uri} > out", f"echo {uri} > path"]
    outputs = (await bench.outputs(COMMANDS, commands=commands, outputFiles=["*"]))["outputFiles"]
    assert sorted(outputs) == ["out", "path"]
    assert await bench.content(outputs["out"]) == b"hello"
    assert (await bench.content(outputs["path"])).endswith(b"/__touch_gotcha____x____y.txt\n")


@pytest.mark.parametrize("uri", ["kestra:///a/../b", "kestra:///a//b", "kestra:///%ff"])
async def test_a_uri_that_is_none_is_refused(bench: Bench, uri: str) -> None:
    assert (await bench.error(COMMANDS, commands=[f"cat {uri}"]))["type"] == "invalid-params"


@pytest.mark.parametrize("files", [{"a": "1", "a/b": "2"}, {"a/b": "1", "a": "2"}, {".taskrpc/1/x": "1"}])
async def test_files_that_are_in_each_others_way_are_refused(bench: Bench, files: dict[str, str]) -> None:
    error = await bench.error(COMMANDS, inputFiles=files, commands=["true"])
    assert error["type"] == "invalid-params"
    assert error["message"].startswith("inputFiles: ")


@pytest.mark.parametrize("name", ["\\377", "a\\\\b", "a\\tb"])
async def test_a_file_that_cannot_be_stored_fails_the_task_which_keeps_its_variables(bench: Bench, name: str) -> None:
    commands = ["""echo '::{"outputs": {"n": 1}}::'""", f"touch \"$(printf '{name}')\""]
    error = await bench.error(COMMANDS, commands=commands, outputFiles=["*"])
    assert (error["type"], error["data"]["outputs"]["vars"]) == ("not-stored", {"n": 1})
    error = await bench.error(COMMANDS, commands=[*commands, "exit 9"], outputFiles=["*"])
    assert (error["type"], error["data"]["outputs"]["exitCode"]) == ("exit-code", 9)


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", ""])
async def test_a_file_that_would_lie_elsewhere_is_refused(bench: Bench, name: str) -> None:
    error = await bench.error(SHELL, script="true", inputFiles={name: "x"})
    assert error["type"] == "invalid-params"
    assert error["message"].startswith("inputFiles: ")


async def test_namespace_files_are_put_there(bench: Bench) -> None:
    for namespace, path, content in (
        ("company.team", "lib/a.sh", "echo a"),
        ("company.team", "lib/b.sh", b"\xff"),
        ("company.team", "doc/c.md", "c"),
        ("company", "lib/a.sh", "echo other"),
    ):
        await bench.client.namespace_file_put(namespace, path, content)

    async def listed(**wanted: Any) -> list[str]:
        place = {"namespace": "company.team"}
        properties = {"script": "true", "outputFiles": ["**"], "namespaceFiles": wanted, "$execution": place}
        return sorted((await bench.outputs(SHELL, **properties))["outputFiles"])

    assert await listed() == ["doc/c.md", "lib/a.sh", "lib/b.sh"]
    assert await listed(enabled=False) == []
    assert await listed(include=["lib/*"], exclude=["**/b.sh"]) == ["lib/a.sh"]
    both = {"namespaces": ["company", "company.team"], "include": ["lib/a.sh"]}
    assert await listed(**both, folderPerNamespace=True) == ["company.team/lib/a.sh", "company/lib/a.sh"]
    outputs = await bench.outputs(
        SHELL,
        script="sh lib/a.sh > said",
        outputFiles=["said", "lib/b.sh"],
        namespaceFiles=both | {"include": ["lib/*"]},
    )
    assert await bench.content(outputs["outputFiles"]["said"]) == b"a\n"
    assert await bench.content(outputs["outputFiles"]["lib/b.sh"]) == b"\xff"


async def test_a_task_that_takes_too_long_is_ended_with_all_its_processes(bench: Bench) -> None:
    pids = bench.directory / "pids"
    error = await bench.error(
        COMMANDS,
        timeout="PT0.5S",
        commands=["echo before; echo kept > f", f"sleep 1000 & echo $$ $! > {pids}; wait"],
        outputFiles=["f"],
    )
    assert error["type"] == "timeout"
    assert error["message"] == "The task took longer than 0.5 s; its processes were ended"
    assert "exitCode" not in error["data"]["outputs"]
    assert error["data"]["outputs"]["stdOutLineCount"] == 1
    assert list(error["data"]["outputs"]["outputFiles"]) == ["f"]
    await gone(*await written(pids))


async def test_a_task_that_is_asked_to_stop_is_ended_with_all_its_processes(bench: Bench) -> None:
    pids = bench.directory / "pids"
    await bench.client.definition_put(COMMANDS, {"allowedRetryCount": 1, "inProgressTimeout": 300})
    id = await bench.begin(
        COMMANDS, commands=[f"trap 'echo stopping' TERM; sleep 1000 & echo $$ $! > {pids}; wait; wait"]
    )
    started = await written(pids)
    await bench.client.stop(id)
    ended = (await bench.client.result(id, timeout=20_000))["resource"]
    assert ended["outcome"] == "canceled"
    await gone(*started)


async def test_a_process_that_ignores_the_request_to_end_is_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrpc_executors.flows.process.GRACE_SECONDS", 0.1)
    pids = bench.directory / "pids"
    commands = [f"trap '' TERM; echo $$ > {pids}; while true; do sleep 0.1; done"]
    assert (await bench.error(COMMANDS, timeout="PT0.3S", commands=commands))["type"] == "timeout"
    await gone(*await written(pids))


async def test_a_task_that_is_canceled_is_ended_at_once(bench: Bench) -> None:
    pids = bench.directory / "pids"
    await bench.client.definition_put(COMMANDS, {"inProgressTimeout": 300})
    id = await bench.begin(COMMANDS, commands=[f"trap '' TERM; echo $$ > {pids}; while true; do sleep 0.1; done"])
    started = await written(pids)
    await bench.client.cancel(id)
    await gone(*started)


async def test_what_was_left_in_the_background_ends_with_the_task(bench: Bench) -> None:
    pids = bench.directory / "pids"
    outputs = await bench.outputs(COMMANDS, commands=[f"sleep 1000 & echo $! > {pids}", "echo done"])
    assert (outputs["exitCode"], outputs["stdOutLineCount"]) == (0, 1)
    await gone(*await written(pids))


async def test_a_process_that_left_its_group_does_not_hold_the_task_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrpc_executors.flows.process._LAST_WORDS_SECONDS", 0.2)
    pids = bench.directory / "pids"
    commands = [f"setsid sh -c 'echo $$ > {pids}; exec sleep 1000' &", f"while ! [ -s {pids} ]; do sleep 0.01; done"]
    async with asyncio.timeout(15):
        assert (await bench.outputs(COMMANDS, commands=commands))["exitCode"] == 0
    (escaped,) = await written(pids)
    os.kill(escaped, signal.SIGKILL)


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
