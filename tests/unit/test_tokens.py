"""Who comes in by a token, and who does not."""

from __future__ import annotations

import re
import string
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trinitas_tasks.errors import Forbidden, InvalidQuery, Overloaded, Unavailable
from trinitas_tasks.interfaces.tokens import REFUSED, Gate, Made, expiry, is_valid, make
from trinitas_tasks.policy.access import EVERY_RIGHT, Principal, Right
from trinitas_tasks.tiers.ledger.memory import MemoryLedger
from trinitas_tasks.tiers.ledger.sqlite import SqliteLedger

NOW = datetime(2026, 5, 6, 7, 8, 9, 10, UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
READS = frozenset({Right.READ})
MOMENTS = st.datetimes(timezones=st.just(UTC))


def issued(ledger: MemoryLedger, *, expires: datetime | None = NOW + DAY, name: str | None = None) -> Made:
    return make(ledger, personas=["athena"], rights=READS, expires=expires, now=NOW, name=name)


def opened(ledger: MemoryLedger, per_minute: int = 0) -> Gate:
    return Gate(ledger, requests_per_minute=per_minute)


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(Forbidden) as caught:
        call()
    assert str(caught.value) == REFUSED


# Making one.


def test_a_token_is_a_public_id_and_a_secret_that_is_shown_once(tmp_path: Path) -> None:
    with closing(SqliteLedger(tmp_path / "ledger.db", audit_days=1)) as ledger:
        token, secret = make(ledger, personas=["athena", "hestia"], rights=EVERY_RIGHT, expires=None, now=NOW)
        shape = re.fullmatch(r"trt_([0-9a-f]{8})_([\w-]{43})", secret)
        assert shape is not None
        assert shape[1] == token.id
        assert (token.name, token.personas) == ("athena, hestia", frozenset({"athena", "hestia"}))
        assert ledger.tokens() == [token]
        kept = b"".join(each.read_bytes() for each in tmp_path.iterdir())
        assert token.id.encode() in kept
        assert shape[2].encode() not in kept
        assert Gate(ledger, requests_per_minute=0).admit(secret, NOW).name == f"token athena, hestia ({token.id})"


def test_no_two_tokens_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = MemoryLedger()
    ids = iter(["0000000a", "0000000a", "0000000b"])
    monkeypatch.setattr("trinitas_tasks.interfaces.tokens.secrets.token_hex", lambda _: next(ids))
    first, second = issued(ledger), issued(ledger)
    assert [each.token.id for each in (first, second)] == ["0000000a", "0000000b"]
    assert first.secret.rpartition("_")[2] != second.secret.rpartition("_")[2]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 65, "a\u200bb", "\ud800"])
def test_a_name_can_be_read(name: str) -> None:
    with pytest.raises(InvalidQuery, match="name: "):
        issued(MemoryLedger(), name=name)


@pytest.mark.parametrize(
    ("text", "after"),
    [("90d", 90 * DAY), ("12h", DAY / 2), ("1m", MINUTE), ("never", None)],
)
def test_a_time_to_expire_is_counted_from_now(text: str, after: timedelta | None) -> None:
    assert expiry(text, NOW) == (None if after is None else NOW + after)


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "1", "d", "1.5d", "1d ", "1w", "٣d", "9999999999d", "99999999999d", "Never"]
)
def test_what_is_no_time_to_expire_is_a_clear_error(text: str) -> None:
    with pytest.raises(InvalidQuery, match="expires: "):
        expiry(text, NOW)


@given(st.text(max_size=20) | st.from_regex(r"[0-9]{1,12}[mhd]", fullmatch=True), MOMENTS)
def test_a_time_to_expire_is_later_or_refused(text: str, now: datetime) -> None:
    try:
        expires = expiry(text, now)
    except InvalidQuery:
        return
    assert expires is None or expires > now


# Coming in.


def test_a_bearer_is_who_the_token_says() -> None:
    ledger = MemoryLedger()
    token, secret = issued(ledger, name="ci 🦊")
    assert opened(ledger).admit(secret, NOW) == Principal(f"token ci 🦊 ({token.id})", READS, frozenset({"athena"}))


