"""Whom a process enters as, and that its doors write into this machine's ledger."""

from __future__ import annotations

import os
import pwd
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.isolation import isolated, write_yaml
from trinitas_tasks.errors import Forbidden, SettingsError
from trinitas_tasks.interfaces.diagnosis import gather
from trinitas_tasks.interfaces.entering import entered, ledger_of, opened, user
from trinitas_tasks.interfaces.tokens import make
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.access import EVERY_RIGHT, Principal, Right
from trinitas_tasks.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return isolated(tmp_path, monkeypatch)


@pytest.fixture
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    return load_settings(folder=folder)


def test_a_user_is_whom_the_system_knows_and_not_whom_the_environment_says(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "somebody")
    assert user(settings) == Principal(f"user {pwd.getpwuid(os.getuid()).pw_name}")


def test_a_user_without_a_name_is_known_by_number(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_123)
    assert user(settings).name == "user 4000000123"


def test_a_pinned_user_acts_for_one_persona(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_yaml(folder, "access: {persona: hestia, requests_per_minute: 5, audit_days: 0, ledger_path: /tmp/l.db}")
    settings = load_settings(folder=folder)
    assert user(settings).personas == frozenset({"hestia"})
    assert (settings.requests_per_minute, settings.audit_days, settings.ledger_file()) == (5, 0, Path("/tmp/l.db"))
    monkeypatch.setenv("TRINITAS_PERSONA", "athena")
    assert user(load_settings(folder=folder)).sole() == "athena"
    monkeypatch.setenv("TRINITAS_PERSONA", "*")
    with pytest.raises(SettingsError, match="TRINITAS_PERSONA from environment"):
        load_settings(folder=folder)


def test_doors_of_one_process_write_into_the_ledger_of_the_machine(settings: Settings) -> None:
    with opened(settings) as hall:
        agent = hall.door(Principal("token a (1)", frozenset({Right.READ}), frozenset({"athena"})), "http")
        with pytest.raises(Forbidden):
            agent.remember("x")
    with entered(settings, "cli") as door, door.administering("token create", subject="0000000f"):
        pass
    assert settings.ledger_file() == settings.home / "ledger.db"
    with closing(ledger_of(settings)) as ledger:
        deeds = [(deed.who, deed.door, deed.action, deed.persona, deed.outcome) for deed in ledger.deeds(10)]
    assert deeds == [
        (user(settings).name, "cli", "token create", None, "done"),
        ("token a (1)", "http", "remember", "athena", "refused"),
    ]


def test_a_doctor_hears_of_the_ledger_where_nothing_runs(folder: Path) -> None:
    settings = load_settings(folder=folder)
    assert gather(settings).ledger_tokens == 0
    assert not settings.ledger_file().exists()
    with closing(ledger_of(settings)) as ledger:
        for expires in (None, utc_now()):
            make(ledger, personas=["athena"], rights=EVERY_RIGHT, expires=expires, now=utc_now())
    settings.ledger_file().chmod(0o640)
    facts = gather(settings)
    assert (facts.ledger_tokens, facts.ledger_mode, facts.ledger_error) == (1, 0o640, None)
    settings.ledger_file().write_bytes(b"not a database at all, but long enough" * 200)
    assert "not a database" in str(gather(settings).ledger_error)


def test_entering_where_nothing_says_where_redis_is_is_a_clear_error(folder: Path) -> None:
    with pytest.raises(SettingsError, match="trinitas up"), entered(load_settings(folder=folder), "cli"):
        pass
