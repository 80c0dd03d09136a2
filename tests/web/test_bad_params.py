"""Params that do not fit their methods: every param of every method, with values of wrong types and out of range."""

from typing import Any, Final

import pytest

from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

Mistakes = list[tuple[Any, str]]

TEXT: Final[Mistakes] = [
    (1, "text is expected, not 1"),
    (True, "text is expected, not true"),
    (["a"], 'text is expected, not ["a"]'),
    ({"a": 1}, 'text is expected, not {"a":1}'),
]
FLAG: Final[Mistakes] = [
    (1, "true or false is expected, not 1"),
    ("true", 'true or false is expected, not "true"'),
]
MAPPING: Final[Mistakes] = [
    ("a", 'a mapping is expected, not "a"'),
    ([1], "a mapping is expected, not [1]"),
]
INTEGER: Final[Mistakes] = [
    ("1", 'an integer is expected, not "1"'),
    (1.0, "an integer is expected, not 1.0"),
    (True, "an integer is expected, not true"),
    ([1], "an integer is expected, not [1]"),
]
NAME: Final[Mistakes] = [
    *TEXT,
    ("", 'text that is not empty is expected, not ""'),
    ("n" * 256, f'String should have at most 255 characters, not "{"n" * 75} …'),
]
NAMES: Final[Mistakes] = [
    ("a", 'a list is expected, not "a"'),
    ({"a": 1}, 'a list is expected, not {"a":1}'),
]
NEW_ID: Final[Mistakes] = [
    *TEXT,
    *(
        (text, f"an id is 1 to 64 of A-Z a-z 0-9 . _ -, not {shown}")
        for text, shown in (
            ("", '""'),
            ("a b", '"a b"'),
            ("a/b", '"a/b"'),
            ("é", '"é"'),
            ("a\n", r'"a\n"'),
            ("a" * 65, f'"{"a" * 65}"'),
        )
    ),
]
TIME: Final[Mistakes] = [
    (1683217843, "a time like 2023-05-04T15:30:43Z is expected, not 1683217843"),
    ("", "'' is not a time like 2023-05-04T15:30:43Z"),
    ("tomorrow", "'tomorrow' is not a time like 2023-05-04T15:30:43Z"),
    ("2023-5-4", "'2023-5-4' is not a time like 2023-05-04T15:30:43Z"),
    ("٢٠٢٣-٠٥-٠٤", "'٢٠٢٣-٠٥-٠٤' is not a time like 2023-05-04T15:30:43Z"),
    ("2023-05-04T15:30:43+1:00", "'2023-05-04T15:30:43+1:00' is not a time like 2023-05-04T15:30:43Z"),
    ("2023-02-30", "'2023-02-30' does not exist: day is out of range for month"),
    ("2023-13-01", "'2023-13-01' does not exist: month must be in 1..12"),
    ("2023-05-04T24:00:00Z", "'2023-05-04T24:00:00Z' does not exist: hour must be in 0..23"),
    ("2023-05-04T15:30:60Z", "'2023-05-04T15:30:60Z' does not exist: second must be in 0..59"),
    (
        "0001-01-01T00:00:00Z",
        "'0001-01-01T00:00:00Z' is too far away; use a time from 1900-01-01 to 9999-12-31T23:59:59Z",
    ),
    (
        "9999-12-31T23:59:59.999999Z",
        "'9999-12-31T23:59:59.999999Z' is too far away; use a time from 1900-01-01 to 9999-12-31T23:59:59Z",
    ),
    (
        "9999-12-31T23:59:59-01:00",
        "'9999-12-31T23:59:59-01:00' does not exist: date value out of range",
    ),
]


def between(least: int, most: int) -> Mistakes:
    return [
        *INTEGER,
        (least - 1, f"Input should be greater than or equal to {least}, not {least - 1}"),
        (most + 1, f"Input should be less than or equal to {most}, not {most + 1}"),
        (2**64 - 1, f"Input should be less than or equal to {most}, not {2**64 - 1}"),
    ]


STATUSES: Final = "'created', 'waiting', 'ready', 'requested', 'in-progress' or 'done'"
POLL: Final = {"taskDefinitions": ["test/none"]}
EXECUTION: Final = {"id": "running", "execId": "wrong"}
CREATE: Final = {"definition": "test/task"}
LIST: Final[dict[str, Any]] = {}

