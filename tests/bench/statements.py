"""The statements of a task's life, with their arguments, for those who send them without the service."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from taskrpc.bench.messages import DEFINITION, payload
from taskrpc.core.ids import uuid7
from taskrpc.core.watermarks import Watermarks
from taskrpc.store.claims import MOST_ANSWER_BYTES
from taskrpc.store.statements import SQL

RESULT: Final = '{"imported":1234,"skipped":0}'
Execution = tuple[str, str]  # id and execId


def params_text(size: int) -> str:
    """The params of a task as the database gets them."""
    return orjson.dumps(payload(size)).decode()


def create(params: Sequence[str]) -> list[Any]:
    """The statement that creates a task for each of these params, and its arguments."""
    count = len(params)
    nothing = None
    ids, calls = [uuid7() for _ in params], [uuid7() for _ in params]
    return [
        SQL["create"],
        ids,
        [DEFINITION] * count,
        [0] * count,
        nothing,
        nothing,
        [0] * count,
        nothing,
        nothing,
        nothing,
        nothing,
        calls,
        list(params),
        [len(text) for text in params],
        nothing,
        nothing,
        nothing,
        nothing,
    ]


def claim(most: int) -> list[Any]:
    """The statement that claims tasks; its rows have no id when there was none."""
    parts = zip(*Watermarks().parts([("task", DEFINITION)], 0), strict=True)
    return [SQL["claim"], *parts, most, MOST_ANSWER_BYTES, False, uuid7(), True]


def start(executions: Sequence[Execution]) -> list[Any]:
    """The statement that starts executions."""
    ids, exec_ids = zip(*executions, strict=True)
    return [SQL["start"], ids, exec_ids, [uuid7() for _ in executions]]


def success(executions: Sequence[Execution], results: Sequence[str]) -> list[Any]:
    """The statement that ends executions well."""
    ids, exec_ids = zip(*executions, strict=True)
    return [SQL["success"], ids, exec_ids, [uuid7() for _ in executions], list(results), [0] * len(ids), False]
