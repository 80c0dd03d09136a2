"""Bad params of the methods about namespaces, and bad requests for files: refused in time, changing nothing."""

from typing import Any, Final

import httpx2
import pytest

from tests.web.target import Target
from tests.web.test_bad_params import TEXT, invalid

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACE: Final = {"namespace": "team"}
TASKS: Final = [{"id": "a", "type": "core.log.Log", "message": "x"}]
GOOD: Final[dict[str, dict[str, Any]]] = {
    "kv/put": {**PLACE, "key": "k", "value": 1},
    "kv/get": {**PLACE, "key": "k"},
    "kv/delete": {**PLACE, "key": "k"},
    "secret/put": {**PLACE, "key": "k", "value": "v"},
    "secret/get": {**PLACE, "key": "k"},
    "secret/delete": {**PLACE, "key": "k"},
    "namespace-file/put": {**PLACE, "path": "p", "content": "c"},
    "namespace-file/get": {**PLACE, "path": "p"},
    "namespace-file/delete": {**PLACE, "path": "p"},
    "template/put": {**PLACE, "id": "t", "tasks": TASKS},
    "template/get": {**PLACE, "id": "t"},
    "template/delete": {**PLACE, "id": "t"},
    "kv/list": {},
    "secret/list": {},
    "namespace-file/list": {},
    "template/list": {},
}
REQUIRED: Final = [
    (method, name) for method, params in GOOD.items() for name in params if name != "content" and params[name]
]


@pytest.mark.parametrize(("method", "missing"), REQUIRED)
async def test_a_param_that_is_missing_is_named(method: str, missing: str, target: Target) -> None:
    params = {name: value for name, value in GOOD[method].items() if name != missing}
    assert await target.refusal({"method": method, "params": params}) == (422, invalid(missing, "is required"))


@pytest.mark.parametrize("method", GOOD)
async def test_a_param_that_is_not_known_is_refused(method: str, target: Target) -> None:
    params = GOOD[method] | {"prams": 1}
    assert await target.refusal({"method": method, "params": params}) == (422, invalid("prams", "is not known here"))


@pytest.mark.parametrize("method", [method for method in GOOD if method != "secret/put"])
async def test_a_namespace_is_text(method: str, target: Target) -> None:
    for value, message in TEXT:
        params = GOOD[method] | {"namespace": value}
        assert await target.refusal({"method": method, "params": params}) == (422, invalid("namespace", message))


@pytest.mark.parametrize(
    ("method", "param", "value"),
    [
        ("kv/put", "ttl", 0),
        ("kv/put", "ttl", "PT1H"),
        ("kv/put", "ttl", 2**62),
        ("kv/list", "count", 0),
        ("kv/list", "count", 1001),
        ("kv/list", "page", 0),
        ("secret/list", "prefix", 1),
        ("secret/put", "description", "x" * 1001),
        ("namespace-file/get", "path", "a/../b"),
        ("template/put", "tasks", []),
        ("template/put", "tasks", "a"),
        ("template/put", "finally", {}),
        ("template/get", "revision", 0),
        ("template/get", "revision", 2**31),
    ],
)
async def test_a_param_out_of_range_is_refused(method: str, param: str, value: Any, target: Target) -> None:
    status, error = await target.refusal({"method": method, "params": GOOD[method] | {param: value}})
    assert (status, error["type"], error["data"]["errors"][0]["path"]) == (422, "invalid-params", param)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/files/none", {}, 404),
        ("GET", "/files", {}, 404),
        ("POST", "/files/f", {}, 405),
        ("DELETE", "/files/f", {}, 405),
        ("PUT", "/files/f", {"content-encoding": "gzip"}, 415),
        ("PUT", "/files/f", {"authorization": "Bearer none"}, 401),
        ("GET", "/files/f", {"authorization": "Bearer"}, 401),
        ("PUT", "/files/%2e%2e/f", {}, 422),
    ],
)
async def test_a_bad_request_for_a_file_is_refused(
    method: str, path: str, headers: dict[str, str], status: int, target: Target
) -> None:
    async with target.unharmed(), httpx2.AsyncClient(base_url=target.server.url) as http:
        refused = await http.request(method, path, content=b"x", headers=headers)
        assert (refused.status_code, set(refused.json())) == (status, {"error"})
