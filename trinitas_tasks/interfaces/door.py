"""The door: how agents and people reach memories. Whoever asks is checked, and what they do is written down.

Application code that holds a MemoryClient is trusted and needs no door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from trinitas_tasks.client import EVERYBODY, MemoryClient
from trinitas_tasks.errors import InvalidQuery, NotFound, Unavailable
from trinitas_tasks.interfaces import excerpts
from trinitas_tasks.interfaces.book import Book, Done
from trinitas_tasks.model import MemoryItem, check_id, check_persona, utc_now
from trinitas_tasks.policy.access import Principal, Right
from trinitas_tasks.policy.life import BY_PERSONA, task_named
from trinitas_tasks.policy.personas import FIVE, Persona
from trinitas_tasks.query import Page, Recall
from trinitas_tasks.services.condition import Health, Stats
from trinitas_tasks.tiers.ledger.interface import Ledger

PATIENT_MS: Final = 20_000
RUN_MS: Final = 60_000


@dataclass(frozen=True)
class Door:
    """One principal's way in, over one client. ``name`` is that of the door: cli, mcp, http.

    Every method raises Forbidden for what the principal may not do, whether there is anything to do it to or not, and
    UnknownPersona for a name that nobody has. Where they act for one persona only, it need not be named.
    """

    client: MemoryClient
    principal: Principal
    ledger: Ledger
    name: str
    clock: Callable[[], datetime] = field(default=utc_now)

    # Writing.

    def remember(self, content: Any, *, persona: str | None = None, **fields: Any) -> str:
        """See MemoryClient."""
        whose = self._whose(persona)
        with self._deed(Right.WRITE, "remember", whose, fields.get("id")) as done:
            done.subject = kept = self.client.remember(content, persona=whose, **fields)
        return kept

    def update(self, id: str, *, persona: str | None = None, **fields: Any) -> MemoryItem:
        """See MemoryClient."""
        whose = self._whose(persona)
        with self._deed(Right.WRITE, "update", whose, id):
            return self.client.update(id, persona=whose, **fields)

    def forget(self, id: str, *, persona: str | None = None) -> None:
        """See MemoryClient. Raises: NotFound: the persona has none of its own of this id."""
        whose = self._whose(persona)
        with self._deed(Right.WRITE, "forget", whose, id):
            try:
                missing = self.client.get(id, persona=whose, owner=whose) is None
            except Unavailable:  # nobody can say whether it is there: it is forgotten in any case
                missing = False
            if missing:
                raise NotFound(f"{whose} has no memory {id}")
            self.client.forget(id, persona=whose)

    def pin(self, id: str, *, pinned: bool, persona: str | None = None) -> None:
        """See MemoryClient."""
        whose = self._whose(persona)
        with self._deed(Right.WRITE, "pin" if pinned else "unpin", whose, id):
            (self.client.pin if pinned else self.client.unpin)(id, persona=whose)

    def feedback(self, id: str, *, useful: bool, persona: str | None = None, owner: str | None = None) -> None:
        """See MemoryClient."""
        whose = self._whose(persona)
        with self._deed(Right.WRITE, "feedback", whose, id) as done:
            done.detail = "useful" if useful else "useless"
            self.client.feedback(id, useful=useful, persona=whose, owner=owner)

    # Sharing.

    def share(self, id: str, *, to: Iterable[str], persona: str | None = None) -> frozenset[str]:
        """See MemoryClient; who may read it now."""
        whose, grantees = self._whose(persona), _named(to)
        with self._deed(Right.SHARE, "share", whose, id) as done:
            done.detail = f"to {', '.join(grantees)}"
            for each in grantees:
                self.client.check_known(each)
            self.client.share(id, to=grantees, persona=whose)
        return self.client.shared_with(id, persona=whose)

    def unshare(self, id: str, *, to: Iterable[str] | None = None, persona: str | None = None) -> frozenset[str]:
        """See MemoryClient; who may still read it."""
        whose, grantees = self._whose(persona), None if to is None else _named(to)
        with self._deed(Right.SHARE, "unshare", whose, id) as done:
            done.detail = "to all" if grantees is None else f"to {', '.join(grantees)}"
            self.client.unshare(id, to=grantees, persona=whose)
        return self.client.shared_with(id, persona=whose)

    def shared_with(self, id: str, *, persona: str | None = None) -> frozenset[str]:
        """See MemoryClient."""
        whose = self._reads(persona)
        return self.client.shared_with(id, persona=whose)

    # Reading.

    def get(self, id: str, *, persona: str | None = None, owner: str | None = None) -> MemoryItem:
        """See MemoryClient. Raises: NotFound, the same for what is not there and what is another's."""
        whose = self._reads(persona)
        found = self.client.get(id, persona=whose, owner=owner)
        if found is None:
            raise NotFound(f"{whose} has no memory {id}")
        return found

    def recall(self, text: str, *, persona: str | Iterable[str] | None = None, **asked: Any) -> Recall:
        """See MemoryClient. Of several personas the principal must act for each, of "*" for all."""
        if persona == EVERYBODY:
            self._book.check(Right.READ, "read", None, None)
            return self.client.recall(text, persona=EVERYBODY, **asked)
        if persona is None or isinstance(persona, str):
            return self.client.recall(text, persona=self._reads(persona), **asked)
        return self.client.recall(text, persona=[self._reads(each) for each in persona], **asked)

    def timeline(self, *, persona: str | None = None, **asked: Any) -> Page:
        """See MemoryClient."""
        whose = self._reads(persona)
        return self.client.timeline(persona=whose, **asked)

    def stats(self, *, persona: str | None = None) -> Stats:
        """See MemoryClient; to whom acts for some personas only, nothing is counted that others write."""
        found = self.client.stats(persona=self._reads(persona))
        return found if self.principal.personas is None else excerpts.stats(found)

    def why(self, id: str, *, persona: str | None = None) -> dict[str, Any]:
        """What is known of a memory's life. Raises: NotFound."""
        known: dict[str, Any] = self.client.ask("why", self._reads(persona), check_id(id), deadline_ms=PATIENT_MS)
        return known

    def personas(self) -> dict[str, Persona]:
        """The personas that the principal acts for, by name."""
        mine = self.principal.personas
        return {name: each for name, each in self.client.personas().items() if mine is None or name in mine}

    def persona(self, name: str) -> Persona:
        """What is known of one of them; nothing but its name while nobody can tell. Raises: UnknownPersona."""
        whose = self._reads(name)
        try:
            known = self.client.personas()
        except Unavailable:
            known = dict(FIVE)
        return known.get(whose) or Persona(name=whose)

    def analytics(self, *, persona: str | None = None) -> dict[str, Any]:
        """Figures on a persona's memories and recommendations; of everybody with the right to administer."""
        if persona is None:
            persona = self.principal.sole()
        if persona is None:
            with self._deed(Right.ADMIN, "analytics", None, None):
                everybodys: dict[str, Any] = self.client.ask("analytics", None, deadline_ms=RUN_MS)
            return everybodys
        whose = self._reads(persona)
        found: dict[str, Any] = self.client.ask("analytics", whose, deadline_ms=RUN_MS)
        return found if self.principal.personas is None else excerpts.analytics(found, whose)

    def health(self) -> Health:
        """See MemoryClient. Whoever may come in may ask; why something does not work is told to who administers all."""
        found = self.client.health()
        return found if self.principal.may(Right.ADMIN, None) else excerpts.health(found)

    # What concerns the keeping.

    def run(self, task: str, *, dry_run: bool, persona: str | None = None) -> dict[str, Any]:
        """Run a task of the schedule now; what it did, or would do. Most tasks concern everybody, whoever is named."""
        wanted = task_named(task)
        if persona is None:
            persona = self.principal.sole()
        whose = check_persona(persona) if persona is not None and wanted in BY_PERSONA else None
        with self._deed(Right.ADMIN, f"run {wanted}", whose, None) as done:
            done.detail = "dry run" if dry_run else None
            ran: dict[str, Any] = self.client.ask("run", wanted.value, dry_run, whose, deadline_ms=RUN_MS)
        return ran

    def undo(self, number: int) -> dict[str, Any]:
        """Take a consolidation back."""
        with self.administering("undo", subject=str(number)):
            undone: dict[str, Any] = self.client.ask("undo", number, deadline_ms=PATIENT_MS)
        return undone

    @contextmanager
    def administering(self, action: str, *, persona: str | None = None, subject: str | None = None) -> Iterator[Done]:
        """For what is done in the block: with the right to administer, and a row of the audit."""
        with self._book.administering(action, persona=persona, subject=subject) as done:
            yield done

    def _whose(self, persona: str | None) -> str:
        named = self.principal.sole() if persona is None else persona
        if named is None:
            raise InvalidQuery("persona: say whose memories are meant")
        return check_persona(named)

    def _reads(self, persona: str | None) -> str:
        whose = self._whose(persona)
        self._book.check(Right.READ, "read", whose, None)
        self.client.check_known(whose)
        return whose

    @contextmanager
    def _deed(self, right: Right, action: str, persona: str | None, memory_id: object) -> Iterator[Done]:
        """Something done to a persona's memories, by whoever may."""
        subject = _id_of(memory_id)
        self._book.check(right, action, persona, subject)
        if persona is not None:
            self.client.check_known(persona)
        with self._book.written(action, persona, subject) as done:
            yield done

    @property
    def _book(self) -> Book:
        return Book(self.principal, self.ledger, self.name, self.clock)


def _named(personas: str | Iterable[str]) -> list[str]:
    return [check_persona(each) for each in ([personas] if isinstance(personas, str) else personas)]


def _id_of(given: object) -> str | None:
    """What is an id, as a row may name it: anything else may be what a memory says."""
    try:
        return check_id(given)
    except InvalidQuery:
        return None
