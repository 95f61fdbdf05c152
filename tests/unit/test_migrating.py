"""Driving a migration: broken off anywhere, refused, watched, reported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.legacy import Store, made
from tests.unit.clients import Bench
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidQuery, ModelError, Unavailable
from trinitas_tasks.interfaces import migrating
from trinitas_tasks.interfaces.migrating import Migration, named
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.policy.retention import Outlook
from trinitas_tasks.tasks import migrating as jobs
from trinitas_tasks.tiers.legacy import backup


class Broken(Exception):
    """The command was ended here."""


@pytest.fixture
def bench() -> Iterator[Bench]:
    made_here = Bench()
    yield made_here
    for client in made_here.closing:
        client.close()


@pytest.fixture
def client(bench: Bench, tmp_path: Path) -> MemoryClient:
    return bench.client(TRINITAS_HOME=tmp_path / "home")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made(tmp_path / "store", 120)


def migration(client: MemoryClient, store: Store, tmp_path: Path, zone: str | None = "Asia/Tokyo") -> Migration:
    return Migration(client, store.base, zone=zone, home=tmp_path / "home")


def nothing(_: object) -> None:
    """Not watched."""


def nothing_awaits(_: MemoryItem) -> Outlook:
    return Outlook(False, False)


def everything(done: Migration) -> tuple[Any, Any]:
    done.survey(nothing, foresee=nothing_awaits)
    return done.copy(nothing), done.verify(nothing)


def test_a_survey_counts_everything_and_keeps_aside_what_cannot_be_read(
    client: MemoryClient, store: Store, tmp_path: Path
) -> None:
    one = migration(client, store, tmp_path)
    counted: list[int] = []
    survey = one.survey(counted.append, foresee=lambda item: Outlook(item.type == "episodic", item.persona == "athena"))
    assert (survey.memories, survey.unreadable, survey.renamed) == (store.good, store.bad, store.renamed)
    assert sum(counted) == sum(sum(each.values()) for each in survey.personas.values()) == store.good
    assert survey.old == sum(each["episodic"] for each in survey.personas.values())
    assert survey.doomed == sum(survey.personas["athena"].values())
    aside = [json.loads(line) for line in one.logbook.unreadable.read_text().splitlines()]
    assert len(aside) == store.bad
    assert all({"source", "row", "reason", "raw"} == set(each) for each in aside)
    assert json.dumps(survey.told())


def test_a_damaged_file_is_named_and_can_be_kept_alone(client: MemoryClient, store: Store, tmp_path: Path) -> None:
    (store.base / "hestia" / "episodes.db").write_bytes(b"no database at all" * 100)
    one = migration(client, store, tmp_path)
    survey = one.survey(nothing, foresee=nothing_awaits)
    assert survey.damaged == ["hestia/episodes.db"]
    kept = one.back_up(nothing, parts=survey.damaged)
    assert {each.name for each in kept.rglob("*") if each.is_file()} == {"manifest.json", "episodes.db"}


def test_a_survey_may_leave_nothing_behind(client: MemoryClient, store: Store, tmp_path: Path) -> None:
    migration(client, store, tmp_path).survey(nothing, foresee=nothing_awaits, work=tmp_path / "work", keep=False)
    assert not (tmp_path / "home").exists()


def test_everything_is_copied_and_verified(client: MemoryClient, store: Store, tmp_path: Path) -> None:
    copied, found = everything(migration(client, store, tmp_path))
    assert (copied.copied, copied.read, found.same, found.noted) == (store.good,) * 4
    assert found.differences == []


def test_broken_off_after_any_step_it_goes_on_there(
    client: MemoryClient, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    whole = MemoryClient.ask

    def ask(self: MemoryClient, job: str, *arguments: Any, **more: Any) -> Any:
        answer = whole(self, job, *arguments, **more)
        asked.append(arguments)
        if job == "migrate_step" and len(asked) % 2:
            raise Broken
        return answer

    monkeypatch.setattr(MemoryClient, "ask", ask)
    for _ in range(100):
        try:
            copied = migration(client, store, tmp_path).copy(nothing)
            break
        except Broken:
            continue
    assert copied.read == copied.copied + copied.there == store.good
    assert len(asked) < 100, "it began anew each time"
    monkeypatch.undo()
    assert migration(client, store, tmp_path).verify(nothing).same == store.good


def test_a_store_that_changed_is_begun_anew(client: MemoryClient, store: Store, tmp_path: Path) -> None:
    one = migration(client, store, tmp_path)

    def stop(_: int) -> None:
        if one.logbook._state.exists():
            raise Broken

    with pytest.raises(Broken):
        one.copy(stop)
    (store.base / "a note").write_text("new")
    copied = one.copy(nothing)
    assert copied.read == store.good
    assert copied.copied + copied.there == store.good


def test_a_worker_that_is_away_is_waited_for(
    client: MemoryClient, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "AGAIN_SECONDS", 0)
    whole, told, failures = MemoryClient.ask, list[Unavailable](), iter(range(3))

    def ask(self: MemoryClient, *arguments: Any, **more: Any) -> Any:
        if next(failures, None) is not None:
            raise Unavailable("no worker answered")
        return whole(self, *arguments, **more)

    monkeypatch.setattr(MemoryClient, "ask", ask)
    one = Migration(client, store.base, zone=None, home=tmp_path / "home", waiting=told.append)
    assert one.copy(nothing).copied == store.good
    assert len(told) == 3
    failures = iter(range(10**9))
    monkeypatch.setattr(migrating, "PATIENCE_SECONDS", 0)
    with pytest.raises(Unavailable):
        one.copy(nothing)


def test_what_the_workers_refuse_is_kept_aside_whichever_run_met_it(
    bench: Bench, client: MemoryClient, store: Store, tmp_path: Path
) -> None:
    whole, refused = bench.world.embedder, list[str]()

    class Choosy:
        def __getattr__(self, name: str) -> Any:
            return getattr(whole, name)

        def split(self, text: str, **more: Any) -> Any:
            if "bellona" in text or len(refused) >= 2:
                return whole.split(text, **more)
            refused.append(text)
            raise ModelError("no such words")

    runtime: Any = client._dispatcher
    runtime._runtime.__dict__["embedder"] = Choosy()
    one = migration(client, store, tmp_path)
    one.survey(nothing, foresee=nothing_awaits)
    calls = iter(range(100))

    def stop(_: int) -> None:
        if next(calls) == 2:
            raise Broken

    with pytest.raises(Broken):
        one.copy(stop)
    copied = one.copy(nothing)
    assert copied.refused == 2
    assert len(one.logbook.unreadable.read_text().splitlines()) == store.bad + 2
    assert one.verify(nothing).differing == 2


def test_what_is_noted_and_not_in_the_store_is_told(client: MemoryClient, store: Store, tmp_path: Path) -> None:
    one = migration(client, store, tmp_path)
    one.copy(nothing)
    (store.base / "hestia" / "knowledge" / "knowledge.json").unlink()
    found = one.verify(nothing)
    assert found.differing == found.noted - found.same > 0
    assert {each["what"] for each in found.differences} == {migrating.EXTRA}
    assert {each["persona"] for each in found.differences} == {"hestia"}


def test_another_zone_is_refused_until_it_is_taken_back(client: MemoryClient, store: Store, tmp_path: Path) -> None:
    migration(client, store, tmp_path).copy(nothing)
    other = migration(client, store, tmp_path, zone="Europe/Paris")
    with pytest.raises(InvalidQuery, match="begun with Asia/Tokyo"):
        other.check_zone()
    removed, kept = other.undo(nothing)
    assert (removed, kept) == (store.good, 0)
    other.check_zone()
    assert other.copy(nothing).copied == store.good
    assert other.verify(nothing).same == store.good


def test_a_migration_is_done_when_its_report_says_so(client: MemoryClient, store: Store, tmp_path: Path) -> None:
    one = migration(client, store, tmp_path)
    one.copy(nothing)
    assert one.done() is None
    one.finish({"it": "went well"}, done=True)
    assert one.done() is not None
    assert json.loads(one.logbook.report.read_text()) == {"it": "went well"}
    one.undo(nothing)
    assert one.done() is None


def test_names_are_of_paths_and_safe_as_file_names() -> None:
    names = {named(Path(each)) for each in ("/a/store", "/b/store", "/a/記憶", "/")}
    assert len(names) == 4
    assert all(jobs.NAME.fullmatch(each) for each in names)


def test_a_backup_is_what_was_there_and_goes_on_where_it_was_broken_off(store: Store, tmp_path: Path) -> None:
    target, seen = tmp_path / "backup", list[int]()

    def stop(size: int) -> None:
        seen.append(size)
        if len(seen) == 5:
            raise Broken

    with pytest.raises(Broken):
        backup.keep(store.base, target, stop)
    kept = {each: each.stat().st_ino for each in target.rglob("*.db")}
    manifest = backup.keep(store.base, target, nothing)
    assert set(manifest) == {each.relative_to(store.base).as_posix() for each in backup.files_of(store.base)}
    for name in manifest:
        assert (target / name).read_bytes() == (store.base / name).read_bytes()
    assert all(each.stat().st_ino == number for each, number in kept.items())


def test_a_file_that_changes_while_it_is_backed_up_is_told(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = backup._digest

    def digest(file: Path) -> str:
        with (store.base / "athena" / "episodes.db").open("ab") as changed:
            changed.write(b"x")
        return whole(file)

    monkeypatch.setattr(backup, "_digest", digest)
    with pytest.raises(Unavailable, match="changes while it is backed up"):
        backup.keep(store.base, tmp_path / "backup", nothing)
