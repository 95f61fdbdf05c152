"""Every setting, its default, its environment name and its place in ``config/memory.yaml``.

Environment beats ``.env`` beats the YAML file beats what a running embedded stack says beats the default.
An unknown key or a bad value is one SettingsError that names it. No other module reads the environment.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

import yaml
from dotenv import dotenv_values
from platformdirs import user_data_path
from pydantic import Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError as SourceError

from trinitas_tasks.errors import SettingsError
from trinitas_tasks.model import PERSONA_PATTERN, MemoryType
from trinitas_tasks.policy.life import SECONDS, LifeTask, Rules
from trinitas_tasks.policy.ttl import Tier
from trinitas_tasks.query import Boosts

YAML_FILE = Path("config/memory.yaml")
ENV_FILE = Path(".env")
STACK_FILE = Path("run/stack.json")
"""Where a running embedded stack writes how to reach it, under its home (readable by its owner only)."""

PREFIX = "TRINITAS_"
GUARDED = (PREFIX, "REDIS_TTL_", "CHROMADB_", "SQLITE_", "MEMORY_BACKEND", "ARCHIVE_URL")
"""Unknown names that begin so are errors: nobody else owns them. Plain REDIS_* others do set."""
OF_V35 = frozenset({"CHROMADB_ENABLED", "CHROMADB_EMBEDDING_MODEL", "SQLITE_ENABLED"})
"""Names of Trinitas v3.5 that mean nothing any more: its files go on working."""

Seconds = Annotated[int, Field(gt=0, le=10 * 365 * 86400)]
Port = Annotated[int, Field(ge=1, le=65535)]


def _field(default: Any, env: str, yaml_path: str, about: str) -> Any:
    return Field(default, validation_alias=env, description=about, json_schema_extra={"yaml": yaml_path})


class Settings(BaseSettings):
    """What the package runs with. Build it with load_settings(); every field can be given by its environment name."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    home: Path = _field(
        user_data_path("trinitas"), "TRINITAS_HOME", "memory.home", "data directory of the embedded stack"
    )
    namespace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = _field(
        "trinitas", "TRINITAS_NAMESPACE", "memory.namespace", "prefix of every Redis key, queue and collection"
    )
    backend: Literal["hybrid"] = _field(
        "hybrid", "MEMORY_BACKEND", "memory.backend", "the tiers in use; hybrid: Redis, Chroma and SQL"
    )

    redis_url: SecretStr | None = _field(
        None, "REDIS_URL", "memory.redis.url", "broker and hot tier; beats the four below"
    )
    redis_host: str | None = _field(None, "REDIS_HOST", "memory.redis.host", "host of broker and hot tier")
    redis_port: Port = _field(6379, "REDIS_PORT", "memory.redis.port", "its port")
    redis_password: SecretStr | None = _field(None, "REDIS_PASSWORD", "memory.redis.password", "its password")
    redis_db: Annotated[int, Field(ge=0)] = _field(0, "REDIS_DB", "memory.redis.db", "its database number")
    redis_ttl_working: Seconds = _field(
        3600, "REDIS_TTL_WORKING", "memory.redis.ttl.working", "seconds an archived working memory stays hot"
    )
    redis_ttl_episodic: Seconds = _field(
        86400, "REDIS_TTL_EPISODIC", "memory.redis.ttl.episodic", "the same for episodic"
    )
    redis_ttl_cache: Seconds = _field(
        300, "REDIS_TTL_CACHE", "memory.redis.ttl.cache", "the same for semantic, procedural and cached answers"
    )
    connection_pool_size: Annotated[int, Field(ge=5, le=1000)] = _field(
        20, "CONNECTION_POOL_SIZE", "performance.connection_pool_size", "most Redis connections of one process"
    )

    redis_timeout_ms: Annotated[int, Field(ge=10, le=60_000)] = _field(
        150, "TRINITAS_REDIS_TIMEOUT_MS", "memory.redis.timeout_ms", "longest wait of a client for one answer of Redis"
    )

    chromadb_host: str = _field("127.0.0.1", "CHROMADB_HOST", "memory.chromadb.host", "host of the Chroma server")
    chromadb_port: Port = _field(8000, "CHROMADB_PORT", "memory.chromadb.port", "its port")
    chroma_timeout_ms: Annotated[int, Field(ge=10, le=60_000)] = _field(
        1000,
        "TRINITAS_CHROMA_TIMEOUT_MS",
        "memory.chromadb.timeout_ms",
        "longest wait of a search for Chroma; then the vectors in SQL are scanned",
    )
    chromadb_path: Path | None = _field(
        None, "CHROMADB_PATH", "memory.chromadb.path", "folder of the embedded stack's Chroma (default: under home)"
    )
    chromadb_model: str = _field(
        "all-MiniLM-L6-v2", "CHROMADB_MODEL", "memory.chromadb.model", "embedding model: a shipped name or a folder"
    )
    model_sha256: str | None = _field(
        None, "TRINITAS_MODEL_SHA256", "memory.chromadb.model_sha256", "checksum of a folder's weights"
    )

    sqlite_path: Path | None = _field(
        None, "SQLITE_PATH", "memory.sqlite.path", "file of the archive (default: archive.db under home)"
    )
    archive_url: SecretStr | None = _field(
        None, "ARCHIVE_URL", "memory.archive_url", "SQLAlchemy URL of the archive; beats SQLITE_PATH"
    )
    sqlite_archive_days: Annotated[int, Field(ge=1)] = _field(
        7,
        "SQLITE_ARCHIVE_DAYS",
        "memory.sqlite.archive_days",
        "days without use after which episodic memories leave the index",
    )

    routing: dict[MemoryType, Tier] = _field(
        {"working": "redis", "episodic": "redis", "semantic": "chromadb", "procedural": "chromadb"},
        "TRINITAS_ROUTING",
        "routing",
        "primary tier of each memory type; redis keeps it hot for its TTL, chromadb only as long as the cache",
    )

    fulltext_path: Path | None = _field(
        None, "TRINITAS_FULLTEXT_PATH", "memory.fulltext.path", "folder of the full-text indexes (default: under home)"
    )
    boosts: dict[str, Boosts] = _field(
        {}, "TRINITAS_BOOSTS", "recall.boosts", 'boosts of a persona\'s recalls that ask for none; of all others: "*"'
    )
    all_personas: bool = _field(
        False, "TRINITAS_ALL_PERSONAS", "recall.all_personas", "whether a recall may search the memories of everybody"
    )

    secrets: Literal["allow", "mask", "refuse"] = _field(
        "allow", "TRINITAS_SECRETS", "memory.secrets", "what becomes of keys and tokens of known forms in memories"
    )

    batch_size: Annotated[int, Field(ge=1, le=5000)] = _field(
        100, "BATCH_SIZE", "performance.batch_size", "memories one ingest transaction archives"
    )
    cache_size_mb: Annotated[int, Field(ge=1, le=1 << 20)] = _field(
        100, "CACHE_SIZE_MB", "performance.cache_size_mb", "most memory that copies of archived memories take in Redis"
    )
    async_writes: bool = _field(
        True, "ASYNC_WRITES", "performance.async_writes", "false: remember() returns only after the archive committed"
    )
    max_content_kb: Annotated[int, Field(ge=1, le=512 * 1024)] = _field(
        1024, "TRINITAS_MAX_CONTENT_KB", "performance.max_content_kb", "largest memory, as JSON"
    )
    outbox_limit: Annotated[int, Field(ge=1)] = _field(
        1_000_000,
        "TRINITAS_OUTBOX_LIMIT",
        "performance.outbox_limit",
        "unarchived memories at which writes are refused",
    )
    dedup_seconds: Annotated[int, Field(ge=0, le=300)] = _field(
        60,
        "TRINITAS_DEDUP_SECONDS",
        "performance.dedup_seconds",
        "a repeated write within it returns the first id; 0: off",
    )
    lease_seconds: Seconds = _field(
        30,
        "TRINITAS_LEASE_SECONDS",
        "performance.lease_seconds",
        "how long a claimed batch is hidden from other workers",
    )
    deadline_ms: Annotated[int, Field(ge=50, le=600_000)] = _field(
        5000, "TRINITAS_DEADLINE_MS", "performance.deadline_ms", "longest wait of a read"
    )
    threads: Annotated[int, Field(ge=0, le=1024)] = _field(
        0,
        "TRINITAS_THREADS",
        "performance.threads",
        "threads of the ingest worker's model; 0: one per core (search uses one)",
    )

    life: dict[str, Rules] = _field(
        {}, "TRINITAS_LIFE", "life.rules", 'thresholds and half-lives of a persona\'s memories; of all others: "*"'
    )
    schedule: dict[LifeTask, Annotated[float, Field(ge=0, le=366 * 86400)]] = _field(
        {},
        "TRINITAS_SCHEDULE",
        "life.schedule",
        "seconds between two runs of a task where not the usual ones; 0: never",
    )

    persona: Annotated[str, Field(pattern=PERSONA_PATTERN)] | None = _field(
        None, "TRINITAS_PERSONA", "access.persona", "the only persona that this user's commands and agents act for"
    )
    ledger_path: Path | None = _field(
        None, "TRINITAS_LEDGER_PATH", "access.ledger_path", "file of the tokens and the audit (default: under home)"
    )
    requests_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = _field(
        600, "TRINITAS_REQUESTS_PER_MINUTE", "access.requests_per_minute", "most requests of one token; 0: any number"
    )
    audit_days: Annotated[int, Field(ge=0, le=36_500)] = _field(
        400, "TRINITAS_AUDIT_DAYS", "access.audit_days", "days after which rows of the audit go; 0: never"
    )

    backup_path: Path | None = _field(
        None, "TRINITAS_BACKUP_PATH", "backup.path", "folder of the backups (default: backups under home)"
    )
    backup_keep: Annotated[int, Field(ge=0)] = _field(
        7, "TRINITAS_BACKUP_KEEP", "backup.keep", "how many of the daily backups stay; 0: none are made"
    )

    retry_delay: Annotated[float, Field(gt=0, le=3600)] = _field(
        5.0, "TRINITAS_RETRY_DELAY", "fallback.retry_delay", "seconds before a failed service is tried again"
    )
    spool_path: Path | None = _field(
        None, "TRINITAS_SPOOL_PATH", "fallback.spool_path", "file of writes while Redis is away (default: under home)"
    )
    spool_limit_mb: Annotated[int, Field(ge=1, le=1 << 20)] = _field(
        512, "TRINITAS_SPOOL_LIMIT_MB", "fallback.spool_limit_mb", "size of the spool at which writes are refused"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # load_settings asks the sources one by one, so that it can tell where each value came from
        return (init_settings,)

    @model_validator(mode="after")
    def _fixed_routing(self) -> Self:
        if missing := set(MemoryType) - set(self.routing):
            raise ValueError(f"no tier for {', '.join(sorted(missing))}")
        return self

    # What follows from the fields.

    @property
    def redis_configured(self) -> bool:
        """Whether anything says where Redis is; if not, the embedded stack is meant."""
        return self.redis_url is not None or self.redis_host is not None

    def redis(self) -> str:
        """The Redis URL in force. Raises: SettingsError when nothing says where Redis is."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        if self.redis_host is None:
            raise SettingsError(
                f"no Redis is configured and no embedded stack runs in {self.home}: "
                "run `trinitas up --detach`, or set REDIS_URL"
            )
        password = f":{quote(self.redis_password.get_secret_value(), safe='')}@" if self.redis_password else ""
        return f"redis://{password}{self.redis_host}:{self.redis_port}/{self.redis_db}"

    def archive(self) -> str:
        """The SQLAlchemy URL of the archive in force. Raises: SettingsError for a path that no URL can name."""
        if self.archive_url is not None:
            return self.archive_url.get_secret_value()
        path = (self.sqlite_path or self.home / "archive.db").absolute()
        if "?" in str(path):  # a URL would end there
            raise SettingsError(f"SQLITE_PATH: {path}: the archive's path may not hold a question mark")
        return f"sqlite:///{path}"

    def archive_file(self) -> Path | None:
        """The archive's file where it is one on this machine: SQLite."""
        url = self.archive()
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    @property
    def archive_named(self) -> bool:
        """Whether somebody said where the archive is."""
        return bool({"sqlite_path", "archive_url"} & self.model_fields_set)

    def spool_file(self) -> Path:
        """Where writes are kept while Redis is away."""
        return (self.spool_path or self.home / "spool.db").absolute()

    def ledger_file(self) -> Path:
        """Where the tokens and the audit of this machine are kept."""
        return (self.ledger_path or self.home / "ledger.db").absolute()

    def backup_folder(self) -> Path:
        """Where backups are kept."""
        return (self.backup_path or self.home / "backups").absolute()

    def deployment(self) -> str:
        """The name of the Redis and namespace that the spool is replayed to and the archive belongs to.

        The embedded stack of a home keeps its name when its port changes. Raises: SettingsError.
        """
        url = self.redis()
        embedded = _stack_of(self.home).get("redis_url") == url
        where = "embedded" if embedded else re.sub(r"(?<=://).*@", "", url)
        return f"{self.namespace}@{where}"

    def chroma_folder(self) -> Path:
        """Where the embedded stack's Chroma keeps its files."""
        return (self.chromadb_path or self.home / "chroma").absolute()

    def fulltext_folder(self) -> Path:
        """Where the search workers of this machine keep their full-text indexes."""
        return (self.fulltext_path or self.home / "fulltext").absolute()

    def boosts_of(self, persona: str) -> Boosts:
        """What raises the memories that a persona's recalls find, where they do not say."""
        return self.boosts.get(persona) or self.boosts.get("*") or Boosts()

    def rules_of(self, persona: str, defined: Rules | None = None) -> Rules:
        """By which rules a persona's memories live: those that are set for it, else those ``defined`` with it, else
        those of all others, else the usual ones."""
        layers = (self.life.get("*"), defined, self.life.get(persona))
        given = {name: value for each in layers if each is not None for name, value in _given(each)}
        return Rules().model_copy(update={"archive_days": float(self.sqlite_archive_days), **given})

    def seconds_between(self, task: LifeTask) -> float:
        """How long after the last run of a task the next one begins; 0: never."""
        return self.schedule.get(task, SECONDS[task])

    @property
    def model_name(self) -> str:
        """The name under which the vectors of the embedding model are kept."""
        return Path(self.chromadb_model).name

    def hot_seconds(self, kind: MemoryType, tier: Tier | None = None) -> int:
        """How long an archived memory of this type stays hot whose primary tier this is (None: that of its type)."""
        if (tier or self.routing[kind]) == "chromadb":
            return self.redis_ttl_cache
        return self.redis_ttl_working if kind is MemoryType.WORKING else self.redis_ttl_episodic


def _given(rules: Rules) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(rules, name)) for name in rules.model_fields_set)


