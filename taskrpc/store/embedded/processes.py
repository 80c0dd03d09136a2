"""The processes of a server: started as its account and tied to our life, or found in the system."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from taskrpc.store.embedded import launch
from taskrpc.store.embedded.home import Home
from taskrpc.store.embedded.lock import FileLock

POLL_SECONDS: Final = 0.01
TIME_AND_PID: Final = re.compile(r"^\S+ \S+ UTC \[\d+\] ")
LARGEST_LOG: Final = 8 * 2**20
INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


class Child:
    """A program of PostgreSQL running as a child of this process; its output goes to the server's log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._log_start = log_start

    @classmethod
    def start(cls, home: Home, command: Sequence[str | Path], death_signal: int, lock: FileLock) -> "Child":
        """Run `command` in the home as its account, holding `lock`; it gets `death_signal` when we end.

        "We" is this thread: call it from one that lives as long as the server shall, the main thread. The
        program is kept apart from the terminal (Ctrl-C is for us) and our environment. Raises OSError.
        """
        ids = (home.account.uid, home.account.gid, death_signal, os.getpid())
        launcher = [sys.executable, "-I", "-S", launch.__file__, *map(str, ids)]
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        log = _open_log(home.log)
        log_start = os.fstat(log).st_size
        try:
            process = subprocess.Popen(
                [*launcher, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home.path,
                env={**environment, "LC_ALL": "C", "TZ": "UTC"},
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
            return cls(process, home.log, log_start)
        finally:
            os.close(log)

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def status(self) -> int | None:
        """The exit status, or minus the signal that ended it; None while it runs."""
        return self._process.poll()

    async def exited(self, interval: float = POLL_SECONDS) -> int:
        """Wait for the end of the program, looked for every `interval` seconds; answers its status."""
        while True:
            if (status := self._process.poll()) is not None:
                return status
            await asyncio.sleep(interval)

    async def end(self, signals: Sequence[tuple[int, float]]) -> None:
        """Send one signal after the other, each with its seconds of patience, until the program has ended.

        When cancelled it goes on to SIGKILL at once, so that nothing is left behind.
        """
        try:
            for number, patience in signals:
                self._process.send_signal(number)
                try:
                    await asyncio.wait_for(self.exited(), patience)
                except TimeoutError:
                    continue
                return
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def last_words(self, lines: int = 1) -> str:
        """The last lines that the program has written, without the times, in one."""
        with self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - 2000))
            written = log.read().decode(errors="replace").splitlines()
        said = [TIME_AND_PID.sub("", line).strip() for line in written if line.strip()]
        return "; ".join(said[-lines:]) or "nothing"


def _open_log(path: Path) -> int:
    """The log, open for appending; a large one begins anew, the former is kept as `.old`."""
    if path.exists() and path.stat().st_size > LARGEST_LOG:
        path.replace(path.with_name(f"{path.name}.old"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def server_processes(home: Home) -> list[int]:
    """The PIDs of the living processes of this home's server, whichever taskrpc process started it.

    They are known by the server's mark in their command lines. Their working directories would tell too, but
    root may not look at those in a container. A zombie has no command line.
    """
    mark = home.mark.encode()
    return [pid for pid in _all_pids() if _is_postgres(pid) and mark in _read(pid, "cmdline")]


def foreign_server(home: Home) -> int | None:
    """The PID of a server that somebody started on our cluster by hand; None if there is none.

    `postmaster.pid` alone is no proof: that server may have died, and the number be another process's by now.
    """
    try:
        pid = int((home.cluster / "postmaster.pid").read_bytes().split(b"\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    if not _is_postgres(pid):
        return None
    try:
        ours = Path(f"/proc/{pid}/cwd").samefile(home.cluster)
    except OSError:
        ours = os.fsencode(home.cluster) in _read(pid, "cmdline")
    return pid if ours else None


def send_signal(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to those processes that are still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def _is_postgres(pid: int) -> bool:
    return _read(pid, "comm").strip() in {b"postgres", b"postmaster"}


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
