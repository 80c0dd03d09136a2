"""The runner itself: a transcript that is wrong must fail, and say where."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.matching import KINDS, Names, TranscriptError
from tests.contract.replay import Answer, Mismatch, Request, main, replay
from tests.contract.transcript import parse, read

TIME = "2023-05-04T16:33:14.682354Z"
BODY: dict[str, Any] = {"result": {"n": 1, "list": ["a", "b"], "at": TIME}}


def answered(body: object = BODY, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    """A server that always answers the same."""
    content = b"" if body is None else json.dumps(body).encode()
    return lambda request: Answer(status, {"content-type": "application/json"} | (headers or {}), content)


def played(step: dict[str, Any], send: Any = None) -> None:
    step = {"call": {"method": "m"}, **step}
    replay(parse({"title": "T", "steps": [step]}), "json", send or answered())


@pytest.mark.parametrize(("step", "difference"), [
    ({"expect": BODY, "status": 422}, "status: expected 422, got 200"),
    ({"expect": BODY, "answer": "yaml"}, "header content-type: expected text/yaml, got application/json"),
    ({"expect": BODY, "expect-headers": {"retry-after": "1"}}, "header retry-after: expected '1', got None"),
    ({}, "the body: expected none"),
    ({"expect": {"result": {**BODY["result"], "n": 2}}}, "result.n: expected 2, got 1"),
    ({"expect": {"result": {**BODY["result"], "n": "1"}}}, "result.n: expected '1', got 1"),
    ({"expect": {"result": {**BODY["result"], "n": 1.0}}}, "result.n: expected 1.0, got 1"),
    ({"expect": {"result": {**BODY["result"], "n": True}}}, "result.n: expected True, got 1"),
    ({"expect": {"result": {**BODY["result"], "n": None}}}, "result.n: expected None, got 1"),
    ({"expect": {"result": {**BODY["result"], "n": {}}}}, "result.n: expected a mapping, got 1"),
    ({"expect": {"result": {**BODY["result"], "n": []}}}, "result.n: expected a list of 0, got 1"),
    ({"expect": {"result": {**BODY["result"], "m": "<any>"}}}, "result.m: is missing"),
    ({"expect": {"result": {"n": 1, "list": ["a", "b"]}}}, f"result.at: was not expected: '{TIME}'"),
    ({"expect": {"result": {"list": ["a"], "<others>": "<any>"}}}, "result.list: expected a list of 1"),
    ({"expect": {"result": {"list": ["b", "a"], "<others>": "<any>"}}}, "result.list[0]: expected 'b', got 'a'"),
])  # fmt: skip
def test_an_answer_that_differs_fails_and_is_named(step: dict[str, Any], difference: str) -> None:
    with pytest.raises(Mismatch) as failed:
        played(step)
    assert difference in str(failed.value)
    assert str(failed.value).startswith("T: step 1, json\n")


def test_an_answer_as_expected_passes() -> None:
    played({"expect": BODY})
    played({"expect": {"result": {"at": "<time>", "<others>": "<any>"}}})
    played({"status": 204}, answered(None, 204))
    played({"expect": BODY, "expect-headers": {"retry-after": "1"}}, answered(headers={"retry-after": "1"}))


def test_a_body_in_another_format_than_announced_fails() -> None:
    with pytest.raises(Mismatch, match="the body is no json"):
        played({"expect": {}}, lambda request: Answer(200, {"content-type": "application/json"}, b"a: b"))


@pytest.mark.parametrize(("kind", "good", "bad"), [
    ("any", False, None),
    ("text", "a", ""),
    ("text", "a", 1),
    ("id", "a.B_9-", "a b"),
    ("id", "a" * 64, "a" * 65),
    ("uuid", "ea5c0022-c1e7-4f3c-b1ed-7e9b2428b7d2", "ea5c0022-c1e7-4f3c-b1ed-7e9b2428b7d"),
    ("time", TIME, "2023-05-04T16:33:14Z"),
    ("time", TIME, 1683217994),
    ("version", "17633", "017633"),
    ("version", "17633", 17633),
    ("integer", 5, 5.0),
    ("integer", 5, True),
    ("list", [], {}),
    ("mapping", {}, []),
])  # fmt: skip
def test_a_kind_takes_what_is_of_it_and_nothing_else(kind: str, good: object, bad: object) -> None:
    assert list(Names({}).mismatches(f"<{kind}>", good, "x")) == []
    assert list(Names({}).mismatches(f"<{kind}>", bad, "x")) == [f"x: {bad!r} is not of the kind <{kind}>"]


def test_every_kind_refuses_a_missing_value() -> None:
    assert [kind for kind in KINDS if not list(Names({}).mismatches(f"<{kind}>", None))] == []


def test_a_captured_value_is_put_into_later_requests_and_expected_again() -> None:
    sent: list[Request] = []
    bodies = iter([{"id": "t1"}, {"id": "t1"}, {"id": "t2"}])

    def send(request: Request) -> Answer:
        sent.append(request)
        return Answer(200, {"content-type": "application/json"}, json.dumps(next(bodies)).encode())

    steps = [
        {"call": {}, "expect": {"id": "<id task>"}},
        {"get": "/AidboxTask/<task>", "expect": {"id": "<task>"}},
        {"call": {"id": "<task>", "text": "of <task>"}, "expect": {"id": "<task>"}},
    ]
    with pytest.raises(Mismatch, match=r"step 3, json\n  id: expected 't1', got 't2'"):
        replay(parse({"title": "T", "steps": steps}), "json", send)
    assert (sent[1].method, sent[1].target) == ("GET", "/AidboxTask/t1")
    assert json.loads(sent[2].body or b"") == {"id": "t1", "text": "of t1"}


def test_names_differ_from_replay_to_replay() -> None:
    sent = set()

    def send(request: Request) -> Answer:
        sent.add(request.target)
        return answered()(request)  # type: ignore[no-any-return]

    document = {"title": "T", "names": {"work": "a/b"}, "steps": [{"get": "/<work>", "expect": "<any>"}]}
    replay(parse(document), "json", send)
    replay(parse(document), "json", send)
    assert len(sent) == 2
    assert all(target.startswith("/a/b-") for target in sent)


def test_a_call_in_the_background_is_answered_where_it_is_finished() -> None:
    steps = [{"call": {}, "meanwhile": "w"}, {"finish": "w", "expect": {"result": 2}}]
    with pytest.raises(Mismatch, match="step 2, json"):
        replay(parse({"title": "T", "steps": steps}), "json", answered({"result": 1}))


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_headers_of_the_form_are_sent_unless_the_step_overrides_them(form: Any) -> None:
    sent: list[Request] = []

    def send(request: Request) -> Answer:
        sent.append(request)
        return Answer(204, {}, b"")

    steps: list[Any] = [
        {"call": {"a": 1}, "status": 204},
        {"body": "a: 1", "headers": {"content-type": None, "accept": "*/*"}, "status": 204},
    ]
    replay(parse({"title": "T", "steps": steps}), form, send)
    media_type = {"yaml": "text/yaml", "json": "application/json"}[form]
    assert sent[0].headers == {"content-type": media_type, "accept": media_type}
    assert sent[0].body == (b"a: 1\n" if form == "yaml" else b'{"a": 1}')
    assert sent[1].headers == {"accept": "*/*"}
    assert sent[1].body == b"a: 1"


@pytest.mark.parametrize(("document", "problem"), [
    ([], "a transcript is a mapping"),
    ({"title": "T"}, "a transcript is a mapping"),
    ({"title": "T", "steps": [], "further": 1}, "a transcript is a mapping"),
    ({"title": "T", "steps": [{"call": {}, "expects": {}}]}, "step 1: a step is a mapping with keys of"),
    ({"title": "T", "steps": [{"expect": {}}]}, "step 1: a step has exactly one of"),
    ({"title": "T", "steps": [{"call": {}, "get": "/"}]}, "step 1: a step has exactly one of"),
    ({"title": "T", "steps": [{"call": {}, "meanwhile": "w"}]}, "finished by exactly one later step"),
    ({"title": "T", "steps": [{"finish": "w"}]}, "finished by exactly one later step"),
    ({"title": "T", "steps": [{"call": {}, "meanwhile": "w", "expect": {}}]}, "belongs to the step that finishes it"),
    ({"title": "T", "steps": [{"call": {"id": object()}}]}, "is no value of JSON"),
    ({"title": "T", "steps": [{"call": {1: "a"}}]}, "the key 1 is no text"),
])  # fmt: skip
def test_a_malformed_transcript_is_refused(document: object, problem: str) -> None:
    with pytest.raises(TranscriptError, match=problem):
        parse(document)


@pytest.mark.parametrize(("step", "problem"), [
    ({"call": {"id": "<task>"}}, "<task> is neither a kind nor the name of anything captured before"),
    ({"call": {"id": "<id>"}}, "<id> can only stand alone"),
    ({"call": {}, "expect": {"result": "<task>"}}, "<task> is neither a kind"),
    ({"call": {}, "expect": {"result": "no <id>"}}, "<id> can only stand alone"),
    ({"call": {}, "expect": {"result": {"at": "<time id>", "<others>": "<any>"}}}, "id cannot be a name"),
    ({"call": {}, "expect": {"result": {"list": ["<text a>", "<text a>"], "<others>": "<any>"}}}, "captured before"),
])  # fmt: skip
def test_a_placeholder_that_stands_for_nothing_is_refused(step: dict[str, Any], problem: str) -> None:
    with pytest.raises(TranscriptError, match=problem):
        played(step)


def test_a_time_that_is_not_quoted_is_refused_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("title: T\nsteps:\n- call: {executeAt: 2023-05-04}\n")
    with pytest.raises(TranscriptError, match=r"t\.yaml: .*is no value of JSON; quote it"):
        read(path)


@pytest.fixture
def nobody_listens() -> Iterator[str]:
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_the_command_tells_what_failed_and_ends_with_1(
    tmp_path: Path, nobody_listens: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("title: T\nsteps: []\n")
    bad.write_text("title: T\nsteps: [{get: /}]\n")
    assert main([nobody_listens, str(good)]) == 0
    assert main([nobody_listens, str(good), str(bad), "--form", "yaml"]) == 1
    assert f"FAILED  {bad} (yaml)" in capsys.readouterr().out
