"""Transcripts as they stand in files: a title, names to make up, and steps of a request and its expected answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from tests.contract.matching import TranscriptError

Form = Literal["yaml", "json"]
Action = Literal["call", "body", "get", "rest", "finish"]
FORMS: Final[tuple[Form, Form]] = ("yaml", "json")

NO_BODY: Final = object()
"""The expectation of a step that has no `expect`: an empty body."""

_KEYS: Final = frozenset({"title", "about", "names", "steps"})
_STEP_KEYS: Final = frozenset(
    {"about", "call", "body", "get", "rest", "send", "finish", "meanwhile", "form", "headers", "status",
     "answer", "expect", "expect-headers"}
)  # fmt: skip
_ACTIONS: Final[tuple[Action, ...]] = ("call", "body", "get", "rest", "finish")


@dataclass(frozen=True)
class Step:
    """One request and its answer. `action` says how `subject` is to be taken.

    call: a body for POST /rpc, written in the form of the replay or in `form`; body: the same as raw text;
    get: a path; rest: a method and a path, with the JSON body `send`; finish: the name of a call that a step before
    began with `meanwhile`.
    """

    action: Action
    subject: Any
    about: str = ""
    meanwhile: str | None = None
    form: Form | None = None
    send: object = NO_BODY
    headers: Mapping[str, str | None] = field(default_factory=dict)
    status: int = 200
    answer: Form | None = None
    expect: object = NO_BODY
    expect_headers: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Transcript:
    """`names` are made unique for each replay, so that a transcript can be replayed against a server in use."""

    title: str
    names: Mapping[str, str]
    steps: list[Step]


def read(path: Path) -> Transcript:
    """The transcript in a file; raises TranscriptError that names the file and what is wrong with it."""
    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, TranscriptError) as error:
        raise TranscriptError(f"{path}: {error}") from error


def parse(document: object) -> Transcript:
    """The transcript that a document holds; raises TranscriptError."""
    if not isinstance(document, dict) or not document.keys() <= _KEYS or not {"title", "steps"} <= document.keys():
        raise TranscriptError(f"a transcript is a mapping with title and steps, perhaps {', '.join(sorted(_KEYS))}")
    _refuse_what_json_lacks(document)
    steps = [_step(n, step) for n, step in enumerate(document["steps"], 1)]
    begun = [step.meanwhile for step in steps if step.meanwhile]
    if sorted(begun) != sorted(step.subject for step in steps if step.action == "finish"):
        raise TranscriptError("each call that a step begins with meanwhile is finished by exactly one later step")
    return Transcript(document["title"], document.get("names", {}), steps)


def _step(number: int, step: object) -> Step:
    if not isinstance(step, dict) or not step.keys() <= _STEP_KEYS:
        raise TranscriptError(f"step {number}: a step is a mapping with keys of {', '.join(sorted(_STEP_KEYS))}")
    actions = [key for key in _ACTIONS if key in step]
    if len(actions) != 1:
        raise TranscriptError(f"step {number}: a step has exactly one of {', '.join(_ACTIONS)}")
    if "meanwhile" in step and not step.keys().isdisjoint({"expect", "status", "answer", "finish"}):
        raise TranscriptError(f"step {number}: an answer to meanwhile belongs to the step that finishes it")
    further = {key.replace("-", "_"): value for key, value in step.items() if key not in _ACTIONS}
    return Step(action=actions[0], subject=step[actions[0]], **further)


def _refuse_what_json_lacks(value: object) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TranscriptError(f"the key {key!r} is no text; quote it")
            _refuse_what_json_lacks(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_what_json_lacks(inner)
    elif not isinstance(value, (str, int, float, type(None))):
        raise TranscriptError(f"{value!r} is no value of JSON; quote it if it is to be a text")
