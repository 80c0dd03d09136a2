"""What one rendering may use: steps, text, depth. An expression cannot run for long, nor fill the memory."""

from typing import Final

from taskrpc.core.flow.expressions.errors import ExpressionError

MOST_STEPS: Final = 100_000
MOST_CHARACTERS: Final = 4 * 1024 * 1024
MOST_NESTED_RENDERS: Final = 8
_CHARACTERS_A_STEP: Final = 256


class Budget:
    """What is left for one rendering, with everything that it renders within itself."""

    __slots__ = ("characters", "nesting", "steps")

    def __init__(self) -> None:
        self.steps = MOST_STEPS
        self.characters = MOST_CHARACTERS
        self.nesting = MOST_NESTED_RENDERS

    def step(self, values: tuple[object, ...]) -> None:
        """Charges one operation on these values: a large one costs more, since it takes longer.

        Raises ExpressionError when nothing is left.
        """
        cost = 1
        for value in values:
            if isinstance(value, str):
                cost += len(value) // _CHARACTERS_A_STEP
            elif isinstance(value, list | dict):
                cost += len(value) // 16
        self.steps -= cost
        if self.steps < 0:
            raise ExpressionError(f"takes more than {MOST_STEPS} steps; do such work in a task")

    def made(self, value: object) -> None:
        """Charges what an operation has made; raises ExpressionError when it is too much in all."""
        if isinstance(value, str | list):
            self.room(len(value))

    def room(self, characters: int) -> None:
        """Charges text, before it is made where that is possible; raises ExpressionError when it is too much."""
        self.characters -= characters
        if self.characters < 0:
            raise ExpressionError(f"makes more than {MOST_CHARACTERS} characters; pass large content on as a file")
