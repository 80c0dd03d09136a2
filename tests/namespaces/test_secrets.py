"""Secrets are encrypted at rest, shown nowhere, and survive a change of keys."""

import asyncio
import logging
import stat
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from typer.testing import CliRunner

from taskrpc.cli import app
from taskrpc.cli.serve import read_settings
from taskrpc.engine.cipher import Cipher, new_key
from taskrpc.errors import TaskRpcError
from taskrpc.secret_keys import key_file, load_cipher
from taskrpc.settings import Settings
from tests.engine.headless import Headless, headless
from tests.executions.flows import Flows
from tests.services import Rpc, running_service

SECRET: Final = "correct horse battery staple"
NAME: Final = {"namespace": "company.team", "key": "PASSWORD"}


async def reveal(server: Headless) -> str:
    return await server.parts.services.namespaces.secrets.reveal(NAME["namespace"], NAME["key"])


@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_a_secret_is_in_no_answer_no_log_and_not_in_the_database(
    database_url: str, observer: asyncpg.Connection, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[object] = []
    async with running_service(database_url, secret_key=new_key()) as server, Rpc(server.url, form) as rpc:
        shown += [await rpc.call("awf.secret/put", **NAME, value=SECRET)]
        for method in ("get", "delete"):
            shown += [await rpc.call(f"awf.secret/{method}", **NAME, value=SECRET)]
        shown += [await rpc.call("awf.secret/get", **NAME), await rpc.call("awf.secret/list")]
        for wrong in ([SECRET], {"a": SECRET}, SECRET * 5000):
            shown += [await rpc.call("awf.secret/put", **NAME, value=wrong)]
        shown += [await rpc.call("awf.secret/put", **NAME, value=SECRET, further=1)]
        shown += [await rpc.call("awf.secret/set", **NAME, value=SECRET)]
        assert await server.services.namespaces.secrets.reveal(NAME["namespace"], NAME["key"]) == SECRET
        rows = await observer.fetch("select s::text from taskrpc.secret s")
    assert len(rows) == 1
    assert len(shown) == 10
    assert SECRET not in f"{shown} {caplog.text} {rows}"


async def test_a_flow_reads_secrets_of_its_namespace_and_of_others(database_url: str) -> None:
    async with headless(database_url, secret_key=new_key()) as server:
        await server.call("awf.secret/put", namespace="company.team", key="PASSWORD", value="ours")
        await server.call("awf.secret/put", namespace="company", key="PASSWORD", value='{"user": "ada"}')
        flows = Flows(server)
        asked = "{{ secret('PASSWORD') }} {{ secret('PASSWORD', namespace='company', subkey='user') }}"
        await flows.put({"id": "see", "type": "core.debug.Return", "format": asked})
        id = await flows.begin()
        await flows.ended(id, "SUCCESS")
        assert (await flows.runs(id))[0]["outputs"] == {"value": "ours ada"}


async def test_a_ciphertext_that_is_moved_to_another_secret_is_refused(
    database_url: str, observer: asyncpg.Connection
) -> None:
    async with headless(database_url, loops=False, secret_key=new_key()) as server:
        await server.call("awf.secret/put", **NAME, value=SECRET)
        await server.call("awf.secret/put", **(NAME | {"key": "OTHER"}), value="mine")
        await observer.execute(
            "update taskrpc.secret set ciphertext = (select ciphertext from taskrpc.secret where key = 'OTHER')"
        )
        with pytest.raises(TaskRpcError, match="cannot be decrypted"):
            await reveal(server)


@pytest.mark.parametrize("ciphertext", ["", "x", "größe", "gAAAA"])
async def test_a_ciphertext_that_is_none_is_refused(
    database_url: str, observer: asyncpg.Connection, ciphertext: str
) -> None:
    async with headless(database_url, loops=False, secret_key=new_key()) as server:
        await server.call("awf.secret/put", **NAME, value=SECRET)
        await observer.execute("update taskrpc.secret set ciphertext = $1", ciphertext)
        with pytest.raises(TaskRpcError, match="cannot be decrypted"):
            await reveal(server)
        with pytest.raises(TaskRpcError, match="cannot be decrypted"):
            await server.parts.services.namespaces.secrets.reencrypt()


async def test_without_a_key_nothing_is_stored_and_other_servers_go_on(
    database_url: str, observer: asyncpg.Connection
) -> None:
    async with headless(database_url, loops=False) as server:
        with pytest.raises(TaskRpcError, match="set TASKRPC_SECRET_KEY") as refused:
            await server.call("awf.secret/put", **NAME, value=SECRET)
        assert refused.value.http_status == 501
        async with headless(database_url, loops=False, secret_key=new_key()) as other:
            await other.call("awf.secret/put", **NAME, value=SECRET)
        assert (await server.call("awf.secret/list"))["total"] == 1
        with pytest.raises(TaskRpcError, match="has no key"):
            await reveal(server)
        await server.call("awf.secret/delete", **NAME)
    assert await observer.fetchval("select count(*) from taskrpc.secret") == 0


async def test_keys_are_changed_without_losing_a_secret(database_url: str, observer: asyncpg.Connection) -> None:
    former, newer = new_key(), new_key()
    async with headless(database_url, loops=False, secret_key=former) as server:
        for number in range(205):
            await server.call("awf.secret/put", namespace="n", key=f"k{number}", value=f"v{number}")
        await server.call("awf.secret/put", **NAME, value=SECRET)
    async with headless(database_url, loops=False, secret_key=f"{newer},{former}") as server:
        assert await reveal(server) == SECRET
        await server.call("awf.secret/put", namespace="n", key="k0", value="new")
    settings = ["--database-url", database_url]
    runner = CliRunner(env={"TASKRPC_SECRET_KEY": f"{newer} {former}"})
    outcomes = [await _in_thread(runner, ["secrets", "rotate", *settings]) for _ in range(2)]
    assert outcomes[0].startswith("205 of 206 secrets were encrypted anew")
    assert outcomes[1].startswith("0 of 206")
    async with headless(database_url, loops=False, secret_key=newer) as server:
        assert await reveal(server) == SECRET
        assert await server.parts.services.namespaces.secrets.reveal("n", "k204") == "v204"
        assert (await server.call("awf.secret/get", **NAME))["resource"]["meta"]["versionId"] == "1"
    async with headless(database_url, loops=False, secret_key=former) as server:
        with pytest.raises(TaskRpcError, match="cannot be decrypted"):
            await reveal(server)


async def _in_thread(runner: CliRunner, arguments: list[str]) -> str:
    outcome = await asyncio.to_thread(runner.invoke, app, arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


async def test_a_secret_that_is_set_while_keys_change_keeps_its_new_value(database_url: str) -> None:
    former, newer = new_key(), new_key()
    async with headless(database_url, loops=False, secret_key=former) as server:
        await server.call("awf.secret/put", **NAME, value="old")
    async with headless(database_url, loops=False, secret_key=f"{newer},{former}") as server:
        entries = server.parts.services.namespaces.secrets
        (row,) = await entries._entries.fetch("secrets_after", "", "", 10)
        await server.call("awf.secret/put", **NAME, value="new")
        assert await entries._reencrypt(row["namespace"], row["key"], row["ciphertext"]) is False
        assert await reveal(server) == "new"


def test_a_new_key_can_be_used() -> None:
    printed = CliRunner().invoke(app, ["secrets", "new-key"]).stdout
    cipher = Cipher([printed.strip()])
    assert cipher.decrypt("n", "k", cipher.encrypt("n", "k", SECRET)) == SECRET


def test_a_key_that_is_none_is_refused_and_not_repeated() -> None:
    with pytest.raises(TaskRpcError, match="Key 2 for secrets is not 32 bytes") as refused:
        Cipher([new_key(), "hunter2"])
    assert "hunter2" not in refused.value.message


def test_settings_do_not_show_their_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    monkeypatch.setenv("TASKRPC_SECRET_KEY", key)
    settings = read_settings()
    assert settings.secret_key is not None
    assert key not in f"{settings!r} {settings}"


def embedded(data_dir: Path, **further: Any) -> Cipher:
    fields: dict[str, Any] = {"database_url": None, "data_dir": data_dir, **further}
    return load_cipher(Settings(**fields))


def test_the_embedded_service_makes_a_key_once_which_its_owner_alone_can_read(tmp_path: Path) -> None:
    sealed = embedded(tmp_path).encrypt("n", "k", SECRET)
    assert embedded(tmp_path).decrypt("n", "k", sealed) == SECRET
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    embedded(tmp_path)
    (tmp_path / "secret.key").chmod(0o640)
    with pytest.raises(TaskRpcError, match="chmod 600"):
        embedded(tmp_path)


def test_a_server_that_makes_the_key_a_moment_later_takes_the_first(tmp_path: Path) -> None:
    from taskrpc.secret_keys import _create

    sealed = embedded(tmp_path).encrypt("n", "k", SECRET)
    _create(tmp_path / "secret.key")
    assert embedded(tmp_path).decrypt("n", "k", sealed) == SECRET
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]


def test_keys_come_from_a_file_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    newer, former = new_key(), new_key()
    file.write_text(f"{newer}\n{former}\n")
    sealed = Cipher([former]).encrypt("n", "k", SECRET)
    assert embedded(tmp_path, secret_key_file=file).decrypt("n", "k", sealed) == SECRET
    with pytest.raises(TaskRpcError, match="No such file"):
        embedded(tmp_path, secret_key_file=tmp_path / "none")
    file.write_bytes(b"\xff")
    with pytest.raises(TaskRpcError, match="it is no text"):
        embedded(tmp_path, secret_key_file=file)


async def test_a_server_with_a_wrong_key_does_not_start(database_url: str) -> None:
    with pytest.raises(TaskRpcError, match="Key 1 for secrets"):
        async with running_service(database_url, secret_key="short"):
            pass


def test_a_worker_gets_the_keys_of_its_supervisor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from taskrpc.worker import Order

    monkeypatch.setenv("TASKRPC_SECRET_KEY", new_key())
    settings = read_settings()
    assert Order.decode(Order(1, 3, settings).encode()).settings.secret_key == settings.secret_key
    monkeypatch.delenv("TASKRPC_SECRET_KEY")
    embedded_one = read_settings(data_dir=tmp_path)
    sealed = load_cipher(embedded_one).encrypt("n", "k", SECRET)
    told = embedded_one.model_copy(update={"database_url": "postgresql://x", "secret_key_file": key_file(embedded_one)})
    assert load_cipher(Order.decode(Order(1, 3, told).encode()).settings).decrypt("n", "k", sealed) == SECRET
