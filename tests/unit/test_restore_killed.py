"""A restore in place that is killed, or fails, at any step: the home is as it was before, or as restored."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support import memory
from tests.unit.backups import TARGET, Site, full_beyond, note, quiet, settings_of
from tests.unit.isolation import isolated
from trinitas_tasks.errors import ArchiveError, BackupError, StackError, Unavailable
from trinitas_tasks.local import switch
from trinitas_tasks.local.restoring import restore_in_place, restore_into
from trinitas_tasks.model import Key, utc_now
from trinitas_tasks.services.rejoin import RESTORED
from trinitas_tasks.tiers.archive.local import LocalArchive
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.spool.sqlite import SqliteSpool

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect"}
"""What changes files, as Python tells its audit hooks before it does so."""
OPENED_TO_WRITE = os.O_WRONLY | os.O_RDWR


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolated(tmp_path, monkeypatch)


class Worn:
    """A home with memories, of which some wait in its spool, and a backup of what another one had in all its parts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "b.tar.gz"
        source = Site(folder / "source")
        source.remember(*map(note, range(4)))
        source.world.settle()
        source.remember(note(4))
        source.world.spool.write([(note(5), None)], above=0)
        source.world.hot.share(Key("athena", "m001"), ["hera"])
        source.backup(self.file)
        source.close()
        site = Site(folder / "worn")
        site.remember(note(7), note(8))
        site.world.settle()
        site.world.spool.write([(note(9), None)], above=0)
        site.close()
        for name in ("valkey", "chroma"):
            (site.home / name).mkdir()
            (site.home / name / "data").write_text("of before")
        other = SqliteSpool(site.home / "spool.db", target="another", limit_mb=1)
        other.write([(memory("of another Redis", id="other"), None)], above=0)
        other.close()
        self.before = told(site.home)
        self.restored = told(self.restore(self.again("to compare")))
        assert self.before != self.restored

    def again(self, name: str) -> Path:
        """The home as it was in the beginning."""
        home = self.folder / name
        shutil.copytree(self.folder / "worn", home)
        return home

    def restore(self, home: Path) -> Path:
        restore_in_place(self.file, settings_of(home), now=utc_now(), watch=quiet)
        return home


def told(home: Path) -> dict[str, Any]:
    """All that a home says of its memories."""
    archive = SqlArchive(f"sqlite:///{home / 'archive.db'}")
    spool = SqliteSpool(home / "spool.db", target=TARGET, limit_mb=64)
    other = SqliteSpool(home / "spool.db", target="another", limit_mb=64)
    try:
        return {
            "archived": [each.record for each in archive.named("athena", "", 100)],
            "waits": sorted(each.key.id for each in spool.take(100)),
            "of others": [each.key.id for each in other.take(100)],
            "said": (home / RESTORED).read_bytes() if (home / RESTORED).exists() else None,
            "servers": [(home / name / "data").exists() for name in ("valkey", "chroma")],
        }
    finally:
        for each in (archive, spool, other):
            each.close()


@pytest.fixture
def worn(tmp_path: Path) -> Worn:
    return Worn(tmp_path)


def killed(home: Path, call: Callable[[], object], at: int, after: str = "") -> int:
    """Run it in a process of its own that is killed before its change of this number, counted from the first one of a
    file whose name has ``after`` in it; the signal, 0 if it ended before that."""
    child = os.fork()
    if not child:
        count, begun = 0, not after

        def look(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count, begun
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & OPENED_TO_WRITE
            if not (event in CHANGES or writes) or str(home) not in str(arguments[0]):
                return
            begun = begun or after in str(arguments)
            count += begun
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(look)
        try:
            call()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status)


def assert_whole(home: Path, worn: Worn) -> bool:
    """It is as before or as restored, nothing is left over, and what was acknowledged meanwhile waits; which."""
    found = told(home)
    found["waits"].remove("meanwhile")
    assert found in (worn.before, worn.restored)
    left = [each.name for each in home.iterdir() if each.name.startswith((".", "archive.db."))]
    assert [each for each in left if ".before-" not in each] == []
    aside = [each for each in home.iterdir() if ".before-" in each.name]
    assert bool(aside) == (found == worn.restored)
    return bool(found == worn.restored)


