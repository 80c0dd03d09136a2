"""The definitions of the workload. All times are short, so that two minutes see what takes hours elsewhere; the
longest is 10 s."""

from collections.abc import Mapping
from typing import Any, Final

from tests.faults.courses import LEAF, POISONED_LEAF
from tests.faults.flows import FLOW, POISONED, STEP

PLAIN: Final = "faults/plain"
LIMITED: Final = "faults/limited"
KEYED: Final = "faults/keyed"
BRIEF: Final = "faults/brief"

_TIMES: Final = {"requestedToStartTimeout": 2000, "inProgressTimeout": 3000, "retryDelay": 300}

DEFINITIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    PLAIN: {**_TIMES, "allowedRetryCount": 4},
    LIMITED: {**_TIMES, "allowedRetryCount": 4, "concurrencyLimit": 4},
    KEYED: {**_TIMES, "allowedRetryCount": 4, "concurrencyLimit": 1, "concurrencyPath": ["params", "key"]},
    BRIEF: {**_TIMES, "allowedRetryCount": 4, "timeout": 3000},
    FLOW: {**_TIMES, "kind": "workflow", "allowedRetryCount": 50},
    STEP: {**_TIMES, "allowedRetryCount": 50},
    POISONED: {**_TIMES, "allowedRetryCount": 2},
    LEAF: {**_TIMES, "allowedRetryCount": 1},
    POISONED_LEAF: {**_TIMES, "allowedRetryCount": 1},
}
TASKS: Final = (PLAIN, LIMITED, KEYED, BRIEF)
KEYS: Final = ("a", "b", "c")
