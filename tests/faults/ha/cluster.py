"""Three nodes of PostgreSQL under Patroni, and etcd, as processes of this machine; set up as deploy/ha/ says."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import string
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import httpx2
import yaml

from taskrpc.store.embedded.account import service_account
from tests.system.waiting import until

TEMPLATE: Final = Path(__file__).parents[3] / "deploy/ha/patroni.yml"
NODES: Final = 3
TTL_SECONDS: Final[float] = yaml.safe_load(TEMPLATE.read_text())["bootstrap"]["dcs"]["ttl"]
_PASSWORD: Final = "taskrpc"
_START_SECONDS: Final = 120.0
_HERE: Final = "127.0.0.1"


class State(NamedTuple):
    """What Patroni says of the cluster: who is primary, for whom its commits wait, who is up to date."""

    primary: str
    synchronous: list[str]
    streaming: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether every node does its work."""
        return len(self.synchronous) == len(self.streaming) == NODES - 1


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((_HERE, 0))
        port: int = listener.getsockname()[1]
        return port


def missing() -> str | None:
    """What this machine lacks for a cluster, and how to get it; None when it has everything."""
    if shutil.which("etcd") is None:
        return "there is no etcd: apt-get install etcd-server"
    if _patroni("patroni") is None:
        return "there is no Patroni: pip install -e '.[ha]'"
    if _postgres() is None:
        return "there is no PostgreSQL with pg_rewind: apt-get install postgresql"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL does not run as root, and there is no setpriv to run it as somebody else"
    return None


