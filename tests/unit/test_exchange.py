"""Exports tell everything of each memory, and an import brings it back."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import memory
from tests.unit.backups import quiet
from tests.unit.clients import Bench
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidQuery, Unavailable
from trinitas_tasks.interfaces import exporting
from trinitas_tasks.interfaces.exporting import export
from trinitas_tasks.interfaces.forms.recognised import WRITTEN, read_as, written_as
from trinitas_tasks.interfaces.importing import Import
from trinitas_tasks.model import Key, MemoryItem, MemoryType
from trinitas_tasks.services.exporting import Wanted
from trinitas_tasks.tiers.archive.lives import Restored
from trinitas_tasks.tiers.hot.interface import Write

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
TEXTS = ("a heron", "鷺は\u2028川に立つ", 'quoted "x", and; more\r\nlines\n', "[1, 2]", " =1+1\t", "🦊" * 5)


class Side:
    """A stack of stubs, and what goes into it and comes out."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench()
        self.folder = folder
        self.client: MemoryClient = self.bench.client(persona=None, async_writes=True)

    def export(self, form: str = "jsonl", **wanted: Any) -> bytes:
        self.bench.world.settle()
        file = self.folder / f"out.{form}"
        export(self.client, file, Wanted(**wanted), written_as(form), watch=quiet)
        assert [each.name for each in self.folder.iterdir() if each.name.startswith(".")] == []
        return file.read_bytes()

    def take(self, data: bytes, name: str = "in", **more: Any) -> Import:
        file = self.folder / name
        file.write_bytes(data)
        job = Import(self.client, file, persona=more.pop("persona", None), state_folder=self.folder / "s", **more)
        checked = job.check(quiet)
        assert not checked.bad, checked.bad
        job.run(quiet)
        self.bench.world.settle()
        job.relive(quiet)
        job.finished()
        return job

    def items(self) -> list[MemoryItem]:
        archive = self.bench.world.archive
        lives = [life for persona in archive.personas() for life in archive.named(persona, "", 10_000)]
        return [life.record.item for life in lives]


@pytest.fixture
def sides(tmp_path: Path) -> Callable[[], Side]:
    def made() -> Side:
        folder = tmp_path / os.urandom(4).hex()
        folder.mkdir()
        return Side(folder)

    return made


@pytest.fixture
def side(sides: Callable[[], Side]) -> Side:
    return sides()


def lived(side: Side, count: int = 12) -> None:
    """Memories of two personas, in which every field is something somewhere."""
    items = [
        memory(
            TEXTS[each % len(TEXTS)] if each % 4 else {"n": each, "deep": [None, 1.5, {"x": "鷺"}]},
            id=f"m{each:02}",
            persona=("athena", "hera")[each % 2],
            type=list(MemoryType)[each % 4],
            timestamp=NOW + timedelta(days=each, microseconds=each),
            importance=each / 13,
            ttl=each + 1 if each % 3 == 0 else None,
            metadata={"z": each, "a": [1], "session": "s"} if each % 2 else {},
            tags=("b;c", "[a") if each % 5 == 0 else ("x", "y"),
        )
        for each in range(count)
    ]
    world = side.bench.world
    world.remember(*items)
    world.settle()
    world.archive.restore_lives(
        [
            Restored(
                Key(item.persona, item.id),
                3,
                NOW,
                each % 3 == 0,
                each % 2 == 0,
                0.1 + 0.2,
                NOW,
                1 / 3,
                None,
                1,
                2,
                "m1",
            )
            for each, item in enumerate(items[::2])
        ]
    )
    world.hot.share(Key("athena", "m00"), ["zeus", "hera"])
    world.settle()


# The round trip.


def test_what_was_exported_is_imported_as_it_was(side: Side, sides: Callable[[], Side]) -> None:
    lived(side)
    data = side.export()
    other = sides()
    assert other.take(data).form == "jsonl"
    assert other.export() == data
    assert other.bench.world.hot.granted("zeus", 9) == [Key("athena", "m00")]
    other.take(data)  # again, over itself
    assert other.export() == data


def test_it_is_lines_of_utf_8_with_a_header_that_tells_no_time(side: Side) -> None:
    lived(side)
    header, *lines = side.export().decode().split("\n")
    assert json.loads(header) == {"trinitas": "export", "version": 1}
    assert lines.pop() == ""
    names = [(each["persona"], each["id"]) for each in map(json.loads, lines)]
    assert names == sorted(names)
    assert len(names) == 12
    assert side.export() == side.export()


