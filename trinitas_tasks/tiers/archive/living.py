"""The lives of memories, as `SqlArchive` writes them, each within a transaction of its caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Update, bindparam, case, delete, insert, text, update

from trinitas_tasks.model import Key
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.tiers.archive import fulltext, turning
from trinitas_tasks.tiers.archive.lives import Feedback, Restored, Settlement, Turn, Use
from trinitas_tasks.tiers.archive.schema import counters, feedback, followers, memories, vectors, weights
from trinitas_tasks.tiers.archive.writing import each, find, has_full_text, next_changes, of_key

SETTLED: Final = "settled"

_THIS: Final = memories.c.seq == bindparam("of_seq")
SETTLE: Final = (
    update(counters)
    .where(counters.c.name == SETTLED, counters.c.value < bindparam("batch"))
    .values(value=bindparam("batch"))
)
USE: Final = (
    update(memories)
    .where(_THIS)
    .values(
        access_count=memories.c.access_count + bindparam("reads"),
        last_access=case((memories.c.last_access < bindparam("last"), bindparam("last")), else_=memories.c.last_access),
        stability_days=bindparam("days"),
        fades_at=bindparam("fades"),
    )
)
COUNT: Final = (
    update(memories)
    .where(_THIS)
    .values(useful=memories.c.useful + bindparam("good"), useless=memories.c.useless + bindparam("bad"))
)
UNINDEX: Final = (
    update(vectors).where(vectors.c.memory == bindparam("of_seq"), vectors.c.indexed == 1).values(indexed=0)
)
DROP_FOLLOWERS: Final = delete(followers).where(
    followers.c.persona == bindparam("of_persona"), followers.c.id == bindparam("of_id")
)
DROP_WEIGHTS: Final = delete(weights).where(weights.c.persona == bindparam("of_persona"))
LEARN: Final = update(feedback).where(feedback.c.seq == bindparam("of_seq")).values(learned=1)
MOVE_TERMS: Final = text(fulltext.MOVE)


class _Held(NamedTuple):
    seq: int
    version: int
    cold: bool


def turn(connection: Connection, turns: Sequence[Turn]) -> list[bool]:
    """See Lives."""
    next_changes(connection, 0)  # as every writer of memories: the counter first, so none changes below the other
    held = _held(connection, {each.key for each in turns})
    versions = {key: each.version for key, each in held.items()}
    wanted = turning.merged(turns, versions)
    _move(connection, {key: each.cold for key, each in wanted.items() if each.cold is not None}, held)
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for key, each_turn in wanted.items():
        columns = _columns(each_turn)
        named = {f"to_{name}": value for name, value in columns.items()}
        alike.setdefault(tuple(columns), []).append({"of_seq": held[key].seq, **named})
    for names, rows in alike.items():
        if names:
            each(connection, _put(names), rows)
    return turning.counted(turns, versions)


def restore(connection: Connection, lives: Sequence[Restored]) -> list[bool]:
    """See Lives.restore_lives."""
    next_changes(connection, 0)
    held = _held(connection, {each.key for each in lives})
    here = [one for one in lives if one.key in held]
    _move(connection, {one.key: one.cold for one in here}, held)
    if here:
        rows = [
            {"of_seq": held[one.key].seq} | {f"to_{name}": value for name, value in _restored(one).items()}
            for one in here
        ]
        each(connection, _put(tuple(_restored(here[0]))), rows)
    return [one.key in held for one in lives]


def _restored(life: Restored) -> dict[str, object]:
    """Its columns but for ``cold``."""
    return {
        "access_count": life.access_count,
        "last_access": to_micros(life.last_access),
        "pinned": int(life.pinned),
        "score": life.score,
        "scored_at": life.scored_at and to_micros(life.scored_at),
        "stability_days": life.stability_days,
        "fades_at": life.fades_at and to_micros(life.fades_at),
        "useful": life.useful,
        "useless": life.useless,
        "representative": life.representative,
    }


def settle(connection: Connection, settlement: Settlement) -> bool:
    """See Lives."""
    if not connection.execute(SETTLE, {"batch": settlement.batch}).rowcount:
        return False
    next_changes(connection, 0)
    said = settlement.feedback
    ends = {follower.key for listed in settlement.followers.values() for follower in listed}
    used = {use.key for use in settlement.uses}
    held = _held(connection, {*used, *settlement.followers, *ends, *settlement.pins, *(each.key for each in said)})
    _use(connection, settlement.uses, held)
    for pinned in (False, True):
        keys = [key for key, wanted in settlement.pins.items() if wanted == pinned and key in held]
        each(connection, _put(("pinned",)), [{"of_seq": held[key].seq, "to_pinned": int(pinned)} for key in keys])
    _keep_feedback(connection, [each for each in said if each.key in held], held)
    _put_followers(connection, settlement.followers, held)
    return True


def learn(
    connection: Connection, turns: Sequence[Turn], learned: Mapping[str, Mapping[str, float]], seqs: Iterable[int]
) -> None:
    """See Lives."""
    turn(connection, turns)
    each(connection, DROP_WEIGHTS, [{"of_persona": persona} for persona in learned])
    rows = [
        {"persona": persona, "name": name, "value": value}
        for persona, its in learned.items()
        for name, value in its.items()
    ]
    each(connection, insert(weights), rows)
    each(connection, LEARN, [{"of_seq": seq} for seq in seqs])


def versions_of(connection: Connection, keys: Iterable[Key]) -> dict[Key, int]:
    """The versions of the memories that are here."""
    return {key: each.version for key, each in _held(connection, set(keys)).items()}


def _held(connection: Connection, keys: Iterable[Key]) -> dict[Key, _Held]:
    found = find(connection, memories, keys, memories.c.seq, memories.c.version, memories.c.cold)
    return {Key(persona, id_): _Held(seq, version, cold == 1) for persona, id_, seq, version, cold in found}


def _columns(turn: Turn) -> dict[str, object]:
    """What it changes but for ``cold``."""
    values: dict[str, object] = {
        "pinned": None if turn.pinned is None else int(turn.pinned),
        "score": turn.score,
        "scored_at": turn.scored_at and to_micros(turn.scored_at),
        "fades_at": turn.fades_at and to_micros(turn.fades_at),
        "representative": turn.representative,
    }
    return {name: None if value == "" else value for name, value in values.items() if value is not None}


@cache
def _put(names: tuple[str, ...]) -> Update:
    """Sets these columns only: the indexes of others need not be written."""
    return update(memories).where(_THIS).values({name: bindparam(f"to_{name}") for name in names})


def _move(connection: Connection, cold: Mapping[Key, bool], held: Mapping[Key, _Held]) -> None:
    """Make memories cold or active, with all that follows; what is so already is left alone."""
    moved = [key for key, wanted in cold.items() if held[key].cold != wanted]
    if not moved:
        return
    first = next_changes(connection, len(moved))
    rows = [
        {"of_seq": held[key].seq, "to_cold": int(cold[key]), "to_change": first + place}
        for place, key in enumerate(moved)
    ]
    each(connection, _put(("cold", "change")), rows)
    each(connection, UNINDEX, [{"of_seq": held[key].seq} for key in moved])
    if has_full_text(connection):
        tokens = {key: fulltext.persona_token(key.persona, cold=cold[key]) for key in moved}
        each(connection, MOVE_TERMS, [{"of_seq": held[key].seq, "persona": tokens[key]} for key in moved])


def _use(connection: Connection, uses: Sequence[Use], held: Mapping[Key, _Held]) -> None:
    known = [use for use in uses if use.key in held]
    _move(connection, {use.key: False for use in known}, held)
    rows = [
        {
            "of_seq": held[use.key].seq,
            "reads": use.reads,
            "last": to_micros(use.last),
            "days": use.stability_days,
            "fades": to_micros(use.fades_at),
        }
        for use in known
    ]
    each(connection, USE, rows)


def _keep_feedback(connection: Connection, said: Sequence[Feedback], held: Mapping[Key, _Held]) -> None:
    rows = [
        {
            "persona": one.key.persona,
            "id": one.key.id,
            "by": one.by,
            "useful": int(one.useful),
            "at": to_micros(one.at),
            "learned": 0,
        }
        for one in said
    ]
    each(connection, insert(feedback), rows)
    votes = [{"of_seq": held[one.key].seq, "good": int(one.useful), "bad": int(not one.useful)} for one in said]
    each(connection, COUNT, votes)


def _put_followers(connection: Connection, told: Mapping[Key, Sequence[Follower]], held: Mapping[Key, _Held]) -> None:
    here = {key: {each.key: each for each in listed if each.key in held} for key, listed in told.items() if key in held}
    each(connection, DROP_FOLLOWERS, [of_key(key) for key in here])
    rows = [
        {
            "persona": key.persona,
            "id": key.id,
            "next_persona": after.persona,
            "next_id": after.id,
            "weight": one.weight,
            "at": to_micros(one.at),
        }
        for key, listed in here.items()
        for after, one in listed.items()
    ]
    each(connection, insert(followers), rows)
