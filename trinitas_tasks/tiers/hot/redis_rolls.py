"""Which personas there are, on Redis. One key, under the namespace:

roster               JSON   what is defined of personas, and who has memories (see policy.personas.Roster)
"""

from __future__ import annotations

import logging
from typing import cast

from trinitas_tasks.policy.personas import Roster
from trinitas_tasks.tiers.hot.redis_grants import RedisGrants

logger = logging.getLogger(__name__)


class RedisRolls(RedisGrants):
    """That part of RedisHotTier which implements Rolls."""

    def roster(self) -> Roster | None:
        """See Rolls."""
        with self._server.mapped("read the roster of personas") as redis:
            kept = cast("bytes | None", redis.get(self._name("roster")))
        try:
            return None if kept is None else Roster.from_json(kept)
        except ValueError as error:  # of another version: the workers are asked
            logger.info("the roster of personas cannot be read: %s", error)
            return None

    def keep_roster(self, roster: Roster) -> None:
        """See Rolls."""
        with self._server.mapped("keep the roster of personas") as redis:
            redis.set(self._name("roster"), roster.to_json())
