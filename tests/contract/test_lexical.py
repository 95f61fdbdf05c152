"""What every lexical tier does. Rankings are those of BM25; asserted is only what follows from its formula."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, MemoryItem, Position
from trinitas_tasks.policy.text import index_terms, query_terms, terms
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.lexical.interface import Document, LexicalTier, Wanted
from trinitas_tasks.tiers.lexical.memory import MemoryLexical
from trinitas_tasks.tiers.lexical.tantivy import TantivyLexical

T0 = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(params=["memory", "tantivy"])
def lexical(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LexicalTier]:
    made: LexicalTier = MemoryLexical() if request.param == "memory" else TantivyLexical(tmp_path / "fulltext")
    yield made
    made.close()


def document(content: Any, *, beside: Mapping[str, str] | None = None, **more: Any) -> Document:
    item = memory(content, **{"type": "semantic", **more})
    others = beside or {}
    return Document(item, index_terms(item), [*others], [term for text in others.values() for term in terms(text)])


def keep(lexical: LexicalTier, *documents: Document, gone: tuple[str, ...] = (), change: int = 1) -> None:
    lexical.apply(documents, [Key("athena", each) for each in gone], Position(7, change))


def found(lexical: LexicalTier, text: str, *, persona: str = "athena", limit: int = 10, **more: Any) -> list[str]:
    return [match.id for match in lexical.search(persona, Wanted(query_terms(text), **more), limit)]


def test_nothing_is_known_at_first(lexical: LexicalTier) -> None:
    assert lexical.position() == Position(0, 0)
    assert (found(lexical, "tea"), lexical.count(), lexical.beside("athena", ["a"])) == ([], 0, set())
    own, around = lexical.collections("athena", ["tea"])
    assert (own.texts, around.texts) == (0, 0)


def test_a_memory_is_found_by_its_words(lexical: LexicalTier) -> None:
    keep(lexical, document("Ann drinks green tea.", id="tea"), document("The database moved.", id="port"), change=9)
    assert found(lexical, "green teas") == ["tea"]
    assert found(lexical, "green database") == ["port", "tea"]
    assert found(lexical, "coffee") == []
    assert (lexical.count(), lexical.position()) == (2, Position(7, 9))


def test_coverage_is_a_share_of_the_question(lexical: LexicalTier) -> None:
    keep(lexical, *(document(f"filler {number}", id=f"f{number}") for number in range(20)))
    keep(lexical, document("green tea", id="both"), document("green grass", id="one"))
    wanted = Wanted(query_terms("green tea"))
    covered = {match.id: match.coverage for match in lexical.search("athena", wanted, 10)}
    assert 0 < covered["one"] < covered["both"] < 1
    unknown = lexical.search("athena", Wanted(query_terms("green tea quetzalcoatl")), 10)
    assert {match.id: match.coverage for match in unknown}["both"] < covered["both"]


def test_both_tiers_agree_on_the_formula(tmp_path: Path) -> None:
    texts = ["green tea", "green green grass", "a cup of tea", "the database moved to another port", "東京都庁の展望台"]
    kept = [
        document(text, id=f"m{number}", beside={"x": "tea"} if number == 1 else {}) for number, text in enumerate(texts)
    ]
    stub, real = MemoryLexical(), TantivyLexical(tmp_path)
    for each in (stub, real):
        keep(each, *kept)
    for question in ("green tea", "tea", "another database", "展望台", "tea unknown words"):
        wanted = Wanted(query_terms(question))
        expected = {match.id: pytest.approx(match.coverage, rel=0.02) for match in stub.search("athena", wanted, 10)}
        assert {match.id: match.coverage for match in real.search("athena", wanted, 10)} == expected
    real.close()


def test_neighbours_tell_what_a_memory_is_about(lexical: LexicalTier) -> None:
    keep(
        lexical,
        document("I love it!", id="love", beside={"asked": "How is the pottery class?"}),
        document("Fine.", id="x"),
    )
    assert found(lexical, "pottery") == ["love"]
    assert lexical.beside("athena", ["asked", "nobody"]) == {"love"}
    assert lexical.beside("hera", ["asked"]) == set()


def test_a_known_memory_is_replaced_and_a_gone_one_is_gone(lexical: LexicalTier) -> None:
    keep(lexical, document("green tea", id="m"), document("green grass", id="n", beside={"m": "tea"}))
    keep(lexical, document("black coffee", id="m"), gone=("n", "never"), change=2)
    assert (found(lexical, "green tea grass"), found(lexical, "coffee"), lexical.count()) == ([], ["m"], 1)
    assert lexical.beside("athena", ["m"]) == set()
    keep(lexical, gone=("m",), change=3)
    assert (found(lexical, "coffee"), lexical.count()) == ([], 0)
    keep(lexical, document("green tea", id="m"), gone=("m",), change=4)
    assert found(lexical, "tea") == ["m"]


def test_personas_never_mix(lexical: LexicalTier) -> None:
    names = ("athena", "Athena", "a", "a-b")
    keep(lexical, *(document("the same words", id=f"of-{name}", persona=name) for name in names))
    for name in names:
        assert found(lexical, "same words", persona=name) == [f"of-{name}"]
    assert found(lexical, "same words", persona="nobody") == []


def test_how_rare_a_word_is_does_not_depend_on_other_personas(lexical: LexicalTier) -> None:
    keep(lexical, document("green tea", id="m"), document("grass", id="n"))
    before = lexical.search("athena", Wanted(query_terms("tea")), 10)
    keep(lexical, *(document("tea", id=f"h{number}", persona="hera") for number in range(20)))
    assert lexical.search("athena", Wanted(query_terms("tea")), 10) == before


def test_no_more_is_found_than_asked_for_and_of_equals_the_first_ids(lexical: LexicalTier) -> None:
    keep(lexical, *(document("tea", id=f"m{number}") for number in range(30)))
    for limit in (1, 7, 30, 100):
        ids = found(lexical, "tea", limit=limit)
        assert len(ids) == len(set(ids)) == min(limit, 30)
        assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("green tea", ["a"]), ("tea green", ["b"]), ("tea", ["a", "b"]), ("展望台", ["c"]), ("望台", ["c"]),
        ("台展", []),
        ("to be or not to be", ["d"]), ("be to", []), ("", ["a", "b"]),
    ],
)  # fmt: skip
def test_phrases_must_stand_as_they_are(lexical: LexicalTier, phrase: str, expected: list[str]) -> None:
    texts = {"a": "green tea", "b": "tea, green", "c": "東京都庁の展望台", "d": "to be or not to be"}
    keep(lexical, *(document(text, id=id_) for id_, text in texts.items()))
    text = phrase or "green tea"
    assert sorted(found(lexical, text, phrases=(tuple(terms(phrase)),))) == expected


@pytest.mark.parametrize(
    "name", ["KOMBU-2498", "src/app/main.py", "ERR_CONN_0x8007", "v1.2.3", "ann@example.com", "2026-05-08"]
)
def test_a_name_is_found_before_what_shares_its_parts(lexical: LexicalTier, name: str) -> None:
    parts = " ".join(part for part in terms(name))
    keep(lexical, document(f"{parts} {parts} here", id="parts"), document(f"about {name}.", id="name"))
    assert found(lexical, f"what is {name}?")[0] == "name"


@pytest.mark.parametrize(
    "hostile", ['"', "a OR b*", "NEAR(", "own:tea", "*", "東", "🦊", "\u200b", "x" * 100_000, "a " * 50_000, "ß ﬁ ﾃｽﾄ"]
)
def test_text_is_never_syntax(lexical: LexicalTier, hostile: str) -> None:
    keep(lexical, document(f"tea {hostile}", id="hostile"), document("tea", id="tea"))
    assert "tea" in found(lexical, f"tea {hostile}")
    if query_terms(hostile):
        assert found(lexical, hostile)[0] == "hostile"


# Filters.

VALUES: list[Any] = [1, 1.0, True, "1", None, [1, 2], {"b": 1, "a": 2}, 1.5, 0, False, "ß", "x" * 40_000]
WRITTEN = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["working", "semantic", "procedural"]),
        "tags": st.lists(st.sampled_from(["a", "b", "c c", "A"]), unique=True, max_size=3),
        "importance": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        "minutes": st.integers(0, 5),
        "metadata": st.dictionaries(st.sampled_from(["k", 'q"', "d.o"]), st.sampled_from(VALUES[:-1]), max_size=2),
    }
)
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "types": st.sets(st.sampled_from(["working", "semantic"]), max_size=2),
        "any_tags": st.sets(st.sampled_from(["a", "b", "c c"]), max_size=2),
        "all_tags": st.sets(st.sampled_from(["a", "A"]), max_size=2),
        "since": st.integers(0, 5),
        "before": st.integers(0, 5),
        "min_importance": st.sampled_from([0.0, 0.25, 0.6, 1.0]),
        "metadata": st.dictionaries(st.sampled_from(["k", 'q"', "d.o"]), st.sampled_from(VALUES[:-1]), max_size=1),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(WRITTEN, min_size=1, max_size=12), asked=ASKED)
def test_exactly_what_the_filters_admit_is_found(
    lexical: LexicalTier, written: list[dict[str, Any]], asked: dict[str, Any]
) -> None:
    minutes: Callable[[int], datetime] = lambda number: T0 + timedelta(minutes=number)  # noqa: E731
    kept = [
        document(
            "tea",
            id=f"m{number}",
            timestamp=minutes(fields["minutes"]),
            **{k: v for k, v in fields.items() if k != "minutes"},
        )
        for number, fields in enumerate(written)
    ]
    lexical.clear()
    keep(lexical, *kept)
    times = {name: minutes(asked[name]) for name in ("since", "before") if name in asked}
    filters = Filters(**(asked | times))
    admitted = sorted(each.item.id for each in kept if filters.admit(each.item))
    assert sorted(found(lexical, "tea", limit=50, filters=filters)) == admitted


def test_among_some_the_heaviest_come_first_by_what_they_say_themselves(lexical: LexicalTier) -> None:
    these = {"m1", "m2", "m3", "m4", "other"}

    def among(terms: Mapping[str, float], limit: int = 10, **more: Any) -> list[str]:
        return lexical.among("athena", these, Wanted(terms, **more), limit)

    assert among({"tea": 1.0}) == []
    keep(
        lexical,
        document("green tea, tea, tea", id="m1"),
        document("teas and more", id="m2", tags=("x",), beside={"m9": "green"}),
        document("a green cup", id="m3"),
        document("nothing", id="m4", beside={"m9": "green tea"}),
        *(document("green tea", id=f"n{number}") for number in range(20)),
    )
    assert among({"green": 1.0, "tea": 2.0}) == ["m1", "m2", "m3"]
    assert among({"green": 2.0, "tea": 1.0}) == ["m1", "m3", "m2"]
    assert among({"green": 1.0, "tea": 2.0}, 2) == ["m1", "m2"]
    assert among({"tea": 1.0}, filters=Filters(any_tags=frozenset("x"))) == ["m2"]
    assert among({"tea": 1.0}, phrases=(("green", "tea"),)) == ["m1"]
    assert among({}) == lexical.among("athena", [], Wanted({"tea": 1.0}), 10) == []
    assert lexical.among("athena", these, Wanted({"tea": 1.0}), 10, cold=True) == []
    assert lexical.among("hestia", these, Wanted({"tea": 1.0}), 10) == []


# Files.


def test_an_index_goes_on_where_it_was(tmp_path: Path) -> None:
    first = TantivyLexical(tmp_path)
    keep(first, document("green tea", id="m"), change=5)
    first.close()
    again = TantivyLexical(tmp_path)
    assert (again.position(), again.count(), found(again, "tea")) == (Position(7, 5), 1, ["m"])
    again.close()


def test_two_processes_never_share_an_index(tmp_path: Path) -> None:
    one, other = TantivyLexical(tmp_path), TantivyLexical(tmp_path)
    keep(one, document("green tea", id="m"))
    assert (other.count(), other.position()) == (0, Position(0, 0))
    keep(other, document("coffee", id="n"))
    assert (found(one, "tea coffee"), found(other, "tea coffee")) == (["m"], ["n"])
    one.close()
    other.close()


def _spoiled(slot: Path) -> dict[str, Callable[[], object]]:
    position = slot / "position.json"
    space = next(each for each in slot.iterdir() if each.is_dir())
    tmp = slot.parent / "lost"
    files = [each for each in space.iterdir() if each.is_file() and not each.name.startswith(".")]
    return {
        "no position": position.unlink,
        "torn position": lambda: position.write_text('{"format": 1, "pos'),
        "another format": lambda: position.write_text(json.dumps({**json.loads(position.read_text()), "format": 99})),
        "a list": lambda: position.write_text("[]"),
        "no meta": (space / "meta.json").unlink,
        "torn meta": lambda: (space / "meta.json").write_bytes(b"{"),
        "no persona": lambda: shutil.rmtree(space),
        "torn files": lambda: [each.write_bytes(each.read_bytes()[: each.stat().st_size // 2]) for each in files],
        "empty files": lambda: [each.write_bytes(b"") for each in files],
        "lost files": lambda: [each.rename(tmp) for each in files if each.name != "meta.json"],
    }


KINDS = ("no position", "torn position", "another format", "a list", "no meta", "torn meta", "no persona", "torn files",
         "empty files", "lost files")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoiled_index_is_empty_and_can_be_filled_again(tmp_path: Path, kind: str) -> None:
    first = TantivyLexical(tmp_path)
    keep(first, document("green tea", id="m"))
    first.close()
    _spoiled(tmp_path / "0")[kind]()
    again = TantivyLexical(tmp_path)
    with suppress(Unavailable):  # told once: it is empty from now on
        assert found(again, "tea") in ([], ["m"])
    if again.position() == Position(7, 1):
        assert kind == "no meta"  # nothing else is as good as whole
    keep(again, document("green tea", id="m"), change=3)
    assert (found(again, "tea"), again.position()) == (["m"], Position(7, 3))
    again.close()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    away = TantivyLexical(tmp_path / "file" / "fulltext")
    with pytest.raises(Unavailable, match="cannot be opened"):
        away.position()


def test_no_text_is_kept(tmp_path: Path) -> None:
    lexical = TantivyLexical(tmp_path)
    item: MemoryItem = memory("green tea, and a secret: hunter2-never", id="m")
    keep(lexical, Document(item, terms("green tea"), (), ()))
    lexical.close()
    kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert b"hunter2" not in kept


def test_cold_memories_are_found_only_where_they_are_searched(lexical: LexicalTier) -> None:
    keep(lexical, document("the old harbour", id="old"), document("the new harbour", id="new"))
    cold = document("the old harbour", id="old")._replace(cold=True)
    keep(lexical, cold, change=2)
    wanted = Wanted(query_terms("harbour"))
    assert [match.id for match in lexical.search("athena", wanted, 10)] == ["new"]
    assert [match.id for match in lexical.search("athena", wanted, 10, cold=True)] == ["old"]
    assert [collection.texts for collection in lexical.collections("athena", ["harbour"], cold=True)] == [1, 1]
    assert lexical.count() == 2

    keep(lexical, document("the old harbour", id="old"), gone=("new",), change=3)
    assert [match.id for match in lexical.search("athena", wanted, 10)] == ["old"]
    assert lexical.search("athena", wanted, 10, cold=True) == []

    keep(lexical, cold, change=4)
    keep(lexical, gone=("old",), change=5)
    assert lexical.count() == 0
