"""The vectors that every archive keeps: which of them are indexed, and which are nearest."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.contract.archives import MODEL, NAMING, opened, row, vectors_of
from trinitas_tasks.model import Key
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.tiers.archive.blobs import to_blob
from trinitas_tasks.tiers.archive.interface import Archive, Listed, Row, Similar
from trinitas_tasks.tiers.archive.nearest import nearest
from trinitas_tasks.tiers.archive.sql import SqlArchive

M1 = Key("athena", "m1")


def with_vector(vector: Any, **more: Any) -> Row:
    """A row with this vector, or with these of its parts."""
    record = row("a vector", **more).record
    return Row(record, np.atleast_2d(np.asarray(vector, dtype=np.float32)), MODEL, ("word",))


def at(*numbers: float) -> NDArray[np.float32]:
    """A question's vector."""
    return np.array(numbers, dtype=np.float32)


def test_unindexed_lists_the_oldest_first_until_marked(archive: Archive) -> None:
    rows = [row(f"text {n}", id=f"m{n}", parts=1 + n % 3) for n in range(5)]
    archive.store(rows)
    waiting = archive.unindexed(NAMING, 3)
    assert [each.key.id for each in waiting] == ["m0", "m1", "m2"]
    for each, stored in zip(waiting, rows, strict=False):
        assert each.vectors.dtype == np.float32
        assert np.array_equal(each.vectors, stored.vectors)
    archive.mark_indexed([(each.key, each.version) for each in waiting], MODEL)
    assert [each.key.id for each in archive.unindexed(NAMING, 10)] == ["m3", "m4"]
    assert archive.stats("athena").unindexed == 2
    assert archive.unindexed(Naming("another model"), 10) == []


def test_a_mark_for_an_older_version_does_not_count(archive: Archive) -> None:
    archive.store([row("first", 1)])
    archive.store([row("second", 2)])
    archive.mark_indexed([(M1, 1)], MODEL)
    [waiting] = archive.unindexed(NAMING, 10)
    assert waiting.version == 2
    archive.mark_indexed([(M1, 2)], MODEL)
    archive.store([row("third", 3)])
    [waiting] = archive.unindexed(NAMING, 10)
    assert np.array_equal(waiting.vectors, vectors_of(row("third", 3).record.item, 3))


def test_a_vector_of_another_model_is_added_to_the_same_version(archive: Archive) -> None:
    archive.store([row()])
    archive.mark_indexed([(M1, 1)], MODEL)
    assert archive.store([row(model="model-b")]) == [1]
    assert [each.key for each in archive.unindexed(Naming("model-b"), 10)] == [M1]
    assert archive.unindexed(NAMING, 10) == []


def test_a_mark_is_of_one_model_and_can_be_taken_back(archive: Archive) -> None:
    archive.store([row(), row(id="m2")])
    archive.store([row(model="model-b"), row(id="m2", model="model-b")])
    both = [(M1, 1), (Key("athena", "m2"), 1)]
    archive.mark_indexed(both, MODEL)
    assert archive.unindexed(NAMING, 10) == []
    assert len(archive.unindexed(Naming("model-b"), 10)) == 2
    archive.mark_indexed(both, "model-b")
    archive.mark_unindexed([(M1, 1), (Key("athena", "m2"), 7), (Key("athena", "none"), 1)], MODEL)
    assert [each.key for each in archive.unindexed(NAMING, 10)] == [M1]
    assert archive.unindexed(Naming("model-b"), 10) == []
    assert archive.stats("athena").unindexed == 1


def test_all_memories_are_listed_in_the_order_they_came(archive: Archive) -> None:
    ids = [f"{n}" for n in (5, 3, 9, 1, 7)]
    archive.store([row(version=n + 1, id=id_, persona=f"p{n % 2}", parts=3 - n % 2) for n, id_ in enumerate(ids)])
    archive.store([row(version=9, id="9", persona="p0", model="model-b")])  # keeps its place
    archive.erase([(Key("p1", "1"), 9)])
    archive.mark_indexed([(Key("p0", "5"), 1)], MODEL)
    everything = archive.listed(0, 100, NAMING)
    assert [each.key.id for each in everything] == ["5", "3", "9", "7"]
    assert [each.seq for each in everything] == sorted(each.seq for each in everything)
    assert everything[0].seq >= 1
    first = everything[0].seq
    assert everything[0] == Listed(first, Key("p0", "5"), 1, embedded=True, indexed=True, parts=3, cold=False)
    assert [(each.version, each.embedded, each.indexed, each.parts) for each in everything[1:3]] == [
        (2, True, False, 2),
        (9, False, False, 0),
    ]
    pages, after = [], 0
    while page := archive.listed(after, 3, NAMING):
        pages += page
        after = page[-1].seq
    assert pages == everything


