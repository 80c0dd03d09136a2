"""Tokens let their bearer read and write the files that they name, until their time is over."""

from datetime import UTC, datetime, timedelta

import pytest

from taskrpc.core.grant import Grant
from taskrpc.errors import TaskRpcError
from tests.databases import Clock
from tests.engine.headless import headless
from tests.files.conftest import FileServer


async def bearer(server: FileServer, read: list[str], write: list[str]) -> dict[str, str]:
    grant = Grant(read, write, datetime.now(UTC) + timedelta(hours=1))
    return {"authorization": f"Bearer {await server.running.services.files.tokens.make(grant)}"}


async def test_a_token_opens_what_it_names_and_nothing_else(server: FileServer) -> None:
    for path in ("e/1/in", "e/12/in", "cache/x", "cache/xy"):
        await server.http.put(f"/files/{path}", content=path.encode())
    token = await bearer(server, ["e/1/", "cache/x"], ["e/1/out/"])

    async def status(method: str, path: str) -> int:
        return (await server.http.request(method, f"/files/{path}", headers=token, content=b"new")).status_code

    assert [await status("GET", path) for path in ("e/1/in", "cache/x")] == [200, 200]
    assert [await status("GET", path) for path in ("e/12/in", "cache/xy", "e/1", "cache")] == [403] * 4
    assert await status("PUT", "e/1/out/a") == 201
    assert await status("GET", "e/1/out/a") == 200
    assert [await status("PUT", path) for path in ("e/1/in", "e/1/out", "cache/x", "e/1/outer")] == [403] * 4
    assert (await server.http.get("/files/e/1/in")).content == b"e/1/in"


async def test_a_token_is_over_when_the_clock_of_the_database_says_so(server: FileServer, clock: Clock) -> None:
    await server.http.put("/files/e/f", content=b"x")
    token = await bearer(server, ["e/"], [])
    await clock.advance(3500)
    assert (await server.http.get("/files/e/f", headers=token)).status_code == 200
    await clock.advance(200)
    refused = await server.http.get("/files/e/f", headers=token)
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "unauthorized")
    assert "was good until" in refused.json()["error"]["message"]


async def test_a_token_that_was_changed_is_refused(server: FileServer) -> None:
    await server.http.put("/files/e/f", content=b"x")
    good = (await bearer(server, ["e/"], []))["authorization"]
    for number in (10, len(good) // 2, len(good) - 4):
        other = "A" if good[number] != "A" else "B"
        changed = good[:number] + other + good[number + 1 :]
        assert (await server.http.get("/files/e/f", headers={"authorization": changed})).status_code == 401
    for wrong in ("Bearer", "Bearer x", "Bearer \u00e9", "Bearer a b"):
        headers = {b"authorization": wrong.encode("latin-1")}
        assert (await server.http.get("/files/e/f", headers=headers)).status_code == 401
        assert (await server.http.put("/files/e/f", content=b"y", headers=headers)).status_code == 401
    assert (await server.http.get("/files/e/f")).content == b"x"


async def test_servers_of_a_database_take_each_others_tokens(database_url: str) -> None:
    async with headless(database_url, loops=False) as one, headless(database_url, loops=False) as other:
        grant = Grant(["e/"], [], datetime.now(UTC) + timedelta(hours=1))
        for maker, reader in ((one, other), (other, one)):
            token = await maker.parts.services.files.tokens.make(grant)
            await reader.parts.services.files.tokens.check(token, "e/f", write=False)
            with pytest.raises(TaskRpcError, match="forbidden"):
                await reader.parts.services.files.tokens.check(token, "e/f", write=True)


async def test_the_engine_reads_small_files_and_removes_those_of_an_execution(server: FileServer) -> None:
    files = server.running.services.files
    await server.http.put("/files/e/1/f", content=b"hello")
    await server.http.put("/files/e/2/f", content=b"hello")
    assert await files.content("kestra:///e/1/f", 5) == b"hello"
    with pytest.raises(TaskRpcError, match="has 5 bytes; at most 4"):
        await files.content("kestra:///e/1/f", 4)
    with pytest.raises(TaskRpcError, match="invalid-params: uri"):
        await files.content("file:///e/1/f", 4)
    await files.delete("e/1/")
    assert server.stored() == ["files/e/2/f"]
    with pytest.raises(TaskRpcError, match="invalid-params: path"):
        await files.delete("e/../")
