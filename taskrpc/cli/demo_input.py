"""What the demo imports: files and URLs, and the type of the resources in them."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import orjson
import typer

_GZIP_MAGIC: Final = b"\x1f\x8b"
_LONGEST_LINE: Final = 16 * 1024 * 1024
_MOST_BLANK_LINES: Final = 1000


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its URL, its resources' type, and the folder of a local file, which the executor must be let read."""

    url: str
    resource_type: str
    folder: Path | None = None

    @classmethod
    def of(cls, name: str) -> "Input":
        """From the path of a file of resources, or a URL named after them; raises `typer.BadParameter`."""
        scheme, separator, _ = name.partition("://")
        if not separator:
            return cls._of_file(name, Path(name))
        match scheme:
            case "file":
                return cls._of_file(name, Path(unquote(urlsplit(name).path)))
            case "http" | "https":
                return cls(name, _type_of_url(name))
            case _:
                raise _refusal(name, f"{scheme}:// cannot be read; give a file, or an http:// or https:// URL")

    @classmethod
    def _of_file(cls, name: str, path: Path) -> "Input":
        try:
            if path.is_dir():
                raise _refusal(name, "this is a folder; give the files in it, each with an --input of its own")
            if not path.exists():
                raise _refusal(name, "there is no such file")
            if not path.is_file():
                raise _refusal(name, "this is no regular file")
            line = _first_line(path)
        except (OSError, EOFError, zlib.error) as error:
            raise _refusal(name, getattr(error, "strerror", None) or str(error)) from None
        resource_type = _named_type(path.name) or "Resource" if line is None else _type_in(name, line)
        return cls(path.resolve().as_uri(), resource_type, path.resolve().parent)


def _refusal(name: str, reason: str) -> typer.BadParameter:
    return typer.BadParameter(f"{name}: {reason}", param_hint="--input")


def _first_line(path: Path) -> bytes | None:
    """The first line that is not blank; None in an empty file."""
    with path.open("rb") as file:
        is_gzip = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    with gzip.open(path) if is_gzip else path.open("rb") as lines:
        for _ in range(_MOST_BLANK_LINES):
            line: bytes = lines.readline(_LONGEST_LINE)
            if line.strip():
                return line
    return None


def _type_in(name: str, line: bytes) -> str:
    try:
        resource = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _refusal(name, f"a resource in JSON is expected in each line, but the first is not: {error}") from None
    resource_type = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(resource_type, str) or not resource_type:
        raise _refusal(name, "the first line has no resourceType: a resource is expected in each line")
    return resource_type


def _type_of_url(url: str) -> str:
    resource_type = _named_type(unquote(urlsplit(url).path).rsplit("/", 1)[-1])
    if resource_type is None:
        raise _refusal(url, "a URL has to be named after its resources, like https://example.org/Patient.ndjson.gz")
    return resource_type


def _named_type(name: str) -> str | None:
    """`Patient` of `Patient.ndjson.gz`; None for a name that says no type."""
    stem = name.partition(".")[0]
    return stem if stem[:1].isupper() and stem.isalpha() else None