def _names() -> Iterator[tuple[str, str, str, FieldInfo]]:
    """field, environment name, YAML path, info: of every setting."""
    for name, info in Settings.model_fields.items():
        extra = info.json_schema_extra
        assert isinstance(extra, dict)
        yield name, str(info.validation_alias), str(extra["yaml"]), info


def load_settings(
    *, folder: Path | None = None, overrides: Mapping[str, Any] | None = None, stack: bool = True
) -> Settings:
    """The settings in force for a process started in ``folder``.

    ``overrides`` (field names, as from a command line) beat everything. ``stack=False`` does not ask a running
    embedded stack where its servers are. Raises: SettingsError.
    """
    return load_with_origins(folder=folder, overrides=overrides, stack=stack)[0]


def load_with_origins(
    *, folder: Path | None = None, overrides: Mapping[str, Any] | None = None, stack: bool = True
) -> tuple[Settings, dict[str, str]]:
    """The settings and, by field name, where each value came from. Raises: SettingsError."""
    folder = folder or Path.cwd()
    yaml_file, env_file = folder / YAML_FILE, folder / ENV_FILE
    _no_unknown(_env_file(env_file), str(env_file))
    _no_unknown(os.environ, "environment")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {name: "default" for name, *_ in _names()}
    sources: tuple[tuple[str, Callable[[], Mapping[str, Any]]], ...] = (
        (str(yaml_file), lambda: _from_yaml(yaml_file)),
        (str(env_file), DotEnvSettingsSource(Settings, env_file=env_file, env_ignore_empty=True)),
        ("environment", EnvSettingsSource(Settings, env_ignore_empty=True)),
        ("argument", lambda: dict(overrides or {})),
    )
    for origin, read in sources:
        try:
            source = _by_field(read())
        except SourceError as error:
            raise SettingsError(f"bad settings in {origin}: {error}") from None
        values |= source
        origins |= dict.fromkeys(source, origin)
    settings = _build(values, origins)
    if settings.redis_configured or not stack:
        return settings, origins
    told = {name: value for name, value in _stack_of(settings.home).items() if name not in values}
    origins |= dict.fromkeys(told, f"embedded stack in {settings.home}")
    return _build(values | told, origins), origins


