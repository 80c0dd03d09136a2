"""The one error of expressions."""


class ExpressionError(Exception):
    """An expression that cannot be read or has no value; the text says why. `at` says where: the task and the key."""

    def __init__(self, problem: str, expression: str | None = None, at: str | None = None) -> None:
        self.problem = problem
        self.expression = expression
        self.at = at
        super().__init__(str(self))

    def __str__(self) -> str:
        text = self.problem
        if self.expression is not None:
            shown = self.expression if len(self.expression) <= 200 else self.expression[:196] + " …"
            text = f"{text} used in the expression `{shown}`"
        text = text.replace("\0", "\\0")  # which cannot be stored, and values are quoted as they are
        return text if self.at is None else f"{self.at}: {text}"

    def of(self, expression: str) -> "ExpressionError":
        """The same error with the expression, unless it names one already."""
        return self if self.expression is not None else ExpressionError(self.problem, expression, self.at)

    def located(self, at: str) -> "ExpressionError":
        """The same error with its place, such as `task decide, key condition`."""
        return ExpressionError(self.problem, self.expression, at)
