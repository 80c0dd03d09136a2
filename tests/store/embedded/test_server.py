"""One run of PostgreSQL: how it is set up, and what a former run may have left behind."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store.embedded import EmbeddedPostgres
from taskrpc.store.embedded.binaries import find_installation
from taskrpc.store.embedded.home import find_home
from taskrpc.store.embedded.lock import FileLock
from taskrpc.store.embedded.processes import LARGEST_LOG, Child
from tests.databases import connected
from tests.store.embedded.participant import FAST, eventually, postmaster_of, processes_in


async def _show(url: str, *names: str) -> list[str]:
    async with connected(url) as connection:
        return [await connection.fetchval("select current_setting($1)", name) for name in names]


async def test_the_server_listens_on_a_private_socket_only_and_commits_durably(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir) as embedded:
        shown = await _show(embedded.url, "listen_addresses", "fsync", "synchronous_commit", "full_page_writes")
        assert shown == ["", "on", "on", "on"]
        assert await _show(embedded.url, "server_encoding", "timezone", "jit") == ["UTF8", "UTC", "off"]
        assert (data_dir / "postgres/socket").stat().st_mode & 0o777 == 0o700
        hba = (data_dir / "postgres/cluster/pg_hba.conf").read_text()
        assert {line.split()[-1] for line in hba.splitlines() if line.startswith("host")} == {"scram-sha-256"}


async def test_settings_given_replace_ours(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings={**FAST, "max_connections": "17"}) as embedded:
        assert await _show(embedded.url, "max_connections") == ["17"]


async def test_an_unknown_setting_is_refused_in_postgresqls_words(data_dir: Path) -> None:
    with pytest.raises(TaskRpcError, match='unrecognized configuration parameter "no_such"') as refusal:
        await EmbeddedPostgres(data_dir, settings={**FAST, "no_such": "1"}).start()
    assert refusal.value.type == "unavailable"


async def test_settings_that_other_processes_rely_on_cannot_be_replaced(data_dir: Path) -> None:
    with pytest.raises(TaskRpcError, match="rely on its listen_addresses, port: leave"):
        await EmbeddedPostgres(data_dir, settings={**FAST, "port": "1", "listen_addresses": "*"}).start()


@contextlib.contextmanager
def _foreign_process(data_dir: Path, *, zombie: bool = False) -> Iterator[int]:
    """The PID of a process of the server's account that is not the server; it may be dead but not reaped."""
    account = (data_dir / "postgres").stat()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=account.st_uid, group=account.st_gid) as process:
        if zombie:
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid
        process.kill()


@pytest.mark.parametrize("zombie", [False, True])
async def test_stale_files_that_name_another_process_do_not_keep_the_server_from_starting(
    data_dir: Path, zombie: bool
) -> None:
    embedded = EmbeddedPostgres(data_dir, settings=FAST)
    await embedded.start()
    home = find_home(data_dir)
    assert home is not None
    stale = {
        path: path.read_text() for path in (home.cluster / "postmaster.pid", home.socket_dir / ".s.PGSQL.5432.lock")
    }
    former = postmaster_of(data_dir)
    await embedded.stop()
    with _foreign_process(data_dir, zombie=zombie) as stranger:
        for path, content in stale.items():
            path.write_text(content.replace(str(former), str(stranger), 1))
            os.chown(path, home.account.uid, home.account.gid)
        await embedded.start()
        assert postmaster_of(data_dir) != stranger
        async with connected(embedded.url) as connection:
            assert await connection.fetchval("select 1") == 1
        await embedded.stop()


async def test_a_server_that_was_started_by_hand_is_left_alone(data_dir: Path, place: Path) -> None:
    embedded = EmbeddedPostgres(data_dir, settings=FAST)
    await embedded.start()
    await embedded.stop()
    home = find_home(data_dir)
    assert home is not None
    lock = FileLock(place / "another.lock")
    assert lock.try_acquire()
    command: list[str | Path] = [
        find_installation(None, None).program("postgres"),
        "-D",
        home.cluster,
        "-k",
        home.socket_dir,
    ]
    by_hand = Child.start(home, command, signal.SIGINT, lock)
    lock.release()
    await eventually(lambda: postmaster_of(data_dir) == by_hand.pid)
    with pytest.raises(TaskRpcError, match=f"process {by_hand.pid} is a PostgreSQL"):
        await embedded.start()
    assert by_hand.status() is None
    await by_hand.end([(signal.SIGINT, 10.0)])


async def test_an_initdb_that_was_killed_half_way_is_begun_anew(data_dir: Path) -> None:
    embedded = EmbeddedPostgres(data_dir, settings=FAST)
    await embedded.start()
    await embedded.stop()
    home = find_home(data_dir)
    assert home is not None
    home.cluster.rename(home.path / "initdb-1")
    await embedded.start()
    assert not list(home.path.glob("initdb-*"))
    await embedded.stop()


async def test_a_damaged_database_is_refused_and_not_replaced(data_dir: Path) -> None:
    embedded = EmbeddedPostgres(data_dir, settings=FAST)
    await embedded.start()
    await embedded.stop()
    (data_dir / "postgres/cluster/PG_VERSION").unlink()
    with pytest.raises(TaskRpcError, match=r"cluster is damaged, .*: restore it"):
        await embedded.start()


async def test_a_large_log_is_begun_anew(data_dir: Path) -> None:
    embedded = EmbeddedPostgres(data_dir, settings=FAST)
    await embedded.start()
    await embedded.stop()
    os.truncate(data_dir / "postgres.log", LARGEST_LOG + 1)
    await embedded.start()
    await embedded.stop()
    assert (data_dir / "postgres.log.old").stat().st_size > LARGEST_LOG
    assert b"ready to accept connections" in (data_dir / "postgres.log").read_bytes()


async def test_a_full_disk_is_said_in_a_sentence(small_disk: Path) -> None:
    with pytest.raises(TaskRpcError, match=r"the disk of .* is full; free some space"):
        await EmbeddedPostgres(small_disk / "data", settings=FAST).start()
    assert not processes_in(small_disk)
