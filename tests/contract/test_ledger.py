"""What every ledger keeps of tokens and deeds, and what its file stands."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.policy.access import EVERY_RIGHT, Right
from trinitas_tasks.tiers.ledger.interface import Deed, Ledger, Token
from trinitas_tasks.tiers.ledger.memory import MemoryLedger
from trinitas_tasks.tiers.ledger.sqlite import SqliteLedger

NOW = datetime(2026, 5, 6, 7, 8, 9, 10, UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def at(path: Path, *, audit_days: int = 400, patience_seconds: float = 0.3) -> SqliteLedger:
    return SqliteLedger(path, audit_days=audit_days, patience_seconds=patience_seconds)


def made(number: int, **fields: object) -> Token:
    given = {"name": f"agent {number} 🦊", "personas": frozenset({"athena", "Se-shat_2"}), "rights": EVERY_RIGHT}
    return Token(**{"id": f"{number:08x}", "created": NOW, **given, **fields})  # type: ignore[arg-type] # as given


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a b%20#?" / "ledger.db"


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, file: Path) -> Iterator[Ledger]:
    kept: Ledger = MemoryLedger() if request.param == "memory" else at(file)
    with closing(kept):
        yield kept


# Tokens.


def test_a_token_is_known_by_its_digest_and_as_it_was_given(ledger: Ledger) -> None:
    tokens = [
        made(3),
        made(1, personas=None, rights=frozenset({Right.READ}), expires=NOW + DAY),
        made(2, personas=frozenset(), rights=frozenset(), expires=datetime.max.replace(tzinfo=UTC)),
    ]
    assert ledger.tokens() == []
    assert ledger.bearer(b"1") is None
    for token in tokens:
        assert ledger.issue(token, token.id.encode())
    assert ledger.tokens() == tokens
    assert [ledger.bearer(token.id.encode()) for token in tokens] == tokens
    assert ledger.bearer(b"00000003 ") is None


def test_a_second_token_of_one_id_or_digest_is_not_kept(ledger: Ledger) -> None:
    first = made(1)
    assert ledger.issue(first, b"first")
    assert not ledger.issue(made(1, name="second"), b"second")
    assert not ledger.issue(made(2), b"first")
    assert ledger.tokens() == [first]
    assert (ledger.bearer(b"first"), ledger.bearer(b"second")) == (first, None)


def test_a_token_is_revoked_for_good(ledger: Ledger) -> None:
    assert not ledger.revoke("00000001", NOW)
    ledger.issue(made(1), b"1")
    ledger.issue(made(2), b"2")
    assert ledger.revoke("00000001", NOW)
    assert ledger.revoke("00000001", NOW + DAY)
    assert not ledger.revoke("0000000", NOW)
    assert [token.revoked for token in ledger.tokens()] == [NOW, None]
    found = ledger.bearer(b"1")
    assert found is not None
    assert found.revoked == NOW


def test_the_last_use_is_kept_to_the_minute_wherever_the_clock_goes(ledger: Ledger) -> None:
    ledger.issue(made(1), b"1")
    for now in (NOW, NOW + MINUTE, NOW - DAY):
        ledger.used("00000001", now)
        assert ledger.tokens()[0].last_used == now.replace(second=0, microsecond=0)
    ledger.used("99999999", NOW)


# Deeds.


def begun(ledger: Ledger, *, at: datetime = NOW, who: str = "user mika", persona: str | None = "athena") -> int:
    return ledger.begin(who, "cli", "remember", persona, None, at)


def test_a_deed_stands_from_before_it_is_done(ledger: Ledger) -> None:
    number = ledger.begin("user mika", "cli", "forget", "athena", "m1", NOW)
    assert ledger.deeds(10) == [Deed(number, NOW, "user mika", "cli", "forget", "athena", "m1", None)]
    ledger.end(number, "done")
    assert ledger.deeds(10) == [Deed(number, NOW, "user mika", "cli", "forget", "athena", "m1", "done")]


def test_its_end_may_say_to_which_memory_it_was_done(ledger: Ledger) -> None:
    one, other = begun(ledger), ledger.begin("token x (1)", "mcp", "share", "athena", "m1", NOW)
    ledger.end(one, "done", subject="m9")
    ledger.end(other, "refused", detail="why")
    ledger.end(other + 1, "done")
    ledger.end(begun(ledger), None, detail="broken off")
    assert [(deed.subject, deed.outcome, deed.detail) for deed in ledger.deeds(10)] == [
        (None, None, "broken off"),
        ("m1", "refused", "why"),
        ("m9", "done", None),
    ]


def test_deeds_are_found_newest_first_by_all_that_is_asked(ledger: Ledger) -> None:
    numbers = [
        ledger.begin(who, "cli", action, persona, None, NOW + minutes * MINUTE)
        for minutes, (who, action, persona) in enumerate(
            [("a", "pin", "athena"), ("b", "pin", "athena"), ("a", "forget", None), ("a", "pin", "hestia")]
        )
    ]
    assert numbers == sorted(set(numbers))

    def found(limit: int = 10, **asked: object) -> list[int]:
        return [numbers.index(deed.number) for deed in ledger.deeds(limit, **asked)]  # type: ignore[arg-type] # as asked

    assert found() == [3, 2, 1, 0]
    assert found(2) == [3, 2]
    assert found(2, before=numbers[2]) == [1, 0]
    assert found(who="a") == [3, 2, 0]
    assert found(persona="athena") == [1, 0]
    assert found(action="pin", who="a") == [3, 0]
    assert found(since=NOW + 2 * MINUTE) == [3, 2]
    assert found(who="a' OR 1") == []


def test_no_row_grows_by_what_somebody_sends(ledger: Ledger) -> None:
    long, wrong = "x" * 100_000, "a\n\ud800\u202e🦊"
    number = ledger.begin(long, wrong, long, long, long, NOW)
    ledger.end(number, "failed", subject=long, detail=long)
    (deed,) = ledger.deeds(10)
    assert max(len(each) for each in deed if isinstance(each, str)) == 500
    assert deed.door == "a???🦊"
    assert ledger.deeds(10, who=long) == [deed]


@pytest.mark.parametrize("days", [0, 30])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_old_deeds_go_where_the_settings_say_so(kind: str, days: int, file: Path) -> None:
    kept: Ledger = MemoryLedger(audit_days=days) if kind == "memory" else at(file, audit_days=days)
    with closing(kept):
        begun(kept, at=NOW - 31 * DAY)
        begun(kept, at=NOW - 29 * DAY)
        last = begun(kept)
        assert len(kept.deeds(10)) == (2 if days else 3)
        assert kept.deeds(1)[0].number == last


def test_a_clock_that_is_wrong_for_a_moment_costs_few_deeds(file: Path) -> None:
    with closing(at(file)) as kept:
        for _ in range(150):
            begun(kept)
        begun(kept, at=NOW + 4000 * DAY)
        begun(kept)
        assert len(kept.deeds(1000)) == 52


# Its file.


def test_nothing_is_made_before_it_is_needed_and_then_for_its_owner_only(file: Path) -> None:
    with closing(at(file)) as kept:
        kept.used("1", NOW)
        assert (kept.tokens(), kept.deeds(1), kept.bearer(b"1"), kept.revoke("1", NOW)) == ([], [], None, False)
        assert not file.parent.exists()
        begun(kept)
        assert file.parent.stat().st_mode & 0o777 == 0o700
        modes = {each.name: each.stat().st_mode & 0o777 for each in file.parent.iterdir()}
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock"), 0o600)


def test_what_cannot_be_written_is_a_clear_error_and_goes_on_when_it_can(file: Path) -> None:
    with closing(at(file)) as kept:
        begun(kept)
        with no_room(), pytest.raises(Unavailable, match=r"the ledger .*ledger.db failed to .*; check its disk"):
            begun(kept)
        begun(kept)
        assert len(kept.deeds(10)) == 2


@contextmanager
def no_room() -> Iterator[None]:
    """No file of this process may grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_place_that_nobody_may_write_to_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = at(tmp_path / "file" / "ledger.db")
    with pytest.raises(Unavailable, match="check its disk and who may write to it"):
        begun(kept)