Any_Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
CONTENT = Any_Json.filter(lambda value: value is not None and (not isinstance(value, str) or bool(value.strip())))


@pytest.mark.parametrize("form", WRITTEN)
def test_any_content_survives_every_form(form: str, sides: Callable[[], Side]) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(CONTENT, st.dictionaries(st.text("abc", min_size=1), Any_Json, max_size=2)), max_size=4))
    def survives(given: list[tuple[Any, dict[str, Any]]]) -> None:
        here, there = sides(), sides()
        here.bench.world.remember(
            *(
                memory(content, id=f"m{place}", metadata=metadata, tags=("x", "a;b")[:place])
                for place, (content, metadata) in enumerate(given)
            )
        )
        data = here.export(form)
        there.take(data, persona="athena", form=form)
        assert [each.to_json() for each in there.items()] == [each.to_json() for each in here.items()]

    survives()


@pytest.mark.parametrize("form", WRITTEN)
def test_every_form_is_recognised_by_what_is_in_it(form: str, side: Side) -> None:
    lived(side)
    data = side.export(form)
    file = side.folder / "somewhere"
    file.write_bytes(b"\xef\xbb\xbf" + data)
    assert read_as(file, None).name == form
    if form in ("mem0", "langgraph"):
        file.write_text(json.dumps(json.loads(data), indent=2))
        assert read_as(file, None).name == form


# What is in it.


