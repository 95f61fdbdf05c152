"""A file that is no backup, or not the one that was written, is refused before anything is touched."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.backups import Site, note, quiet, repacked, settings_of
from tests.unit.isolation import isolated
from trinitas_tasks.errors import BackupError
from trinitas_tasks.local.restoring import restore_in_place, restore_into
from trinitas_tasks.model import utc_now
from trinitas_tasks.tiers.backup import bundle


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


def flipped(data: bytes, at: int, by: int) -> bytes:
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


def test_no_cut_off_file_is_accepted_and_no_altered_one_gives_anything_else(tmp_path: Path) -> None:
    site, file = Site(tmp_path / "home"), tmp_path / "b.tar.gz"
    archived(site, *range(3))
    site.backup(file)
    good = file.read_bytes()
    whole = bundle.extract(file, tmp_path, watch=quiet)
    expected = [(tmp_path / name).read_bytes() for name in bundle.MEMBERS]
    bad = tmp_path / "bad.tar.gz"
    out = tmp_path / "out"
    out.mkdir()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(good) - 1))
    def cut_off(at: int) -> None:
        bad.write_bytes(good[:at])
        with pytest.raises(BackupError):
            bundle.verify(bad, watch=quiet)

    unpacked = gzip.decompress(good)
    headers = st.integers(0, 1023) | st.integers(len(unpacked) - 12_000, len(unpacked) - 1)

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(good) - 1) | st.integers(0, 40) | headers.map(lambda at: -1 - at), st.integers(1, 255))
    def altered(at: int, by: int) -> None:
        if at >= 0:
            bad.write_bytes(flipped(good, at, by))
        else:  # of what is packed, with a checksum of gzip that fits
            bad.write_bytes(gzip.compress(flipped(unpacked, -1 - at, by), compresslevel=1, mtime=0))
        try:
            found = bundle.extract(bad, out, watch=quiet)
        except BackupError:
            return  # bits that mean nothing (as in a header of gzip) may differ: what is packed may not
        assert found.members == whole.members
        assert at < 0 or found == whole
        assert [(out / name).read_bytes() for name in bundle.MEMBERS] == expected

    cut_off()
    altered()
    site.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"version": 1', b'"version": 9', "upgrade"),
        (b'"trinitas": "backup"', b'"trinitas": "back_p"', "manifest"),
        (b"archive.db", b"../../x.db", "names"),
        (b"heron 1 stands", b"heron 2 stands", "altered"),
    ],
)
def test_what_was_altered_with_care_is_refused(site: Site, file: Path, old: bytes, new: bytes, said: str) -> None:
    archived(site, 1)
    site.backup(file)
    repacked(file, lambda data: data.replace(old, new))
    with pytest.raises(BackupError, match=said):
        bundle.verify(file, watch=quiet)


def entry(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size = len(data)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, data


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for made, data in entries:
            tar.addfile(made, io.BytesIO(data))
    return out.getvalue()


Entries = list[tuple[tarfile.TarInfo, bytes]]


def _with_manifest(entries: Entries, **changed: Any) -> Entries:
    manifest = json.loads(entries[0][1])
    for name, value in changed.items():
        manifest["members"]["archive.db"][name] = value
    return [entry("manifest.json", json.dumps(manifest).encode()), *entries[1:]]


def _raised(manifest: bytes) -> bytes:
    told = json.loads(manifest)
    return json.dumps({**told, "highest": told["highest"] + 1}).encode()


ALTERED: dict[str, Callable[[Entries], Entries]] = {
    "a member twice": lambda its: [*its, its[-1]],
    "a member more": lambda its: [*its, entry("more", b"x")],
    "a way out": lambda its: [*its, entry("../../evil", b"x")],
    "a way to the root": lambda its: [its[0], entry("/archive.db", its[1][1]), its[2]],
    "a symbolic link": lambda its: [its[0], entry("archive.db", type=tarfile.SYMTYPE, linkname="/etc/passwd"), its[2]],
    "a hard link": lambda its: [its[0], entry("archive.db", type=tarfile.LNKTYPE, linkname="manifest.json"), its[2]],
    "a device": lambda its: [its[0], entry("archive.db", type=tarfile.CHRTYPE, devmajor=1, devminor=5), its[2]],
    "a folder": lambda its: [its[0], entry("archive.db", type=tarfile.DIRTYPE), its[2]],
    "no manifest": lambda its: its[1:],
    "the manifest last": lambda its: [*its[1:], its[0]],
    "a manifest twice": lambda its: [its[0], *its],
    "a member missing": lambda its: its[:-1],
    "an absurd size": lambda its: _with_manifest(its, size=1 << 62),
    "a negative size": lambda its: _with_manifest(its, size=-1),
    "a smaller size": lambda its: _with_manifest(its, size=10),
    "another highest version": lambda its: [entry("manifest.json", _raised(its[0][1])), *its[1:]],
    "another checksum": lambda its: _with_manifest(its, sha256="0" * 64),
    "a manifest without end": lambda its: [entry("manifest.json", its[0][1][:-1] + b" " * (2 << 20)), *its[1:]],
    "more of a member": lambda its: [its[0], entry("archive.db", its[1][1] + b"x"), its[2]],
}


@pytest.mark.parametrize("how", ALTERED)
def test_what_was_packed_anew_with_care_is_refused(site: Site, file: Path, how: str) -> None:
    archived(site, 1)
    site.backup(file)
    with tarfile.open(file) as tar:
        entries = [entry(each.name, content.read()) for each in tar if (content := tar.extractfile(each))]
    file.write_bytes(gzip.compress(packed(*entries), mtime=0))
    bundle.verify(file, watch=quiet)  # so packed it is taken
    file.write_bytes(gzip.compress(packed(*ALTERED[how](entries)), mtime=0))
    assert_refused(site, file)


@pytest.mark.parametrize("what", ["tar", "gzip", "bytes"])
def test_nothing_may_stand_behind_its_end(site: Site, file: Path, what: str) -> None:
    archived(site, 1)
    site.backup(file)
    data = file.read_bytes()
    behind = {
        "tar": lambda: gzip.compress(gzip.decompress(data) + b"more", mtime=0),
        "gzip": lambda: data + gzip.compress(b"more", mtime=0),
        "bytes": lambda: data + b"more",
    }
    file.write_bytes(behind[what]())
    assert_refused(site, file)


def test_what_is_cut_off_or_too_large_for_the_disk_touches_nothing(
    site: Site, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(site, 1)
    site.backup(file)
    usage = shutil.disk_usage
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: usage(path)._replace(free=1000))
        assert "MB free" in assert_refused(site, file)
    file.write_bytes(file.read_bytes()[:-30])
    assert "cut off" in assert_refused(site, file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackupError):
        restore_into(file, tmp_path / "empty", settings_of(tmp_path / "empty"), watch=quiet)
    assert list((tmp_path / "empty").iterdir()) == []


def assert_refused(site: Site, file: Path) -> str:
    """Neither a new home is made of it, nor is anything of this one touched; why."""
    other = file.parent / "other"
    with pytest.raises(BackupError):
        restore_into(file, other, settings_of(other), watch=quiet)
    assert not other.exists()
    site.close()
    before = {each: each.read_bytes() for each in site.home.rglob("*") if each.is_file() and each.name != "lock"}
    with pytest.raises(BackupError) as refused:
        restore_in_place(file, settings_of(site.home), now=utc_now(), watch=quiet)
    assert {
        each: each.read_bytes() for each in site.home.rglob("*") if each.is_file() and each.name != "lock"
    } == before
    return str(refused.value)
