"""Migrating a store of version 3.5: surveyed and backed up here, copied, verified and taken back by the ingest worker.

All that is kept of a migration is in its folder under the data directory; the same migration again goes on there.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidQuery, Unavailable
from trinitas_tasks.interfaces.logbook import Logbook
from trinitas_tasks.interfaces.migration import Comparison, Copying, Survey
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.policy.retention import Outlook
from trinitas_tasks.tasks.config import INGEST
from trinitas_tasks.tasks.migrating import FOLDER, SLICE, zone_of
from trinitas_tasks.tiers.legacy import backup
from trinitas_tasks.tiers.legacy.folder import LegacyFolder
from trinitas_tasks.tiers.legacy.interface import Place, Unreadable

STEP_MS: Final = 30_000
"""A step that took longer, or whose worker ended, is asked for again: what it did is then done."""
PATIENCE_SECONDS: Final = 300.0
"""So long a step that nobody answers is asked for again: a worker that was killed comes back."""
AGAIN_SECONDS: Final = 1.0
EXTRA: Final = "migrated, but not in the store (any more)"

Progress = Callable[[int], None]
"""Told how many more memories, or bytes, are done."""
Foresee = Callable[[MemoryItem], Outlook]


class Migration:
    """The migration of the store at a path. ``zone``: of its times, by name; None: the machine's. ``waiting`` is told
    why a step is asked for again."""

    def __init__(
        self,
        client: MemoryClient,
        path: Path,
        *,
        zone: str | None,
        home: Path,
        waiting: Callable[[Unavailable], None] = lambda _: None,
    ) -> None:
        self._client, self._zone, self._waiting = client, zone, waiting
        self.path = path.absolute()
        self.name = named(self.path)
        self.logbook = Logbook(home / FOLDER / self.name)

    @property
    def arguments(self) -> tuple[str, str, str | None]:
        """What a job is told of the store."""
        return str(self.path), self.name, self._zone

    def survey(self, progress: Progress, *, foresee: Foresee, work: Path | None = None, keep: bool = True) -> Survey:
        """Look at every memory; what is unreadable is kept aside in full, if ``keep``. ``work``: a folder for copies
        of files that reading would change. Raises: InvalidQuery where there is no store."""
        store = LegacyFolder(self.path, zone=zone_of(self._zone), work=work or self.logbook.work)
        found = Survey(dict(store.parts()))
        if keep:
            self.logbook.begin()
        with self.logbook.surveyed() if keep else nullcontext(lambda _: None) as aside:
            place: Place | None = Place()
            while place is not None:
                some = store.read(place, SLICE)
                for each in some.found:
                    found.count(each.item)
                    found.renamed += each.renamed
                    awaits = foresee(each.item)
                    found.old += awaits.archived
                    found.doomed += awaits.deleted
                for one in some.unreadable:
                    found.blame(one.source, one.reason)
                    if one.raw is None:
                        found.damaged.append(one.source)
                    aside(one)
                progress(len(some.found))
                place = some.place
        return found

    def back_up(self, progress: Progress, *, parts: Collection[str] | None = None) -> Path:
        """Copy the files of the store, or of these parts of it; where to. Raises: Unavailable."""
        self.logbook.begin()
        backup.keep(self.path, self.logbook.backup, progress, parts)
        return self.logbook.backup

    def copy(self, progress: Progress) -> Copying:
        """Have everything copied that is not here yet, from where the last run came to. Raises: Unavailable."""
        self.logbook.begin()
        started, done = time.monotonic(), Copying()
        state, store = self.logbook.state(), self._fingerprint()
        place: list[Any] | None = ["", 0]
        again = state.get("done") is not None
        if state.get("place") and state.get("store") == store:
            place, again = state["place"], state["again"]
            done = Copying(**state["counts"])
        else:
            self.logbook.forget_refused()
        progress(done.read)
        while place is not None:
            step = self._asked("migrate_step", *self.arguments, place)
            self.logbook.refuse(Unreadable(**each) for each in step["refused"])
            done.add(step, again=again)
            place = step["place"]
            self._note(place=place, store=store, again=again, counts=done.counts())
            progress(step["read"])
        done.refused = self.logbook.set_refused_aside()
        done.seconds = round(time.monotonic() - started, 2)
        return done

    def verify(self, progress: Progress) -> Comparison:
        """Compare every memory of the store with the archive, and every note of this migration with the store."""
        found = Comparison()
        with closing(sqlite3.connect("")) as seen:  # a file that goes by itself: there may be millions
            seen.execute("CREATE TABLE noted (persona TEXT, id TEXT, PRIMARY KEY (persona, id)) WITHOUT ROWID")
            place: list[Any] | None = ["", 0]
            while place is not None:
                step = self._asked("migrate_verify", *self.arguments, place)
                for name in ("read", "same", "changed", "forgotten", "twice"):
                    setattr(found, name, getattr(found, name) + step[name])
                found.add(step["differing"])
                seen.executemany("INSERT OR IGNORE INTO noted VALUES (?, ?)", step["noted"])
                place = step["place"]
                progress(step["read"])
            after: list[str] | None = None
            while notes := self._asked("migrate_notes", self.name, after):
                after = notes[-1]
                found.noted += len(notes)
                found.add([_extra(each) for each in notes if not _has(seen, each)])
        return found

    def undo(self, progress: Progress) -> tuple[int, int]:
        """Remove all that came with this migration and was not changed since; how many were removed and are kept."""
        removed, kept, more = 0, 0, True
        self.logbook.begin()
        self._note(place=None, store=None, again=False, counts=None, done=None)
        while more:
            step = self._asked("migrate_undo", self.name)
            removed, kept, more = removed + step["removed"], kept + step["kept"], step["more"]
            progress(step["removed"] + step["kept"])
        return removed, kept

    def finish(self, report: Mapping[str, Any], *, done: bool) -> None:
        """Keep the report; ``done``: the migration is complete."""
        self.logbook.finish(report)
        if done:
            self.logbook.clear()
            self._note(done=datetime.now(UTC).isoformat())

    def done(self) -> str | None:
        """When it was completed, None before."""
        found: str | None = self.logbook.state().get("done")
        return found

    def check_zone(self) -> None:
        """Raises: InvalidQuery where some of it was copied with its times read in another zone."""
        state = self.logbook.state()
        if state.get("store") and state.get("zone") != self._zone:
            raise InvalidQuery(
                f"zone: this migration was begun with {state['zone'] or 'the zone of the machine'}; go on with that, "
                "or take it back with --rollback first"
            )

    def check_workers(self) -> None:
        """Raises: Unavailable where no worker could do it."""
        if self._client.health().parts.get(f"{INGEST} worker") == "none runs":
            raise Unavailable("no ingest worker runs, and only it copies: `trinitas up`, or start one")

    def _asked(self, job: str, *arguments: Any) -> Any:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._client.ask(job, *arguments, deadline_ms=STEP_MS)
            except Unavailable as error:
                self._waiting(error)
                if time.monotonic() > give_up:
                    raise
                time.sleep(AGAIN_SECONDS)

    def _fingerprint(self) -> str:
        """Of the store as it is now: where it was left off counts only for the same."""
        files = (each for each in sorted(self.path.rglob("*")) if each.is_file())
        told = [(str(each), (stat := each.stat()).st_size, stat.st_mtime_ns) for each in files]
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def _note(self, **changed: Any) -> None:
        self.logbook.note(path=str(self.path), zone=self._zone, **changed)


def named(path: Path) -> str:
    """The name of the migration of a store: of its folder, and a digest of its path."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", path.absolute().name).strip("-")[:40] or "store"
    return f"{words}-{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]}"


def _has(seen: sqlite3.Connection, key: list[str]) -> bool:
    return seen.execute("SELECT 1 FROM noted WHERE persona = ? AND id = ?", key).fetchone() is not None


def _extra(key: list[str]) -> dict[str, str]:
    return {"persona": key[0], "id": key[1], "source": "", "row": "", "what": EXTRA}
