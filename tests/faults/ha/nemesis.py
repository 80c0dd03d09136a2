"""What is done to the nodes of a cluster. Each fault is over when all nodes do their work again."""

import asyncio
import signal
from typing import Final

from tests.faults.ha.cluster import TTL_SECONDS, Cluster
from tests.faults.plan import Strike
from tests.faults.recorder import Recorder
from tests.faults.striker import Striker

# A node that is back at once may still be the primary: it has to be away until another one has taken over.
_AWAY_SECONDS: Final = TTL_SECONDS + 2


class NodeNemesis(Striker):
    """The strikes of a run on a cluster."""

    def __init__(self, cluster: Cluster, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._cluster = cluster
        self.strikes = {
            "kill-primary": self._kill_primary,
            "freeze-primary": self._freeze_primary,
            "kill-standby": self._kill_standby,
            "switch-over": self._switch_over,
        }

    async def _kill_primary(self, strike: Strike) -> None:
        """The primary's Patroni and PostgreSQL are killed, and stay away until another node has taken over."""
        state = await self._cluster.whole()
        async with self.recorded(strike, state.primary):
            node = self._cluster.nodes[state.primary]
            await node.kill()
            await asyncio.sleep(_AWAY_SECONDS + strike.seconds)
            await node.start()
            await self._cluster.whole()

    async def _freeze_primary(self, strike: Strike) -> None:
        """Nothing moves at the primary for longer than it may stay one; then it goes on as if nothing had been."""
        state = await self._cluster.whole()
        async with self.recorded(strike, state.primary):
            node = self._cluster.nodes[state.primary]
            node.signal(signal.SIGSTOP)
            await asyncio.sleep(_AWAY_SECONDS + strike.seconds)
            node.signal(signal.SIGCONT)
            await self._cluster.whole()

    async def _kill_standby(self, strike: Strike) -> None:
        """One of the standbys that commits wait for is killed."""
        state = await self._cluster.whole()
        async with self.recorded(strike, state.synchronous[0]):
            node = self._cluster.nodes[state.synchronous[0]]
            await node.kill()
            await asyncio.sleep(strike.seconds)
            await node.start()
            await self._cluster.whole()

    async def _switch_over(self, strike: Strike) -> None:
        state = await self._cluster.whole()
        async with self.recorded(strike, state.primary):
            await self._cluster.switch_over(state.primary, state.synchronous[0])
            await self._cluster.whole()
