"""What is said about a bad setting, and that no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.isolation import isolated, write_stack, write_yaml
from trinitas_tasks.errors import SettingsError
from trinitas_tasks.settings import hide_password, load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return isolated(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TRINITAS_DEDUP_SECOND", "TRINITAS_DEDUP_SECONDS"),
        ("REDIS_TTL_WORKINGS", "REDIS_TTL_WORKING"),
        ("SQLITE_PATHS", "SQLITE_PATH"),
        ("CHROMADB_MODELL", "CHROMADB_MODEL"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_known(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    (folder / ".env").write_text(f"{name}=1\n")
    with pytest.raises(SettingsError, match=rf"unknown setting {name} in .*\.env: did you mean {nearest}\?"):
        load_settings(folder=folder)
    (folder / ".env").unlink()
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"unknown setting {name} in environment"):
        load_settings(folder=folder)


def test_names_of_others_are_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("DJANGO_DEBUG=1\nREDIS_SENTINEL=x\n")
    monkeypatch.setenv("REDIS_MAXMEMORY", "1")
    load_settings(folder=folder)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("memory: {redis: {hots: h}}", "memory.redis.hots"),
        ("memory: {redis: {ttl: {dream: 1}}}", "memory.redis.ttl.dream"),
        ("memory: 5", "unknown setting memory in"),
        ("performances: {batch_size: 1}", "performances"),
        ("[1, 2]", "at the top"),
        ("memory: [", "not YAML"),
        ("routing: {dream: redis}", "TRINITAS_ROUTING"),
        ("routing: {working: disk, episodic: redis, semantic: redis, procedural: redis}", "TRINITAS_ROUTING"),
        ("memory: {redis: {port: 0}}", "REDIS_PORT"),
    ],
)
def test_what_is_wrong_in_yaml_is_named_with_its_file(folder: Path, text: str, named: str) -> None:
    path = write_yaml(folder, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(folder=folder)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_PORT", "0"), ("REDIS_PORT", "70000"), ("REDIS_PORT", "http"), ("REDIS_DB", "-1"),
        ("REDIS_TTL_WORKING", "0"), ("BATCH_SIZE", "0"), ("BATCH_SIZE", "1.5"), ("CONNECTION_POOL_SIZE", "4"),
        ("ASYNC_WRITES", "perhaps"), ("MEMORY_BACKEND", "redis"), ("SQLITE_ARCHIVE_DAYS", "-7"),
        ("TRINITAS_NAMESPACE", "a:b"), ("TRINITAS_DEDUP_SECONDS", "301"), ("TRINITAS_ROUTING", "redis"),
    ],
)  # fmt: skip
def test_a_bad_value_is_one_error_with_name_and_origin(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(folder=folder)
    assert name in str(caught.value) or name == "TRINITAS_ROUTING"
    assert "environment" in str(caught.value)


def test_all_bad_values_are_told_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PORT", "0")
    (folder / ".env").write_text("BATCH_SIZE=none\n")
    with pytest.raises(SettingsError, match=r"(?s)(?=.*REDIS_PORT from environment)(?=.*BATCH_SIZE from .*\.env)"):
        load_settings(folder=folder)


def test_a_bad_argument_is_named(folder: Path) -> None:
    with pytest.raises(SettingsError, match="BATCH_SIZE from argument"):
        load_settings(folder=folder, overrides={"batch_size": 0})


def test_an_env_file_that_is_no_text_is_an_error_of_the_settings(folder: Path) -> None:
    (folder / ".env").write_bytes(b"REDIS_HOST=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env"):
        load_settings(folder=folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"redis_url": 1, "chromadb_host": 1, "chromadb_port": 1}'])
def test_a_damaged_note_of_the_stack_is_an_error_of_the_settings(folder: Path, text: str) -> None:
    write_stack(folder)
    (folder / "home" / "run" / "stack.json").write_text(text)
    with pytest.raises(SettingsError, match=str(folder / "home")):
        load_settings(folder=folder)


# Secrets stay hidden.


@pytest.mark.parametrize(
    "text",
    [
        "memory: {redis: {password: [s3cret]}}",
        "memory: {redis: {url: {s3cret: s3cret}}}",
        "memory: {archive_url: [s3cret]}",
        'memory:\n  redis:\n    password: "s3cret\n    host: h\n',
        "memory:\n  redis: {password: s3cret: s3cret}\n",
        "memory:\n  redis:\n    password: @s3cret\n",
        "memory:\n  redis:\n    password: *s3cret\n",
    ],
)
def test_a_mistake_beside_a_secret_does_not_show_it(folder: Path, text: str) -> None:
    write_yaml(folder, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(folder=folder)
    assert "s3cret" not in str(caught.value)


def test_settings_do_not_show_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "s3cret")
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@h/0")
    monkeypatch.setenv("ARCHIVE_URL", "postgresql://u:s3cret@h/db")
    settings = load_settings(folder=folder)
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://:s3cret@h:6379/0", "redis://:***@h:6379/0"),
        ("redis://u:s3cret@h", "redis://u:***@h"),
        ("redis://u@h/0", "redis://u@h/0"),
        ("redis://:s3/cr#e?t@3@h:1/0", "redis://:***@h:1/0"),
        ("redis://h/0?password=s3cret&db=1", "redis://h/0?password=***&db=1"),
        ("unix://:s3cret@/run/redis.sock?db=1", "unix://:***@/run/redis.sock?db=1"),
        ("sqlite:////data/a@b:c/archive.db", "sqlite:////data/a@b:c/archive.db"),
        ("postgresql+psycopg://u:s3cret@[::1]:5432/db", "postgresql+psycopg://u:***@[::1]:5432/db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, safe: str) -> None:
    assert hide_password(url) == safe
