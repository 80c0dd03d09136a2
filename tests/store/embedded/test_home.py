"""Where the server lives: any data directory will do, and what cannot be is said in a sentence."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store.embedded import EmbeddedPostgres
from taskrpc.store.embedded.account import service_account
from taskrpc.store.embedded.home import Home, create_data_dir, create_public_dir, find_home
from tests.databases import connected
from tests.store.embedded.participant import FAST, ids_of, postmaster_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")


async def _start_and_stop(embedded: EmbeddedPostgres, statement: str = "select current_database()") -> object:
    """Carry out a statement on the server; answers its value."""
    async with embedded, connected(embedded.url) as connection:
        return await connection.fetchval(statement)


@pytest.mark.parametrize(
    "name",
    [
        "long" * 20,
        "comma, \"quote\" and 'quote'",
        "100 %41?#&host=x",
        "Größe ☃",
        os.fsdecode(b"\xff"),
        "line\nbreak",
    ],
)
async def test_the_path_of_a_data_directory_may_be_anything(place: Path, name: str) -> None:
    data_dir = place / name / "data"
    assert await _start_and_stop(EmbeddedPostgres(data_dir, settings=FAST)) == "taskrpc"
    home = find_home(data_dir)
    assert home is not None
    if not home.socket_dir.is_relative_to(data_dir):
        home.socket_dir.rmdir()


async def test_different_spellings_of_a_path_are_one_data_directory(place: Path) -> None:
    (place / "link").symlink_to(place / "data")
    owner = EmbeddedPostgres(place / "data", settings=FAST)
    client = EmbeddedPostgres(place / "other/../link", settings=FAST)
    async with owner, client:
        assert not client.is_owner
        assert client.url == owner.url


def _open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _link(path: Path) -> None:
    path.symlink_to("/")


@pytest.mark.parametrize("make", [_open_to_all, _link, Path.touch])
async def test_a_socket_directory_that_others_can_enter_is_refused(place: Path, make: Callable[[Path], None]) -> None:
    data_dir = place / ("long" * 25)
    sockets = Home(data_dir, data_dir / "postgres", service_account()).socket_dir
    make(sockets)
    try:
        with pytest.raises(TaskRpcError, match=f"{sockets}, the place for the socket"):
            await EmbeddedPostgres(data_dir, settings=FAST).start()
    finally:
        sockets.rmdir() if sockets.is_dir() and not sockets.is_symlink() else sockets.unlink()


def test_a_directory_is_not_there_before_it_has_its_mode(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there_before = []
    chmod = Path.chmod

    def watched(path: Path, mode: int) -> None:
        there_before.append(data_dir.exists())
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", watched)
    create_public_dir(data_dir)
    assert there_before == [False]
    assert data_dir.stat().st_mode & 0o777 == 0o755


def test_the_data_directory_of_root_may_be_passed_through_by_the_servers_account(data_dir: Path) -> None:
    create_data_dir(data_dir)
    assert data_dir.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)


def test_of_two_makers_of_a_data_directory_one_succeeds(
    place: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    first_lock = []

    def after_another(path: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        create_data_dir(data_dir)
        first_lock.append((data_dir / "owner.lock").stat().st_ino)
        return path.rename(target)

    monkeypatch.setattr(Path, "rename", after_another)
    create_data_dir(data_dir)
    assert (data_dir / "owner.lock").stat().st_ino == first_lock[0]
    assert list(place.iterdir()) == [data_dir]


async def test_a_data_directory_that_is_a_file_is_refused(place: Path) -> None:
    (place / "data").touch()
    with pytest.raises(TaskRpcError, match=r"Not a directory.*name another data directory"):
        await EmbeddedPostgres(place / "data").start()


async def test_a_data_directory_that_cannot_be_written_is_refused(read_only_disk: Path) -> None:
    with pytest.raises(TaskRpcError, match="name a data directory that can be written"):
        await EmbeddedPostgres(read_only_disk / "data").start()


@contextlib.contextmanager
def _as_account(uid: int) -> Iterator[None]:
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
async def test_a_data_directory_of_another_user_is_refused(place: Path, data_dir: Path) -> None:
    with (
        _as_account(65534),
        pytest.raises(TaskRpcError, match="name a data directory that this user can write"),
    ):
        await EmbeddedPostgres(data_dir).start()
    await _start_and_stop(EmbeddedPostgres(data_dir, settings=FAST))
    with (
        _as_account(12345),
        pytest.raises(TaskRpcError, match=r"belongs to the account .*start taskrpc as that"),
    ):
        find_home(data_dir)


@needs_root
async def test_root_runs_the_server_as_an_unprivileged_account(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST):
        ids = ids_of(postmaster_of(data_dir))
    account = service_account()
    assert account.uid != 0
    assert ids["Uid"] == {str(account.uid)}
    assert ids["Gid"] == {str(account.gid)}
    assert ids["Groups"] == set()


@needs_root
async def test_an_unreachable_data_directory_leads_to_a_home_elsewhere(place: Path, system_dir: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "below/data"
    embedded = EmbeddedPostgres(data_dir, settings=FAST, system_dir=system_dir)
    await _start_and_stop(embedded, "create table kept (n int)")
    assert closed.stat().st_mode & 0o777 == 0o700
    assert (data_dir / "postgres").resolve().parent == system_dir
    assert (data_dir / "postgres").resolve().stat().st_mode & 0o777 == 0o700
    again = EmbeddedPostgres(data_dir, settings=FAST, system_dir=system_dir)
    assert await _start_and_stop(again, "select count(*) from kept") == 0


@needs_root
async def test_a_home_that_is_gone_is_not_replaced_by_an_empty_one(place: Path, system_dir: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    embedded = EmbeddedPostgres(closed / "data", settings=FAST, system_dir=system_dir)
    await _start_and_stop(embedded)
    shutil.rmtree(system_dir)
    with pytest.raises(TaskRpcError, match=r"restore it, or delete .*/closed/data/postgres"):
        await embedded.start()


@needs_root
async def test_a_home_whose_way_was_closed_is_refused(place: Path) -> None:
    data_dir = place / "closed/data"
    await _start_and_stop(EmbeddedPostgres(data_dir, settings=FAST))
    data_dir.parent.chmod(0o700)
    with pytest.raises(TaskRpcError, match=r"cannot enter .*: let it pass through the directories above"):
        await EmbeddedPostgres(data_dir, settings=FAST).start()
