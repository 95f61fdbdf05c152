"""Looks all the time whether everything is well, so that it is known afterwards how long each fault took to heal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trinitas_tasks import MemoryClient
from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.tiers.hot.interface import HotTier

LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """One look, from ``began`` to ``ended``. ``wrong`` is empty if every process ran and every part was healthy."""

    began: float
    ended: float
    wrong: tuple[str, ...]
    outbox: int | None
    lag_seconds: float | None


class Monitor:
    """Runs in a thread of its own from ``start`` to ``stop``."""

    def __init__(
        self,
        stack: Stack,
        client: MemoryClient,
        hot: HotTier,
        personas: Sequence[str],
        now: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._stack = stack
        self._client = client
        self._hot = hot
        self._personas = personas
        self._now = now
        self._say = say
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self.looks: list[Look] = []
        self.by_hand: list[str] = []
        """What a person had to do, because nothing else would have."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def last(self) -> Look | None:
        return self.looks[-1] if self.looks else None

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            began = self._now()
            wrong, outbox, lag = self._wrong(), None, None
            try:
                stats = [self._hot.stats(persona) for persona in self._personas]
                outbox, lag = stats[0].outbox, max(each.lag_seconds for each in stats)
            except TrinitasError as error:
                wrong.append(f"redis: {error}")
            self.looks.append(Look(began, self._now(), tuple(wrong), outbox, lag))

    def _wrong(self) -> list[str]:
        try:
            status = self._stack.status()
            if not status.running:
                self._revive()
                return ["the supervisor is gone"]
        except TrinitasError as error:
            return [f"supervisor: {error}"]
        wrong = [f"{each.name}: {each.state}" for each in status.processes if each.state != "RUNNING"]
        if not wrong:  # else the answer is known, and asking costs
            parts = self._client.health().parts
            wrong = [f"{name}: {problem}" for name, problem in parts.items() if problem is not None]
        return wrong

    def _revive(self) -> None:
        self.by_hand.append(f"at {self._now():.0f} s the supervisor was gone: the stack was started again")
        self._say(self.by_hand[-1])
        self._stack.up()


def healed(looks: Sequence[Look], after: float) -> float | None:
    """When all was seen to be well for the first time by a look that began after this moment; None: never."""
    return next((look.ended for look in looks if look.began >= after and not look.wrong), None)
