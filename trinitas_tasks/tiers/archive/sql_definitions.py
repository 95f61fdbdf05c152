"""What is defined of personas, in a SQL database."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from pydantic import ValidationError
from sqlalchemy import Delete, bindparam, delete, func, select

from trinitas_tasks.errors import ArchiveError
from trinitas_tasks.model import complaint
from trinitas_tasks.policy.micros import from_micros, to_micros
from trinitas_tasks.policy.personas import Persona
from trinitas_tasks.tiers.archive.definitions import Abandoned, Move
from trinitas_tasks.tiers.archive.rows import ENCODER
from trinitas_tasks.tiers.archive.schema import abandoned as marks
from trinitas_tasks.tiers.archive.schema import memories, personas, vectors
from trinitas_tasks.tiers.archive.sql_provenance import SqlProvenance
from trinitas_tasks.tiers.archive.statements import put_abandoned, put_persona
from trinitas_tasks.tiers.archive.writing import each

DROP_OF_MODEL: Final = delete(vectors).where(
    vectors.c.memory == bindparam("of_seq"), vectors.c.model == bindparam("of_model")
)


class SqlDefinitions(SqlProvenance):
    """That part of the contract of Archive, one transaction a call."""

    def define(self, persona: Persona, now: datetime, move: Move | None = None) -> None:
        """See Definitions."""
        columns = {"name": persona.name, "at": to_micros(now), "body": ENCODER.encode(persona.to_dict())}
        with self._engines.write("define a persona") as connection:
            dialect = connection.dialect.name
            connection.execute(put_persona(dialect), columns)
            if move is not None:
                left = {"persona": persona.name, "model": move.before, "since": to_micros(now)}
                connection.execute(put_abandoned(dialect), left)
                connection.execute(_mark(persona.name, move.after))

    def defined(self) -> dict[str, Persona]:
        """See Definitions."""
        with self._engines.read("list definitions of personas") as connection:
            rows = connection.execute(select(personas.c.name, personas.c.body).order_by(personas.c.name)).all()
        return {name: self._read(name, body) for name, body in rows}

    def tally(self) -> dict[str, int]:
        """See Definitions."""
        counted = select(memories.c.persona, func.count()).group_by(memories.c.persona).order_by(memories.c.persona)
        with self._engines.read("count everybody's memories") as connection:
            return {name: count for name, count in connection.execute(counted)}

    def abandoned(self) -> list[Abandoned]:
        """See Definitions."""
        with self._engines.read("list abandoned models") as connection:
            rows = connection.execute(select(marks).order_by(marks.c.persona, marks.c.model)).all()
        return [Abandoned(persona, model, from_micros(since)) for persona, model, since in rows]

    def drop_vectors(self, persona: str, model: str, limit: int) -> int:
        """See Definitions."""
        some = (
            select(vectors.c.memory)
            .join_from(vectors, memories)
            .where(memories.c.persona == persona, vectors.c.model == model)
            .distinct()
            .limit(limit)
        )
        with self._engines.write("drop vectors of an abandoned model") as connection:
            found = list(connection.scalars(some))
            doomed = [{"of_seq": seq, "of_model": model} for seq in found]
            each(connection, DROP_OF_MODEL, doomed)
        return len(found)

    def cleared(self, abandoned: Abandoned) -> None:
        """See Definitions."""
        marked = _mark(abandoned.persona, abandoned.model).where(marks.c.since == to_micros(abandoned.since))
        with self._engines.write("forget an abandoned model") as connection:
            connection.execute(marked)

    def _read(self, name: str, body: str) -> Persona:
        try:
            return Persona(**json.loads(body))
        except (ValueError, TypeError) as error:
            said = complaint(error) if isinstance(error, ValidationError) else error
            raise ArchiveError(
                f"the archive {self._engines.where}: what it says of {name} is unreadable: {said}"
            ) from error


def _mark(persona: str, model: str) -> Delete:
    return delete(marks).where(marks.c.persona == persona, marks.c.model == model)
