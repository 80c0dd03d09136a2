"""The benchmark runs from end to end: in short, with small numbers. No test here looks at a time."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.bench.document import BEGIN, END

# One of each behaviour, of what is put into the database before, and of those that are compared.
_CONTESTANTS: Final = (
    "single-8",
    "plain-8",
    "limit",
    "one-row",
    "success-and-poll-8",
    "arrays-10",
    "drain-100",
    "yaml-64",
    "workers-2",
    "wake-up-1000-of-2",
    "burst-10000",
    "heartbeats",
    "claims-10m-done-1m-ready",
    "claims-old-snapshot",
)
_PEERS: Final = ("pgqueuer-drain", "procrastinate-pick-up", "pg-boss-drain", "graphile-single-1")
_DEADLINE_SECONDS: Final = 300
_ROOT: Final = Path(__file__).parents[2]


def _bench(page: Path, *arguments: str) -> Any:
    """Runs the benchmark; answers the raw figures that it wrote beside the page."""
    page.write_text(f"# A page\n\n{BEGIN}\nformer figures\n{END}\n\nand more\n")
    command = (sys.executable, "-m", "tests.bench", "--quick", "--rounds", "1", "--document", str(page), *arguments)
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return orjson.loads((page.with_suffix("") / "figures.json").read_bytes())


def _scenarios(names: tuple[str, ...]) -> list[str]:
    return [argument for name in names for argument in ("--scenario", name)]


def test_the_benchmark_measures_and_writes_its_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    written = _bench(page, "--without-peers", *_scenarios(_CONTESTANTS))
    assert written["figures"].keys() == set(_CONTESTANTS)
    for (figures,) in written["figures"].values():
        assert figures["rate"] > 0
        assert figures["p99"] >= figures["p50"] > 0
    text = page.read_text()
    assert text.startswith("# A page")
    assert text.endswith("and more\n")
    assert "former figures" not in text
    assert "share of the limit" in text
    assert (tmp_path / "performance" / "claims.png").stat().st_size > 1000
    assert "(performance/claims.svg)" in text


def test_the_peers_install_themselves_and_run(tmp_path: Path) -> None:
    written = _bench(tmp_path / "peers.md", *_scenarios(_PEERS))
    if not written["figures"]:
        pytest.skip("the registries of packages cannot be reached")
    for (figures,) in written["figures"].values():
        assert figures["rate"] > 0
