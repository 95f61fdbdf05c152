"""The jobs of exports and imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trinitas_tasks.model import Key
from trinitas_tasks.services import exporting
from trinitas_tasks.services.exchange import past_of
from trinitas_tasks.services.exporting import Wanted
from trinitas_tasks.tasks.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True)
class Exchanging(Lifecycle):
    """These jobs over one runtime."""

    def export_step(self, after: Sequence[str], limit: int, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The next lines of an export, and where to go on. Lines are text: JSON within JSON might be taken apart."""
        run = self.runtime
        asked = Wanted(**wanted)
        step = exporting.export_step(Key(*after), limit, asked, hot=run.hot, archive=run.archive, naming=run.naming)
        model = run.model if asked.vectors else None
        return {**step._asdict(), "after": step.after and list(step.after), "model": model}

    def unarchived(self, upto: int | None, personas: Sequence[str]) -> list[int]:
        """How many memories of these personas (none: of all) wait to be archived, and the highest version of them."""
        return list(exporting.waiting(upto, personas, hot=self.runtime.hot))

    def relive(self, pasts: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """Give imported memories their lives; the names of those that are not archived yet."""
        run = self.runtime
        told = [
            (Key(each["persona"], each["id"]), past_of({k: v for k, v in each.items() if k not in ("persona", "id")}))
            for each in pasts
        ]
        early, nudge = exporting.relive(told, hot=run.hot, archive=run.archive)
        if nudge:
            self.nudge("ingest")
        return [list(key) for key in early]