def test_vectors_come_in_the_order_they_were_asked_for(archive: Archive) -> None:
    rows = [row(f"text {n}", id=f"m{n}", parts=1 + n % 3) for n in range(1100)]
    archive.store([*rows, row("of another", id="b", model="model-b"), row("of another", persona="hera")])
    asked = ["m3", "b", "nothing", "m3", *(each.record.item.id for each in rows)]
    vectors = archive.vectors("athena", asked, MODEL)
    wanted = [rows[3].vectors, None, None, rows[3].vectors, *(each.vectors for each in rows)]
    assert [vector is None for vector in vectors] == [vector is None for vector in wanted]
    assert {vector.dtype for vector in vectors if vector is not None} == {np.dtype(np.float32)}
    assert [None if vector is None else vector.tobytes() for vector in vectors] == [
        None if vector is None else vector.tobytes() for vector in wanted
    ]
    assert archive.vectors("athena", [], MODEL) == []


def test_the_nearest_are_those_of_the_highest_cosine(archive: Archive) -> None:
    stored = {"same": [2, 0, 0], "near": [1, 1, 0], "across": [0, 0, 5], "opposite": [-1, 0, 0]}
    archive.store([with_vector(vector, id=id_) for id_, vector in stored.items()])
    found = archive.nearest("athena", at(3, 0, 0), MODEL, 10)
    assert [each.id for each in found] == ["same", "near", "across", "opposite"]
    assert [each.similarity for each in found] == pytest.approx([1, 0.5**0.5, 0, -1], abs=1e-6)
    assert archive.nearest("athena", at(3, 0, 0), MODEL, 2) == found[:2]
    assert isinstance(found[0], Similar)
    assert archive.nearest("athena", at(3, 0, 0), MODEL, 0) == []


def test_only_this_persona_model_and_dimension_are_compared(archive: Archive) -> None:
    archive.store([with_vector([1, 0], id="mine"), with_vector([1, 0], id="theirs", persona="athena-b")])
    archive.store([with_vector([1, 0, 0], id="longer")])
    archive.store([row(id="mine", model="model-b")])
    assert [each.id for each in archive.nearest("athena", at(1, 1), MODEL, 10)] == ["mine"]
    assert archive.nearest("athena", at(1, 1), "model-c", 10) == []
    assert archive.nearest("nobody", at(1, 1), MODEL, 10) == []
    archive.erase([(Key("athena", "mine"), 1)])
    assert archive.nearest("athena", at(1, 1), MODEL, 10) == []


def test_the_vector_of_the_standing_version_is_compared(archive: Archive) -> None:
    archive.store([with_vector([1, 0])])
    archive.store([with_vector([0, 1], version=2)])
    [found] = archive.nearest("athena", at(0, 1), MODEL, 10)
    assert found == Similar("m1", 1.0)


def test_a_vector_without_a_direction_is_like_nothing(archive: Archive) -> None:
    odd = {"zero": [0, 0], "nan": [float("nan"), 1], "huge": [3e38, 3e38]}
    archive.store([with_vector([1, 1], id="good"), *(with_vector(vector, id=id_) for id_, vector in odd.items())])
    found = archive.nearest("athena", at(1, 1), MODEL, 10)
    assert found[0].id == "good"
    assert {each.id: each.similarity for each in found[1:]} == dict.fromkeys(odd, 0.0)
    assert {each.similarity for each in archive.nearest("athena", at(0, 0), MODEL, 10)} == {0.0}


def test_of_equals_the_older_are_nearest(archive: Archive) -> None:
    archive.store([with_vector([0, n % 3], id=f"m{n}") for n in range(4500)])
    found = archive.nearest("athena", at(0, 1), MODEL, 2800)
    assert [each.id for each in found] == [f"m{n}" for n in range(4500) if n % 3][:2800]


def test_the_nearest_of_many_are_found_in_little_memory(sql: SqlArchive) -> None:
    count, dim, asked = 20_000, 96, np.random.default_rng(1).standard_normal(96).astype(np.float32)
    everything = np.random.default_rng(2).standard_normal((count, dim)).astype(np.float32)
    for start in range(0, count, 5000):
        sql.store([with_vector(everything[n], id=f"m{n}") for n in range(start, start + 5000)])
    sql.nearest("athena", asked, MODEL, 1)  # what is loaded once is not counted
    tracemalloc.start()
    try:
        found = sql.nearest("athena", asked, MODEL, 50)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    cosines = everything @ asked / (np.linalg.norm(everything, axis=1) * np.linalg.norm(asked))
    best = np.argsort(-cosines)[:50]
    assert [each.id for each in found] == [f"m{n}" for n in best]
    assert [each.similarity for each in found] == pytest.approx(cosines[best].tolist(), abs=1e-5)
    assert peak < everything.nbytes / 3


