"""What a step has to know from outside: secrets, values, files, other flows. The step says what is missing, and is done
again.
"""

from collections.abc import Mapping
from typing import Any

Key = tuple[str, ...]


class MissingFactError(Exception):
    """The step needs to know `key`: ask for it, and do the step again with it. Nothing has been changed."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


class Facts:
    """What is known. The value None means that there is no such thing.

    Keys: `("flow", namespace, id, revision or "")` → Flow; `("template", namespace, id)` → (tasks, tasks by id);
    `("secret", namespace, key)`, `("kv", namespace, key)`, `("read", uri)` → text or document;
    `("size", uri)` → bytes; `("environment",)` → `{envs, globals, kestra}`;
    `("outputs", number)` → those of a run that has ELSEWHERE.
    """

    def __init__(self, known: Mapping[Key, Any] | None = None) -> None:
        self._known = dict(known or {})

    def learn(self, key: Key, value: Any) -> None:
        """Notes what is known about a key."""
        self._known[key] = value

    def ask(self, *key: str) -> Any:
        """What is known; raises MissingFactError if that has never been asked for."""
        try:
            return self._known[key]
        except KeyError:
            raise MissingFactError(key) from None
