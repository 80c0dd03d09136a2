"""The table of methods."""

import inspect
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel, ConfigDict

from taskrpc.core.callback import Target
from taskrpc.core.model import Resource
from taskrpc.errors import TaskRpcError
from taskrpc.rpc import batch
from taskrpc.rpc.params import NULLS_ABSENT
from taskrpc.rpc.registry import Method, find, method, methods
from taskrpc.rpc.services import Context, Services

SEED = {f"awf.task/{name}" for name in ("poll", "long-poll", "start", "notify", "success", "fail")}


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    n: int


async def _handler(services: Services, context: Context, params: Params) -> Resource:
    """Answers its number."""
    return {"n": params.n}


def test_a_method_is_found_with_and_without_its_prefix(table: dict[str, Method]) -> None:
    method("awf.test/one", Params)(_handler)
    assert find("awf.test/one") is find("test/one") is methods()["awf.test/one"]
    assert find("test/one").handler is _handler


def test_a_name_is_taken_once(table: dict[str, Method]) -> None:
    method("awf.test/one", Params)(_handler)
    with pytest.raises(ValueError, match=r"there is a method awf\.test/one already"):
        method("awf.test/one", Params)(_handler)


def test_a_method_hands_out_no_tasks_unless_it_says_so(table: dict[str, Method]) -> None:
    method("awf.test/one", Params)(_handler)
    method("awf.test/two", Params, hands_out=lambda params: params.n > 1)(_handler)
    assert not find("test/one").hands_out(Params(n=5))
    assert [find("test/two").hands_out(Params(n=n)) for n in (1, 2)] == [False, True]


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("awf.task/pol", ["awf.task/poll", "awf.task/long-poll"]),
        ("task/strat", ["awf.task/start", "awf.task/status"]),
        ("nothing like it", []),
        ("", []),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(name: str, similar: list[str]) -> None:
    with pytest.raises(TaskRpcError) as caught:
        find(name)
    assert (caught.value.type, caught.value.http_status) == ("method-not-found", 404)
    assert caught.value.data is not None
    assert set(similar) <= set(caught.value.data["similar"])  # type: ignore[call-overload]
    assert ("did you mean" in caught.value.message) == bool(similar)


def test_a_long_name_is_shown_shortened() -> None:
    with pytest.raises(TaskRpcError) as caught:
        find("x" * 5000)
    assert len(caught.value.message) < 200


def test_params_are_checked(table: dict[str, Method]) -> None:
    method("awf.test/one", Params)(_handler)
    assert find("test/one").parse({"n": 1}) == Params(n=1)
    with pytest.raises(TaskRpcError) as caught:
        find("test/one").parse({"n": "x", "m": 1})
    assert caught.value.type == "invalid-params"
    assert caught.value.data == {
        "errors": [
            {"path": "n", "message": 'an integer is expected, not "x"'},
            {"path": "m", "message": "is not known here"},
        ]
    }


@pytest.mark.parametrize("name", sorted(methods()))
def test_a_method_is_described_for_the_reference(name: str) -> None:
    assert batch  # entering the methods into the table is its doing
    doc = inspect.getdoc(methods()[name].handler)
    assert doc is not None
    assert doc[0].isupper()
    assert doc.endswith(".")
    assert name.startswith("awf.")


def test_the_original_methods_are_there() -> None:
    assert set(methods()) >= SEED


@pytest.mark.parametrize(
    ("name", "params", "without"),
    [
        ("awf.task/start", {"id": "t", "execId": "e", "callId": None}, {"id": "t", "execId": "e"}),
        (
            "awf.task/success",
            {"id": "t", "execId": "e", "result": {"a": None}, "poll": {"taskDefinitions": ["d"], "timeout": None}},
            {"id": "t", "execId": "e", "result": {"a": None}, "poll": {"taskDefinitions": ["d"]}},
        ),
        (
            "awf.task/fail",
            {"id": "t", "execId": "e", "poll": {"taskDefinitions": ["d"], "maxBatchSize": None}},
            {"id": "t", "execId": "e", "poll": {"taskDefinitions": ["d"]}},
        ),
        (
            "awf.task/list",
            {"filter": {"status": None, "ilike": "a"}, "sort": {"createdAt": None, "lastUpdated": "asc"}},
            {"filter": {"ilike": "a"}, "sort": {"lastUpdated": "asc"}},
        ),
        ("awf.workflow/list", {"filter": {"status": None}, "count": None}, {"filter": {}}),
        ("awf.definition/put", {"id": "d", "priority": None}, {"id": "d"}),
    ],
)
def test_what_is_null_counts_as_absent_in_params_and_their_parts(
    name: str, params: dict[str, object], without: dict[str, object]
) -> None:
    found = find(name)
    assert found.parse(params) == found.parse(without)


def test_documents_keep_their_nulls() -> None:
    params = find("awf.task/success").parse({"id": "t", "execId": "e", "result": {"a": None}})
    assert params.model_dump()["result"] == {"a": None}


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


@pytest.mark.parametrize("name", sorted(methods()))
def test_null_counts_as_absent_in_every_model_within_params(name: str) -> None:
    fields = find(name).params.model_fields
    parts = {field for field, info in fields.items() if set(_models(info.annotation)) - {Target}}
    assert parts == {field for field, info in fields.items() if NULLS_ABSENT in info.metadata}
