"""Random stores, erasures and marks leave every archive as a dictionary would be."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.archives import MODEL, found, key, row
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.interface import Archive, Row


class Store(NamedTuple):
    """Ids and versions, each with its content."""

    batch: list[tuple[tuple[str, int], str]]


class Erase(NamedTuple):
    """Ids, up to these versions."""

    keys: list[tuple[str, int]]


class Mark(NamedTuple):
    """Ids and versions."""

    keys: list[tuple[str, int]]


WORDS = ("red", "green", "blue")
IDS = ("1", "b:1", "x/y")
VERSIONS = st.integers(min_value=-1, max_value=4)
KEYS = st.tuples(st.sampled_from(IDS), VERSIONS)
BATCHES = st.lists(st.tuples(KEYS, st.sampled_from(WORDS)), max_size=4)
CALLS = st.one_of(
    st.builds(Store, BATCHES),
    st.builds(Erase, st.lists(KEYS, max_size=3)),
    st.builds(Mark, st.lists(KEYS, max_size=3)),
)
examples = itertools.count()


@dataclass
class Model:
    """What an archive should hold of one persona."""

    persona: str
    held: dict[str, Row] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)
    indexed: set[tuple[str, int]] = field(default_factory=set)

    def rows(self, batch: list[tuple[tuple[str, int], str]]) -> list[Row]:
        return [row(word, version, id=id_, persona=self.persona) for (id_, version), word in batch]

    def store(self, rows: list[Row]) -> list[bool]:
        # of equal versions the first counts, so sort keeps their order
        for each in sorted(rows, key=lambda each: -each.record.version):
            id_, version = each.record.item.id, each.record.version
            stands = id_ in self.held and self.held[id_].record.version >= version
            if not stands and self.erased.get(id_, version - 1) < version:
                self.held[id_] = each
                self.erased.pop(id_, None)
                self.indexed = {mark for mark in self.indexed if mark[0] != id_}
        kept = [self.held.get(each.record.item.id) for each in rows]
        return [
            one is not None and one.record.version == each.record.version for one, each in zip(kept, rows, strict=True)
        ]

    def erase(self, keys: list[tuple[str, int]]) -> None:
        for id_, version in keys:
            if id_ not in self.held or self.held[id_].record.version <= version:
                self.held.pop(id_, None)
                self.erased[id_] = max(version, self.erased.get(id_, version))

    def mark(self, keys: list[tuple[str, int]]) -> None:
        self.indexed |= {(id_, version) for id_, version in keys if self._stands(id_, version)}

    def _stands(self, id_: str, version: int) -> bool:
        return id_ in self.held and self.held[id_].record.version == version

    def waiting(self) -> set[tuple[Key, int]]:
        rows = self.held.values()
        return {
            (key(each), each.record.version)
            for each in rows
            if (each.record.item.id, each.record.version) not in self.indexed
        }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CALLS, max_size=12))
def test_an_archive_is_a_dictionary_with_versions(archive: Archive, calls: list[Store | Erase | Mark]) -> None:
    model = Model(f"p{next(examples)}")
    for call in calls:
        play(archive, model, call)
        assert archive.load(model.persona, IDS) == [
            model.held[id_].record if id_ in model.held else None for id_ in IDS
        ]
        assert {each for each in waiting(archive) if each[0].persona == model.persona} == model.waiting()
    for word in WORDS:
        holders = {id_ for id_, each in model.held.items() if each.record.item.content == word}
        assert set(found(archive, word, persona=model.persona)) == holders
    assert sum(archive.stats(model.persona).by_type.values()) == len(model.held)


def play(archive: Archive, model: Model, call: Store | Erase | Mark) -> None:
    match call:
        case Store(batch):
            rows = model.rows(batch)
            assert archive.store(rows) == model.store(rows)
        case Erase(keys):
            archive.erase([(Key(model.persona, id_), version) for id_, version in keys])
            model.erase(keys)
        case Mark(keys):
            archive.mark_indexed([(Key(model.persona, id_), version) for id_, version in keys])
            model.mark(keys)


def waiting(archive: Archive) -> set[tuple[Key, int]]:
    return {(each.key, each.version) for each in archive.unindexed(MODEL, 10_000)}
