"""The archive's tables as this version expects them; `migrations` brings a database here.

Wide columns come last: SQLite follows a row's overflow pages only as far as the last column read. Times are
microseconds since 1970 in UTC. The full-text table is not declared here: only SQLite has it (see `fulltext`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from trinitas_tasks.tiers.archive.revisions import HEAD as HEAD

metadata = MetaData()

Sequential = BigInteger().with_variant(Integer, "sqlite")

memories = Table(
    "memories",
    metadata,
    Column("seq", Sequential, primary_key=True, autoincrement=True),
    Column("persona", String(64), nullable=False),
    Column("id", String(128), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("type", String(16), nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("last_access", BigInteger, nullable=False),
    Column("access_count", BigInteger, nullable=False),
    Column("importance", Float(53), nullable=False),
    Column("ttl", BigInteger),
    Column("archived_at", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("session", String(256)),
    Column("tags", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("persona", "id", name="memories_persona_id"),
    Index("memories_persona_type", "persona", "type"),
    Index("memories_version", "version"),
    Index("memories_change", "change"),
    Index("memories_session", "persona", "session", "timestamp", "seq"),
    sqlite_autoincrement=True,
)

vectors = Table(
    "vectors",
    metadata,
    Column("memory", Sequential, ForeignKey("memories.seq", ondelete="CASCADE"), primary_key=True),
    Column("model", String(255), primary_key=True),
    Column("part", SmallInteger, primary_key=True),
    Column("indexed", SmallInteger, nullable=False),
    Column("dim", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index(
        "vectors_unindexed",
        "model",
        "memory",
        sqlite_where=text("indexed = 0"),
        postgresql_where=text("indexed = 0"),
    ),
)
"""One or more of a memory and model, always of the memory's version: one of each part of its text, from 0.
``data`` is float32, little-endian."""

tombstones = Table(
    "tombstones",
    metadata,
    Column("persona", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False),
    Index("tombstones_version", "version"),
    Index("tombstones_change", "change"),
)
"""Up to which version a memory was erased. A key is in here or in `memories`, never in both."""

counters = Table(
    "counters",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""``change``: the last number given to a change. Each transaction that writes memories or tombstones raises it first,
which locks the row, so that numbers become visible in their order. A memory and a tombstone bear that of their last
change."""

grants = Table(
    "grants",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("grantee", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("revoked", SmallInteger, nullable=False),
    Index("grants_grantee", "grantee", "owner", "id"),
)
"""Who else may read a memory. A revoked grant stays, so that an older state of it cannot come back."""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("persona", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("seq", Sequential, primary_key=True, autoincrement=True),
    Column("task", String(64), nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("examined", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("runs_newest", "task", "started", "seq"),
)
"""What the tasks did: the newest of each (see `rows.KEPT_RUNS`)."""