# method, its other params, the path of the param, and its mistakes
PARAMS: Final[list[tuple[str, dict[str, Any], str, Mistakes]]] = [
    ("awf.task/poll", {}, "taskDefinitions", NAMES),
    ("awf.task/poll", {}, "workflowDefinitions", NAMES),
    ("awf.task/poll", POLL, "maxBatchSize", between(1, 1000)),
    ("awf.task/poll", POLL, "start", FLAG),
    ("awf.task/long-poll", {}, "taskDefinitions", NAMES),
    ("awf.task/long-poll", {}, "workflowDefinitions", NAMES),
    ("awf.task/long-poll", POLL, "maxBatchSize", between(1, 1000)),
    ("awf.task/long-poll", POLL, "timeout", between(0, 600_000)),
    ("awf.task/long-poll", POLL, "start", FLAG),
    *(
        (f"awf.task/{method}", EXECUTION | further, param, mistakes)
        for method, further in (
            ("start", {}),
            ("notify", {"notification": "heartbeat"}),
            ("success", {}),
            ("fail", {}),
            ("release", {}),
            ("feedback", {"feedback": 1}),
        )
        for param, mistakes in (("id", TEXT), ("execId", TEXT), ("callId", NAME))
    ),
    ("awf.task/notify", EXECUTION | {"notification": "heartbeat"}, "message", TEXT),
    ("awf.task/notify", EXECUTION | {"notification": "progress"}, "progress-current", INTEGER),
    ("awf.task/notify", EXECUTION | {"notification": "progress", "progress-current": 1}, "progress-total", INTEGER),
    ("awf.task/notify", EXECUTION | {"notification": "progress", "progress-current": 1}, "progress-unit", TEXT),
    ("awf.task/notify", EXECUTION, "notification", [
        (1, "Input should be 'heartbeat' or 'progress', not 1"),
        ("Heartbeat", "Input should be 'heartbeat' or 'progress', not \"Heartbeat\""),
        ("awf.task/awf.task/heartbeat", "Input should be 'heartbeat' or 'progress', not \"awf.task/heartbeat\""),
    ]),
    ("awf.task/success", EXECUTION, "poll", [
        (1, "a mapping is expected, not 1"),
        ([], "a mapping is expected, not []"),
        ({}, "taskDefinitions or workflowDefinitions has to be given"),
    ]),
    ("awf.task/fail", EXECUTION, "poll", [("now", 'a mapping is expected, not "now"')]),
    ("awf.task/feedback", EXECUTION | {"feedback": 1}, "append", FLAG),
    ("awf.task/create-and-execute", {}, "definition", NAME),
    ("awf.task/create-and-execute", CREATE, "id", NEW_ID),
    ("awf.task/create-and-execute", CREATE, "label", NAME),
    ("awf.task/create-and-execute", CREATE, "params", MAPPING),
    ("awf.task/create-and-execute", CREATE, "executeAt", TIME),
    ("awf.task/create-and-execute", CREATE, "priority", between(-1_000_000_000, 1_000_000_000)),
    ("awf.task/status", {}, "id", TEXT),
    ("awf.task/status", {"id": "ready"}, "include-settings?", FLAG),
    ("awf.task/status", {"id": "ready"}, "include-log?", FLAG),
    *((f"awf.task/{method}", {}, "id", TEXT) for method in ("cancel", "stop", "retry", "result")),
    *((f"awf.task/{method}", {"id": "nobody"}, "callId", NAME) for method in ("cancel", "stop", "retry")),
    ("awf.task/result", {"id": "ready"}, "timeout", between(0, 600_000)),
    ("awf.task/list", LIST, "count", between(1, 1000)),
    ("awf.task/list", LIST, "page", between(1, 1_000_000)),
    ("awf.task/list", LIST, "filter", [("a", 'a mapping is expected, not "a"')]),
    ("awf.task/list", LIST, "sort", [
        ("createdAt", 'a mapping is expected, not "createdAt"'),
        ({}, "one of createdAt and lastUpdated has to be given"),
        ({"createdAt": "asc", "lastUpdated": "asc"}, "one of createdAt and lastUpdated has to be given"),
    ]),
    ("awf.definition/get", {}, "id", NAME),
    ("awf.definition/delete", {}, "id", NAME),
    ("awf.definition/put", {}, "id", NAME),
]  # fmt: skip

# method, params, the path of the mistake, its message
NESTED: Final[list[tuple[str, dict[str, Any], str, str]]] = [
    ("awf.task/poll", {"taskDefinitions": ["a", 1]}, "taskDefinitions.1", "text is expected, not 1"),
    (
        "awf.task/success",
        EXECUTION | {"poll": POLL | {"timeout": "1"}},
        "poll.timeout",
        'an integer is expected, not "1"',
    ),
    ("awf.task/list", {"filter": {"ilike": 1}}, "filter.ilike", "text is expected, not 1"),
    ("awf.task/list", {"filter": {"status": ["open"]}}, "filter.status.0", f'Input should be {STATUSES}, not "open"'),
    ("awf.task/list", {"filter": {"status": "open"}}, "filter.status.0", f'Input should be {STATUSES}, not "open"'),
    (
        "awf.task/list",
        {"filter": {"outcome": ["lost"]}},
        "filter.outcome.0",
        "Input should be 'succeeded', 'failed' or 'canceled', not \"lost\"",
    ),
    ("awf.task/list", {"filter": {"includeDefinitions": "a"}}, "filter.includeDefinitions", NAMES[0][1]),
    (
        "awf.task/list",
        {"filter": {"excludeDefinitions": [[]]}},
        "filter.excludeDefinitions.0",
        "text is expected, not []",
    ),
    ("awf.task/list", {"filter": {"where": "1=1"}}, "filter.where", "is not known here"),
    ("awf.task/list", {"sort": {"id": "asc"}}, "sort.id", "is not known here"),
    ("awf.task/list", {"sort": {"createdAt": "up"}}, "sort.createdAt", "Input should be 'asc' or 'desc', not \"up\""),
]  # fmt: skip