class Screen(io.TextIOWrapper):
    """A standard output that says whether somebody looks at it."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_is_shown_nothing_hidden_and_a_pipe_gets_all(
    terminal: bool, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.client.remember("\x9b2J\u202egnp.exe", persona="athena")
    side.bench.world.settle()
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stdout", screen)
    export(side.client, None, Wanted(), written_as("csv"), watch=quiet)
    screen.seek(0)
    assert ("⟨U+009B⟩2J⟨U+202E⟩gnp.exe" if terminal else "\x9b2J\u202egnp.exe") in screen.read()


def test_filters_choose(side: Side) -> None:
    lived(side)

    def ids(**wanted: Any) -> list[str]:
        return [json.loads(line)["id"] for line in side.export(**wanted).decode().split("\n")[1:-1]]

    assert ids(personas=["hera"]) == [f"m{each:02}" for each in range(1, 12, 2)]
    assert ids(personas=["hera", "athena"], types=["working"]) == ["m00", "m04", "m08"]
    assert ids(since=NOW + timedelta(days=9)) == ["m10", "m09", "m11"]
    assert ids(before=NOW + timedelta(days=1)) == ["m00"]
    assert ids(personas=["nobody"]) == []


def test_vectors_are_told_on_request(side: Side) -> None:
    lived(side, 2)
    header, *lines = side.export(vectors=True).decode().split("\n")
    assert json.loads(header)["model"] == side.bench.world.embedder.name
    told = [json.loads(line)["vectors"] for line in lines[:-1]]
    assert all(each and isinstance(each[0], str) for each in told)
    side.take(side.export(vectors=True))


def test_what_is_forgotten_is_not_in_it_though_it_was_not_erased_yet(side: Side) -> None:
    lived(side, 2)
    side.bench.world.forget(memory(id="m00"))
    file = side.folder / "f"
    export(side.client, file, Wanted(), written_as("jsonl"), watch=quiet)
    assert b"m00" not in file.read_bytes()


def test_what_is_only_in_redis_is_waited_for(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    side.bench.world.hot.write([Write(memory(id="late"))])
    monkeypatch.setattr(exporting, "PATIENCE_SECONDS", 0.0)
    file = side.folder / "f"
    with pytest.raises(Unavailable, match="ingest worker"):
        export(side.client, file, Wanted(), written_as("jsonl"), watch=quiet)
    assert not file.exists()
    monkeypatch.setattr(exporting, "PATIENCE_SECONDS", 60.0)

    def archive(doing: str, _: int) -> None:
        if doing.startswith("waiting"):
            side.bench.world.settle()

    export(side.client, file, Wanted(), written_as("jsonl"), watch=archive)
    assert b'"late"' in file.read_bytes()


def test_a_broken_off_export_leaves_no_file(side: Side) -> None:
    lived(side)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    file = side.folder / "f"
    file.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        export(side.client, file, Wanted(), written_as("jsonl"), watch=stop)
    assert file.read_text() == "before"
    assert [each.name for each in side.folder.iterdir()] == ["f"]
    with pytest.raises(InvalidQuery, match="cannot be written"):
        export(side.client, side.folder / "no" / "f", Wanted(), written_as("jsonl"), watch=quiet)


def test_only_some_personas_of_an_export_are_imported(side: Side, sides: Callable[[], Side]) -> None:
    lived(side)
    other = sides()
    other.take(side.export(), persona="hera")
    assert {each.persona for each in other.items()} == {"hera"}
    assert len(other.items()) == 6


# Of others.

MEM0 = {
    "results": [
        {
            "id": "892db2ae-06d9-49e5-8b3e-585ef9b85b8e", "memory": "User is planning to watch a movie tonight.",
            "hash": "1a271c007316c94377175ee80e746a19", "metadata": {"category": "movies", "user_id": "its own"},
            "score": None, "created_at": "2025-02-27T16:33:20.557Z", "updated_at": None, "user_id": "alice",
        },
        {
            "id": "475bde34-21e6-42ab-8bef-0ab84474f156", "memory": "鷺が好き", "hash": "x", "metadata": None,
            "created_at": "2025-02-27T16:33:20.557781-07:00", "updated_at": "2025-03-01T00:00:00-07:00",
            "agent_id": "tour-guide", "run_id": "r1", "categories": ["birds"],
        },
    ]
}  # fmt: skip
ITEMS = [
    {
        "namespace": ["users", "alice"], "key": "k1", "value": {"text": "She likes herons."},
        "created_at": "2025-01-01T00:00:00.123456+00:00", "updated_at": "2025-01-02T00:00:00+00:00",
    },
    {
        "namespace": ["users", "bob"], "key": "k1", "value": {"likes": ["herons"], "memory": "x"},
        "created_at": "2025-01-01T00:00:00", "updated_at": "2025-01-01T00:00:00", "score": None,
    },
]  # fmt: skip


@pytest.mark.parametrize("document", [MEM0, MEM0["results"]], ids=["object", "list"])
def test_memories_of_mem0_move_in(document: Any, side: Side) -> None:
    assert side.take(json.dumps(document, ensure_ascii=False).encode(), persona="athena").form == "mem0"
    second, first = side.items()
    assert (first.content, first.type, first.timestamp) == (
        "User is planning to watch a movie tonight.", "semantic", datetime(2025, 2, 27, 16, 33, 20, 557000, UTC),
    )  # fmt: skip
    assert first.id == "892db2ae-06d9-49e5-8b3e-585ef9b85b8e"
    assert first.metadata == {
        "hash": "1a271c007316c94377175ee80e746a19", "category": "movies", "user_id": "its own", "mem0_user_id": "alice",
    }  # fmt: skip
    assert second.tags == ("birds",)
    assert {"agent_id": "tour-guide", "run_id": "r1"}.items() <= second.metadata.items()


def test_what_mem0s_graph_knows_moves_in_with_its_memories(side: Side) -> None:
    relation = {"source": "alice", "relationship": "likes_to_eat", "target": "寿司"}
    document = {**MEM0, "relations": [relation, relation]}
    side.take(json.dumps(document).encode(), persona="athena")
    [told] = [each for each in side.items() if "relation" in each.metadata]
    assert (told.content, told.type) == ("alice likes to eat 寿司", "semantic")
    assert len(side.items()) == 3


def test_what_mem0_itself_exported_moves_in_whole(side: Side) -> None:
    """Written by mem0ai 2.2.1: get_all() after add() and update()."""
    data = (DATA / "mem0-2.2.1.json").read_bytes()
    assert side.take(data, persona="athena").form == "mem0"
    entries = {each["id"]: each for each in json.loads(data)["results"]}
    items = {each.id: each for each in side.items()}
    assert set(items) == set(entries)
    for id_, entry in entries.items():
        item = items[id_]
        assert (item.content, item.timestamp) == (entry["memory"], datetime.fromisoformat(entry["created_at"]))
        beside = set(entry) - {"id", "memory", "created_at", "metadata"}
        assert item.metadata == {**{name: entry[name] for name in beside}, **(entry["metadata"] or {})}


def test_what_a_langgraph_store_itself_exported_moves_in_whole(side: Side) -> None:
    """Written by langgraph 1.2.24: Item.dict() of what search() found; an item of nothing is no memory."""
    entries = json.loads((DATA / "langgraph-1.2.24.json").read_text("utf-8"))
    whole = [each for each in entries if each["value"]]
    assert len(whole) == len(entries) - 1
    file = side.folder / "all"
    file.write_text(json.dumps(entries))
    checked = Import(side.client, file, persona="athena", state_folder=side.folder / "s").check(quiet)
    assert (checked.good, len(checked.bad)) == (len(whole), 1)
    side.take(json.dumps(whole).encode(), persona="athena")
    items = {(*each.metadata["namespace"], each.metadata["key"]): each for each in side.items()}
    for entry in whole:
        item = items[*entry["namespace"], entry["key"]]
        assert item.content in (entry["value"], *entry["value"].values())
        assert item.timestamp == datetime.fromisoformat(entry["created_at"])
        assert item.metadata["updated_at"] == entry["updated_at"]


@pytest.mark.parametrize("document", [ITEMS, {"items": ITEMS}], ids=["list", "object"])
def test_items_of_a_langgraph_store_move_in(document: Any, side: Side) -> None:
    data = json.dumps(document, indent=1).encode()
    assert side.take(data, persona="athena").form == "langgraph"
    found = {each.metadata["namespace"][1]: each for each in side.items()}
    assert found["alice"].content == "She likes herons."
    assert found["bob"].content == {"likes": ["herons"], "memory": "x"}
    assert found["alice"].metadata["key"] == "k1"
    assert found["alice"].timestamp == datetime(2025, 1, 1, 0, 0, 0, 123456, UTC)
    side.take(data, persona="athena")
    assert len(side.items()) == 2


def test_a_table_moves_in(side: Side) -> None:
    data = (
        '\ufeffcontent,tags,importance,metadata,type\r\n"a, b\n""c""",x; y,0.25,"{""k"": 1}",semantic\r\nplain,,,,\r\n'
    )
    assert side.take(data.encode(), persona="athena").form == "csv"
    found = {str(each.content)[:1]: each for each in side.items()}
    assert (found["a"].content, found["a"].tags, found["a"].importance) == ('a, b\n"c"', ("x", "y"), 0.25)
    assert (found["a"].metadata, found["a"].type) == ({"k": 1}, "semantic")
    assert (found["p"].tags, found["p"].importance, found["p"].type) == ((), 0.5, "episodic")


