"""Histories as files: what is written is read, also from writers that were killed."""

import asyncio
import contextlib
from math import inf
from pathlib import Path

import pytest

from tests.faults.history import read_history
from tests.faults.recorder import RecordedClient, Recorder
from tests.services import Rpc


def test_a_call_whose_writer_was_killed_is_open(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"kind": "run", "at": 1, "wall": 1}\n')
    invoked = '{"kind": "invoke", "op": "b:1", "client": "b", "server": "s", "method": "x", "params": {}, "at": 2}'
    (tmp_path / "b.jsonl").write_text(f'{invoked}\n{{"kind": "ok", "op": "b:')
    (operation,) = read_history(tmp_path).operations
    assert (operation.end, operation.completed) == ("info", inf)


def test_what_is_no_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no line of kind run"):
        read_history(tmp_path)


async def test_a_client_writes_down_answers_refusals_and_silence(rpc: Rpc, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "client.jsonl")
    recorder.write("run", wall=0)
    client = RecordedClient(recorder, "client", "server-0", rpc.url)
    assert (reply := await client.call("awf.task/create-and-execute", definition="test/task")) is not None
    assert await client.call("awf.task/start", id=reply.result["resource"]["id"], execId="none") is not None
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(client.call("awf.task/long-poll", taskDefinitions=["other"], timeout=60_000), 0.05)
    nowhere = RecordedClient(recorder, "nowhere", "server-1", "http://127.0.0.1:9")
    assert await nowhere.call("awf.task/poll", taskDefinitions=["other"]) is None
    recorder.close()
    ends = [(each.end, each.error_type) for each in read_history(tmp_path).operations]
    assert ends == [("ok", None), ("fail", "stale-exec-id"), ("info", None), ("fail", "not-connected")]
