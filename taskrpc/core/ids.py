"""Identifiers: UUIDv7 for what the server names, others for what it must not make twice and for calls; and the form
that clients' own ids must have."""

import os
import re
import time
import uuid
from itertools import count
from typing import Final

ID_FORM: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
ID_RULE: Final = "an id is 1 to 64 of A-Z a-z 0-9 . _ -"


def is_id(text: object) -> bool:
    """Whether a value can be the id of a task, a workflow or an instance of a definition."""
    return isinstance(text, str) and ID_FORM.fullmatch(text) is not None


class Uuid7:
    """Makes UUIDv7 texts (RFC 9562, method 1): 48 bits of milliseconds, a 12 bit counter, 62 random bits.

    The texts of one process grow strictly, also within a millisecond and when its clock steps back, so that rows
    that are made together lie together in the index. The time in them is no clock: nothing is decided by it.
    """

    def __init__(self) -> None:
        self._stamp = 0

    def __call__(self) -> str:
        stamp = (time.time_ns() // 1_000_000) << 12
        self._stamp = stamp if stamp > self._stamp else self._stamp + 1
        tail = (int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
        bits = ((self._stamp >> 12) << 80) | (0x7 << 76) | ((self._stamp & 0xFFF) << 64) | tail
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


uuid7: Final = Uuid7()

_DERIVED: Final = uuid.UUID("8a1c7f0e-5c0b-4a57-9a43-2f6f0b1d9c3e")


def derived_id(*parts: str) -> str:
    """A UUIDv5 that the same parts always have: what is made twice for one reason collides, and so is made once."""
    return str(uuid.uuid5(_DERIVED, "\n".join(parts)))


class SerialIds:
    """Makes ids for calls and requests: unique over all processes by 96 random bits, and made in no time."""

    def __init__(self) -> None:
        self._prefix = os.urandom(12).hex()
        self._next = count(1).__next__

    def __call__(self) -> str:
        return f"{self._prefix}-{self._next():x}"


serial_id: Final = SerialIds()
