"""Random stores, erasures, marks and letters leave every archive as a dictionary would be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.contract.archives import KINDS, MODEL, NAMING, found, key, made, row, vectors_of
from tests.support import memory
from trinitas_tasks.model import Key, utc_now
from trinitas_tasks.tiers.archive.interface import Archive, DeadLetter, Row

Named = tuple[str, int]
"""An id and a version."""


class Store(NamedTuple):
    """Ids and versions, each with its content."""

    batch: list[tuple[Named, str]]


class Erase(NamedTuple):
    """Ids, up to these versions."""

    keys: list[Named]


class Mark(NamedTuple):
    """Ids and versions that are, or are not, indexed."""

    keys: list[Named]
    indexed: bool


class Bury(NamedTuple):
    """Ids and versions that cannot be archived."""

    keys: list[Named]


class Drop(NamedTuple):
    """Letters that are dropped."""

    keys: list[Named]


Call = Store | Erase | Mark | Bury | Drop

WORDS = ("red", "green", "blue")
IDS = ("1", "b:1", "x/y")
VERSIONS = st.integers(min_value=-1, max_value=4)
SOME = st.lists(st.tuples(st.sampled_from(IDS), VERSIONS), max_size=3)
BATCHES = st.lists(st.tuples(st.tuples(st.sampled_from(IDS), VERSIONS), st.sampled_from(WORDS)), max_size=4)
CALLS = st.one_of(
    st.builds(Store, BATCHES),
    st.builds(Store, BATCHES),
    st.builds(Erase, SOME),
    st.builds(Mark, SOME, st.booleans()),
    st.builds(Bury, SOME),
    st.builds(Drop, SOME),
)
examples = itertools.count()


@dataclass
class Model:
    """What an archive should hold of one persona."""

    persona: str
    held: dict[str, Row] = field(default_factory=dict)
    order: dict[str, None] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)
    indexed: set[str] = field(default_factory=set)
    letters: set[Named] = field(default_factory=set)

    def rows(self, batch: list[tuple[Named, str]]) -> list[Row]:
        # as many parts as follow from the version: one that comes again is the same
        return [
            row(word, version, id=id_, persona=self.persona, parts=1 + version % 3) for (id_, version), word in batch
        ]

    def keys(self, named: list[Named]) -> list[tuple[Key, int]]:
        return [(Key(self.persona, id_), version) for id_, version in named]

    def version(self, id_: str) -> int | None:
        return self.held[id_].record.version if id_ in self.held else None

    def store(self, rows: list[Row]) -> list[int]:
        # one id after the other in the order of first mention; of equal versions the first counts, so sort keeps it
        mentioned = {each.record.item.id: place for place, each in reversed(list(enumerate(rows)))}
        for each in sorted(rows, key=lambda each: (mentioned[each.record.item.id], -each.record.version)):
            id_, version = each.record.item.id, each.record.version
            standing = self.version(id_)
            if self.erased.get(id_, version - 1) < version and (standing is None or standing < version):
                self.held[id_] = each
                self.order.setdefault(id_)
                self.erased.pop(id_, None)
                self.indexed.discard(id_)
            if self.version(id_) == version:
                self._drop_letters(id_, version)
        return [self._standing(each.record.item.id, each.record.version) for each in rows]

    def _standing(self, id_: str, version: int) -> int:
        standing = self.version(id_)
        return max(self.erased[id_], version + 1) if standing is None else standing

    def _drop_letters(self, id_: str, version: int) -> None:
        self.letters = {letter for letter in self.letters if letter[0] != id_ or letter[1] > version}

    def erase(self, keys: list[Named]) -> list[int | None]:
        for id_, version in keys:
            standing = self.version(id_)
            self._drop_letters(id_, version)
            if standing is None or standing <= version:
                self.held.pop(id_, None)
                self.order.pop(id_, None)
                self.indexed.discard(id_)
                self.erased[id_] = max(version, self.erased.get(id_, version))
        return [self.version(id_) for id_, _ in keys]

    def mark(self, keys: list[Named], indexed: bool) -> None:
        standing = {id_ for id_, version in keys if self.version(id_) == version}
        self.indexed = self.indexed | standing if indexed else self.indexed - standing

    def bury(self, keys: list[Named]) -> None:
        self.letters |= {(id_, version) for id_, version in keys if self.erased.get(id_, version - 1) < version}

    def drop(self, keys: list[Named]) -> int:
        dropped = self.letters & set(keys)
        self.letters -= dropped
        return len(dropped)


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Every archive in turn, and the SQL one as it is read by its file alone."""
    with made(request.param, tmp_path) as archive:
        yield archive


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CALLS, max_size=12))
def test_an_archive_is_a_dictionary_with_versions(archive: Archive, calls: list[Call]) -> None:
    model = Model(f"p{next(examples)}")
    for call in calls:
        play(archive, model, call)
        check(archive, model)
    for word in WORDS:
        holders = {id_ for id_, each in model.held.items() if each.record.item.content == word}
        assert set(found(archive, word, persona=model.persona)) == holders
    assert sum(archive.stats(model.persona).by_type.values()) == len(model.held)
    assert (model.persona in archive.personas()) == bool(model.held)
    assert archive.highest() >= max([each.record.version for each in model.held.values()], default=0)


def play(archive: Archive, model: Model, call: Call) -> None:
    match call:
        case Store(batch):
            rows = model.rows(batch)
            assert archive.store(rows) == model.store(rows)
        case Erase(keys):
            assert archive.erase(model.keys(keys)) == model.erase(keys)
        case Mark(keys, indexed):
            mark = archive.mark_indexed if indexed else archive.mark_unindexed
            mark(model.keys(keys), MODEL)
            model.mark(keys, indexed)
        case Bury(keys):
            archive.bury_dead([DeadLetter(*named, b"body", "broken", utc_now()) for named in model.keys(keys)])
            model.bury(keys)
        case Drop(keys):
            assert archive.drop_dead(model.keys(keys)) == model.drop(keys)


def check(archive: Archive, model: Model) -> None:
    persona, held = model.persona, model.held
    assert archive.load(persona, IDS) == [held[id_].record if id_ in held else None for id_ in IDS]
    assert archive.versions(persona, IDS) == [model.version(id_) for id_ in IDS]
    waiting = {(each.key, each.version) for each in archive.unindexed(NAMING, 10_000) if each.key.persona == persona}
    assert waiting == {(key(each), each.record.version) for id_, each in held.items() if id_ not in model.indexed}
    listed = [each for each in archive.listed(0, 10_000, NAMING) if each.key.persona == persona]
    assert [(each.key, each.version) for each in listed] == [
        (key(held[id_]), model.version(id_)) for id_ in model.order
    ]
    assert all(each.embedded and each.indexed == (each.key.id in model.indexed) for each in listed)
    assert [each.parts for each in listed] == [len(held[id_].vectors) for id_ in model.order]
    assert {(each.key.id, each.version) for each in archive.dead(100, persona)} == model.letters
    [asked] = vectors_of(memory("red"), 1)
    near = archive.nearest(persona, asked, MODEL, 10)
    best = {id_: max(cosine(part, asked) for part in each.vectors) for id_, each in held.items()}
    assert dict(near) == pytest.approx(best, abs=1e-5)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))
