"""Backups hold what was acknowledged, are checked, and bring it back."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backups import Site, full_beyond, note, quiet, restored, settings_of
from tests.unit.isolation import isolated
from tests.unit.workers import Workers
from tests.unit.world import Disturbed, World
from trinitas_tasks.errors import ArchiveError, BackupError, StackError, Unavailable
from trinitas_tasks.local.restoring import restore_in_place, restore_into
from trinitas_tasks.local.stack import Stack, Status
from trinitas_tasks.model import Key, utc_now
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services import backup
from trinitas_tasks.settings import load_settings
from trinitas_tasks.tiers.backup import bundle
from trinitas_tasks.tiers.hot.interface import Finished, Gone, Said, Signal, Write


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolated(tmp_path, monkeypatch)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "b.tar.gz"


def archived(site: Site, *numbers: int) -> None:
    site.remember(*map(note, numbers))
    site.world.settle()


def signal(number: int, said: Said) -> Signal:
    return Signal(Key("athena", f"m{number:03}"), "athena", said, utc_now())


# What is in it.


def test_what_was_archived_comes_back_as_it_was(site: Site, file: Path, tmp_path: Path) -> None:
    archived(site, *range(20))
    made = site.backup(file)
    assert (made.counts["memories"], made.counts["unarchived"], made.unreadable) == (20, 0, 0)
    assert made.models == [site.world.embedder.name]
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    other, done = restored(file, tmp_path / "other")
    assert done.manifest == made
    assert other.contents() == site.contents()
    other.close()


def test_search_works_again_without_embedding(site: Site, file: Path, tmp_path: Path) -> None:
    archived(site, *range(5))
    site.backup(file)
    other, _ = restored(file, tmp_path / "other")
    encoder = other.world.embedder
    seen = Disturbed(encoder, "encode", after=False, event=lambda: None)
    other.workers.use("embedder", seen)
    other.workers.work()
    assert not seen.happened
    assert other.world.found("heron field")
    other.workers.assert_whole([note(each) for each in range(5)])
    assert other.world.archive.position().epoch != site.world.archive.position().epoch
    other.close()


def test_what_waits_in_redis_and_the_spool_is_in_it(site: Site, file: Path, tmp_path: Path) -> None:
    archived(site, 1, 2, 3)
    site.remember(note(4), note(2, importance=0.9))
    site.world.forget(note(3))
    site.world.hot.share(Key("athena", "m001"), ["hera"])
    site.world.hot.share(Key("athena", "m004"), ["hera"])
    site.world.hot.say([signal(1, Said.PIN), signal(1, Said.USEFUL), signal(4, Said.PIN)])
    site.world.spool.write([(note(5), None)], above=0)
    site.world.spool.forget([Key("athena", "m001x")], above=0)
    counts = site.backup(file).counts
    assert {name: counts[name] for name in ("memories", "unarchived", "unburied")} == {
        "memories": 3, "unarchived": 3, "unburied": 2,
    }  # fmt: skip
    assert (counts["untold_grants"], counts["unsettled_signals"]) == (2, 3)
    other, _ = restored(file, tmp_path / "other")
    for _ in range(2):
        other.workers.work()
    other.workers.jobs.flush_access()
    other.workers.work()
    assert set(other.contents()) == {"m001", "m002", "m004", "m005"}
    assert other.contents()["m002"].record.item.importance == 0.9
    assert {id_ for id_, life in other.contents().items() if life.pinned} == {"m001", "m004"}
    assert other.contents()["m001"].useful == 1
    assert set(other.world.hot.granted("hera", 9)) == {Key("athena", "m001"), Key("athena", "m004")}
    assert isinstance(other.world.standing(note(3)), Gone)
    assert other.workers.compared() == set()
    assert not (other.home / "restored.jsonl").exists()
    other.close()


@pytest.mark.parametrize("method", ["scan", "read", "untold", "unsettled"])
def test_what_is_archived_while_it_is_read_is_not_lost(site: Site, file: Path, tmp_path: Path, method: str) -> None:
    for after in (False, True):
        archived(site, 1, 2)
        site.remember(note(3), note(4))
        site.world.forget(note(2))
        site.world.hot.say([signal(1, Said.USELESS)])

        def moved() -> None:
            site.world.settle()
            site.workers.jobs.flush_access()

        kept, site.world.hot = site.world.hot, Disturbed(site.world.hot, method, after=after, event=moved)
        other, _ = restored_after(site, file, tmp_path / f"{method} {after}")
        site.world.hot = kept
        assert set(other.contents()) == {"m001", "m003", "m004"}
        assert other.contents()["m001"].useless == 1 + after
        other.close()


def restored_after(site: Site, file: Path, home: Path) -> tuple[Site, Any]:
    hot = site.world.hot
    backup.backup(file, backup.Origin(hot, site.world.spool, site.file), clock=site.world.now, watch=quiet)
    other, done = restored(file, home)
    for _ in range(2):
        other.workers.work()
    other.workers.jobs.flush_access()
    return other, done


def test_what_was_forgotten_and_erased_meanwhile_does_not_come_back(site: Site, file: Path, tmp_path: Path) -> None:
    site.remember(note(1))

    def forgotten() -> None:
        site.world.forget(note(1))
        site.world.settle()

    site.world.hot = Disturbed(site.world.hot, "untold", after=False, event=forgotten)
    assert site.backup(file).counts["unarchived"] == 0
    other, _ = restored(file, tmp_path / "other")
    other.workers.work()
    assert other.contents() == {}
    other.close()


def test_writers_go_on_meanwhile_and_nothing_acknowledged_before_is_missing(
    site: Site, file: Path, tmp_path: Path
) -> None:
    stop = threading.Event()
    acknowledged: list[int] = []

    def write() -> None:
        for number in range(100_000):
            if stop.is_set():
                return
            site.remember(note(number, id=f"w{number}"))
            acknowledged.append(number)
            if number % 7 == 0:
                site.world.ingest()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            before = len(acknowledged)
            site.backup(file)
    finally:
        stop.set()
        writer.join()
    other, _ = restored(file, tmp_path / "other")
    other.workers.work()
    assert {f"w{each}" for each in acknowledged[:before]} <= set(other.contents())
    assert other.workers.compared() == set()
    other.close()


# What is refused.


def test_a_folder_that_is_not_empty_is_refused(site: Site, file: Path) -> None:
    site.backup(file)
    with pytest.raises(BackupError, match="not empty"):
        restore_into(file, site.home, settings_of(site.home), watch=quiet)


def test_a_damaged_archive_makes_no_backup(site: Site, file: Path) -> None:
    archived(site, *range(50))
    site.world.archive.close()
    data = bytearray(site.file.read_bytes())
    data[8192:12288] = b"\xff" * 4096
    site.file.write_bytes(data)
    with pytest.raises((ArchiveError, BackupError)):
        site.backup(file)
    assert list(file.parent.iterdir()) == []


def test_a_backup_that_is_broken_off_leaves_nothing(site: Site, file: Path) -> None:
    archived(site, 1)
    for doing in ("copying", "packing", "checking"):

        def watch(what: str, *_: int, doing: str = doing) -> None:
            if what == doing:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            site.backup(file, watch=watch)
        assert list(file.parent.iterdir()) == []


def test_a_disk_that_fills_up_leaves_no_backup(site: Site, file: Path) -> None:
    archived(site, *range(40))
    site.remember(*(note(each) for each in range(40, 60)))
    refused = []
    for size in (0, 100, 3000, 10_000, 100_000, 1 << 30):
        with suppress(BackupError, ArchiveError, Unavailable), full_beyond(size):
            site.backup(file)
            break
        refused.append(size)
        assert list(file.parent.iterdir()) == [], f"full beyond {size}"
    assert refused[:3] == [0, 100, 3000]
    assert bundle.verify(file, watch=quiet).counts["memories"] == 40


# In place.


def test_what_was_there_is_put_aside(site: Site, file: Path) -> None:
    archived(site, 1)
    site.backup(file)
    archived(site, 2)
    expected = {key: life for key, life in site.contents().items() if key == "m001"}
    site.close()
    (site.home / "valkey").mkdir()
    done = restore_in_place(file, settings_of(site.home), now=utc_now(), watch=quiet)
    assert {each.name.partition(".before-")[0] for each in done.aside} == {"archive.db", "valkey"}
    again = Site(site.home)
    assert again.contents() == expected
    again.close()
    assert not (site.home / "valkey").exists()


def test_it_needs_a_stopped_stack(site: Site, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.backup(file)
    monkeypatch.setattr(Stack, "status", lambda _: Status(str(site.home), True))
    with pytest.raises(StackError, match="trinitas down"):
        restore_in_place(file, settings_of(site.home), now=utc_now(), watch=quiet)


def test_memories_of_another_time_in_a_redis_of_ones_own_are_not_mixed_in(
    site: Site, file: Path, redis_url: str, namespace: str
) -> None:
    archived(site, 1)
    site.backup(file)
    site.close()
    settings = load_settings(
        folder=site.home, overrides={"home": site.home, "redis_url": redis_url, "namespace": namespace}, stack=False
    )
    runtime = Runtime(settings)
    runtime.hot.write([Write(note(9))])
    with pytest.raises(StackError, match="mixed"):
        restore_in_place(file, settings, now=utc_now(), watch=quiet)
    runtime.hot.finish([Finished(Key("athena", "m009"), each.version, 0) for each in runtime.hot.claim(9, 9)])
    assert restore_in_place(file, settings, now=utc_now(), watch=quiet).aside
    runtime.close()


# By the clock.


def test_a_scheduled_backup_is_made_and_the_oldest_go(site: Site, tmp_path: Path) -> None:
    archived(site, 1)
    folder = site.home / "backups"
    folder.mkdir()
    (folder / "mine.tar.gz").write_text("x")
    (folder / ".trinitas-backup-dead").mkdir()
    for _ in range(9):
        site.world.advance(86_400)
        assert site.workers.jobs.backup()["changed"] == 1
    made = sorted(each.name for each in folder.iterdir())
    assert len(made) == 8
    assert "mine.tar.gz" in made
    other, _ = restored(folder / made[-1], tmp_path / "other")
    assert set(other.contents()) == {"m001"}
    other.close()


def test_a_scheduled_backup_leaves_one_alone_that_somebody_makes(site: Site) -> None:
    archived(site, 1)
    folder, made = site.home / "backups", list[int]()

    def meanwhile(doing: str, *_: int) -> None:
        if doing == "packing" and not made:
            made.append(site.workers.jobs.backup()["changed"])

    site.backup(folder / "mine.tar.gz", watch=meanwhile)
    assert made == [1]
    assert len(list(folder.iterdir())) == 2


def test_a_dry_run_and_a_full_disk_make_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    archived(site, 1)
    folder = site.home / "backups"
    assert site.workers.jobs.run("backup", True, None)["file"].startswith(str(folder))
    assert not folder.exists()
    usage = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(path)._replace(free=1000))
    told = site.workers.jobs.run("backup", False, None)
    assert (told["changed"], len(told["errors"])) == (0, 1)
    assert "MB free" in told["errors"][0]
    assert list(folder.iterdir()) == []


def test_an_archive_that_is_no_file_has_tools_of_its_own(site: Site, file: Path) -> None:
    archived(site, 1)
    site.backup(file)
    elsewhere = {"home": site.home, "archive_url": "postgresql://somebody@db/trinitas"}
    settings = load_settings(folder=site.home, overrides=elsewhere, stack=False)
    with pytest.raises(BackupError, match="tools of its database"):
        restore_in_place(file, settings, now=utc_now(), watch=quiet)
    told = Workers(World()).jobs.run("backup", False, None)
    assert (told["changed"], told["errors"]) == (0, [])
    assert "its own tools" in told["skipped"]


def test_none_are_scheduled_where_none_are_to_stay(site: Site) -> None:
    workers = Workers(site.world, TRINITAS_HOME=site.home, TRINITAS_BACKUP_KEEP=0)
    assert "TRINITAS_BACKUP_KEEP" in workers.jobs.run("backup", False, None)["skipped"]
    assert not (site.home / "backups").exists()


def test_a_worker_that_stops_breaks_its_backup_off(site: Site) -> None:
    archived(site, 1)
    site.workers.runtime.stopping.set()
    with pytest.raises(Unavailable, match="stops"):
        site.workers.jobs.backup()
    assert list((site.home / "backups").iterdir()) == []