def test_a_damaged_file_is_a_clear_error(file: Path) -> None:
    with closing(at(file)) as kept:
        kept.issue(made(1), b"1")
        kept.close()
        whole = file.read_bytes()
        file.write_bytes(b"not a database at all, but long enough" * 200)
        for call in (kept.tokens, lambda: kept.bearer(b"1"), lambda: begun(kept), lambda: kept.revoke("1", NOW)):
            with pytest.raises(Unavailable, match="not a database"):
                call()
        file.write_bytes(whole)
        assert len(kept.tokens()) == 1


def test_a_damaged_row_is_a_clear_error(file: Path) -> None:
    with closing(at(file)) as kept:
        kept.issue(made(1), b"1")
        with closing(sqlite3.connect(file)) as raw, raw:
            raw.execute("UPDATE tokens SET expires = 9223372036854775807")
        with pytest.raises(Unavailable, match="is damaged: 9223372036854775807 is no moment"):
            kept.bearer(b"1")


def test_a_right_of_another_version_is_none(file: Path) -> None:
    with closing(at(file)) as kept:
        kept.issue(made(1), b"1")
        with closing(sqlite3.connect(file)) as raw, raw:
            raw.execute("UPDATE tokens SET rights = 'read,rule'")
        assert kept.tokens()[0].rights == {Right.READ}


def test_a_revocation_counts_where_the_file_was_replaced(file: Path) -> None:
    with closing(at(file)) as server, closing(at(file)) as command:
        server.issue(made(1), b"1")
        file.rename(file.with_name("ledger.aside"))
        assert server.bearer(b"1") is None
        command.issue(made(1), b"1")
        command.revoke("00000001", NOW)
        found = server.bearer(b"1")
        assert found is not None
        assert found.revoked == NOW


WRITER = """
import sys
from pathlib import Path
from tests.contract.test_ledger import at, begun
ledger = at(Path(sys.argv[1]), patience_seconds=30)
for _ in range(int(sys.argv[3])):
    number = begun(ledger, who=sys.argv[2])
    ledger.end(number, "done")
    print(number, flush=True)
"""


def writer(file: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(file), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_write_at_once(file: Path) -> None:
    writers = [writer(file, name, 40) for name in ("a", "b", "c")]
    told = {int(line) for process in writers for line in process.communicate(timeout=60)[0].split()}
    with closing(at(file)) as kept:
        assert {deed.number for deed in kept.deeds(1000) if deed.outcome == "done"} == told
    assert len(told) == 120


def test_a_killed_process_leaves_what_it_told(file: Path) -> None:
    process = writer(file, "a", 100_000)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(50)]
    process.kill()
    told += process.communicate()[0].split()
    with closing(at(file)) as kept:
        ended = {deed.number for deed in kept.deeds(200_000) if deed.outcome == "done"}
        assert {int(each) for each in told} <= ended
        assert begun(kept) > max(ended)
