"""What else a store of version 3.5 may hold: a Chroma folder, a write-ahead log, files that are torn."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.legacy import EPISODES, Store, episode, made, text

OWN = 40
"""Memories that only Chroma has."""
WRITE = """
import json, sys, chromadb
folder, rows = sys.argv[1], json.load(sys.stdin)
client = chromadb.PersistentClient(path=folder, settings=chromadb.config.Settings(anonymized_telemetry=False))
for kind, some in rows.items():
    collection = client.create_collection(f"memory_{kind}", embedding_function=None)
    ids, documents, metadatas = zip(*some)
    vectors = [[0.6, 0.8]] * len(ids)
    collection.add(ids=list(ids), documents=list(documents), metadatas=list(metadatas), embeddings=vectors)
"""
"""Runs in a process of its own: Chroma keeps what it opened."""


def with_everything(base: Path, size: int, *, seed: int = 7) -> Store:
    """A store in all layouts, with all that may be wrong with one. Its ``good`` counts what Chroma has again, too."""
    store = made(base, size, seed=seed)
    chance = random.Random(seed)
    add_chroma(store, chance)
    add_log(store, chance)
    add_torn(store)
    return store


def add_chroma(store: Store, chance: random.Random) -> None:
    """What the hybrid backend kept beside its tables, and memories that only Chroma has; one belongs to nobody."""
    rows: dict[str, list[tuple[str, str, dict[str, Any]]]] = {"working": [], "episodic": [], "semantic": []}
    with sqlite3.connect(store.base / "episodic.db") as tables:
        known = tables.execute("SELECT id, persona, content, timestamp FROM episodes WHERE persona LIKE 'hybrid-%'")
        for id_, persona, content, at in known:
            rows["episodic"].append((id_, content, {"persona": persona, "importance": 0.5, "timestamp": at}))
            store.good += 1
    tables.close()
    for number in range(OWN):
        mine = episode(chance, number, "hybrid-chroma")
        kind = ("working", "semantic")[number % 2]
        document = (
            json.dumps({"fact": text(chance, number)}, ensure_ascii=False) if number % 3 else text(chance, number)
        )
        labels = {"persona": mine["persona"], "importance": 0.25, "timestamp": mine["timestamp"], "tags": "a,知識"}
        rows[kind].append((mine["id"], document, labels))
        store.there.add((mine["persona"], mine["id"]))
        store.good += 1
    rows["semantic"].append(("nobody", '"of nobody"', {"timestamp": "2025-06-01T00:00:00"}))
    store.bad += 1
    folder = store.base / "chromadb"
    subprocess.run([sys.executable, "-c", WRITE, folder], input=json.dumps(rows), text=True, check=True)


def add_log(store: Store, chance: random.Random) -> None:
    """A persona whose program ended with a write-ahead log beside its table."""
    (store.base / "logged").mkdir()
    path = store.base / "logged" / "episodes.db"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute(EPISODES)
    for number in range(8):
        row = episode(chance, number, "logged")
        writer.execute(f"INSERT INTO episodes VALUES ({', '.join('?' * len(row))})", list(row.values()))
        store.there.add(("logged", row["id"]))
        store.good += 1
    writer.commit()
    files = {each: each.read_bytes() for each in path.parent.iterdir() if not each.name.endswith("-shm")}
    writer.close()  # this would take the log in
    for file, data in files.items():
        file.write_bytes(data)


def add_torn(store: Store) -> None:
    """A database that is none."""
    (store.base / "torn").mkdir()
    (store.base / "torn" / "procedures.db").write_bytes(b"the power went" * 1000)
    store.bad += 1
