"""The jobs that copy a store of version 3.5, one bounded step each: the command line drives them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.model import Key
from trinitas_tasks.services import migrate, rollback
from trinitas_tasks.services.overlap import overlapped
from trinitas_tasks.tasks.lifecycle import Lifecycle
from trinitas_tasks.tiers.legacy.folder import LegacyFolder
from trinitas_tasks.tiers.legacy.interface import Place

SLICE: Final = 400
"""Memories of one encode."""
SLICES: Final = 4
"""So many, one stored while the next is embedded, are one step,"""
STEP_SECONDS: Final = 6.0
"""unless they take longer than this."""
NOTES: Final = 1000
FOLDER: Final = "migrations"
"""Under the data directory: a folder for each migration."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


def zone_of(name: str | None) -> ZoneInfo | None:
    """The zone of this name; None: this machine's. Raises: InvalidQuery."""
    try:
        return None if name is None else ZoneInfo(name)
    except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise InvalidQuery(f"zone: {name!r} is no time zone: {error}") from None
    except KeyError:
        raise InvalidQuery(f"zone: there is no time zone {name!r} (names are such as Asia/Tokyo)") from None


@dataclass(frozen=True, slots=True)
class Migrating(Lifecycle):
    """These jobs over one runtime."""

    def migrate_step(self, path: str, name: str, zone: str | None, place: Sequence[Any]) -> dict[str, Any]:
        """Copy the next memories of the store at this path; where to go on, None when it is done."""
        run, at = self.runtime, Place(*place)
        settle = partial(migrate.settle, migration=name, hot=run.hot, archive=run.archive, spaces=run.spaces)
        made = self._prepared(self._store(path, name, zone), at)
        done = sum(overlapped(made, settle, lambda _: None), start=migrate.Copied(at))
        return {
            "place": done.place and list(done.place),
            "read": done.read,
            "copied": done.copied,
            "already": done.already,
            "there": done.there,
            "forgotten": done.forgotten,
            "waiting": done.waiting,
            "refused": [each._asdict() for each in done.refused],
        }

    def _prepared(self, store: LegacyFolder, place: Place) -> Iterator[migrate.Prepared]:
        run, until = self.runtime, time.monotonic() + STEP_SECONDS
        for _ in range(SLICES):
            made = migrate.prepare(place, store=store, archive=run.archive, models=run.models, limit=SLICE)
            yield made
            if made.some.place is None or time.monotonic() > until or run.stopping.is_set():
                return
            place = made.some.place

    def migrate_verify(self, path: str, name: str, zone: str | None, place: Sequence[Any]) -> dict[str, Any]:
        """Compare the next memories of the store with the archive; nothing is changed."""
        store, archive = self._store(path, name, zone), self.runtime.archive
        done = migrate.verify(Place(*place), migration=name, store=store, archive=archive, limit=SLICE)
        return {
            "place": done.place and list(done.place),
            "read": done.read,
            "same": done.same,
            "changed": done.changed,
            "forgotten": done.forgotten,
            "twice": done.twice,
            "noted": [list(key) for key in done.noted],
            "differing": [{**each.key._asdict(), **_without_key(each)} for each in done.differing],
        }

    def migrate_notes(self, name: str, after: Sequence[str] | None) -> list[list[str]]:
        """The next memories that this migration noted, by persona and id; none: that was all."""
        notes = self.runtime.archive.migrated(name, Key(*after) if after else None, NOTES)
        return [list(note.key) for note in notes]

    def migrate_undo(self, name: str) -> dict[str, Any]:
        """Remove the next memories that came with this migration and were not changed since; first what was read and
        said of them comes to the archive, so that it goes with them."""
        run = self.runtime
        self.settle(dry=False)
        done = rollback.undo(migration=name, hot=run.hot, archive=run.archive, spaces=run.spaces, limit=SLICE)
        return {"removed": done.removed, "kept": done.kept, "more": done.more}

    def _store(self, path: str, name: str, zone: str | None) -> LegacyFolder:
        if not NAME.fullmatch(name):
            raise InvalidQuery(f"name: {name[:60]!r} is not the name of a migration")
        work = self.runtime.settings.home / FOLDER / name / "work"
        return LegacyFolder(Path(path), zone=zone_of(zone), work=work)


def _without_key(differing: migrate.Differing) -> dict[str, str]:
    return {"source": differing.source, "row": differing.row, "what": differing.what}
