"""What a stack writes about itself: ``run/stack.json`` while it runs, ``run/secrets.json`` for ever."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trinitas_tasks.errors import StackError
from trinitas_tasks.local.layout import Home, write_private


def _password() -> str:
    return secrets.token_hex(24)


class FlowerAddress(BaseModel):
    """How to reach Flower; its password is ``flower_password`` in secrets.json."""

    model_config = ConfigDict(frozen=True)

    url: str
    user: str = "trinitas"
    port: int


class Record(BaseModel):
    """A started stack. The settings of every client read ``redis_url`` and ``chromadb_*`` from it."""

    model_config = ConfigDict(frozen=True)

    version: str
    pid: int | None = None
    """Of the supervisor; None for the moment before it runs."""
    started: datetime
    redis_url: str
    chromadb_host: str
    chromadb_port: int
    flower: FlowerAddress | None = None
    socket: Path
    processes: tuple[str, ...]

    def write(self, home: Home) -> None:
        with home.usable():
            write_private(home.record, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, home: Home) -> Record | None:
        """The record in a home, or None where there is none that can be read."""
        try:
            return cls.model_validate_json(home.record.read_bytes())
        except (OSError, ValidationError):
            return None


class Secrets(BaseModel):
    """Generated once for a home, with the ports it had last: clients may have noted them."""

    valkey_password: str = Field(default_factory=_password)
    flower_password: str = Field(default_factory=_password)
    supervisor_password: str = Field(default_factory=_password)
    redis_port: int | None = None
    chromadb_port: int | None = None

    @classmethod
    def read(cls, home: Home) -> Secrets:
        """Those of a home; new ones where there are none. Raises: StackError."""
        try:
            return cls.model_validate_json(home.secrets.read_bytes())
        except FileNotFoundError:
            return cls()
        except (OSError, ValidationError) as error:
            raise StackError(f"{home.secrets} cannot be read: delete it and new passwords are made") from error

    def write(self, home: Home) -> None:
        with home.usable():
            write_private(home.secrets, self.model_dump_json(indent=2) + "\n")
