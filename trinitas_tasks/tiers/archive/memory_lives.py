"""The lives of memories, as `MemoryArchive` keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from trinitas_tasks.model import Key
from trinitas_tasks.policy.grants import EVERYBODY
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.tiers.archive import turning
from trinitas_tasks.tiers.archive.census import Counted, census
from trinitas_tasks.tiers.archive.lives import Census, Choice, Feedback, Life, Order, Restored, Settlement, Turn, Use
from trinitas_tasks.tiers.archive.memory_grants import MemoryGrants
from trinitas_tasks.tiers.archive.memory_held import Held
from trinitas_tasks.tiers.archive.rows import ENCODER, heaviest_first


class MemoryLives(MemoryGrants):
    """That part of the contract of Archive over dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._memories: dict[Key, Held] = {}
        self._changed = 0
        self._settled = 0
        self._said = 0
        self._followers: dict[Key, dict[Key, Follower]] = {}
        self._feedback: dict[int, Feedback] = {}
        self._weights: dict[str, dict[str, float]] = {}

    def lives(self, persona: str, ids: Sequence[str]) -> list[Life | None]:
        """See Lives."""
        with self._lock:
            held = [self._memories.get(Key(persona, id_)) for id_ in ids]
            return [memory.life if memory else None for memory in held]

    def chosen(self, choice: Choice, limit: int) -> list[Life]:
        """See Lives."""
        with self._lock:
            meant = [life for held in self._memories.values() if _meant(choice, life := held.life)]
        return sorted(meant, key=lambda life: (*_place(choice.order, life), life.seq))[:limit]

    def named(self, persona: str, after: str, limit: int) -> list[Life]:
        """See Lives."""
        with self._lock:
            ids = sorted(key.id for key in self._memories if key.persona == persona and key.id > after)
            return [self._memories[Key(persona, id_)].life for id_ in ids[:limit]]

    def active(self, persona: str) -> int:
        """See Lives."""
        with self._lock:
            return sum(key.persona == persona and not held.cold for key, held in self._memories.items())

    def cold(self, persona: str, ids: Sequence[str]) -> set[str]:
        """See Lives."""
        with self._lock:
            held = {id_: self._memories.get(Key(persona, id_)) for id_ in ids}
            return {id_ for id_, each in held.items() if each is not None and each.cold}

    def turn(self, turns: Sequence[Turn]) -> list[bool]:
        """See Lives."""
        with self._lock:
            versions = self._versions()
            for key, each in turning.merged(turns, versions).items():
                self._turn(self._memories[key], each)
            return turning.counted(turns, versions)

    def restore_lives(self, lives: Sequence[Restored]) -> list[bool]:
        """See Lives."""
        with self._lock:
            for each in lives:
                if (held := self._memories.get(each.key)) is not None:
                    self._move(held, each.cold)
                    for name, value in each._asdict().items():
                        if name not in ("key", "cold"):
                            setattr(held, name, value)
            return [each.key in self._memories for each in lives]

    def settle(self, settlement: Settlement) -> bool:
        """See Lives."""
        with self._lock:
            if settlement.batch <= self._settled:
                return False
            self._settled = settlement.batch
            for use in settlement.uses:
                self._use(use)
            for key, pinned in settlement.pins.items():
                if key in self._memories:
                    self._memories[key].pinned = pinned
            for said in settlement.feedback:
                self._keep(said)
            for key, listed in settlement.followers.items():
                here = {each.key: each for each in listed if {key, each.key} <= self._memories.keys()}
                self._followers[key] = here
            return True

    def settled(self) -> int:
        """See Lives."""
        return self._settled

    def followers(self, keys: Sequence[Key]) -> dict[Key, list[Follower]]:
        """See Lives."""
        with self._lock:
            found = {key: self._followers.get(key, {}) for key in keys}
            return {key: heaviest_first(listed.values()) for key, listed in found.items() if listed}

    def feedback(self, limit: int) -> list[Feedback]:
        """See Lives."""
        with self._lock:
            return [self._feedback[seq] for seq in sorted(self._feedback)[:limit]]

    def weights(self, persona: str) -> dict[str, float]:
        """See Lives."""
        with self._lock:
            return dict(self._weights.get(persona, {}))

    def learn(self, turns: Sequence[Turn], weights: Mapping[str, Mapping[str, float]], learned: Sequence[int]) -> None:
        """See Lives."""
        with self._lock:
            self.turn(turns)
            self._weights |= {persona: dict(its) for persona, its in weights.items()}
            for seq in learned:
                self._feedback.pop(seq, None)

    def census(self, persona: str, now: datetime) -> Census:
        """See Lives."""
        with self._lock:
            mine = [_counted(held) for key, held in self._memories.items() if key.persona == persona]
            shared: dict[str, int] = {}
            for key, marks in self._grants.items():
                for grantee, each in marks.items():
                    if key.persona == persona and not each.revoked and grantee != EVERYBODY:
                        shared[grantee] = shared.get(grantee, 0) + 1
        return census(persona, mine, shared, now)

    def _change(self) -> int:
        self._changed += 1
        return self._changed

    def _versions(self) -> dict[Key, int]:
        return {key: held.version for key, held in self._memories.items()}

    def _turn(self, held: Held, turn: Turn) -> None:
        if turn.cold is not None:
            self._move(held, turn.cold)
        for name in ("pinned", "score", "scored_at", "fades_at"):
            if (value := getattr(turn, name)) is not None:
                setattr(held, name, value)
        if turn.representative is not None:
            held.representative = turn.representative or None

    def _move(self, held: Held, cold: bool) -> None:
        if held.cold != cold:
            held.cold, held.change = cold, self._change()
            held.indexed.clear()

    def _use(self, use: Use) -> None:
        if (held := self._memories.get(use.key)) is None:
            return
        self._move(held, False)
        held.access_count += use.reads
        held.last_access = max(held.last_access, use.last)
        held.stability_days, held.fades_at = use.stability_days, use.fades_at

    def _keep(self, said: Feedback) -> None:
        if (held := self._memories.get(said.key)) is None:
            return
        self._said += 1
        self._feedback[self._said] = said._replace(seq=self._said)
        held.useful += said.useful
        held.useless += not said.useful

    def _end_life(self, key: Key) -> None:
        """Of what was erased nothing is known any more."""
        self._unlink(key)
        self._followers.pop(key, None)
        for listed in self._followers.values():
            listed.pop(key, None)
        self._feedback = {seq: each for seq, each in self._feedback.items() if each.key != key}

    def _unlink(self, key: Key) -> list[Key]:
        """Nobody says the same as this memory any more; those who did."""
        linked = [
            other
            for other, held in self._memories.items()
            if other.persona == key.persona and held.representative == key.id
        ]
        for other in linked:
            self._memories[other].representative = None
        return linked


