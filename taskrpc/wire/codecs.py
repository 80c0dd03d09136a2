"""The two formats of bodies, and which of them a request is in and its answer is to be in."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Final, Literal, NamedTuple

from taskrpc.errors import TaskRpcError
from taskrpc.wire import json_codec, yaml_reader, yaml_writer
from taskrpc.wire.faults import shown


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """A format: its name, the `Content-Type` of what it writes, and the way from bytes to objects and back.

    `decode` raises `unparsable-body`; `encode` raises TypeError for what has no form in JSON.
    """

    name: Literal["json", "yaml"]
    content_type: str
    decode: Callable[[bytes], object]
    encode: Callable[[object], bytes]


JSON: Final = Codec("json", "application/json", json_codec.decode, json_codec.encode)
YAML: Final = Codec("yaml", "text/yaml; charset=utf-8", yaml_reader.decode, yaml_writer.encode)

# What an answer can be, for each media type that may be asked for; the first of a format is its default.
_ANSWERS: Final = {
    "application/json": JSON,
    "text/yaml": YAML,
    "application/yaml": replace(YAML, content_type="application/yaml"),
    "application/x-yaml": replace(YAML, content_type="application/x-yaml"),
    "text/x-yaml": replace(YAML, content_type="text/x-yaml; charset=utf-8"),
}
_UNDERSTOOD: Final = ", ".join(_ANSWERS)

_MEDIA_TYPE: Final = re.compile(r"[^\s/;]+/[^\s/;]+")
_PARAMETER: Final = re.compile(r';\s*+([^\s=;]++)\s*+=\s*+"?+([^\s;"]*+)')
_QUALITY: Final = re.compile(r"0?\.[0-9]+|0\.?|1(?:\.0*)?")


@lru_cache(maxsize=256)
def request_codec(content_type: bytes | None) -> Codec:
    """The format of a request with this `Content-Type`; JSON if there is none.

    Raises `unsupported-media-type` for another media type, or another charset than UTF-8.
    """
    header = (content_type or b"").decode("latin-1").strip() or JSON.content_type
    media_type, parameters = _media_type(header)
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8"):
        raise _refusal("unsupported-media-type", f"the charset {shown(charset)} is not understood; send utf-8")
    if media_type in _ANSWERS:
        return YAML if _ANSWERS[media_type].name == "yaml" else JSON
    if media_type.startswith("application/") and media_type.endswith("+json"):
        return JSON
    raise _refusal(
        "unsupported-media-type",
        f"the content type {shown(header)} is not understood; send one of {_UNDERSTOOD}",
    )


@lru_cache(maxsize=256)
def response_codec(accept: bytes | None, request: Codec) -> Codec:
    """The format of the answer to a request in the format `request`, by the request's `Accept`.

    Of equal qualities, a media type that is named comes before one that a `*` admits, then comes the
    request's own format. What is malformed in `accept` is passed over; if nothing remains, the answer is in
    the request's format. Raises `not-acceptable` if no media type of ours is admitted.
    """
    header = (accept or b"").decode("latin-1")
    ranges = [asked for asked in map(_media_range, header.split(",")) if asked]
    if not ranges:
        return request
    ranked = [(*_rank(media_type, ranges), codec.name == request.name, codec) for media_type, codec in _ANSWERS.items()]
    quality, _, _, codec = max(ranked, key=itemgetter(0, 1, 2))
    if not quality:
        raise _refusal("not-acceptable", f"none of {shown(header)} can be answered; accept one of {_UNDERSTOOD}")
    return codec


class _MediaRange(NamedTuple):
    pattern: str
    quality: float


def _rank(media_type: str, ranges: list[_MediaRange]) -> tuple[float, int]:
    """The quality of `media_type`, and how specific the range behind it is: 2 named, 1 `type/*`, 0 `*/*`."""
    kind = media_type.partition("/")[0]
    for specificity, pattern in ((2, media_type), (1, f"{kind}/*"), (0, "*/*")):
        qualities = [asked.quality for asked in ranges if asked.pattern == pattern]
        if qualities:
            return max(qualities), specificity
    return 0.0, 0


def _media_range(text: str) -> _MediaRange | None:
    media_type, parameters = _media_type(text)
    if media_type == "*":  # as some old Java clients write it
        media_type = "*/*"
    if not _MEDIA_TYPE.fullmatch(media_type):
        return None
    quality = parameters.get("q", "1")
    return _MediaRange(media_type, float(quality) if _QUALITY.fullmatch(quality) else 1.0)


def _media_type(header: str) -> tuple[str, dict[str, str]]:
    media_type, separator, parameters = header.partition(";")
    found = _PARAMETER.findall(separator + parameters)
    return media_type.strip().lower(), {name.lower(): value for name, value in found}


def _refusal(type: str, message: str) -> TaskRpcError:
    return TaskRpcError(type, message, {"understood": list(_ANSWERS)})
