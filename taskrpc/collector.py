"""The garbage collector of a server's process: it finds next to nothing here, and should not look often.

A call in an array makes some fifty containers, which all live until the array is answered: with the usual thresholds a
fifth of the processor time went into going through them over and over. Cycles come from errors only.
"""

import gc
from typing import Final

# So many more containers have to be there than were freed: a few megabytes, some hundred times a minute under load.
_YOUNG: Final = 50_000
_MIDDLE, _OLD = 20, 20


def relax() -> None:
    """To be called when everything is there that stays: it is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
