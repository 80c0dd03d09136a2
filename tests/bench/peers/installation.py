"""Installs the peers into a directory that is thrown away: a virtual environment, and a prefix of npm."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[2]
_SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Installation:
    """How the program of a peer is started; where it is missing, why."""

    command: Sequence[str] = ()
    reason: str | None = None


def install_python(directory: Path) -> Installation:
    """The command in front of the module of a peer written in Python."""
    python = directory / "venv" / "bin" / "python"
    try:
        _run(sys.executable, "-m", "venv", str(directory / "venv"))
        _run(str(python), "-m", "pip", "install", "--quiet", "--requirement", str(_HERE / "requirements.txt"))
    except OSError as error:
        return Installation(reason=f"pip could not install it: {error}")
    # The peers share no package with the service, but the module with their work lies in this project.
    return Installation(("env", f"PYTHONPATH={_ROOT}", str(python), "-m"))


def install_node(directory: Path) -> Installation:
    """The command in front of the file of a peer written in JavaScript."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return Installation(reason="Node.js is not installed")
    prefix = directory / "node"
    prefix.mkdir()
    for file in (_HERE / "package.json", *_HERE.glob("*.mjs")):
        shutil.copy(file, prefix)
    try:
        _run("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(prefix))
    except OSError as error:
        return Installation(reason=f"npm could not install it: {error}")
    return Installation(("env", f"--chdir={prefix}", "node"))


def _run(*command: str) -> None:
    """Runs a command to its end. Raises OSError with what it said when it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError((done.stderr or done.stdout).strip()[-_SHOWN_CHARACTERS:])


def versions() -> dict[str, str]:
    """The versions of the peers that are installed, by their names."""
    python = [line.split("==") for line in (_HERE / "requirements.txt").read_text().splitlines()]
    node: dict[str, str] = json.loads((_HERE / "package.json").read_text())["dependencies"]
    return {name.partition("[")[0]: version for name, version in (*python, *node.items())}
