"""`core.storage.LocalFiles`, and what all leaf tasks do with files."""

from datetime import UTC, datetime, timedelta

from taskrpc.core.grant import Grant
from tests.executor.conftest import create, done
from tests.leaves.conftest import Bench

TYPE = "core.storage.LocalFiles"


async def test_contents_and_stored_files_go_in_and_come_out(bench: Bench) -> None:
    stored = await bench.store("some/b.bin", b"\x00\xff")
    inputs = {"a.txt": "größe", "deep/b.bin": stored, "n": 3}
    outputs = await bench.outputs(TYPE, inputs=inputs, outputs=["**"])
    assert sorted(outputs["uris"]) == ["a.txt", "deep/b.bin", "n"]
    assert [await bench.content(uri) for _, uri in sorted(outputs["uris"].items())] == [
        "größe".encode(),
        b"\x00\xff",
        b"3",
    ]


async def test_an_expression_may_have_made_the_list(bench: Bench) -> None:
    outputs = await bench.outputs(TYPE, inputs='{"a": "x", "b": "y"}', outputs='["a"]')
    assert list(outputs["uris"]) == ["a"]
    assert (await bench.outputs(TYPE))["uris"] == {}


async def test_files_go_where_the_flow_says_with_its_token(bench: Bench) -> None:
    grant = Grant(["e/1/"], ["e/1/t/"], datetime.now(UTC) + timedelta(hours=1))
    token = await bench.running.services.files.tokens.make(grant)
    inside, outside = await bench.store("e/1/in", b"1"), await bench.store("e/2/in", b"2")
    place = {"id": "1", "files": {"prefix": "kestra:///e/1/t/", "token": token}}
    outputs = await bench.outputs(TYPE, inputs={"a": inside}, outputs=["a"], **{"$execution": place})
    assert outputs["uris"] == {"a": "kestra:///e/1/t/a"}
    error = await bench.error(TYPE, inputs={"a": outside}, **{"$execution": place})
    assert error["type"] == "forbidden"
    elsewhere = place | {"files": {"prefix": "kestra:///e/1/other/", "token": token}}
    error = await bench.error(TYPE, inputs={"a": inside}, outputs=["a"], **{"$execution": elsewhere})
    assert error["type"] == "forbidden"


async def test_a_stored_file_that_is_gone_fails_the_task(bench: Bench) -> None:
    error = await bench.error(TYPE, inputs={"a": "kestra:///none"})
    assert error["type"] == "file-not-found"


async def test_params_that_are_no_properties_are_refused(bench: Bench) -> None:
    task = await done(bench.client, await create(bench.client, None, TYPE))
    assert task["error"]["message"] == "params: the properties of the task are expected"