REQUIRED: Final = [
    *(
        (f"awf.task/{method}", {"id": "x", "execId": "y"} | further, param)
        for method, further in (
            ("start", {}),
            ("notify", {"notification": "heartbeat"}),
            ("success", {}),
            ("fail", {}),
            ("release", {}),
            ("feedback", {"feedback": 1}),
        )
        for param in ("id", "execId", *further)
    ),
    *((f"awf.task/{method}", {"id": "x"}, "id") for method in ("status", "cancel", "stop", "retry", "result")),
    ("awf.task/create-and-execute", {"definition": "x"}, "definition"),
    *((f"awf.definition/{method}", {"id": "x"}, "id") for method in ("put", "get", "delete")),
]

UNKNOWN: Final = [
    *((f"awf.task/{method}", {"id": "running"}) for method in ("status", "cancel", "stop", "retry", "result")),
    ("awf.task/release", EXECUTION),
    ("awf.task/feedback", EXECUTION | {"feedback": 1}),
    ("awf.task/create-and-execute", CREATE),
    ("awf.task/list", {}),
    ("awf.definition/get", {"id": "test/task"}),
    ("awf.definition/list", {}),
    ("awf.definition/delete", {"id": "test/task"}),
    ("awf.definition/put", {"id": "test/task"}),
]


def invalid(path: str, message: str) -> dict[str, Any]:
    return {
        "type": "invalid-params",
        "message": f"{path}: {message}",
        "data": {"errors": [{"path": path, "message": message}]},
    }


@pytest.mark.parametrize(
    ("method", "params", "path", "message"),
    [
        pytest.param(method, params | {path: value}, path, message, id=f"{method} {path}={str(value)[:30]}")
        for method, params, path, mistakes in PARAMS
        for value, message in mistakes
    ],
)
async def test_a_param_of_a_wrong_type_or_out_of_range_is_refused(
    method: str, params: dict[str, Any], path: str, message: str, target: Target
) -> None:
    assert await target.refusal({"method": method, "params": params}) == (422, invalid(path, message))


@pytest.mark.parametrize(("method", "params", "path", "message"), NESTED)
async def test_a_mistake_within_a_param_is_refused_with_its_path(
    method: str, params: dict[str, Any], path: str, message: str, target: Target
) -> None:
    assert await target.refusal({"method": method, "params": params}) == (422, invalid(path, message))


@pytest.mark.parametrize(("method", "params", "missing"), REQUIRED)
@pytest.mark.parametrize("null", [False, True], ids=["absent", "null"])
async def test_a_required_param_that_is_missing_or_null_is_named(
    method: str, params: dict[str, Any], missing: str, null: bool, target: Target
) -> None:
    given = params | {missing: None} if null else {key: value for key, value in params.items() if key != missing}
    assert await target.refusal({"method": method, "params": given}) == (422, invalid(missing, "is required"))


@pytest.mark.parametrize(("method", "params"), UNKNOWN)
async def test_an_unknown_param_is_refused_by_methods_that_the_original_api_has_not(
    method: str, params: dict[str, Any], target: Target
) -> None:
    refusal = await target.refusal({"method": method, "params": params | {"prams": 1}})
    assert refusal == (422, invalid("prams", "is not known here"))


async def test_all_mistakes_are_listed(target: Target) -> None:
    params = {"id": "a b", "definition": "", "priority": "high", "when": 1}
    status, error = await target.refusal({"method": "awf.task/create-and-execute", "params": params})
    assert status == 422
    assert sorted(mistake["path"] for mistake in error["data"]["errors"]) == ["definition", "id", "priority", "when"]


@pytest.mark.parametrize("method", ["awf.task/poll", "awf.task/long-poll"])
@pytest.mark.parametrize("params", [{}, {"taskDefinitions": None}, {"maxBatchSize": 5}])
async def test_a_poll_for_nothing_is_refused(method: str, params: dict[str, Any], target: Target) -> None:
    refusal = await target.refusal({"method": method, "params": params})
    assert refusal == (422, invalid("params", "taskDefinitions or workflowDefinitions has to be given"))


async def test_progress_without_its_value_is_refused(target: Target) -> None:
    params = EXECUTION | {"notification": "awf.task/progress", "progress-total": 3}
    refusal = await target.refusal({"method": "awf.task/notify", "params": params})
    assert refusal == (422, invalid("params", "progress-current is required for the notification progress"))
