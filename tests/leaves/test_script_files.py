"""The files that commands and scripts get, and those that they leave."""

import os
from typing import Any

import pytest

from tests.leaves.conftest import Bench

COMMANDS = "scripts.shell.Commands"
SHELL = "scripts.shell.Script"


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