def _meant(choice: Choice, life: Life) -> bool:
    return (
        choice.persona in (None, life.key.persona)
        and (not choice.types or life.record.item.type in choice.types)
        and choice.cold in (None, life.cold)
        and choice.pinned in (None, life.pinned)
        and _in_time(choice, life)
        and life.seq > choice.after
    )


def _in_time(choice: Choice, life: Life) -> bool:
    return (
        (choice.used_before is None or _used(life) < choice.used_before)
        and (choice.fading_by is None or life.fades_at is None or life.fades_at <= choice.fading_by)
        and (choice.scored_before is None or life.scored_at is None or life.scored_at < choice.scored_before)
    )


def _used(life: Life) -> datetime:
    return max(life.record.item.timestamp, life.record.item.last_access)


def _place(order: Order, life: Life) -> tuple[Any, ...]:
    """What lacks the value comes first, but last by score."""
    match order:
        case Order.USE:
            return (_used(life),)
        case Order.RECENCY:
            return (-to_micros(_used(life)),)
        case Order.FADING:
            return (1, life.fades_at) if life.fades_at is not None else (0,)
        case Order.SCORING:
            return (1, life.scored_at) if life.scored_at is not None else (0,)
        case Order.SCORE:
            return (0, -life.score) if life.score is not None else (1,)
        case _:
            return ()


def _counted(held: Held) -> Counted:
    item = held.record.item
    return Counted(
        type=item.type,
        cold=held.cold,
        pinned=held.pinned,
        score=item.importance if held.score is None else held.score,
        timestamp=item.timestamp,
        archived_at=held.archived_at,
        reads=held.access_count,
        doubled=held.representative is not None,
        octets=len(ENCODER.encode(item.content).encode()),
    )