def _patroni(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def _postgres() -> Path | None:
    """The directory of PostgreSQL's programs: all of them, Patroni needs more than a server does."""
    on_path = shutil.which("pg_rewind")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_rewind"), key=lambda path: int(path.parts[-3]))
    found = [Path(on_path), *installed] if on_path else installed
    return found[-1].resolve().parent if found else None


def _as_account() -> list[str]:
    """For root: what goes before a command so that PostgreSQL starts, and Python is found wherever it is."""
    if os.geteuid() != 0:
        return []
    account = service_account()
    reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    return ["setpriv", "--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups", *reading]


class Node:
    """One node: a Patroni and the PostgreSQL that it runs."""

    def __init__(self, name: str, place: Path, log: Path, etcd: str) -> None:
        self.name = name
        self.port, self.api_port = free_port(), free_port()
        self._log = log
        self._data = place / name
        self.config = place / f"{name}.yml"
        self._write_config(etcd)
        self._process: asyncio.subprocess.Process | None = None

    def _write_config(self, etcd: str) -> None:
        values = {"NODE": self.name, "ADDRESS": _HERE, "API_PORT": str(self.api_port), "PORT": str(self.port)}
        values |= {"ETCD_HOSTS": etcd, "DATA": str(self._data), "BIN": str(_postgres())}
        values |= {"NETWORK": f"{_HERE}/32", "SUPERUSER_PASSWORD": _PASSWORD}
        values |= {"REPLICATION_PASSWORD": _PASSWORD, "REWIND_PASSWORD": _PASSWORD}
        config = yaml.safe_load(string.Template(TEMPLATE.read_text()).substitute(values))
        here = {"unix_socket_directories": str(self._data.parent), "fsync": "off"}  # the machine itself stays up
        config["postgresql"]["parameters"] = here
        config["watchdog"]["mode"] = "off"
        self.config.write_text(yaml.safe_dump(config))

    async def start(self) -> None:
        """Starts Patroni, which starts PostgreSQL."""
        patroni = _patroni("patroni")
        assert patroni is not None
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_as_account(), patroni, str(self.config), stdout=log, stderr=log, start_new_session=True
            )

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to all processes of the node: Patroni first, then PostgreSQL's, of which the first makes the
        others."""
        sent: set[int] = set()
        while new := [pid for pid in self._processes() if pid not in sent]:
            for pid in new:
                sent.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _processes(self) -> list[int]:
        own = [] if self._process is None or self._process.returncode is not None else [self._process.pid]
        found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [*own, *sorted(pid for pid in found if self._runs(pid))]

    def _runs(self, pid: int) -> bool:
        """Whether a process is one of PostgreSQL in this node's data directory."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cwd").readlink() == self._data
        return False

    async def kill(self) -> None:
        """The node is lost, as far as processes can be."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()


class Cluster:
    """etcd and the nodes."""

    def __init__(self, place: Path, directory: Path) -> None:
        self._place = place
        self._directory = directory
        self._etcd: asyncio.subprocess.Process | None = None
        self.nodes: Mapping[str, Node] = {}

    async def open(self) -> None:
        """Starts everything, and makes the database."""
        if lack := missing():
            raise RuntimeError(lack)
        etcd = await self._start_etcd()
        home = self._place / "nodes"
        home.mkdir(mode=0o755)
        account = service_account()
        os.chown(home, account.uid, account.gid)
        names = [f"node-{n}" for n in range(NODES)]
        self.nodes = {name: Node(name, home, self._directory / f"{name}.log", etcd) for name in names}
        for node in self.nodes.values():
            await node.start()
        state = await self.whole()
        connection = await asyncpg.connect(self._url(state.primary, "postgres", "postgres"))
        await connection.execute(f"create role taskrpc login password '{_PASSWORD}'")
        await connection.execute("create database taskrpc owner taskrpc")
        await connection.close()

    async def _start_etcd(self) -> str:
        client, peer = free_port(), free_port()
        at_client, at_peer = f"http://{_HERE}:{client}", f"http://{_HERE}:{peer}"
        arguments = ["--name", "etcd", "--data-dir", str(self._place / "etcd"), "--initial-cluster", f"etcd={at_peer}"]
        arguments += ["--listen-client-urls", at_client, "--advertise-client-urls", at_client]
        arguments += ["--listen-peer-urls", at_peer, "--initial-advertise-peer-urls", at_peer]
        with (self._directory / "etcd.log").open("wb") as log:
            self._etcd = await asyncio.create_subprocess_exec("etcd", *arguments, stdout=log, stderr=log)
        return f"{_HERE}:{client}"

    def _url(self, name: str, user: str, database: str) -> str:
        return f"postgresql://{user}:{_PASSWORD}@{_HERE}:{self.nodes[name].port}/{database}"

    @property
    def database_url(self) -> str:
        """Where the servers find whichever node is the primary."""
        hosts = ",".join(f"{_HERE}:{node.port}" for node in self.nodes.values())
        return f"postgresql://taskrpc:{_PASSWORD}@{hosts}/taskrpc?target_session_attrs=read-write"

    async def state(self) -> State | None:
        """What the first node that answers says; None when none does, or there is no primary."""
        async with httpx2.AsyncClient(timeout=2) as http:
            for node in self.nodes.values():
                with contextlib.suppress(httpx2.HTTPError):
                    reply = await http.get(f"http://{_HERE}:{node.api_port}/cluster")
                    return state_of(reply.json()["members"])
        return None

    async def whole(self) -> State:
        """Waits until every node does its work."""

        async def is_whole() -> State | None:
            await asyncio.sleep(0.2)
            state = await self.state()
            return state if state is not None and state.is_whole else None

        return await until(is_whole, _START_SECONDS)

    async def switch_over(self, primary: str, candidate: str) -> None:
        """Has another node become the primary, in order."""
        patronictl = _patroni("patronictl")
        assert patronictl is not None
        arguments = ["-c", str(self.nodes[primary].config), "switchover", "--force"]
        process = await asyncio.create_subprocess_exec(
            *(patronictl, *arguments, "--primary", primary, "--candidate", candidate),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"the switchover from {primary} to {candidate} failed: {said.decode()}")

    async def close(self) -> None:
        """Ends everything, whatever state it is in."""
        for node in self.nodes.values():
            node.signal(signal.SIGCONT)
            await node.kill()
        if self._etcd is not None:
            with contextlib.suppress(ProcessLookupError):
                self._etcd.kill()
            await self._etcd.wait()


def state_of(members: list[dict[str, Any]]) -> State | None:
    """What the members say that Patroni lists; None when none of them is a primary that works."""
    primaries = [member["name"] for member in members if member["role"] == "leader" and member["state"] == "running"]
    if not primaries:
        return None
    synchronous = [member["name"] for member in members if member["role"] in ("sync_standby", "quorum_standby")]
    streaming = [member["name"] for member in members if member["state"] == "streaming"]
    return State(primaries[0], synchronous, streaming)
