"""Lists and reads with hostile filters: they are literal, whatever they look like."""

from typing import Any, Final

import pytest

from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE: Final = [
    "%", "_", "%%", "\\", "\\\\", "'", '"', "''", "$1", "' or '1'='1", "'; drop table taskrpc.task; --", "*", ".*", "(",
    "[a-z]", "\\u0041", "{}", "\n", "😀", "İ", "ß", "é", "e\u0301", "\u202e", "\ufeff", "x" * 100_000,
]  # fmt: skip

SORT: Final = "createdAt or lastUpdated, or one with a leading -, not "
KNOWN: Final = "is not known; use _count, _page, _sort, definition, definition-not or a path such as .status"

QUERIES: Final[list[tuple[str, str, str]]] = [
    ("_count=-1", "_count", "a whole number from 0 to 1000 is expected, not '-1'"),
    ("_count=1001", "_count", "a whole number from 0 to 1000 is expected, not '1001'"),
    ("_count=", "_count", "a whole number from 0 to 1000 is expected, not ''"),
    ("_count=1.0", "_count", "a whole number from 0 to 1000 is expected, not '1.0'"),
    ("_count=%C2%B2", "_count", "a whole number from 0 to 1000 is expected, not '²'"),
    ("_count=%D9%A1", "_count", "a whole number from 0 to 1000 is expected, not '١'"),
    ("_count=" + "9" * 5000, "_count", f"a whole number from 0 to 1000 is expected, not '{'9' * 40}'"),
    ("_page=0", "_page", "a whole number from 1 to 1000000 is expected, not '0'"),
    ("_page=1000001", "_page", "a whole number from 1 to 1000000 is expected, not '1000001'"),
    ("_sort=id", "_sort", SORT + "'id'"),
    ("_sort=", "_sort", SORT + "''"),
    ("_sort=createdAt;drop", "_sort", SORT + "'createdAt;drop'"),
    ("_sort=" + "x" * 5000, "_sort", SORT + f"'{'x' * 40}'"),
    ("status=ready", "status", KNOWN),
    (".=ready", ".", KNOWN),
    ("=", "", KNOWN),
    (".status=a%00b", "query", "NUL is not possible here"),
    (".a%00=b", "query", "NUL is not possible here"),
    ("definition=%00", "query", "NUL is not possible here"),
    ("definition=%00&definition=a", "query", "NUL is not possible here"),
]

EMPTY_LISTS: Final = [
    ".status=nonsense", ".nothing=1", ".params.a.b.c.0=1", "." + "a." * 1000 + "=1", ".status.deeper=ready", ".%FF=%FE",
    ".status=' or 1=1", ".params=%7B%7D", "..=1", ".status=ready&.status=done", "_page=1000000",
    "_page=1000000&_count=1000", "&".join(f".p{n}=1" for n in range(1000)), ".requester.id=x", ".%C3%A9=1",
]  # fmt: skip

UNKNOWN_IDS: Final = [
    "nobody",
    "%00",
    "a%00b",
    "%FF",
    "%ED%A0%80",
    "%27%20or%201=1",
    "a%0Ab",
    "%F0%9F%98%80",
    "x" * 5000,
]


@pytest.mark.parametrize("substring", HOSTILE)
@pytest.mark.parametrize("form", ["text", "param"])
async def test_ilike_finds_a_substring_literally(substring: str, form: str, target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.call(
            "awf.task/list", filter={"ilike": substring if form == "text" else f"a{substring}b"}
        )
    assert reply.status == 200
    assert reply.result == {"resources": [], "total": 0}


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_of_definitions_in_filters_are_literal(name: str, target: Target) -> None:
    async with target.unharmed():
        only = await target.rpc.call("awf.task/list", filter={"includeDefinitions": [name]})
        without = await target.rpc.call("awf.task/list", filter={"excludeDefinitions": [name]}, count=1)
        polled = await target.rpc.call("awf.task/poll", taskDefinitions=[name], workflowDefinitions=[name])
    assert only.result == {"resources": [], "total": 0}
    assert without.result["total"] == len(target.tasks)
    assert polled.result == {"resources": []}


@pytest.mark.parametrize("params", [
    {"filter": {"ilike": "requested", "status": "ready"}},
    {"filter": {"outcome": ["succeeded"], "status": ["ready"]}},
    {"filter": {"status": []}},
    {"filter": {"outcome": []}},
    {"count": 1000, "page": 1_000_000},
])  # fmt: skip
async def test_a_filter_that_admits_nothing_is_answered_with_nothing(params: Any, target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.call("awf.task/list", **params)
    assert reply.result["resources"] == []


@pytest.mark.parametrize(("query", "path", "message"), QUERIES)
@pytest.mark.parametrize("resource", ["AidboxTask", "AidboxWorkflow"])
async def test_a_bad_query_is_refused(resource: str, query: str, path: str, message: str, target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.get(f"/{resource}?{query}")
    assert (reply.status, reply.error) == (422, {
        "type": "invalid-params",
        "message": f"{path}: {message}",
        "data": {"errors": [{"path": path, "message": message}]},
    })  # fmt: skip


@pytest.mark.parametrize("query", EMPTY_LISTS)
@pytest.mark.parametrize("resource", ["AidboxTask", "AidboxTaskLog"])
async def test_a_query_that_nothing_fits_is_an_empty_bundle(resource: str, query: str, target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.get(f"/{resource}?{query}")
    assert reply.status == 200
    assert reply.body["entry"] == []


@pytest.mark.parametrize("resource", ["AidboxTask", "AidboxWorkflow", "AidboxTaskLog"])
@pytest.mark.parametrize("resource_id", UNKNOWN_IDS)
async def test_an_unknown_resource_is_not_found(resource: str, resource_id: str, target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.get(f"/{resource}/{resource_id}")
    assert (reply.status, reply.error["type"]) == (404, "not-found")
    assert reply.error["message"].startswith("There is no such resource: ")
    assert len(reply.error["message"]) < 120


@pytest.mark.parametrize("entry", ["running", "running.", "running.x", "running.0", "running.-1", "running.١", ".1",
                                   "running.99999999999999999999", "running.999999999999999999"])  # fmt: skip
async def test_an_unknown_entry_of_the_log_is_not_found(entry: str, target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.get(f"/AidboxTaskLog/{entry}")
    assert (reply.status, reply.error) == (
        404, {"type": "not-found", "message": f"There is no such resource: {entry!r}"},
    )  # fmt: skip
