"""A SQLite archive read by its file alone, without SQLAlchemy: what a client reads when the workers are away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, Record
from trinitas_tasks.policy.chronology import Span, Stretch
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive import filtering, fulltext, timeline
from trinitas_tasks.tiers.archive.driver import explain, sqlite_driver
from trinitas_tasks.tiers.archive.file import check_whole
from trinitas_tasks.tiers.archive.filtering import Search
from trinitas_tasks.tiers.archive.interface import EVERYTHING, UNFILTERED, Match
from trinitas_tasks.tiers.archive.owner import owner_of
from trinitas_tasks.tiers.archive.revisions import refuse_newer
from trinitas_tasks.tiers.archive.rows import IN_LIST, chunks, follower_from, from_columns, heaviest_first

STEPS: Final = 10_000
"""How many steps of SQLite's virtual machine pass between two looks at the clock: some tenths of a millisecond."""
FOLLOWERS: Final = "SELECT id, next_persona, next_id, weight, at FROM followers WHERE persona = ? AND id IN"


class LocalArchive:
    """A `Reader` of the file at a path, written by the ingest worker or by one that was killed.

    Every call opens the file and closes it again, in a quarter of a millisecond: so threads share nothing, a
    fork inherits nothing, and a file that was replaced is noticed. It is opened for reading only, never
    created, and left alone by a call after ``deadline_ms``.
    """

    def __init__(self, path: str | Path, *, owner: str | None = None, deadline_ms: int = 1000) -> None:
        """``owner``: it is read only where it is noted as this deployment's; None: it is known to be the right one."""
        self._path = Path(path).absolute()
        self._owner = owner
        self._seconds = deadline_ms / 1000

    @property
    def readable(self) -> bool:
        """Whether there is a file, which says nothing of its contents."""
        return self._path.is_file()

    def load(self, persona: str, ids: Sequence[str]) -> list[Record | None]:
        """See Reader."""
        records: dict[str, Record] = {}
        with self._opened("load memories") as connection:
            for chunk in chunks(list(dict.fromkeys(ids)), IN_LIST):
                places = ",".join("?" * len(chunk))
                statement = f"SELECT * FROM memories WHERE persona = ? AND id IN ({places})"
                rows = _named_rows(connection, statement, (persona, *chunk))
                records |= {row["id"]: from_columns(row) for row in rows}
        return [records.get(id_) for id_ in ids]

    def search_text(
        self, persona: str, terms: Sequence[str], limit: int, *, filters: Filters = UNFILTERED
    ) -> list[Match]:
        """See Reader."""
        search = fulltext.search(persona, terms, limit, filters)
        return [Match(*row) for row in self._found("search by words", search, limit)] if search else []

    def matching(self, persona: str, filters: Filters, limit: int) -> list[str]:
        """See Reader."""
        search = filtering.matching(persona, filters, limit, sees_json=True)
        return [id_ for (id_,) in self._found("filter memories", search, limit)]

    def timeline(
        self,
        persona: str,
        span: Span,
        limit: int,
        *,
        filters: Filters = EVERYTHING,
        shared: Sequence[Key] = (),
    ) -> Stretch:
        """See Reader."""
        with self._opened("read a timeline") as connection:
            execute = partial(_named_rows, connection)
            return timeline.stretch(execute, persona, span, limit, filters=filters, shared=shared, sees_json=True)

    def followers(self, keys: Sequence[Key]) -> dict[Key, list[Follower]]:
        """See Reader."""
        ids: dict[str, dict[str, None]] = {}
        for key in keys:
            ids.setdefault(key.persona, {})[key.id] = None
        found: dict[Key, list[Follower]] = {}
        with self._opened("look up followers") as connection:
            for persona, mine in ids.items():
                for chunk in chunks(list(mine), IN_LIST):
                    places = ",".join("?" * len(chunk))
                    rows = connection.execute(f"{FOLLOWERS} ({places})", (persona, *chunk))
                    for id_, *columns in rows:
                        found.setdefault(Key(persona, id_), []).append(follower_from(columns))
        return {key: heaviest_first(listed) for key, listed in found.items()}

    def _found(self, what: str, search: Search, limit: int) -> list[Sequence[Any]]:
        with self._opened(what) as connection:
            rows = connection.execute(search.statement, search.values)
            return list(islice(filtering.decided(rows, search.left), limit))

    def close(self) -> None:
        """See Reader. Nothing is open between two calls."""

    @contextmanager
    def _opened(self, what: str) -> Iterator[Any]:
        """One snapshot of the file. Raises: Unavailable, ArchiveError."""
        if self._owner is not None and owner_of(self._path) != self._owner:
            raise Unavailable(f"the archive {self._path} is not known to be of {self._owner}: set SQLITE_PATH if it is")
        check_whole(self._path)
        driver = sqlite_driver()
        give_up = monotonic() + self._seconds
        try:
            with closing(self._connect(driver)) as connection:
                connection.set_progress_handler(lambda: monotonic() > give_up, STEPS)
                for statement in ("PRAGMA query_only = ON", "PRAGMA mmap_size = 0", "BEGIN"):
                    connection.execute(statement)
                found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                refuse_newer(str(self._path), found and found[0])
                yield connection
        except driver.Error as error:
            passing = isinstance(error, driver.OperationalError)
            raise explain(str(self._path), what, str(error), passing=passing) from error

    def _connect(self, driver: Any) -> Any:
        name = f"file:{quote(str(self._path))}?mode=ro"
        return driver.connect(name, uri=True, timeout=self._seconds, isolation_level=None)


def _named_rows(connection: Any, statement: str, values: Any) -> Iterator[dict[str, Any]]:
    found = connection.execute(statement, values)
    names = [name for name, *_ in found.description]
    return (dict(zip(names, row, strict=True)) for row in found)
