"""`taskrpc key`: keys are made, shown once, listed and revoked from a shell."""

from tests.system.conftest import Serve
from tests.system.processes import run
from tests.system.wire import connection


async def test_a_key_is_made_used_listed_and_revoked(database_url: str, serve: Serve) -> None:
    made = await run("key", "create", "ops", "--role", "admin", "--database-url", database_url)
    bound = await run(
        "key", "create", "worker-1", "--role", "executor", "--definition", "a", "--definition", "b", "--database-url",
        database_url,
    )  # fmt: skip
    assert (made.status, bound.status) == (0, 0)
    key = made.out.strip()
    assert key.startswith("ops.")
    server = await serve(database_url, "--host", "0.0.0.0")
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    async with connection(url) as wire:
        assert (await wire.call("awf.task/list")).status == 401
    listed = await run("call", "task/list", "--url", url, "--key", key)
    assert listed.status == 0
    assert "total: 0" in listed.out
    keys = await run("key", "list", "--database-url", database_url)
    lines = [line.split() for line in keys.out.splitlines()]
    assert [(line[0], line[1], line[3:]) for line in lines] == [
        ("ops", "admin", ["all", "definitions"]),
        ("worker-1", "executor", ["a,", "b"]),
    ]
    assert key not in keys.out
    assert (await run("key", "revoke", "worker-1", "--database-url", database_url)).out == "revoked worker-1\n"


async def test_the_secret_of_callbacks_is_shown(database_url: str) -> None:
    first, again = [await run("key", "callback-secret", "--database-url", database_url) for _ in range(2)]
    assert first.out.startswith("whsec_")
    assert first.out == again.out


async def test_a_name_that_is_taken_or_cannot_be_is_refused(database_url: str) -> None:
    await run("key", "create", "ops", "--role", "admin", "--database-url", database_url)
    again = await run("key", "create", "ops", "--role", "user", "--database-url", database_url)
    assert (again.status, again.out) == (1, "")
    assert "there is a key ops already" in again.err
    bad = await run("key", "create", "a.b", "--role", "user", "--database-url", database_url)
    assert bad.status == 2
    gone = await run("key", "revoke", "nobody", "--database-url", database_url)
    assert (gone.status, gone.err) == (1, "taskrpc: there is no key nobody\n")
