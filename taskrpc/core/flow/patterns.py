"""Regular expressions of flows: a search takes time linear in the text, whatever the expression is."""

from typing import Any

import re2


def compiled(pattern: str) -> Any:
    """The expression; raises ValueError with what is wrong with it."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(error.args[0].decode()) from None
