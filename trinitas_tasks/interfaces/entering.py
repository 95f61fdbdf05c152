"""How a process comes to its doors: one client, one ledger, and this machine's user."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.interfaces.book import Book
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.policy.access import Principal
from trinitas_tasks.settings import Settings
from trinitas_tasks.tiers.ledger.interface import Ledger
from trinitas_tasks.tiers.ledger.sqlite import SqliteLedger


class Hall(NamedTuple):
    """What all doors of a process share."""

    client: MemoryClient
    ledger: Ledger

    def door(self, principal: Principal, name: str) -> Door:
        """One principal's way in; costs nothing. ``name``: cli, mcp, http."""
        return Door(self.client, principal, self.ledger, name)


@contextmanager
def opened(settings: Settings) -> Iterator[Hall]:
    """What the doors of a process need, for the length of the block; nothing is connected before the first call.

    Raises: SettingsError when nothing says where Redis is and no embedded stack runs.
    """
    with MemoryClient.connect(settings) as client, closing(ledger_of(settings)) as ledger:
        yield Hall(client, ledger)


@contextmanager
def entered(settings: Settings, name: str) -> Iterator[Door]:
    """The door of this machine's user, for the length of the block. Raises: SettingsError."""
    with opened(settings) as hall:
        yield hall.door(user(settings), name)


@contextmanager
def accountable(settings: Settings, name: str) -> Iterator[Book]:
    """The book of this machine's user, for the length of the block: for what is done without memories, as to tokens,
    so that it can be done while nothing runs."""
    with closing(ledger_of(settings)) as ledger:
        yield Book(user(settings), ledger, name)


def user(settings: Settings) -> Principal:
    """Whom the operating system knows this process as; with TRINITAS_PERSONA they act for that one only."""
    personas = None if settings.persona is None else frozenset({settings.persona})
    return Principal(f"user {_login(os.getuid())}", personas=personas)


def ledger_of(settings: Settings) -> SqliteLedger:
    """This machine's ledger."""
    return SqliteLedger(settings.ledger_file(), audit_days=settings.audit_days)


def _login(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container that was given a number only
        return str(uid)