def _by_field(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keyed by field name what the sources of pydantic-settings key by environment name."""
    fields = {env: name for name, env, *_ in _names()}
    return {fields.get(key, key): value for key, value in values.items() if fields.get(key, key) in fields.values()}


def _build(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    env_names = {name: env for name, env, *_ in _names()}
    try:
        return Settings(**{env_names.get(name, name): value for name, value in values.items()})
    except ValidationError as error:
        fields = {env: name for name, env in env_names.items()}
        lines = []
        for each in error.errors(include_url=False, include_context=False):
            env = str(each["loc"][0]) if each["loc"] else "TRINITAS_ROUTING"
            secret = not each["loc"] or "PASSWORD" in env or env.endswith("_URL")
            got = "" if secret else f" (got {each['input']!r:.60})"
            origin = origins.get(fields.get(env, env), "argument")
            lines.append(f"{env} from {origin}: {each['msg'].removeprefix('Value error, ')}{got}")
        raise SettingsError("bad settings: " + "; ".join(lines)) from None


def _no_unknown(names: Mapping[str, object], origin: str) -> None:
    known = {env: name for name, env, *_ in _names()}
    for given in names:
        if given not in known and given not in OF_V35 and given.startswith(GUARDED):
            raise SettingsError(f"unknown setting {given} in {origin}{_nearest(given, known)}")


def _env_file(path: Path) -> Mapping[str, object]:
    try:
        return dotenv_values(path) if path.is_file() else {}
    except UnicodeDecodeError:
        raise SettingsError(f"{path} holds characters that are not text (UTF-8)") from None


def _from_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.MarkedYAMLError as error:  # its text would quote the line, and with it a password
        line = f": see line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{path} is not YAML{line}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError(f"{path} is not YAML: it holds characters that are not text (UTF-8)") from None
    known = {place: name for name, _, place, _ in _names()}
    return {known[place]: value for place, value in _leaves(document, known, path) if value is not None}


def _leaves(node: Any, known: Mapping[str, str], path: Path, place: str = "") -> Iterator[tuple[str, Any]]:
    if place in known:
        yield place, node
    elif isinstance(node, dict) and (not place or any(each.startswith(f"{place}.") for each in known)):
        for key, value in node.items():
            yield from _leaves(value, known, path, f"{place}.{key}" if place else str(key))
    elif node is not None or not any(each.startswith(f"{place}.") for each in known):
        raise SettingsError(f"unknown setting {place or 'at the top'} in {path}{_nearest(place, known)}")


def _nearest(name: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {close[0]}?" if close else ": `trinitas config` lists them all"


def _stack_of(home: Path) -> dict[str, Any]:
    """What the embedded stack that runs in ``home`` says of itself."""
    try:
        told = json.loads((home / STACK_FILE).read_text(encoding="utf-8"))
        return {name: told[name] for name in ("redis_url", "chromadb_host", "chromadb_port")}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{home / STACK_FILE} cannot be read: {error}; run `trinitas down`") from None


def environment_name(field: str) -> str:
    """The environment variable of a setting."""
    return next(env for name, env, *_ in _names() if name == field)


def shown(settings: Settings, field: str) -> str:
    """A setting's value for people, secrets hidden."""
    value = getattr(settings, field)
    if isinstance(value, SecretStr):
        return hide_password(value.get_secret_value()) if field.endswith("_url") else "***"
    return as_json(value) if isinstance(value, dict) else "" if value is None else str(value)


def as_json(value: Any) -> str:
    """A setting that is a mapping, as its environment variable says it: no more than was given."""
    return TypeAdapter(Any).dump_json(value, exclude_unset=True).decode()


def hide_password(url: str) -> str:
    """A URL that may be shown: its password replaced by ``***``, even where it is not a well-formed URL."""
    # a password that should have been quoted may hold / # ? or @: everything up to the last @ goes
    safe = re.sub(r"(?<=://)([^:@/]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*password=)[^&]*", r"\1***", safe)
