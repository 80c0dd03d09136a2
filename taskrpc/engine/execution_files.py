"""The files of executions: where each task puts its own, and the tokens that open them."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from taskrpc.core.file_uri import PREFIX, path_of, uri_of
from taskrpc.core.flow.advance.context import id_of_run
from taskrpc.core.flow.advance.events import StartTask
from taskrpc.core.flow.advance.step import Step
from taskrpc.core.flow.durations import moment
from taskrpc.core.flow.records import document_text
from taskrpc.core.grant import Grant
from taskrpc.engine.execution_cache import Cached
from taskrpc.engine.execution_chores import CHORES
from taskrpc.engine.files import Files

DIRECTORY: Final = "core.flow.WorkingDirectory"
# From the start of a task on, its time in the queue included.
TOKEN_LIFETIME: Final = timedelta(days=7)
_URI: Final = re.compile(re.escape(PREFIX) + r"[^\s\"'\\\\<>|`]+")

Places = Mapping[tuple[int, int], dict[str, Any]]


def files_of(execution_id: str) -> str:
    """What the paths of all files of an execution begin with."""
    return f"executions/{execution_id}/"


async def places_of(files: Files, cached: Cached, step: Step) -> Places:
    """For each task that a step starts, by run and attempt, the place that its executor is told.

    A task may write the files of its execution, and read those whose URIs stand in its params.
    """
    starts = [action for action in step.actions if isinstance(action, StartTask) and action.type not in CHORES]
    tokens: dict[tuple[str, ...], str] = {}
    places: dict[tuple[int, int], dict[str, Any]] = {}
    for action in starts:
        read = _named(action.params)
        cache = _cache(cached, step, action)
        written = (files_of(cached.id), *([path_of(cache)] if cache is not None else []))
        if (*read, "", *written) not in tokens:
            expires_at = moment(step.changes.head.now) + TOKEN_LIFETIME
            tokens[*read, "", *written] = await files.tokens.make(Grant(read, written, expires_at))
        token = tokens[*read, "", *written]
        places[action.run, action.attempt] = _place(cached, action, token, cache)
    return places


def _place(cached: Cached, action: StartTask, token: str, cache: str | None) -> dict[str, Any]:
    prefix = uri_of(f"{files_of(cached.id)}{action.run}/")
    place: dict[str, Any] = {
        "namespace": cached.loaded.flow.namespace,
        "taskRunId": id_of_run(cached.id, action.run),
        "files": {"prefix": prefix, "token": token},
    }
    return place if cache is None else {**place, "cache": cache}


def _named(params: Mapping[str, Any]) -> Sequence[str]:
    """The paths of the files whose URIs stand in params."""
    found = set()
    for uri in _URI.findall(document_text(params)):
        try:
            found.add(path_of(uri.rstrip(",;:.)]}")))
        except ValueError:
            continue  # it is no file's
    return sorted(found)


def _cache(cached: Cached, step: Step, action: StartTask) -> str | None:
    """Where a working directory keeps its cache from one execution to the next; None for tasks without one."""
    if action.type != DIRECTORY or not action.params.get("cache"):
        return None
    flow = cached.loaded.flow
    run = step.changes.runs[action.run]
    return uri_of(f"cache/{flow.namespace}/{flow.id}/{run.task}/cache.tar.gz")