def acknowledge(home: Path) -> None:
    """A client writes while Redis is away."""
    spool = SqliteSpool(home / "spool.db", target=TARGET, limit_mb=64)
    spool.write([(memory("Written meanwhile.", id="meanwhile"), None)], above=0)
    spool.close()


def test_killed_before_it_is_ready_it_has_touched_nothing(worn: Worn) -> None:
    for at in (1, 3, 8, 14):
        home = worn.again(f"early{at}")
        assert killed(home, lambda home=home: worn.restore(home), at) == signal.SIGKILL  # type: ignore[misc]
        assert told(home) == worn.before
        assert switch.pending(home / "archive.db") is None
        acknowledge(home)
        assert switch.settle(home / "archive.db") is None
        assert not assert_whole(home, worn)


def test_killed_at_any_step_of_the_switch_the_next_start_completes_it(worn: Worn) -> None:
    at, outcomes = 1, []
    while True:
        home = worn.again(f"late{at}")
        if killed(home, lambda home=home: worn.restore(home), at, "archive.db.restoring") == 0:  # type: ignore[misc]
            break
        acknowledge(home)
        switch.settle(home / "archive.db")  # as `trinitas up` does
        outcomes.append(assert_whole(home, worn))
        at += 1
    assert len(outcomes) > 12
    assert outcomes == sorted(outcomes), "from some moment on it is restored, before it is not"
    assert True in outcomes


def test_killed_while_it_is_completed_it_is_completed_the_next_time(worn: Worn) -> None:
    for at in (2, 5, 8, 11):
        home = worn.again(f"twice{at}")
        assert killed(home, lambda home=home: worn.restore(home), 6, "archive.db.restoring")  # type: ignore[misc]
        acknowledge(home)
        for again in range(at, 0, -3):
            killed(home, lambda home=home: switch.settle(home / "archive.db"), again)  # type: ignore[misc]
        switch.settle(home / "archive.db")
        assert assert_whole(home, worn)


def test_the_same_command_again_completes_it_and_another_one_goes_on_from_there(worn: Worn) -> None:
    home = worn.again("again")
    assert killed(home, lambda: worn.restore(home), 8, "archive.db.restoring")
    acknowledge(home)
    worn.restore(home)
    assert assert_whole(home, worn)
    assert len({each.name.partition(".before-")[2][:15] for each in home.glob("*.before-*")}) == 1, "not restored twice"