def test_unknown_expired_revoked_and_malformed_ones_are_refused_alike() -> None:
    ledger = MemoryLedger()
    gate = opened(ledger)
    known, expired, revoked = issued(ledger), issued(ledger, expires=NOW), issued(ledger)
    assert ledger.revoke(revoked.token.id, NOW)
    for secret in (
        expired.secret, revoked.secret, f"trt_{known.token.id}_{'A' * 43}", known.secret[:-1], known.secret + "\n",
        f" {known.secret}", known.secret.upper(), known.token.id, "", "\0", "\ud800" * 55, "x" * 10_000_000,
    ):  # fmt: skip
        refused(lambda secret=secret: gate.admit(secret, NOW))  # type: ignore[misc] # bound per turn
    gate.admit(known.secret, NOW)


def test_a_revocation_counts_from_the_moment_it_returns_in_every_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path, audit_days=1)) as server, closing(SqliteLedger(path, audit_days=1)) as command:
        gate = Gate(server, requests_per_minute=0)
        token, secret = make(command, personas=None, rights=READS, expires=None, now=NOW)
        assert gate.admit(secret, NOW).personas is None
        assert command.revoke(token.id, NOW)
        refused(lambda: gate.admit(secret, NOW))


@given(
    st.text(string.ascii_letters + string.digits + "_-", min_size=56, max_size=56).map(lambda text: f"trt_{text[4:]}")
    | st.text()
)
def test_whatever_somebody_shows_is_refused(shown: str) -> None:
    ledger = MemoryLedger()
    issued(ledger)
    refused(lambda: opened(ledger).admit(shown, NOW))


@given(st.data())
def test_a_token_with_anything_changed_is_another(data: st.DataObject) -> None:
    ledger = MemoryLedger()
    secret = issued(ledger).secret
    place = data.draw(st.integers(0, len(secret) - 1))
    other = data.draw(st.characters().filter(lambda each: each != secret[place]))
    changed = data.draw(
        st.sampled_from(
            [
                secret[:place] + other + secret[place + 1 :],
                secret[:place] + secret[place + 1 :],
                secret[:place] + other + secret[place:],
            ]
        )
    )
    refused(lambda: opened(ledger).admit(changed, NOW))


@given(expires=st.none() | MOMENTS, revoked=st.none() | MOMENTS, clock=st.lists(MOMENTS, min_size=1, max_size=5))
def test_wherever_the_clock_goes_a_token_is_valid_before_its_time_only(
    expires: datetime | None, revoked: datetime | None, clock: list[datetime]
) -> None:
    ledger = MemoryLedger()
    token, secret = issued(ledger, expires=expires)
    if revoked is not None:
        ledger.revoke(token.id, revoked)
    gate = opened(ledger)
    for now in clock:
        if revoked is None and (expires is None or now < expires):
            gate.admit(secret, now)
            assert ledger.tokens()[0].last_used == now.replace(second=0, microsecond=0)
        else:
            refused(lambda now=now: gate.admit(secret, now))  # type: ignore[misc] # bound per turn
        assert is_valid(ledger.tokens()[0], now) == (revoked is None and (expires is None or now < expires))


def test_who_may_come_in_is_known_where_nothing_can_be_written() -> None:
    class Full(MemoryLedger):
        def used(self, token_id: str, now: datetime) -> None:
            raise Unavailable(f"disk full: {token_id} {now}")

    ledger = Full()
    assert opened(ledger).admit(issued(ledger).secret, NOW).rights == READS


# How often.


def test_a_token_that_asks_too_often_waits_and_others_do_not() -> None:
    ledger = MemoryLedger()
    gate = opened(ledger, per_minute=3)
    eager, calm = issued(ledger), issued(ledger)
    for _ in range(3):
        gate.admit(eager.secret, NOW)
    with pytest.raises(Overloaded, match=r"token athena \([0-9a-f]{8}\) asks more than 3 times a minute: slow down"):
        gate.admit(eager.secret, NOW)
    gate.admit(calm.secret, NOW)
    assert ledger.revoke(eager.token.id, NOW)
    refused(lambda: gate.admit(eager.secret, NOW))


def test_threads_are_counted_together() -> None:
    ledger = MemoryLedger()
    gate, secret, admitted = opened(ledger, per_minute=50), issued(ledger).secret, []

    def ask() -> None:
        for _ in range(20):
            try:
                admitted.append(gate.admit(secret, NOW))
            except Overloaded:
                continue

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 50


def test_a_clock_that_is_set_back_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = MemoryLedger()
    gate, secret = opened(ledger, per_minute=1), issued(ledger).secret
    gate.admit(secret, NOW)
    with pytest.raises(Overloaded):
        gate.admit(secret, NOW)
    hour_ago = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: hour_ago)
    gate.admit(secret, NOW)
    with pytest.raises(Overloaded):
        gate.admit(secret, NOW)
