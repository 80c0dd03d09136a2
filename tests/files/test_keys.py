"""Once there are keys, files are for users and admins, and for whoever has a token for them."""

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from taskrpc.app import Running
from taskrpc.core.access import Role, digest_of, new_key
from taskrpc.core.grant import Grant
from taskrpc.store.keys import add_key, revoke_key
from tests.databases import connected
from tests.services import running_service
from tests.system.waiting import until


@dataclass
class Guarded:
    """A server with keys: `keys` has them by their names."""

    database_url: str
    running: Running
    http: httpx2.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)

    async def add(self, name: str, role: Role, definitions: Sequence[str] | None = None) -> None:
        """Makes a key, and waits until the server knows it."""
        key = self.keys[name] = new_key(name)
        async with connected(self.database_url) as connection:
            assert await add_key(connection, name, role, digest_of(key.encode()), definitions)

        async def is_known() -> bool:
            return (await self.http.get("/AidboxTask", headers={"x-api-key": key})).status_code != 401

        await until(is_known)

    async def token(self, path: str) -> str:
        """A token for files below a path."""
        return await self.running.services.files.tokens.make(
            Grant([path], [path], datetime.now(UTC) + timedelta(hours=1))
        )

    async def types(self, **headers: str) -> list[Any]:
        """What becomes of writing, reading and looking at a file: a type of error or a status."""
        sent = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
        put = await self.http.put("/files/e/f", content=b"x", headers=sent)
        get = await self.http.get("/files/e/f", headers=sent)
        head = await self.http.head("/files/e/f", headers=sent)
        assert head.status_code == get.status_code
        for reply in (put, get, head):
            assert ("www-authenticate" in reply.headers) == (reply.status_code == 401)
        return [reply.json()["error"]["type"] if reply.is_error else reply.status_code for reply in (put, get)]


@pytest.fixture
async def guarded(database_url: str, tmp_path: Any) -> AsyncIterator[Guarded]:
    settings = {"storage": str(tmp_path / "storage")}
    async with running_service(database_url, **settings) as running, httpx2.AsyncClient(base_url=running.url) as http:
        guarded = Guarded(database_url, running, http)
        await guarded.add("admin", "admin")
        yield guarded


async def test_files_are_for_users_and_admins(guarded: Guarded) -> None:
    await guarded.add("user", "user")
    await guarded.add("executor", "executor")
    for name in ("user", "admin"):
        key = guarded.keys[name]
        basic = base64.b64encode(f"{name}:{key}".encode()).decode()
        assert await guarded.types(x_api_key=key) == [201, 200]
        assert await guarded.types(authorization=f"Bearer {key}") == [201, 200]
        assert await guarded.types(authorization=f"Basic {basic}") == [201, 200]
    assert await guarded.types(x_api_key=guarded.keys["executor"]) == ["forbidden"] * 2
    assert await guarded.types(authorization=f"Bearer {guarded.keys['executor']}") == ["forbidden"] * 2


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Bearer a.b", "Basic ???", "Digest x", "é"])
async def test_neither_a_key_nor_a_token_opens_nothing(guarded: Guarded, authorization: str) -> None:
    assert await guarded.types(authorization=authorization) == ["unauthorized"] * 2
    assert await guarded.types() == ["unauthorized"] * 2
    assert await guarded.types(x_api_key=new_key("admin")) == ["unauthorized"] * 2


async def test_a_key_that_is_bound_to_definitions_opens_no_file(guarded: Guarded) -> None:
    await guarded.add("bound", "user", ["test/task"])
    await guarded.add("none", "admin", [])
    for name in ("bound", "none"):
        assert await guarded.types(x_api_key=guarded.keys[name]) == ["forbidden"] * 2


async def test_a_token_opens_its_files_without_a_key_and_beside_any(guarded: Guarded) -> None:
    await guarded.add("executor", "executor", ["scripts.shell.Commands"])
    mine, other = f"Bearer {await guarded.token('e/')}", f"Bearer {await guarded.token('other/')}"
    for key in ({}, {"x_api_key": guarded.keys["executor"]}, {"x_api_key": guarded.keys["admin"]}):
        assert await guarded.types(authorization=mine, **key) == [201, 200]
        assert await guarded.types(authorization=other, **key) == ["forbidden"] * 2


async def test_a_token_beside_a_key_that_was_revoked_opens_nothing(guarded: Guarded) -> None:
    await guarded.add("executor", "executor")
    token = f"Bearer {await guarded.token('e/')}"
    assert await guarded.types(authorization=token, x_api_key=guarded.keys["executor"]) == [201, 200]
    async with connected(guarded.database_url) as connection:
        assert await revoke_key(connection, "executor")

    async def is_refused() -> bool:
        return await guarded.types(authorization=token, x_api_key=guarded.keys["executor"]) == ["unauthorized"] * 2

    await until(is_refused)


async def test_a_token_is_no_key_for_anything_else(guarded: Guarded) -> None:
    headers = {"authorization": f"Bearer {await guarded.token('e/')}"}
    reply = await guarded.http.post("/rpc", json={"method": "task/list"}, headers=headers)
    assert reply.json()["error"]["type"] == "unauthorized"
    assert (await guarded.http.get("/AidboxTask", headers=headers)).status_code == 401


async def test_who_may_not_is_not_told_what_there_is(guarded: Guarded) -> None:
    for path in ("none", "..%2fx", "%ff"):
        reply = await guarded.http.get(f"/files/{path}")
        assert reply.json()["error"]["type"] == "unauthorized"
