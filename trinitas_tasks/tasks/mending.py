"""The jobs that compare the tiers and mend them, and those on dead letters."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.model import Key
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services import ingest, leaving, letters, rebuild, reconcile
from trinitas_tasks.services.reconcile import Cursor, Difference, Slice
from trinitas_tasks.tiers.archive.interface import DeadLetter, Run

logger = logging.getLogger(__name__)

COMPARED: Final = 500
"""Memories in one step of a comparison: some 0.1 s."""
COMPARE_SECONDS: Final = 2.0
"""How long one reconcile task goes on."""
REBUILT: Final = 1000
SHOWN_LETTERS: Final = 1000

Nudge = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Mending:
    """These jobs over one runtime. ``nudge`` asks for another run of a job, by name."""

    runtime: Runtime
    nudge: Nudge

    def reconcile(self) -> dict[str, Any]:
        """Compare the tiers and mend what differs, for some seconds; what is left gets a task of its own."""
        run = self.runtime
        started, began = run.clock(), time.monotonic()
        while self._clear_abandoned() and time.monotonic() - began < COMPARE_SECONDS:
            pass
        examined, mended, kinds, skipped = 0, 0, dict[str, int](), dict[str, None]()
        while True:
            found = self._compared(run.compared)
            examined += found.examined
            mended += self._mend(found.differences)
            skipped |= dict.fromkeys(found.skipped)
            for each in found.differences:
                kinds[each.kind] = kinds.get(each.kind, 0) + 1
            run.compared = found.mended()
            if found.cursor is None or time.monotonic() - began > COMPARE_SECONDS:
                break
        seconds = time.monotonic() - began
        run.archive.log_run(Run("reconcile", started, seconds, examined, mended, len(skipped), kinds))
        if found.cursor is not None:
            self.nudge("reconcile")
        return {"examined": examined, "mended": mended, "differences": kinds, "skipped": list(skipped)}

    def _clear_abandoned(self) -> bool:
        """Whether there is more to do."""
        run = self.runtime
        dropped = leaving.clear_abandoned(archive=run.archive, spaces=run.spaces, now=run.clock(), limit=COMPARED)
        return dropped == COMPARED

    def compare(self, cursor: Sequence[Any] | None) -> dict[str, Any]:
        """One step of a comparison; nothing is changed. ``cursor`` None begins, and is None when that was the last."""
        found = self._compared(Cursor(*cursor) if cursor else Cursor())
        return {
            "cursor": found.cursor and list(found.cursor),
            "examined": found.examined,
            "differences": [[each.kind, *each.key, each.version] for each in found.differences],
            "skipped": list(found.skipped),
        }

    def mend(self, differences: Sequence[Sequence[Any]]) -> int:
        """Mend differences as a comparison told them; how many."""
        return self._mend([Difference(kind, Key(*key), version) for kind, *key, version in differences])

    def _compared(self, cursor: Cursor) -> Slice:
        run = self.runtime
        return reconcile.compare(
            cursor,
            hot=run.hot,
            archive=run.archive,
            spaces=run.spaces,
            limit=COMPARED,
        )

    def _mend(self, differences: Sequence[Difference]) -> int:
        run = self.runtime
        mended = reconcile.mend(differences, hot=run.hot, archive=run.archive, spaces=run.spaces)
        bare = [each.key for each in differences if each.kind == reconcile.UNEMBEDDED]
        if bare:
            mended += ingest.embed(bare, archive=run.archive, models=run.models)
        if mended:
            self._index_missing(COMPARED)
        if torn := sorted({each.key.persona for each in differences if each.kind == reconcile.TORN}):
            mended += self._rebuild_whole(torn)
        return mended

    def _rebuild_whole(self, torn: list[str]) -> int:
        place: int | None = 0
        while place is not None and not self.runtime.stopping.is_set():  # broken off, the next comparison begins anew
            place = self._rebuild(torn, place, torn=True)
        return len(torn)

    def rebuild(self, personas: list[str] | None, after: int) -> int | None:
        """Fill the vector tier anew for these personas (None: all), one step; where to go on, None when it is done."""
        return self._rebuild(personas, after)

    def _rebuild(self, personas: list[str] | None, after: int, *, torn: bool = False) -> int | None:
        run = self.runtime
        if personas is None and after == 0:
            run.rebuilding = run.archive.personas()  # who comes later is in no need of it
        chosen = run.rebuilding if personas is None else personas
        going_on = rebuild.rebuild(
            chosen,
            after,
            archive=run.archive,
            spaces=run.spaces,
            limit=REBUILT,
            torn=torn,
        )
        if going_on is None:
            logger.warning("the vectors of %s were rebuilt", ", ".join(chosen))
            run.hot.changed(chosen)
            run.compared = Cursor()  # what changed meanwhile may lie behind a comparison that is under way
            self.nudge("reconcile")
        return going_on

    def _index_missing(self, limit: int) -> None:
        run = self.runtime
        while not run.stopping.is_set():
            indexed = ingest.index_missing(hot=run.hot, archive=run.archive, spaces=run.spaces, limit=limit)
            if indexed < limit:
                break

    # Dead letters.

    def dead_letters(self, persona: str | None) -> list[dict[str, Any]]:
        """The records that could not be archived, oldest first."""
        return [
            {
                "persona": letter.key.persona,
                "id": letter.key.id,
                "version": letter.version,
                "at": letter.at.isoformat(),
                "error": letter.error,
                "body": letter.body.decode(errors="backslashreplace"),
            }
            for letter in self.runtime.archive.dead(SHOWN_LETTERS, persona)
        ]

    def drop_dead(self, persona: str, memory_id: str) -> int:
        """Delete the dead letters of a memory; how many."""
        run = self.runtime
        return letters.drop(self._letters(persona, memory_id), hot=run.hot, archive=run.archive)

    def retry_dead(self, persona: str, memory_id: str) -> int:
        """Queue the newest dead letter of a memory again; how many."""
        count = letters.retry(self._letters(persona, memory_id)[-1:], hot=self.runtime.hot)
        self.nudge("ingest")
        return count

    def _letters(self, persona: str, memory_id: str) -> list[DeadLetter]:
        key = Key(persona, memory_id)
        mine = [letter for letter in self.runtime.archive.dead(SHOWN_LETTERS, persona) if letter.key == key]
        if not mine:
            raise InvalidQuery(f"{persona} has no dead letter {memory_id}")
        return sorted(mine, key=lambda letter: letter.version)
