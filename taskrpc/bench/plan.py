"""What a load is told to do: one JSON document, the first line of its process's standard input."""

from dataclasses import asdict, dataclass
from typing import Literal

import orjson

Form = Literal["json", "yaml"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One load on servers that are up; `behaviour` is a name in `driver.BEHAVIOURS`, which says what the rest means.

    `seconds` are measured after `warm_up` seconds. `payload` is the size of a task's params in bytes.
    """

    behaviour: str
    urls: tuple[str, ...] = ()
    seconds: float = 0
    warm_up: float = 0
    executors: int = 1
    array: int = 1
    form: Form = "json"
    payload: int = 300
    waiting: int = 0
    burst: int = 1
    running: int = 0
    queued: int = 0
    churn: int = 0

    def encode(self) -> bytes:
        """The document that `decode` reads."""
        return orjson.dumps(asdict(self))

    @classmethod
    def decode(cls, document: bytes) -> "Plan":
        """The plan in a document; raises TypeError or ValueError for what is none."""
        fields = orjson.loads(document)
        return cls(**{**fields, "urls": tuple(fields["urls"])})

    def url(self, number: int) -> str:
        """The server that the connection of this number talks to: they are dealt out in turn."""
        return self.urls[number % len(self.urls)]
