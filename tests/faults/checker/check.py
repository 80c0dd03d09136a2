"""All rules over one history. Nothing but the history is read."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.faults.checker.courses import check_courses
from tests.faults.checker.coverage import check_coverage
from tests.faults.checker.creates import check_creates
from tests.faults.checker.executions import check_executions
from tests.faults.checker.limits import check_limits
from tests.faults.checker.linearizability import check_linearizability
from tests.faults.checker.liveness import check_liveness
from tests.faults.checker.occasions import check_occasions
from tests.faults.checker.timing import check_timing
from tests.faults.checker.transitions import check_transitions
from tests.faults.checker.violation import Violation
from tests.faults.checker.workflows import check_workflows
from tests.faults.history import History

CHECKS: Final[tuple[Callable[[History], Iterator[Violation]], ...]] = (
    check_creates,
    check_linearizability,
    check_executions,
    check_transitions,
    check_timing,
    check_occasions,
    check_limits,
    check_workflows,
    check_courses,
    check_liveness,
    check_coverage,
)


def check(history: History) -> list[Violation]:
    """Every violation of every rule, in the order of the rules."""
    return sorted((found for rule in CHECKS for found in rule(history)), key=lambda found: found.rule)


def broken_rules(history: History) -> set[int]:
    """The numbers of the rules that do not hold."""
    return {violation.rule for violation in check(history)}