def test_a_memory_is_as_near_as_its_best_part_and_comes_once(archive: Archive) -> None:
    archive.store([with_vector([[0, 1], [1, 1], [1, 0]], id="long"), with_vector([2, 1], id="short")])
    archive.store([with_vector([[-1, 0], [0, -1]], id="other")])
    assert [each.id for each in archive.nearest("athena", at(1, 0), MODEL, 10)] == ["long", "short", "other"]
    assert archive.nearest("athena", at(1, 0), MODEL, 1) == [Similar("long", 1.0)]
    assert archive.nearest("athena", at(-1, 0), MODEL, 1) == [Similar("other", 1.0)]
    assert [each.id for each in archive.nearest("athena", at(0, 1), MODEL, 2)] == ["long", "short"]


def test_the_parts_of_many_memories_are_all_looked_at(archive: Archive) -> None:
    stored = {f"m{n}": np.random.default_rng(n).standard_normal((1 + n % 7, 4)) for n in range(900)}
    archive.store([with_vector(parts, id=id_) for id_, parts in stored.items()])
    asked = at(1, 2, 3, 4)
    best = {
        id_: float(np.max(parts @ asked / np.linalg.norm(parts, axis=1) / np.linalg.norm(asked)))
        for id_, parts in stored.items()
    }
    found = archive.nearest("athena", asked, MODEL, 40)
    assert [each.id for each in found] == sorted(best, key=lambda id_: -best[id_])[:40]
    assert [each.similarity for each in found] == pytest.approx(sorted(best.values())[:-41:-1], abs=1e-5)


def test_the_best_part_counts_wherever_it_is_read() -> None:
    def chunk(*rows: tuple[int, list[float]]) -> list[tuple[int, str, bytes]]:
        return [(seq, f"m{seq}", to_blob(np.array(vector, np.float32))) for seq, vector in rows]

    chunks = [chunk((1, [1, 0]), (2, [1, 1])), chunk((2, [0, 1]), (1, [0, 1])), chunk((3, [1, 0.1]), (1, [-1, 0]))]
    found = nearest(at(1, 0), chunks, 3)
    assert [each.id for each in found] == ["m1", "m3", "m2"]
    assert found[2].similarity == pytest.approx(0.5**0.5)
    assert nearest(at(1, 0), chunks, 1) == [Similar("m1", 1.0)]


def test_a_newer_version_in_fewer_parts_replaces_them_all(archive: Archive) -> None:
    archive.store([row("long", parts=5)])
    archive.mark_indexed([(M1, 1)], MODEL)
    newer = row("short", version=2, parts=2)
    archive.store([newer])
    [waiting] = archive.unindexed(NAMING, 10)
    assert np.array_equal(waiting.vectors, newer.vectors)
    [kept] = archive.vectors("athena", ["m1"], MODEL)
    assert kept is not None
    assert np.array_equal(kept, newer.vectors)
    archive.erase([(M1, 2)])
    assert archive.vectors("athena", ["m1"], MODEL) == [None]


def test_a_limit_is_of_memories_not_of_their_parts(archive: Archive) -> None:
    archive.store([row(f"text {n}", id=f"m{n}", parts=3) for n in range(5)])
    assert [len(each.vectors) for each in archive.unindexed(NAMING, 2)] == [3, 3]
    assert [each.key.id for each in archive.listed(0, 2, NAMING)] == ["m0", "m1"]
    assert archive.stats("athena").unindexed == 5


def test_parts_that_a_version_lacks_are_added_and_wait(archive: Archive) -> None:
    """As an earlier version left it, which embedded the beginning alone."""
    whole = row("a long text", parts=3)
    archive.store([row("a long text", parts=1)])
    archive.mark_indexed([(M1, 1)], MODEL)
    assert archive.store([whole]) == [1]
    [waiting] = archive.unindexed(NAMING, 10)
    assert np.array_equal(waiting.vectors, whole.vectors)
    [listed] = archive.listed(0, 10, NAMING)
    assert (listed.embedded, listed.indexed, listed.parts) == (True, False, 3)
    archive.mark_indexed([(M1, 1)], MODEL)
    assert archive.listed(0, 10, NAMING)[0].indexed
    assert archive.store([row("a long text", parts=2)]) == [1]
    assert archive.listed(0, 10, NAMING)[0].parts == 3


def test_without_its_first_part_a_memory_counts_as_not_embedded(sql: SqlArchive, database: Path) -> None:
    sql.store([row("a long text", parts=3)])
    with opened(database) as connection:
        connection.execute("DELETE FROM vectors WHERE part = 0")
    [listed] = sql.listed(0, 10, NAMING)
    assert not listed.embedded
    sql.store([row("a long text", parts=3)])
    [waiting] = sql.unindexed(NAMING, 10)
    assert np.array_equal(waiting.vectors, row("a long text", parts=3).vectors)
