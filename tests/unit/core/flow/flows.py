"""Short ways to write flows in tests."""

from typing import Any

from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow
from taskrpc.wire.yaml_reader import decode


def flow_of(text: str, id: str = "flow") -> Flow:
    """The flow of a YAML text, without its id and namespace."""
    return parse_flow({"id": id, "namespace": "company.team", **_mapping(text)})


def _mapping(text: str) -> dict[str, Any]:
    document = decode(text.encode())
    assert isinstance(document, dict)
    return document


def log(id: str, message: Any = "hi", **more: Any) -> dict[str, Any]:
    """A Log."""
    return {"id": id, "type": "core.log.Log", "message": message, **more}


def value(id: str, format: str = "x", **more: Any) -> dict[str, Any]:
    """A Return."""
    return {"id": id, "type": "core.debug.Return", "format": format, **more}


def fail(id: str, **more: Any) -> dict[str, Any]:
    """A Fail."""
    return {"id": id, "type": "core.execution.Fail", **more}


def work(id: str, **more: Any) -> dict[str, Any]:
    """A task for somebody's executor."""
    return {"id": id, "type": "company/work", **more}


def flowable(kind: str, id: str, *tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A task with tasks."""
    return {"id": id, "type": f"core.flow.{kind}", "tasks": list(tasks), **more}


def flow(*tasks: dict[str, Any], **more: Any) -> Flow:
    """A flow of tasks."""
    return parse_flow({"id": "flow", "namespace": "company.team", "tasks": list(tasks), **more})
