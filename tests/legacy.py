"""Stores of version 3.5, with all that may be wrong with them; deterministic.

The files are made as that version made them; what is written here comes from its format alone.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

PERSONAS: Final = ("athena", "artemis", "hestia", "bellona", "seshat", "visitor_7")
T0: Final = datetime(2025, 6, 1, 9, 30, 15, 250_000)
EPISODES: Final = (
    "CREATE TABLE episodes (id TEXT PRIMARY KEY, persona TEXT, content TEXT, timestamp TEXT, last_access TEXT, "
    "access_count INTEGER, importance REAL, metadata TEXT, tags TEXT)"
)
PROCEDURES: Final = (
    "CREATE TABLE procedures (id TEXT PRIMARY KEY, persona TEXT, pattern_name TEXT, pattern_type TEXT, steps TEXT, "
    "conditions TEXT, success_rate REAL, usage_count INTEGER, timestamp TEXT, metadata TEXT)"
)
WORDS: Final = (
    *("deploy", "rollback", "latency", "review", "token", "index", "cache", "incident", "budget", "schema"),
    *(
        "データベース",
        "障害対応",
        "設計方針",
        "夜間バッチ",
        "鍵の更新",
        "監視",
        "復旧手順",
        "京都支店",
        "負荷試験",
        "議事録",
    ),
)


@dataclass
class Store:
    """``good`` and ``bad`` count what a reader must find, ``renamed`` is among the good; ``there``: (persona, id)."""

    base: Path
    good: int = 0
    bad: int = 0
    renamed: int = 0
    there: set[tuple[str, str]] = field(default_factory=set, repr=False)


TIMES: Final = ("seconds", "per_second")


def timeless(report: Any) -> Any:
    """A report of a migration but for the times that it took."""
    if not isinstance(report, dict):
        return report
    return {name: timeless(value) for name, value in report.items() if name not in TIMES}


def text(chance: random.Random, number: int) -> str:
    """Some words of English and Japanese that no other number has."""
    return f"{number}: " + " ".join(chance.choices(WORDS, k=chance.randint(4, 20)))


def new_id(chance: random.Random) -> str:
    """As that version made them."""
    return f"{chance.getrandbits(64):016x}"


def episode(chance: random.Random, number: int, persona: str) -> dict[str, Any]:
    """A row as that version wrote it."""
    at = T0 + timedelta(minutes=7 * number)
    content: Any = text(chance, number)
    if number % 3:
        content = {"event": content, "severity": chance.choice(["low", "high", "重大"]), "numbers": [number, 0.1]}
    return {
        "id": new_id(chance),
        "persona": persona,
        "content": json.dumps(content, ensure_ascii=number % 2 == 0),
        "timestamp": at.isoformat(),
        "last_access": (at + timedelta(days=1)).isoformat(),
        "access_count": number % 9,
        "importance": round(chance.random(), 3),
        "metadata": json.dumps({"source": "会議", "n": number}),
        "tags": json.dumps(["障害", f"t{number % 5}"]),
    }


def procedure(chance: random.Random, number: int, persona: str) -> dict[str, Any]:
    """A row as that version wrote it."""
    return {
        "id": new_id(chance),
        "persona": persona,
        "pattern_name": text(chance, number),
        "pattern_type": "workflow",
        "steps": json.dumps([text(chance, number), "確認する"], ensure_ascii=False),
        "conditions": json.dumps({"when": "always"}),
        "success_rate": round(chance.random(), 3),
        "usage_count": number % 7,
        "timestamp": (T0 + timedelta(minutes=number)).isoformat(),
        "metadata": json.dumps({}),
    }


def knowledge(chance: random.Random, number: int, persona: str) -> dict[str, Any]:
    """An entry as that version wrote it."""
    return {
        "id": new_id(chance),
        "persona": persona,
        "content": {"fact": text(chance, number), "source": "手引き"},
        "timestamp": (T0 + timedelta(seconds=number)).isoformat(),
        "importance": round(chance.random(), 3),
        "metadata": {"n": number},
        "tags": ["fact", "知識"],
    }


def made(base: Path, size: int, *, seed: int = 7, defects: bool = True) -> Store:
    """A store of about ``size`` good memories: folders of personas, and the hybrid layout beside them."""
    chance = random.Random(seed)
    store = Store(base)
    share = max(size // (len(PERSONAS) + 1) // 3, 4)
    for persona in PERSONAS:
        of_a_persona(store, chance, persona, share, defects=defects)
    of_all(store, chance, share, defects=defects)
    return store


def of_a_persona(store: Store, chance: random.Random, persona: str, share: int, *, defects: bool) -> None:
    folder = store.base / persona
    (folder / "knowledge").mkdir(parents=True)
    episodes = [episode(chance, n, persona) for n in range(share)]
    procedures = [procedure(chance, n, persona) for n in range(share)]
    entries = [knowledge(chance, n, persona) for n in range(share)]
    procedures[0]["id"] = entries[0]["id"] = episodes[0]["id"]  # three memories of one id
    episodes[1]["id"] = "00000000000000aa"  # every persona has it
    _count(store, persona, episodes, procedures, entries)
    store.renamed += 2
    broken = list(_broken_episodes(chance, persona)) if defects else []
    _write(folder / "episodes.db", EPISODES, "episodes", [*episodes, *broken])
    broken_too = list(_broken_procedures(chance, persona)) if defects else []
    _write(folder / "procedures.db", PROCEDURES, "procedures", [*procedures, *broken_too])
    _write_knowledge(store, folder / "knowledge" / "knowledge.json", chance, entries, torn=defects)
    store.bad += len(broken) + len(broken_too)


def of_all(store: Store, chance: random.Random, share: int, *, defects: bool) -> None:
    personas = [f"hybrid-{persona}" for persona in ("athena", "hestia")]
    episodes = [episode(chance, n, chance.choice(personas)) for n in range(share)]
    procedures = [procedure(chance, n, chance.choice(personas)) for n in range(share)]
    entries = [knowledge(chance, n, chance.choice(personas)) for n in range(share)]
    for each in (*episodes, *procedures, *entries):
        store.good += 1
        store.there.add((each["persona"], each["id"]))
    nobodys = [dict(episode(chance, 0, ""), persona=who) for who in (None, "女神", "../etc", "")] if defects else []
    store.bad += len(nobodys)
    _write(store.base / "episodic.db", EPISODES, "episodes", [*episodes, *nobodys])
    _write(store.base / "procedural.db", PROCEDURES, "procedures", procedures)
    (store.base / "semantic").mkdir()
    _write_knowledge(store, store.base / "semantic" / "knowledge.json", chance, entries, torn=False)


def _count(store: Store, persona: str, *kinds: list[dict[str, Any]]) -> None:
    for rows, suffix in zip(kinds, ("", "-procedural", "-semantic"), strict=True):
        for each in rows:
            renamed = (persona, each["id"]) in store.there
            store.there.add((persona, each["id"] + suffix if renamed else each["id"]))
            store.good += 1


def _broken_episodes(chance: random.Random, persona: str) -> Iterator[dict[str, Any]]:
    good = episode(chance, 1, persona)
    wrong: list[dict[str, Any]] = [
        {"content": '{"event": "障害が'},
        {"content": None},
        {"content": '""'},
        {"content": '"NUL \\u0000"'},
        {"content": "NaN"},
        {"content": b"\xff\xfe\x00"},
        {"timestamp": None},
        {"timestamp": "yesterday"},
        {"timestamp": 1_700_000_000},
        {"last_access": "soon"},
        {"importance": "high"},
        {"access_count": -3},
        {"access_count": "many"},
        {"metadata": "{"},
        {"metadata": "[1]"},
        {"tags": '"one"'},
        {"tags": "[1, 2]"},
        {"id": None},
        {"id": "an id with spaces"},
    ]
    for each in wrong:
        yield {**good, "id": new_id(chance), **each}


def _broken_procedures(chance: random.Random, persona: str) -> Iterator[dict[str, Any]]:
    good = procedure(chance, 1, persona)
    for each in ({"steps": "[1"}, {"success_rate": "often"}, {"usage_count": 1.5}, {"timestamp": ""}):
        yield {**good, "id": new_id(chance), **each}
    yield {**good, "id": new_id(chance), **dict.fromkeys(("pattern_name", "pattern_type", "steps", "conditions"))}


def _write(path: Path, table: str, name: str, rows: list[dict[str, Any]]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(table)
        for row in rows:
            columns, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {name} ({columns}) VALUES ({marks})", list(row.values()))
    connection.close()


def _write_knowledge(
    store: Store, path: Path, chance: random.Random, entries: list[dict[str, Any]], *, torn: bool
) -> None:
    written = [f"{json.dumps(each['id'])}: {json.dumps(each, ensure_ascii=False, indent=1)}" for each in entries]
    if torn:  # one in the middle lost its end, another its type, and the last was being written as the power went
        half = knowledge(chance, 1, "x")
        written.insert(len(written) // 2, f'"{half["id"]}": {json.dumps(half)[:-20]}')
        written.insert(1, f'"{new_id(chance)}": ["not", "an", "object"]')
        store.bad += 3
        path.write_text("{\n" + ",\n".join(written) + ',\n"' + new_id(chance) + '": {"id": "', encoding="utf-8")
    else:
        path.write_text("{\n" + ",\n".join(written) + "\n}", encoding="utf-8")
