"""Replays transcripts against a server: `python -m tests.contract.replay URL FILE…`.

Needs Python and PyYAML, and nothing of the service: it is one more client, written by somebody else.
"""

import argparse
import http.client
import json
import sys
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml

from tests.contract.matching import Names, TranscriptError
from tests.contract.transcript import FORMS, NO_BODY, Form, Step, Transcript, read

PATIENCE_SECONDS: Final = 60
_MOST_IN_BACKGROUND: Final = 16
_CONTENT_TYPE: Final[Mapping[Form, str]] = {"yaml": "text/yaml", "json": "application/json"}


@dataclass(frozen=True)
class Request:
    """What goes over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True)
class Answer:
    """What comes back; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Send = Callable[[Request], Answer]


class Mismatch(Exception):
    """An answer that is not as the transcript says; the text lists every difference."""


def sender(url: str) -> Send:
    """Sends requests to the server at `url`, each on a connection of its own."""
    host = urlsplit(url).netloc

    def send(request: Request) -> Answer:
        connection = http.client.HTTPConnection(host, timeout=PATIENCE_SECONDS)
        try:
            connection.request(request.method, request.target, request.body, dict(request.headers))
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())
        finally:
            connection.close()

    return send


def replay(transcript: Transcript, form: Form, send: Send) -> None:
    """Replays all steps in one form. Raises Mismatch at the first step whose answer differs, or TranscriptError."""
    unique = uuid.uuid4().hex[:8]
    names = Names({name: f"{text}-{unique}" for name, text in transcript.names.items()})
    begun: dict[str, Future[Answer]] = {}
    with ThreadPoolExecutor(_MOST_IN_BACKGROUND) as background:
        for number, step in enumerate(transcript.steps, 1):
            if step.meanwhile:
                begun[step.meanwhile] = background.submit(send, _request(step, form, names))
                continue
            answer = begun.pop(step.subject).result() if step.action == "finish" else send(_request(step, form, names))
            if differences := _differences(step, form, names, answer):
                title = f"step {number}{f' ({step.about})' if step.about else ''}, {form}"
                raise Mismatch("\n".join([f"{transcript.title}: {title}", *(f"  {each}" for each in differences)]))


def _request(step: Step, form: Form, names: Names) -> Request:
    form = step.form or form
    if step.action == "get":
        headers = {"accept": _CONTENT_TYPE[form]}
        return Request("GET", str(names.filled(step.subject)), _overridden(headers, step, names), None)
    if step.action == "rest":
        return _rest_request(step, names)
    subject = names.filled(step.subject)
    body = subject.encode() if isinstance(subject, str) else _written(subject, form)
    headers = {"content-type": _CONTENT_TYPE[form], "accept": _CONTENT_TYPE[form]}
    return Request("POST", "/rpc", _overridden(headers, step, names), body)


def _rest_request(step: Step, names: Names) -> Request:
    """REST speaks JSON, whatever the form of the replay."""
    method, _, path = str(names.filled(step.subject)).partition(" ")
    if step.send is NO_BODY:
        return Request(method, path, _overridden({}, step, names), None)
    headers = {"content-type": "application/json; charset=utf-8"}
    return Request(method, path, _overridden(headers, step, names), _written(names.filled(step.send), "json"))


def _overridden(headers: dict[str, str], step: Step, names: Names) -> dict[str, str]:
    given = headers | {name.lower(): str(names.filled(value)) for name, value in step.headers.items()}
    return {name: value for name, value in given.items() if step.headers.get(name, "") is not None}


def _written(value: object, form: Form) -> bytes:
    if form == "json":
        return json.dumps(value, ensure_ascii=False).encode()
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()


def _differences(step: Step, form: Form, names: Names, answer: Answer) -> list[str]:
    found = []
    if answer.status != step.status:
        found.append(f"status: expected {step.status}, got {answer.status}: {answer.body[:500]!r}")
    for name, value in step.expect_headers.items():
        found += names.mismatches(value, answer.headers.get(name), f"header {name}")
    if step.expect is NO_BODY:
        return found + ([f"the body: expected none, got {answer.body[:500]!r}"] if answer.body else [])
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    wanted = step.answer or step.form or ("json" if step.action == "rest" else form)
    if media_type != _CONTENT_TYPE[wanted]:
        return [*found, f"header content-type: expected {_CONTENT_TYPE[wanted]}, got {media_type}"]
    try:
        body = json.loads(answer.body) if wanted == "json" else yaml.safe_load(answer.body)
    except (ValueError, yaml.YAMLError) as error:
        return [*found, f"the body is no {wanted}: {error}"]
    return [*found, *names.mismatches(step.expect, body)]


def main(arguments: list[str]) -> int:
    """Replays each file in both forms; answers the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.replay", description=__doc__)
    parser.add_argument("url", help="the server, for example http://127.0.0.1:8080")
    parser.add_argument("files", nargs="+", type=Path, help="transcripts")
    parser.add_argument("--form", choices=FORMS, help="only this form")
    options = parser.parse_args(arguments)
    send, failed = sender(options.url), 0
    for path in options.files:
        for form in [options.form] if options.form else FORMS:
            try:
                replay(read(path), form, send)
                print(f"ok      {path} ({form})")
            except (Mismatch, TranscriptError, OSError) as error:
                failed += 1
                print(f"FAILED  {path} ({form})\n{error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