@pytest.mark.parametrize(
    ("data", "form", "line", "said"),
    [
        ("a,b\n1,2\n", "csv", 1, "unknown field"),
        ("id\n1\n", "csv", 1, "no content"),
        ("content,type\nx\n", "csv", 2, "as many"),
        ("content,importance\nx,high\n", "csv", 2, "number"),
        ('content\n"x\n', "csv", 1, "CSV"),
        ('{"a": 1}', "mem0", 1, "results"),
        ('[{"id": "x", "memory": ""}]', "mem0", 1, "content"),
        ('[{"memory": "x", "created_at": "yesterday"}]', "mem0", 1, "time"),
        ("[1]", "langgraph", 1, "object"),
        ('[{"namespace": "x", "key": "y", "value": {}}]', "langgraph", 1, "namespace"),
        ('[{"namespace": ["x"], "key": "y", "value": {}}]', "langgraph", 1, "content"),
        ('{"trinitas": "export", "version": 2}\n', "jsonl", 1, "upgrade"),
        ('{"trinitas": "export", "version": 1}\n{"content": "x", "odd": 1}\n', "jsonl", 2, "odd"),
        ('{"trinitas": "export", "version": 1}\n{"content": "x", "last_access": 7, "score": 9}\n', "jsonl", 2, "score"),
    ],
)
def test_what_cannot_be_read_is_named(data: str, form: str, line: int, said: str, side: Side) -> None:
    file = side.folder / "in"
    file.write_text(data)
    job = Import(side.client, file, persona="athena", state_folder=side.folder / "s", form=form)
    [bad] = job.check(quiet).bad
    assert said in bad.error
    assert bad.line == line


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="langgraph"):
        written_as("xml")
