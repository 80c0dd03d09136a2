"""What can be held of the cluster without one; `python -m tests.faults.ha` runs it."""

import string
from pathlib import Path
from typing import Any

import yaml

from tests.faults.ha.__main__ import LANES
from tests.faults.ha.cluster import TEMPLATE, Cluster, State, state_of
from tests.faults.ha.nemesis import NodeNemesis
from tests.faults.plan import names_of
from tests.faults.recorder import Recorder

README = TEMPLATE.with_name("README.md").read_text()


def _settings(value: Any) -> set[str]:
    """The names of everything that is said in a mapping of mappings."""
    if not isinstance(value, dict):
        return set()
    return {name for name, inner in value.items() for name in {name, *_settings(inner)}}


def test_the_set_up_says_a_value_for_each_variable_of_the_template() -> None:
    variables = string.Template(TEMPLATE.read_text()).get_identifiers()
    assert variables
    assert [name for name in variables if f"{name}=" not in README] == []


def test_the_set_up_says_why_for_each_setting_of_the_cluster() -> None:
    dcs = yaml.safe_load(TEMPLATE.read_text())["bootstrap"]["dcs"]
    wanted = _settings(dcs) - {"postgresql", "parameters", "maximum_lag_on_failover", "max_wal_size"}
    assert "synchronous_mode" in wanted
    assert [name for name in wanted if name not in README and "tcp_keepalives" not in name] == []


def _member(name: str, role: str, state: str = "streaming") -> dict[str, str]:
    return {"name": name, "role": role, "state": state}


def test_a_cluster_is_whole_when_all_standbys_stream_and_may_confirm() -> None:
    whole = [_member("a", "leader", "running"), _member("b", "quorum_standby"), _member("c", "quorum_standby")]
    assert state_of(whole) == State("a", ["b", "c"], ["b", "c"])
    assert state_of(whole).is_whole  # type: ignore[union-attr]
    recovering = state_of([*whole[:2], _member("c", "replica", "starting")])
    assert recovering is not None
    assert not recovering.is_whole


def test_a_cluster_without_a_running_primary_has_no_state() -> None:
    assert state_of([_member("a", "leader", "starting"), _member("b", "replica")]) is None


def test_every_fault_of_nodes_that_can_be_planned_can_be_done(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run.jsonl")
    assert NodeNemesis(Cluster(tmp_path, tmp_path), recorder).strikes.keys() == set(names_of(LANES))
    recorder.close()
