"""Whether the service answers: each outage is logged once, however many calls run into it."""

import logging

logger = logging.getLogger("taskrpc.client")


class Contact:
    """What the calls of one client find out about the service at `url`; an outage is logged with `level`."""

    def __init__(self, url: str, level: int = logging.INFO) -> None:
        self.url = url
        self._level = level
        self._lost = False

    def lost(self, reason: str) -> None:
        """A call got no answer, or one that asks to come again; `reason` is a phrase for a person."""
        if not self._lost:
            self._lost = True
            logger.log(self._level, "%s is not available: %s; trying until it is", self.url, reason)

    def made(self) -> None:
        """A call was answered."""
        if self._lost:
            self._lost = False
            logger.info("%s is available again", self.url)
