"""The ledger in a SQLite file of this machine, shared by all its processes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.policy.access import Right
from trinitas_tasks.policy.micros import from_micros, to_micros
from trinitas_tasks.tiers.ledger.interface import Deed, Token
from trinitas_tasks.tiers.ledger.rows import kept, kept_if, minute
from trinitas_tasks.tiers.local_file import LocalFile

DROPPED: Final = 100
"""Rows past their time that one new row takes away at most: a clock that is wrong for a moment costs few."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tokens (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, digest BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
    personas TEXT, rights TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER, revoked INTEGER, last_used INTEGER
);
CREATE TABLE IF NOT EXISTS deeds (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, door TEXT NOT NULL,
    action TEXT NOT NULL, persona TEXT, subject TEXT, outcome TEXT, detail TEXT
);
CREATE INDEX IF NOT EXISTS deeds_at ON deeds (at);
"""

TOKEN: Final = "id, name, personas, rights, created, expires, revoked, last_used"
DEED: Final = "number, at, who, door, action, persona, subject, outcome, detail"


class SqliteLedger:
    """The ledger in ``path``, made by the first token or deed; deeds older than ``audit_days`` go, 0: never."""

    def __init__(self, path: Path, *, audit_days: int, patience_seconds: float = 1.0) -> None:
        self._file = LocalFile(path, name="ledger", schema=SCHEMA, patience_seconds=patience_seconds)
        self._audit_days = audit_days

    def issue(self, token: Token, digest: bytes) -> bool:
        """See Ledger."""
        personas = None if token.personas is None else ",".join(sorted(token.personas))
        moments = (token.created, token.expires, token.revoked, token.last_used)
        row = (digest, token.id, token.name, personas, ",".join(sorted(token.rights)), *map(_micros, moments))
        with self._file.transaction("keep a token") as connection:
            made = connection.execute(f"INSERT OR IGNORE INTO tokens (digest, {TOKEN}) VALUES (?,?,?,?,?,?,?,?,?)", row)
            return made.rowcount > 0

    def bearer(self, digest: bytes) -> Token | None:
        """See Ledger."""
        found = self._rows(f"SELECT {TOKEN} FROM tokens WHERE digest = ?", digest)
        return self._token(found[0]) if found else None

    def used(self, token_id: str, now: datetime) -> None:
        """See Ledger."""
        used = to_micros(minute(now))
        if self._rows("SELECT 1 FROM tokens WHERE id = ? AND last_used IS NOT ?", token_id, used):
            with self._file.transaction("note that a token was used") as connection:
                connection.execute("UPDATE tokens SET last_used = ? WHERE id = ?", (used, token_id))

    def tokens(self) -> list[Token]:
        """See Ledger."""
        return [self._token(row) for row in self._rows(f"SELECT {TOKEN} FROM tokens ORDER BY number")]

    def revoke(self, token_id: str, now: datetime) -> bool:
        """See Ledger."""
        if not self._file.exists:
            return False
        with self._file.transaction("revoke a token") as connection:
            changed = connection.execute(
                "UPDATE tokens SET revoked = coalesce(revoked, ?) WHERE id = ?", (to_micros(now), token_id)
            )
            return changed.rowcount > 0

    def begin(self, who: str, door: str, action: str, persona: str | None, subject: str | None, now: datetime) -> int:
        """See Ledger."""
        row = (to_micros(now), kept(who), kept(door), kept(action), kept_if(persona), kept_if(subject))
        with self._file.transaction("write down what is done") as connection:
            if self._audit_days:
                over = to_micros(now - timedelta(days=self._audit_days))
                connection.execute(
                    "DELETE FROM deeds WHERE number IN (SELECT number FROM deeds WHERE at < ? LIMIT ?)", (over, DROPPED)
                )
            made = connection.execute(
                "INSERT INTO deeds (at, who, door, action, persona, subject) VALUES (?,?,?,?,?,?)", row
            )
            assert made.lastrowid is not None
            return made.lastrowid

    def end(self, number: int, outcome: str | None, *, subject: str | None = None, detail: str | None = None) -> None:
        """See Ledger."""
        with self._file.transaction("write down what was done") as connection:
            connection.execute(
                "UPDATE deeds SET outcome = ?, subject = coalesce(?, subject), detail = ? WHERE number = ?",
                (outcome, kept_if(subject), kept_if(detail), number),
            )

    def deeds(
        self,
        limit: int,
        *,
        before: int | None = None,
        who: str | None = None,
        persona: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
    ) -> Sequence[Deed]:
        """See Ledger."""
        wanted = {
            "number < ?": before,
            "who = ?": kept_if(who),
            "persona = ?": kept_if(persona),
            "action = ?": kept_if(action),
            "at >= ?": _micros(since),
        }
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = " AND ".join(("1", *given))
        found = self._rows(
            f"SELECT {DEED} FROM deeds WHERE {where} ORDER BY number DESC LIMIT ?", *given.values(), limit
        )
        return [Deed(number, self._moment(at), *rest) for number, at, *rest in found]

    def close(self) -> None:
        """See Ledger."""
        self._file.close()

    def _rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        if not self._file.exists:
            return []
        with self._file.reading() as connection:
            return connection.execute(statement, parameters).fetchall()

    def _token(self, row: tuple[Any, ...]) -> Token:
        token_id, name, personas, rights, *moments = row
        created, expires, revoked, last_used = (None if each is None else self._moment(each) for each in moments)
        assert created is not None
        return Token(
            token_id,
            name,
            None if personas is None else frozenset(filter(None, personas.split(","))),
            # a right that this version does not know is none
            frozenset(right for right in Right if right in rights.split(",")),
            created,
            expires,
            revoked,
            last_used,
        )

    def _moment(self, micros: int) -> datetime:
        try:
            return from_micros(micros)
        except (OverflowError, TypeError) as error:
            raise Unavailable(f"the ledger {self._file.path} is damaged: {micros!r} is no moment") from error


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)
