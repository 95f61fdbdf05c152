"""Where the doors of a server come from: opened when somebody first asks, and again when the stack moved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeAlias

from trinitas_tasks.errors import Forbidden, SettingsError, TrinitasError

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door
    from trinitas_tasks.interfaces.entering import Hall
    from trinitas_tasks.policy.access import Principal
    from trinitas_tasks.settings import Settings

logger = logging.getLogger(__name__)

Stamp: TypeAlias = tuple[int, int] | None
"""The identity and the time of the file in which a running stack says where its servers are."""


class Opened:
    """A hall that is closed when the last of its users has left it."""

    def __init__(self, settings: Settings) -> None:
        from trinitas_tasks.interfaces.entering import opened  # noqa: PLC0415 - loads Celery, see Hallway

        self.settings = settings
        self.users = 0
        self._closing = ExitStack()
        self.hall: Hall = self._closing.enter_context(opened(settings))

    def close(self) -> None:
        self._closing.close()


class Hallway:
    """One client and one ledger for the whole process. Thread-safe.

    ``load`` gives the settings in force; ``name`` is what the audit calls the doors: mcp, http. ``users``: somebody of
    whom the transport knows nothing is this machine's user; else they are nobody. Nothing is loaded before the first
    call: a server says hello before Celery is imported, and before the stack that it serves is up.
    """

    def __init__(self, load: Callable[[], Settings], name: str, *, users: bool) -> None:
        self._load = load
        self._name = name
        self._users = users
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._stamp: Stamp = None

    @contextmanager
    def door(self, principal: Principal | None) -> Iterator[Door]:
        """The door of a principal, or of this machine's user, for the length of the block.

        Raises: Forbidden; SettingsError, as long as nothing says where Redis is.
        """
        from trinitas_tasks.interfaces.entering import user  # noqa: PLC0415 - see above

        if principal is None and not self._users:
            raise Forbidden("nobody comes in here without a token")
        opened = self._enter()
        try:
            yield opened.hall.door(principal or user(opened.settings), self._name)
        finally:
            self._leave(opened)

    def warm(self) -> None:
        """Load what the first call will need, in the background."""
        threading.Thread(target=self._warm, name="warming", daemon=True).start()

    def _warm(self) -> None:
        from trinitas_tasks.interfaces.mcp import server  # noqa: PLC0415 - see above

        server.listed_tools()
        try:
            self._leave(self._enter())
        except TrinitasError as error:
            logger.info("memories are out of reach: %s", error)

    def _enter(self) -> Opened:
        with self._lock:
            if self._opened is None:
                self._opened = self._fresh()
            elif self._stamp != stamp_of(self._opened.settings):
                self._opened = self._moved(self._opened)
            self._opened.users += 1
            return self._opened

    def _fresh(self) -> Opened:
        # looked at before it is read: what changes in between is seen by the next call
        self._stamp = stamp_of(self._load())
        return Opened(self._load())

    def _moved(self, before: Opened) -> Opened:
        """The stack was stopped or started since. While it is away the client writes into its spool."""
        self._stamp = stamp_of(before.settings)
        try:
            settings = self._load()
            if settings == before.settings:
                return before
            after = Opened(settings)
        except SettingsError as error:
            logger.info("the stack is away: %s", error)
            return before
        logger.warning("the stack was started again elsewhere")
        if not before.users:
            before.close()
        return after

    def _leave(self, opened: Opened) -> None:
        with self._lock:
            opened.users -= 1
            last = not opened.users and opened is not self._opened
        if last:
            opened.close()

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None and not opened.users:
            opened.close()


def stamp_of(settings: Settings) -> Stamp:
    """None while no embedded stack runs."""
    from trinitas_tasks.settings import STACK_FILE  # noqa: PLC0415 - see Hallway

    try:
        found = (settings.home / STACK_FILE).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
