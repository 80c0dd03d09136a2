"""What a history can violate: the rules, by the numbers under which docs/reliability.md explains them."""

from dataclasses import dataclass
from typing import Final

RULES: Final = {
    1: "what was acknowledged exists and is done",
    2: "one task per id",
    3: "each task is linearizable",
    4: "one execution per execId, one end, none after a newer one",
    5: "every edge is legal, one final state per generation, versions grow",
    6: "nothing early, nothing late, never more attempts than allowed",
    7: "a concurrencyLimit is never exceeded",
    8: "each step of a workflow once, one decision at a time, outcomes as they have to be",
    9: "after the last fault everybody answers and nothing is stuck",
    10: "the run saw what it was made for",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, for what, and how one sees it."""

    rule: int
    subject: str
    message: str

    def __str__(self) -> str:
        return f"({self.rule}) {RULES[self.rule]}: {self.subject}: {self.message}"
