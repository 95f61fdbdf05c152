"""Where settings come from, which one wins, and what is said about a bad one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.isolation import isolated, write_stack, write_yaml
from trinitas_tasks.errors import SettingsError
from trinitas_tasks.model import MemoryType
from trinitas_tasks.settings import (
    load_settings,
    load_with_origins,
)

GIVEN_BY_USERS = {
    "MEMORY_BACKEND": ("backend", "hybrid", "hybrid"),
    "REDIS_HOST": ("redis_host", "redis.example", "redis.example"),
    "REDIS_PORT": ("redis_port", "6380", 6380),
    "REDIS_DB": ("redis_db", "3", 3),
    "REDIS_TTL_WORKING": ("redis_ttl_working", "10", 10),
    "REDIS_TTL_EPISODIC": ("redis_ttl_episodic", "11", 11),
    "REDIS_TTL_CACHE": ("redis_ttl_cache", "12", 12),
    "CHROMADB_PATH": ("chromadb_path", "/tmp/c", Path("/tmp/c")),
    "CHROMADB_HOST": ("chromadb_host", "chroma.example", "chroma.example"),
    "CHROMADB_PORT": ("chromadb_port", "8123", 8123),
    "CHROMADB_MODEL": ("chromadb_model", "/models/m", "/models/m"),
    "SQLITE_PATH": ("sqlite_path", "/tmp/a.db", Path("/tmp/a.db")),
    "SQLITE_ARCHIVE_DAYS": ("sqlite_archive_days", "9", 9),
    "CACHE_SIZE_MB": ("cache_size_mb", "13", 13),
    "BATCH_SIZE": ("batch_size", "14", 14),
    "ASYNC_WRITES": ("async_writes", "false", False),
    "CONNECTION_POOL_SIZE": ("connection_pool_size", "15", 15),
}
DEFAULTS = {
    "backend": "hybrid", "redis_host": None, "redis_port": 6379, "redis_db": 0, "redis_ttl_working": 3600,
    "redis_ttl_episodic": 86400, "redis_ttl_cache": 300, "chromadb_model": "all-MiniLM-L6-v2",
    "sqlite_archive_days": 7, "cache_size_mb": 100, "batch_size": 100, "async_writes": True, "connection_pool_size": 20,
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return isolated(tmp_path, monkeypatch)


# Names and defaults.


@pytest.mark.parametrize("field", DEFAULTS)
def test_defaults_are_those_promised(folder: Path, field: str) -> None:
    settings, origins = load_with_origins(folder=folder)
    assert getattr(settings, field) == DEFAULTS[field]
    assert origins[field] == "default"


@pytest.mark.parametrize("name", GIVEN_BY_USERS)
def test_every_name_of_the_users_is_heard(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    field, text, value = GIVEN_BY_USERS[name]
    monkeypatch.setenv(name, text)
    settings, origins = load_with_origins(folder=folder)
    assert getattr(settings, field) == value
    assert origins[field] == "environment"


def test_secrets_are_heard_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "h")
    monkeypatch.setenv("REDIS_PASSWORD", "p@ss/#:wörd")
    monkeypatch.setenv("REDIS_DB", "2")
    assert load_settings(folder=folder).redis() == "redis://:p%40ss%2F%23%3Aw%C3%B6rd@h:6379/2"
    monkeypatch.setenv("REDIS_URL", "rediss://:x@other:1/4")
    assert load_settings(folder=folder).redis() == "rediss://:x@other:1/4"
    monkeypatch.setenv("ARCHIVE_URL", "postgresql://u:p@h/db")
    assert load_settings(folder=folder).archive() == "postgresql://u:p@h/db"


def test_yaml_can_say_all_of_it(folder: Path) -> None:
    path = write_yaml(
        folder,
        """
memory:
  backend: hybrid
  redis: {host: h, port: 6380, password: "12345", db: 1, ttl: {working: 10, episodic: 11, cache: 12}}
  chromadb: {host: c, port: 8001, model: m}
  sqlite: {path: /tmp/a.db, archive_days: 3}
routing: {working: redis, episodic: chromadb, semantic: chromadb, procedural: redis}
performance: {batch_size: 5, async_writes: false}
fallback: {retry_delay: 1.5}
""",
    )
    settings, origins = load_with_origins(folder=folder)
    assert settings.redis() == "redis://:12345@h:6380/1"
    assert (settings.redis_ttl_cache, settings.batch_size, settings.async_writes) == (12, 5, False)
    assert settings.retry_delay == 1.5
    assert [settings.hot_seconds(kind) for kind in MemoryType] == [10, 12, 12, 11]
    assert origins["redis_host"] == origins["routing"] == str(path)
    assert origins["home"] == "environment"


def test_an_empty_yaml_file_says_nothing(folder: Path) -> None:
    write_yaml(folder, "# nothing\nmemory:\n  redis:\n    host:\n")
    assert not load_settings(folder=folder).redis_configured


# Precedence.


def test_argument_beats_environment_beats_env_file_beats_yaml_beats_stack(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def port() -> tuple[int, str]:
        settings, origins = load_with_origins(folder=folder)
        return settings.chromadb_port, origins["chromadb_port"]

    assert port() == (8000, "default")
    write_stack(folder, redis_url="redis://:x@127.0.0.1:7000/0", chromadb_host="127.0.0.1", chromadb_port=8001)
    assert port() == (8001, f"embedded stack in {folder / 'home'}")
    path = write_yaml(folder, "memory: {chromadb: {port: 8002}}")
    assert port() == (8002, str(path))
    (folder / ".env").write_text("CHROMADB_PORT=8003\n")
    assert port() == (8003, str(folder / ".env"))
    monkeypatch.setenv("CHROMADB_PORT", "8004")
    assert port() == (8004, "environment")
    settings, origins = load_with_origins(folder=folder, overrides={"chromadb_port": 8005})
    assert (settings.chromadb_port, origins["chromadb_port"]) == (8005, "argument")


def test_a_running_stack_is_meant_only_where_no_redis_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stack(folder, redis_url="redis://:x@127.0.0.1:7000/0", chromadb_host="127.0.0.1", chromadb_port=8001)
    assert load_settings(folder=folder).redis() == "redis://:x@127.0.0.1:7000/0"
    monkeypatch.setenv("REDIS_HOST", "h")
    settings = load_settings(folder=folder)
    assert (settings.redis(), settings.chromadb_port) == ("redis://h:6379/0", 8000)


def test_without_any_redis_it_is_said_what_to_do(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"trinitas up.*REDIS_URL"):
        load_settings(folder=folder).redis()


def test_an_empty_variable_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "")
    monkeypatch.setenv("BATCH_SIZE", "")
    assert load_settings(folder=folder).batch_size == 100


def test_routing_can_be_given_in_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRINITAS_ROUTING", json.dumps(dict.fromkeys(MemoryType, "redis")))
    assert load_settings(folder=folder).hot_seconds(MemoryType.SEMANTIC) == 86400
    monkeypatch.setenv("TRINITAS_ROUTING", '{"working": "redis"}')
    with pytest.raises(SettingsError, match=r"TRINITAS_ROUTING.*no tier for episodic, procedural, semantic"):
        load_settings(folder=folder)


def test_names_of_version_3_5_that_mean_nothing_are_let_through(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMADB_ENABLED", "true")
    (folder / ".env").write_text("SQLITE_ENABLED=true\nCHROMADB_EMBEDDING_MODEL=all-MiniLM-L6-v2\nREDIS_TTL_CACHE=60\n")
    assert load_settings(folder=folder).redis_ttl_cache == 60
