"""What every vector tier promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.contract.chroma_server import DIM, ids_of, made, put
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.vectors.interface import Torn, VectorTier
from trinitas_tasks.tiers.vectors.parts import CHUNK


def test_the_most_similar_come_first_with_their_cosine(vectors: VectorTier) -> None:
    stored = np.array([[1, 0], [0, 2], [3, 3], [-1, 0]], dtype=np.float32)
    put(vectors, "athena", ["east", "north", "between", "west"], stored)
    near = vectors.query("athena", np.array([10, 1], dtype=np.float32), 3)
    assert [each.id for each in near] == ["east", "between", "north"]
    assert [each.similarity for each in near] == pytest.approx([0.99504, 0.77396, 0.09950], abs=1e-4)
    [opposite] = [each for each in vectors.query("athena", stored[0], 4) if each.id == "west"]
    assert opposite.similarity == pytest.approx(-1)


def test_an_unknown_persona_has_nothing_and_gets_nothing(vectors: VectorTier) -> None:
    assert vectors.query("nobody", made(1)[0], 10) == []
    assert vectors.count("nobody") == 0
    vectors.delete("nobody", ["m1"])


def test_many_questions_are_answered_as_one_by_one(vectors: VectorTier) -> None:
    stored = made(20)
    put(vectors, "athena", [f"m{n}" for n in range(20)], stored)
    found = vectors.query_many("athena", stored[:7], 4)
    alone = [vectors.query("athena", each, 4) for each in stored[:7]]
    assert [[near.id for near in each] for each in found] == [[near.id for near in each] for each in alone]
    assert [each[0].similarity for each in found] == pytest.approx([1.0] * 7, abs=1e-5)
    assert vectors.query_many("athena", stored[:0], 4) == []
    assert vectors.query_many("nobody", stored[:2], 4) == [[], []]


def test_a_known_id_is_overwritten(vectors: VectorTier) -> None:
    first, second = made(2)
    put(vectors, "athena", ["m1"], first[np.newaxis])
    put(vectors, "athena", ["m1", "m2", "m1"], np.stack([first, first, second]))
    assert vectors.count("athena") == 2
    assert {near.id: near.similarity for near in vectors.query("athena", second, 2)}["m1"] == pytest.approx(1, abs=1e-5)


def test_deleted_ids_are_not_found(vectors: VectorTier) -> None:
    stored = made(5)
    put(vectors, "athena", [f"m{n}" for n in range(5)], stored)
    vectors.delete("athena", ["m1", "m3", "unknown", "m1"])
    assert vectors.count("athena") == 3
    assert set(ids_of(vectors, "athena", stored[1])) == {"m0", "m2", "m4"}
    vectors.delete("athena", ["m0", "m2", "m4"])
    assert ids_of(vectors, "athena", stored[1]) == []


@pytest.mark.parametrize("other", ["Athena", "athena-b", "a", "athena_x", "a" * 64, "A" + "a" * 63])
def test_personas_never_mix(vectors: VectorTier, other: str) -> None:
    one, two = made(2)
    put(vectors, "athena", ["m1", "mine"], np.stack([one, one]))
    put(vectors, other, ["m1"], two[np.newaxis])
    assert ids_of(vectors, other, one) == ["m1"]
    vectors.delete(other, ["m1", "mine"])
    assert sorted(ids_of(vectors, "athena", two)) == ["m1", "mine"]
    assert vectors.count(other) == 0


def test_a_limit_is_kept_whatever_is_there(vectors: VectorTier) -> None:
    stored = made(1000)
    ids = [f"m{n}" for n in range(1000)]
    put(vectors, "athena", ids, stored)
    assert len(ids) > 2 * CHUNK
    assert vectors.count("athena") == 1000
    assert ids_of(vectors, "athena", stored[7], 1) == ["m7"]
    assert len(set(ids_of(vectors, "athena", stored[7], 500))) == 500
    assert len(set(ids_of(vectors, "athena", stored[7], 1000))) == 1000
    vectors.delete("athena", ids[:900])
    assert set(ids_of(vectors, "athena", stored[7], 1000)) == set(ids[900:])


def test_nothing_to_do_is_done(vectors: VectorTier) -> None:
    vectors.ping()
    put(vectors, "athena", [], np.empty((0, DIM), dtype=np.float32))
    vectors.delete("athena", [])
    assert vectors.count("athena") == 0


def test_any_id_of_a_memory_is_an_id(vectors: VectorTier) -> None:
    ids = ["a", "a/b:c@d+e.f_g-h", "x" * 128, "0191e7a4-0000-7000-8000-000000000000"]
    put(vectors, "athena", ids, made(4))
    assert sorted(ids_of(vectors, "athena", made(1)[0])) == sorted(ids)


def test_vectors_of_zeros_do_no_harm(vectors: VectorTier) -> None:
    put(vectors, "athena", ["zero", "one"], np.stack([np.zeros(DIM, np.float32), made(1)[0]]))
    near = vectors.query("athena", made(1)[0], 2)
    assert [each.id for each in near] == ["one", "zero"]
    assert near[1].similarity == pytest.approx(0)


def test_threads_share_a_tier(vectors: VectorTier) -> None:
    stored = made(80)

    def work(thread: int) -> None:
        mine = range(thread * 10, thread * 10 + 10)
        for n in mine:
            put(vectors, f"p{thread % 2}", [f"m{n}"], stored[n][np.newaxis])
            assert f"m{n}" in ids_of(vectors, f"p{thread % 2}", stored[n], 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert (vectors.count("p0"), vectors.count("p1")) == (40, 40)


def test_every_id_has_its_version(vectors: VectorTier) -> None:
    now = 1_764_000_000_000_000
    ids = [f"m{n}" for n in range(2 * CHUNK + 1)]
    vectors.upsert("athena", ids, made(len(ids)), range(now, now + len(ids)))
    vectors.upsert("athena", ["m3", "m3"], made(2), [now + 1000, now + 2000])
    assert vectors.versions("athena", ["m3", "unknown", "m2", "m3"]) == [now + 2000, None, now + 2, now + 2000]
    assert vectors.versions("athena", ids[5:]) == list(range(now + 5, now + len(ids)))
    assert vectors.versions("nobody", ["m3"]) == [None]
    assert vectors.versions("athena", []) == []


def test_all_ids_are_listed_in_pages(vectors: VectorTier) -> None:
    ids = [f"m{n}" for n in range(95)]
    put(vectors, "athena", ids, made(95))
    pages = [vectors.listed("athena", offset, 30) for offset in range(0, 121, 30)]
    assert [len(page) for page in pages] == [30, 30, 30, 5, 0]
    assert sorted(id_ for page in pages for id_ in page) == sorted(ids)
    assert vectors.listed("nobody", 0, 30) == []


def test_vectors_are_verified(vectors: VectorTier) -> None:
    stored = made(CHUNK + 50)
    stored[7] = 0
    ids = [f"m{n}" for n in range(len(stored))]
    put(vectors, "athena", ids, stored)
    vectors.verify("athena", ids, 3 * stored)
    vectors.verify("athena", ["unknown", "m1"], stored[:2])
    vectors.verify("nobody", ["m1"], stored[:1])
    vectors.verify("athena", [], stored[:0])
    for wrong in (-stored[1], stored[2], stored[7]):
        with pytest.raises(Torn, match="vector of m1 of athena"):
            vectors.verify("athena", ["m0", "m1"], np.stack([stored[0], wrong]))


@pytest.mark.parametrize("persona", ["athena", "A" * 64])
def test_a_rebuilt_space_takes_the_place_of_the_old_one(vectors: VectorTier, persona: str) -> None:
    stored = made(6)
    for turn in range(3):
        put(vectors, persona, ["old"], stored[:1])
        spare = vectors.spare()
        spare.clear(persona)
        put(spare, persona, [f"m{turn}", f"n{turn}"], stored[turn : turn + 2], version=7 + turn)
        assert spare.count(persona) == 2
        assert "old" in ids_of(vectors, persona, stored[0])
        assert f"m{turn}" not in ids_of(vectors, persona, stored[turn])
        vectors.promote(persona)
        assert sorted(ids_of(vectors, persona, stored[0])) == [f"m{turn}", f"n{turn}"]
        assert vectors.versions(persona, ["old", f"m{turn}"]) == [None, 7 + turn]


def test_a_space_without_vectors_can_be_promoted(vectors: VectorTier) -> None:
    put(vectors, "athena", ["m1"], made(1))
    vectors.spare().clear("athena")
    vectors.promote("athena")
    assert vectors.count("athena") == 0
    put(vectors, "athena", ["m2"], made(1))
    assert ids_of(vectors, "athena", made(1)[0]) == ["m2"]


def test_a_rebuild_begins_empty_and_touches_nobody_else(vectors: VectorTier) -> None:
    for persona in ("athena", "hermes"):
        put(vectors, persona, ["old"], made(1))
    for _ in range(2):  # the first one is given up
        spare = vectors.spare()
        spare.clear("athena")
        assert spare.count("athena") == 0
        put(spare, "athena", ["m1"], made(1))
    vectors.promote("athena")
    assert vectors.listed("athena", 0, 10) == ["m1"]
    assert vectors.listed("hermes", 0, 10) == ["old"]


def test_only_what_was_cleared_is_filled_and_promoted(vectors: VectorTier) -> None:
    put(vectors, "athena", ["m1"], made(1))
    with pytest.raises(Unavailable, match="no spare space of athena"):
        put(vectors.spare(), "athena", ["m2"], made(1))
    with pytest.raises(Unavailable, match="no spare space of athena"):
        vectors.promote("athena")
    vectors.spare().clear("athena")
    vectors.promote("athena")
    with pytest.raises(Unavailable, match="no spare space of athena"):
        vectors.promote("athena")


def test_a_cleared_space_is_an_unknown_one(vectors: VectorTier) -> None:
    put(vectors, "athena", ["m1"], made(1))
    vectors.clear("athena")
    vectors.clear("athena")
    assert ids_of(vectors, "athena", made(1)[0]) == []
    put(vectors, "athena", ["m2"], np.ones((1, DIM + 1), np.float32))
    assert vectors.listed("athena", 0, 10) == ["m2"]


def test_while_only_a_rebuild_is_there_nothing_is_found_empty_or_written_beside_it(vectors: VectorTier) -> None:
    put(vectors, "athena", ["old"], made(1))
    spare = vectors.spare()
    spare.clear("athena")
    vectors.clear("athena")
    for call in (
        lambda: vectors.query("athena", made(1)[0], 1),
        lambda: put(vectors, "athena", ["m1"], made(1)),
        lambda: vectors.count("athena"),
        lambda: vectors.delete("athena", ["old"]),
    ):
        with pytest.raises(Torn, match="athena are being rebuilt"):
            call()
    put(spare, "athena", ["new"], made(1))
    vectors.promote("athena")
    assert ids_of(vectors, "athena", made(1)[0]) == ["new"]


# Several models.


def test_vectors_of_another_model_are_beside_and_apart(vectors: VectorTier) -> None:
    other = vectors.at("another model")
    put(vectors, "athena", ["m1", "m2"], made(2))
    put(other, "athena", ["m1"], np.ones((1, 3), np.float32))
    assert ids_of(other, "athena", np.ones(3, np.float32)) == ["m1"]
    assert set(ids_of(vectors, "athena", made(1)[0])) == {"m1", "m2"}
    vectors.delete("athena", ["m1"])
    assert (vectors.count("athena"), other.count("athena")) == (1, 1)
    assert vectors.at("another model").count("athena") == 1


def test_a_rebuild_of_one_model_leaves_the_others_alone(vectors: VectorTier) -> None:
    other = vectors.at("another model")
    for tier in (vectors, other):
        put(tier, "athena", ["m1", "m2"], made(2))
    vectors.at("another model").spare().clear("athena")
    vectors.at("another model").spare().upsert("athena", ["m3"], made(1), [1])
    vectors.at("another model").promote("athena")
    assert other.listed("athena", 0, 10) == ["m3"]
    assert vectors.count("athena") == 2


def test_what_is_dropped_is_gone_with_what_was_being_filled_in(vectors: VectorTier) -> None:
    other = vectors.at("another model")
    for persona in ("athena", "hera"):
        put(other, persona, ["m1"], made(1))
    other.spare().clear("athena")
    other.spare().upsert("athena", ["m1"], made(1), [1])
    other.drop("athena")
    other.drop("nobody")
    assert (other.count("athena"), other.count("hera")) == (0, 1)
    with pytest.raises(Unavailable, match="spare"):
        other.promote("athena")
    put(other, "athena", ["m2"], made(1))
    assert ids_of(other, "athena", made(1)[0]) == ["m2"]