@pytest.mark.parametrize("name", ["rename", "replace"])
def test_a_step_that_fails_is_taken_back_with_all_before_it(
    worn: Worn, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = getattr(os, name)
    for at in range(1, 100):
        home, calls = worn.again(f"{name}{at}"), [0]

        def failing(source: Any, target: Any, *, calls: list[int] = calls, at: int = at, **more: Any) -> None:
            calls[0] += 1
            if calls[0] == at and ".taking-back" not in str(target):
                raise OSError(errno.ENOSPC, "No space left on device")
            whole(source, target, **more)

        with monkeypatch.context() as patched:
            patched.setattr(os, name, failing)
            with suppress(BackupError):
                worn.restore(home)
        if calls[0] < at:
            break
        acknowledge(home)
        assert not assert_whole(home, worn), f"failed at {name} {at}"
    assert at > 2


def test_killed_while_it_is_taken_back_it_is_taken_back_the_next_time(
    worn: Worn, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.replace

    def failing(source: Any, target: Any, **more: Any) -> None:
        if str(target).endswith(RESTORED):  # the last one that is put in its place
            raise OSError(errno.EACCES, "Permission denied")
        whole(source, target, **more)

    def restore(home: Path) -> None:
        monkeypatch.setattr(os, "replace", failing)
        worn.restore(home)

    taken_back = 0
    for at in range(1, 30):
        home = worn.again(f"back{at}")
        if killed(home, lambda home=home: restore(home), at, "taking-back") == 0:  # type: ignore[misc]
            break
        taken_back += (home / "archive.db.taking-back").exists()
        acknowledge(home)
        switch.settle(home / "archive.db")
        if not assert_whole(home, worn):
            continue
        assert not taken_back, "that it is taken back was decided"
    assert taken_back > 3


def test_nobody_opens_an_archive_whose_restore_was_broken_off(worn: Worn) -> None:
    home = worn.again("half")
    assert killed(home, lambda: worn.restore(home), 3, "archive.db.restoring")
    file = home / "archive.db"
    archive = SqlArchive(f"sqlite:///{file}")
    for call in (archive.migrate, archive.ping, lambda: LocalArchive(file).load("athena", ["m001"])):
        with pytest.raises(Unavailable, match="broken off"):
            call()
    assert not file.exists() or file.stat().st_size
    switch.settle(file)
    archive.migrate()
    archive.close()


def test_a_list_that_cannot_be_taken_away_does_no_harm_the_second_time(
    worn: Worn, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, whole = worn.again("listed"), os.unlink

    def failing(path: Any, **more: Any) -> None:
        if str(path).endswith(".restoring"):
            raise OSError(errno.EROFS, "Read-only file system")
        whole(path, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", failing)
        with pytest.raises(BackupError, match="Read-only"):
            worn.restore(home)
    acknowledge(home)
    assert switch.settle(home / "archive.db") is not None
    assert assert_whole(home, worn)


def test_a_list_of_a_newer_version_is_left_alone(worn: Worn) -> None:
    home = worn.again("newer")
    assert killed(home, lambda: worn.restore(home), 3, "archive.db.restoring")
    file = home / "archive.db.restoring"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    before = sorted(home.iterdir())
    with pytest.raises(BackupError, match="newer version"):
        switch.settle(home / "archive.db")
    assert sorted(home.iterdir()) == before


# Into a new folder.


def test_killed_on_the_way_to_a_new_home_the_same_command_completes_it(worn: Worn) -> None:
    done = 0
    for at in range(1, 100, 3):
        home = worn.folder / f"new{at}"

        def restore(home: Path = home) -> None:
            restore_into(worn.file, home, settings_of(home), watch=quiet)

        if killed(home, restore, at) == 0:
            break
        done += 1
        with suppress(BackupError):  # there is nothing left to do
            restore()
        found = told(home)
        assert found["archived"] == worn.restored["archived"]
        assert (found["waits"], found["said"]) == (worn.restored["waits"], worn.restored["said"])
        left = {each.name for each in home.iterdir() if not each.name.startswith(".trinitas-restore-")}
        assert left <= {"archive.db", "spool.db", "spool.db.lock", RESTORED}
    assert done > 8


def test_two_restores_into_one_folder_do_not_mix(worn: Worn, tmp_path: Path) -> None:
    home = tmp_path / "both"
    refused: list[BackupError] = []

    def meanwhile(doing: str, *_: int) -> None:
        if doing == "unpacking" and not refused:
            with pytest.raises(BackupError, match="goes on") as told:
                restore_into(worn.file, home, settings_of(home), watch=quiet)
            refused.append(told.value)

    restore_into(worn.file, home, settings_of(home), watch=meanwhile)
    assert refused
    assert told(home)["archived"] == worn.restored["archived"]


def test_two_restores_in_place_do_not_mix(worn: Worn) -> None:
    home = worn.again("both")
    refused: list[StackError] = []

    def meanwhile(doing: str, *_: int) -> None:
        if doing == "unpacking" and not refused:
            with pytest.raises(StackError, match="at work") as told:
                worn.restore(home)
            refused.append(told.value)

    restore_in_place(worn.file, settings_of(home), now=utc_now(), watch=meanwhile)
    assert refused
    acknowledge(home)
    assert assert_whole(home, worn)


def test_a_disk_that_fills_up_leaves_all_as_it_was(worn: Worn) -> None:
    limits = [0, 512, 4096, 20_000, 100_000, 150_000, 200_000]
    outcomes = []
    for size in limits:
        home = worn.again(f"full{size}")
        told: list[str] = []
        try:
            with full_beyond(size):
                worn.restore(home)
        except (BackupError, ArchiveError, Unavailable) as error:
            told.append(str(error))
        acknowledge(home)
        assert assert_whole(home, worn) == (not told)
        outcomes += told or [""]
    assert all(outcomes[:3])


def test_what_lies_on_another_disk_is_put_in_its_place_when_it_is_whole(
    worn: Worn, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, whole = worn.again("apart"), os.replace

    def apart(source: Any, target: Any, **more: Any) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        whole(source, target, **more)

    monkeypatch.setattr(os, "replace", apart)
    worn.restore(home)
    acknowledge(home)
    assert assert_whole(home, worn)
