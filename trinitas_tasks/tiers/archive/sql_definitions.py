"""What is defined of personas, in a SQL database."""

from __future__ import annotations

import json
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import select

from trinitas_tasks.errors import ArchiveError
from trinitas_tasks.model import complaint
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.policy.personas import Persona
from trinitas_tasks.tiers.archive.rows import ENCODER
from trinitas_tasks.tiers.archive.schema import personas
from trinitas_tasks.tiers.archive.sql_provenance import SqlProvenance
from trinitas_tasks.tiers.archive.statements import put_persona


class SqlDefinitions(SqlProvenance):
    """That part of the contract of Archive, one transaction a call."""

    def define(self, persona: Persona, now: datetime) -> None:
        """See Definitions."""
        columns = {"name": persona.name, "at": to_micros(now), "body": ENCODER.encode(persona.to_dict())}
        with self._engines.write("define a persona") as connection:
            connection.execute(put_persona(connection.dialect.name), columns)

    def defined(self) -> dict[str, Persona]:
        """See Definitions."""
        with self._engines.read("list definitions of personas") as connection:
            rows = connection.execute(select(personas.c.name, personas.c.body).order_by(personas.c.name)).all()
        return {name: self._read(name, body) for name, body in rows}

    def _read(self, name: str, body: str) -> Persona:
        try:
            return Persona(**json.loads(body))
        except (ValueError, TypeError) as error:
            said = complaint(error) if isinstance(error, ValidationError) else error
            raise ArchiveError(
                f"the archive {self._engines.where}: what it says of {name} is unreadable: {said}"
            ) from error
