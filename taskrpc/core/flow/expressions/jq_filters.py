"""The parts of a jq program as functions from a value to the values that they make of it, each counted."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.jq_values import at, checked, compute, holds, order, type_name, wrong

MOST_STEPS: Final = 20_000


class Steps:
    """How many values a program may still make."""

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def count(self, values: Iterator[Any]) -> Iterator[Any]:
        """The values, counted; raises ExpressionError when it is too many."""
        for value in values:
            self.left -= 1
            if self.left < 0:
                raise wrong(f"makes more than {MOST_STEPS} values")
            yield value


Filter = Callable[[Any, Steps], Iterator[Any]]


def itself(value: Any, _: Steps) -> Iterator[Any]:
    """`.`"""
    yield value


def constant(constant: Any) -> Filter:
    """The same for every value."""
    return lambda value, steps: iter([constant])


def index(of: Filter, key: Filter) -> Filter:
    """`.key`, `.[index]`"""

    def found(value: Any, steps: Steps) -> Iterator[Any]:
        for whole in of(value, steps):
            for step in steps.count(key(value, steps)):
                yield at(whole, step)

    return found


def part(of: Filter, first: Filter, last: Filter) -> Filter:
    """`.[first:last]`"""

    def found(value: Any, steps: Steps) -> Iterator[Any]:
        for whole in of(value, steps):
            start, end = next(first(value, steps), None), next(last(value, steps), None)
            if not isinstance(whole, list | str) or not all(isinstance(each, int | None) for each in (start, end)):
                raise wrong("slices a list or text from a number to a number")
            yield whole[start:end]

    return found


def elements(of: Filter) -> Filter:
    """`.[]`"""

    def found(value: Any, steps: Steps) -> Iterator[Any]:
        for whole in of(value, steps):
            if not isinstance(whole, list | dict):
                raise wrong(f"cannot go through a {type_name(whole)}")
            yield from steps.count(iter(whole.values() if isinstance(whole, dict) else whole))

    return found


def lenient(of: Filter) -> Filter:
    """`…?`: what fails makes nothing."""

    def found(value: Any, steps: Steps) -> Iterator[Any]:
        try:
            yield from of(value, steps)
        except ExpressionError:
            if steps.left < 0:
                raise

    return found


def construction(entries: list[tuple[str, Filter]]) -> Filter:
    """`{key: …}`"""

    def made(value: Any, steps: Steps) -> Iterator[Any]:
        built: list[dict[str, Any]] = [{}]
        for key, each in entries:
            values = list(steps.count(each(value, steps)))
            built = list(steps.count({**one, key: other} for one in built for other in values))
        yield from built

    return made


def joined(operator: str, left: Filter, right: Filter) -> Filter:
    """Two parts with an operator between them."""

    def piped(value: Any, steps: Steps) -> Iterator[Any]:
        for each in steps.count(left(value, steps)):
            yield from right(each, steps)

    def both(value: Any, steps: Steps) -> Iterator[Any]:
        yield from left(value, steps)
        yield from right(value, steps)

    def alternative(value: Any, steps: Steps) -> Iterator[Any]:
        found = [each for each in lenient(left)(value, steps) if each is not None and each is not False]
        yield from found or right(value, steps)

    def computed(value: Any, steps: Steps) -> Iterator[Any]:
        for other in right(value, steps):
            for each in steps.count(left(value, steps)):
                yield compute(operator, each, other)

    return {"|": piped, ",": both, "//": alternative}.get(operator, computed)


def _select(condition: Filter) -> Filter:
    def selected(value: Any, steps: Steps) -> Iterator[Any]:
        for answer in steps.count(condition(value, steps)):
            if holds(answer):
                yield value

    return selected


def _mapped(each: Filter) -> Filter:
    mapped = joined("|", elements(itself), each)
    return lambda value, steps: iter([list(steps.count(mapped(value, steps)))])


def _by_argument(function: Callable[[Any, Any], Any], name: str) -> Callable[[Filter], Filter]:
    def made(argument: Filter) -> Filter:
        def applied(value: Any, steps: Steps) -> Iterator[Any]:
            for other in steps.count(argument(value, steps)):
                yield checked(name, partial(_swapped, function, other), value)

        return applied

    return made


def _swapped(function: Callable[[Any, Any], Any], argument: Any, value: Any) -> Any:
    return function(value, argument)


def _sorted_by(key: Filter) -> Filter:
    def made(value: Any, steps: Steps) -> Iterator[Any]:
        yield checked(
            "sort_by", lambda one: sorted(one, key=lambda each: order(list(steps.count(key(each, steps))))), value
        )

    return made


WITH_FILTER: Final[dict[str, Callable[[Filter], Filter]]] = {
    "select": _select,
    "map": _mapped,
    "sort_by": _sorted_by,
    "has": _by_argument(lambda value, key: at(value, key) is not None or key in value, "has"),
    "join": _by_argument(
        lambda value, separator: separator.join("" if each is None else str(each) for each in value), "join"
    ),
    "split": _by_argument(lambda value, separator: value.split(separator), "split"),
    "startswith": _by_argument(lambda value, start: value.startswith(start), "startswith"),
    "endswith": _by_argument(lambda value, end: value.endswith(end), "endswith"),
    "contains": _by_argument(lambda value, part: part in value, "contains"),
}
