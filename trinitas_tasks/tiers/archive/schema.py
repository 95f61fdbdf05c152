"""The archive's tables as this version expects them; `migrations` brings a database here.

Wide columns come last: SQLite follows a row's overflow pages only as far as the last column read. Times are
microseconds since 1970 in UTC. The full-text table is not declared here: only SQLite has it (see `fulltext`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
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

LATER = "CASE WHEN last_access > timestamp THEN last_access ELSE timestamp END"
CHOSEN = ("persona", "type", "cold")
"""What every index by which lives are chosen begins with, and what then is looked up value by value: so an order holds
for one persona and for all, for one type and for all (see `choosing`)."""

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
    Column("cold", SmallInteger, nullable=False, server_default="0"),
    Column("pinned", SmallInteger, nullable=False, server_default="0"),
    Column("score", Float(53)),
    Column("scored_at", BigInteger),
    Column("stability_days", Float(53)),
    Column("fades_at", BigInteger),
    Column("useful", Integer, nullable=False, server_default="0"),
    Column("useless", Integer, nullable=False, server_default="0"),
    Column("representative", String(128)),
    Column("used_at", BigInteger, Computed(LATER)),
    Column("tie", String(128), Computed("id")),
    Column("tags", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("persona", "id", name="memories_persona_id"),
    Index("memories_persona_type", *CHOSEN, "seq"),
    Index("memories_used", *CHOSEN, "used_at", "seq"),
    Index("memories_fading", *CHOSEN, "fades_at", "seq"),
    Index("memories_scored", *CHOSEN, "scored_at", "seq"),
    Index("memories_score", *CHOSEN, "score", "seq"),
    Index("memories_times", *CHOSEN, "timestamp", "tie"),
    Index(
        "memories_represented",
        "persona",
        "representative",
        sqlite_where=text("representative IS NOT NULL"),
        postgresql_where=text("representative IS NOT NULL"),
    ),
    Index("memories_version", "version"),
    Index("memories_change", "change"),
    Index("memories_session", "persona", "session", "timestamp", "seq"),
    sqlite_autoincrement=True,
)
"""Memories, each with its life (see `lives`). ``used_at``: its timestamp, or its last access after it.
``tie``: its id. By another name, so that no question about ids is answered from the index of times, where SQLite
would go through all that a persona has rather than look some ids up."""

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
change. ``settled``: the number of the last settlement."""

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

followers = Table(
    "followers",
    metadata,
    Column("persona", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("next_persona", String(64), primary_key=True),
    Column("next_id", String(128), primary_key=True),
    Column("weight", Float(53), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("followers_next", "next_persona", "next_id"),
)
"""What is read after a memory; both ends are in `memories`."""

feedback = Table(
    "feedback",
    metadata,
    Column("seq", Sequential, primary_key=True, autoincrement=True),
    Column("persona", String(64), nullable=False),
    Column("id", String(128), nullable=False),
    Column("by", String(64), nullable=False),
    Column("useful", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("learned", SmallInteger, nullable=False),
    Index("feedback_of", "persona", "id"),
    Index("feedback_waiting", "seq", sqlite_where=text("learned = 0"), postgresql_where=text("learned = 0")),
    sqlite_autoincrement=True,
)

weights = Table(
    "weights",
    metadata,
    Column("persona", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", Float(53), nullable=False),
)

consolidations = Table(
    "consolidations",
    metadata,
    Column("seq", Sequential, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("persona", String(64), nullable=False),
    Column("id", String(128), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("undone_at", BigInteger),
    UniqueConstraint("persona", "id", "kind", "version", name="consolidations_once"),
    Index("consolidations_newest", "persona", "seq"),
    sqlite_autoincrement=True,
)
"""``before`` and ``after`` are JSON and may hold a memory's words: they go with it."""

audits = Table(
    "audits",
    metadata,
    Column("seq", Sequential, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("persona", String(64), nullable=False),
    Column("id", String(128), nullable=False),
    Column("why", Text, nullable=False),
    Index("audits_newest", "persona", "seq"),
    Index("audits_of", "persona", "id", "seq"),
    sqlite_autoincrement=True,
)
"""What must be told even when the memory is gone."""

migrated = Table(
    "migrated",
    metadata,
    Column("migration", String(64), primary_key=True),
    Column("persona", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("migrated_of", "persona", "id"),
)
"""Which memories came from which other store, and the SHA-256 of what came: it goes with the memory."""

personas = Table(
    "personas",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
"""What is defined of personas, as JSON, and since when."""

abandoned = Table(
    "abandoned",
    metadata,
    Column("persona", String(64), primary_key=True),
    Column("model", String(255), primary_key=True),
    Column("since", BigInteger, nullable=False),
)
"""Of which models personas may have vectors left that nobody asks for any more."""

marks = Table(
    "marks",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""How far tasks have come, by their own count."""
