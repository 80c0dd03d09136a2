"""The form of namespaces, of keys in them, and of paths of files."""

import re
from typing import Final

LONGEST_NAME: Final = 255
LONGEST_PATH: Final = 1000

_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def check_namespace(text: str) -> str:
    """The namespace. Raises ValueError with a sentence."""
    if len(text) > LONGEST_NAME or not _NAMESPACE.fullmatch(text):
        raise ValueError(
            f"a namespace is 1 to {LONGEST_NAME} of a-z 0-9 . _ - and begins with a letter or digit, not {text[:80]!r}"
        )
    return text


def check_key(text: str) -> str:
    """The key, or the id of a template. Raises ValueError with a sentence."""
    if len(text) > LONGEST_NAME or not _KEY.fullmatch(text):
        raise ValueError(
            f"it is 1 to {LONGEST_NAME} of A-Z a-z 0-9 . _ - and begins with a letter or digit, not {text[:80]!r}"
        )
    return text


def check_path(text: str) -> str:
    """The path of a file, relative and with slashes, as it stands. Raises ValueError with a sentence.

    What passes can be put below a directory of any operating system without leading out of it.
    """
    if not text or len(text.encode()) > LONGEST_PATH:
        raise ValueError(f"a path has 1 to {LONGEST_PATH} bytes, not {len(text.encode())}")
    if "\\" in text or _CONTROL.search(text):
        raise ValueError(f"a path has no backslashes and no control characters, as {text[:80]!r} has")
    for part in text.split("/"):
        if part in ("", ".", "..") or len(part.encode()) > LONGEST_NAME:
            raise ValueError(
                f"a path is relative, and its parts are neither empty nor . nor .. nor longer than {LONGEST_NAME} "
                f"bytes, not {text[:80]!r}"
            )
    return text
