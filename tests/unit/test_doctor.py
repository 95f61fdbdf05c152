"""What a doctor says of each fact; a check is of one rule, so every case names the rule, the facts and the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from trinitas_tasks.services.doctor import CHECKS, examine
from trinitas_tasks.services.doctor.facts import Address, Facts, WorkerFacts
from trinitas_tasks.services.doctor.verdict import Level
from trinitas_tasks.tasks.facts import OF_WORKERS, address, outer_address, packages

OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM

REDIS: dict[str, str | int] = {
    "redis_version": "7.2.4",
    "valkey_version": "9.1.0",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "appendfsync": "always",
    "maxmemory_policy": "volatile-lru",
    "used_memory": 50 << 20,
    "maxmemory": 100 << 20,
    "role": "master",
}
ARCHIVE = {"where": "/x/archive.db", "full": False, "sqlite_version": "3.51.3", "free_mb": 5000.0}
LOCAL = Address(where="127.0.0.1:6379", local=True)


def told(**changes: Any) -> WorkerFacts:
    """Healthy workers, but for the changes."""
    healthy: dict[str, Any] = {
        "archive": ARCHIVE,
        "dead_letters": 0,
        "compared_seconds": 200.0,
        "fulltext_memories": 7,
        "model": "all-MiniLM-L6-v2",
        "model_checked": True,
        "chroma": Address(where="127.0.0.1:8000", local=True),
        "chroma_server": "1.0.0",
        "chroma_client": "1.5.9",
        "packages": {"chromadb": ("1.5.9", "==1.5.9"), "torch": ("2.13.0+cpu", "<3,>=2.13")},
    }
    return WorkerFacts.model_validate(healthy | changes)


def facts(**changes: Any) -> Facts:
    """A healthy whole, but for the changes."""
    healthy: dict[str, Any] = {
        "address": LOCAL,
        "redis": REDIS,
        "outbox": 3,
        "lag_seconds": 0.4,
        "skew_seconds": 0.0,
        "queues": {each: [f"{each}@here"] for each in ("search", "ingest", "lifecycle")},
        "spool_waiting": 0,
        "ledger_tokens": 2,
        "free_mb": {"home": 5000.0, "spool": 5000.0},
        "packages": {"celery": ("5.7.0", "==5.7.0"), "redis": ("8.0.1", "<9,>=7.1")},
        "worker": told(),
    }
    return Facts(**(healthy | changes))


def redis(**changes: str | int | None) -> Facts:
    return facts(redis={name: value for name, value in (REDIS | changes).items() if value is not None})


def two(queue: str) -> dict[str, list[str]]:
    return {"search": ["s@a"], "ingest": ["i@a"], "lifecycle": ["l@a"]} | {queue: [f"{queue}@a", f"{queue}@b"]}


CASES: list[tuple[str, Facts, Level, str]] = [
    ("redis", facts(redis_error="Redis at x: refused"), PROBLEM, "refused"),
    ("redis", facts(), OK, "Valkey 9.1.0"),
    ("redis", redis(valkey_version=None), OK, "Redis 7.2.4"),
    ("redis version", redis(redis_version="6.2.14"), PROBLEM, "6.2.14"),
    ("redis version", redis(redis_version="10.0.1"), OK, "10.0.1"),
    ("append-only file", redis(aof_enabled=0), PROBLEM, "lost when Redis restarts"),
    ("append-only file", redis(aof_last_write_status="err"), PROBLEM, "cannot write"),
    ("append-only file", redis(appendfsync="everysec"), WARNING, "up to a second of acknowledged writes"),
    ("append-only file", redis(appendfsync="no"), PROBLEM, "power cut"),
    ("append-only file", redis(appendfsync=None), WARNING, "does not tell"),
    ("append-only file", facts(), OK, "always"),
    ("eviction", redis(maxmemory_policy="allkeys-lru"), PROBLEM, "the only copies and Celery's queues"),
    ("eviction", redis(maxmemory_policy="allkeys-random"), PROBLEM, "the only copies"),
    ("eviction", redis(maxmemory_policy="volatile-ttl"), WARNING, "locks"),
    ("eviction", redis(maxmemory_policy="volatile-random"), WARNING, "volatile-random"),
    ("eviction", redis(maxmemory_policy="noeviction"), OK, "noeviction"),
    ("role", redis(role="slave"), PROBLEM, "replica"),
    ("memory of redis", redis(used_memory=91 << 20), WARNING, "91 of 100 MB"),
    ("memory of redis", redis(used_memory=89 << 20), OK, "89 of 100 MB"),
    ("memory of redis", redis(maxmemory=0), OK, "no limit"),
    ("password", facts(address=Address(where="10.0.0.5:6379", local=False)), PROBLEM, "10.0.0.5:6379"),
    ("password", facts(address=Address(where="10.0.0.5:6379", local=False, password=True)), OK, "asked for"),
    ("password", facts(address=LOCAL.model_copy(update={"elsewhere": "10.0.0.5:6379"})), PROBLEM, "10.0.0.5:6379"),
    ("password", facts(), OK, "this machine alone"),
    ("clock", facts(skew_seconds=0.9), OK, "as that of Redis"),
    ("clock", facts(skew_seconds=1.5), WARNING, "1.5 s ahead of Redis"),
    ("clock", facts(skew_seconds=-31.0), PROBLEM, "31.0 s behind Redis"),
    ("search worker", facts(queues={}, worker=None), PROBLEM, "by words"),
    ("search worker", facts(queues={}), OK, "answers"),
    ("search worker", facts(worker=None, worker_error="no worker answered facts"), PROBLEM, "answered facts"),
    ("ingest worker", facts(queues={"search": ["s@a"]}), PROBLEM, "only copies"),
    ("ingest worker", facts(notes={"ingest": "the archive is locked"}), PROBLEM, "locked"),
    ("lifecycle worker", facts(queues={"search": ["s@a"]}), PROBLEM, "not made up for"),
    ("lifecycle worker", facts(), OK, "lifecycle@here"),
    ("outbox", facts(lag_seconds=61.0), WARNING, "61 s"),
    ("outbox", facts(lag_seconds=59.0), OK, "59 s"),
    ("archive", facts(worker=told(archive=None, archive_error="it is damaged")), PROBLEM, "damaged"),
    ("archive", facts(worker=told(archive={**ARCHIVE, "full": True})), PROBLEM, "no room"),
    ("writers", facts(queues=two("ingest")), WARNING, "two writers on one SQLite"),
    ("writers", facts(queues=two("ingest"), worker=told(archive={"where": "postgresql://x"})), OK, "2 processes"),
    ("writers", facts(queues=two("search")), OK, "one process"),
    ("dead letters", facts(worker=told(dead_letters=2)), WARNING, "2 memories"),
    ("reconcile", facts(worker=told(differences={"in Redis only": 3})), WARNING, "3 × in Redis only"),
    ("reconcile", facts(worker=told(compared_seconds=3600.0)), WARNING, "60 minutes ago"),
    ("reconcile", facts(worker=told(compared_seconds=None)), OK, "not run yet"),
    ("full text", facts(worker=told(fulltext_behind=5000)), WARNING, "5,000 changes behind"),
    ("full text", facts(worker=told(fulltext_error="torn")), PROBLEM, "torn"),
    ("full text", facts(worker=told(fulltext_memories=70)), OK, "70 memories"),
    ("chroma", facts(worker=told(chroma=None, chroma_error="refused")), PROBLEM, "refused"),
    ("chroma", facts(worker=told(chroma_server="2.0.0")), WARNING, "2.0.0"),
    ("chroma", facts(worker=told(chroma_server="0.6.3")), WARNING, "0.6.3"),
    (
        "chroma's address",
        facts(worker=told(chroma=Address(where="8.8.8.8:1", local=False, public=True))),
        PROBLEM,
        "8.8",
    ),
    ("chroma's address", facts(worker=told(chroma=Address(where="10.0.0.5:8000", local=False))), WARNING, "10.0.0.5"),
    (
        "chroma's address",
        facts(worker=told(chroma=Address(where="127.0.0.1:8000", local=True, elsewhere="10.0.0.5:8000"))),
        PROBLEM,
        "10.0.0.5",
    ),
    ("model", facts(worker=told(model=None, model_error="it was altered")), PROBLEM, "altered"),
    ("model", facts(worker=told(model_checked=False)), WARNING, "nothing tells"),
    ("spool", facts(spool_waiting=7), WARNING, "7 writes wait"),
    ("spool", facts(spool_waiting=0, spool_unreadable=1), PROBLEM, "1 entries cannot be read"),
    ("spool", facts(spool_error="the spool failed to read"), PROBLEM, "failed to read"),
    ("ledger", facts(ledger_error="the ledger failed to read"), PROBLEM, "failed to read"),
    ("ledger", facts(ledger_mode=0o620), PROBLEM, "mode 620"),
    ("ledger", facts(ledger_mode=0o604), WARNING, "mode 604"),
    ("disk", facts(free_mb={"home": 5000.0, "spool": 1000.0}), WARNING, "1.0 GB free for the spool"),
    ("disk", facts(free_mb={"home": 99.0}), PROBLEM, "0.1 GB free for the home"),
    ("disk", facts(worker=told(archive={**ARCHIVE, "free_mb": 50})), PROBLEM, "archive"),
    ("packages here", facts(packages={"celery": ("5.6.0", "==5.7.0")}), WARNING, "celery 5.6.0 (tested: ==5.7.0)"),
    ("packages here", facts(packages={"celery": ("5.8.0rc1", "==5.7.0")}), WARNING, "5.8.0rc1"),
    ("packages here", facts(packages={"celery": ("unknown", "==5.7.0")}), WARNING, "unknown"),
    ("packages of the workers", facts(worker=told(packages={"torch": ("3.0", "<3,>=2.13")})), WARNING, "torch 3.0"),
    ("packages of the workers", facts(), OK, "torch 2.13.0+cpu"),
]


@pytest.mark.parametrize(("name", "given", "level", "said"), CASES, ids=[f"{each[0]}: {each[3]}" for each in CASES])
def test_a_rule_says_what_is_wrong_and_what_to_do(name: str, given: Facts, level: Level, said: str) -> None:
    verdict = CHECKS[name](given)
    assert verdict is not None
    assert verdict.level is level
    assert said in verdict.found
    assert bool(verdict.advice) == (level is not OK)
    assert "\n" not in verdict.found + verdict.advice


@pytest.mark.parametrize(
    ("version", "mended"),
    [
        ("3.34.1", False), ("3.44.5", False), ("3.44.6", True), ("3.44.10", True), ("3.45.0", False), ("3.46.1", False),
        ("3.50.6", False), ("3.50.7", True), ("3.51.0", False), ("3.51.2", False), ("3.51.3", True), ("3.51.10", True),
        ("3.52.0", True), ("4.0.0", True),
    ],
)  # fmt: skip
def test_the_wal_reset_bug_is_known_by_the_version_of_sqlite(version: str, mended: bool) -> None:
    verdict = CHECKS["sqlite"](facts(worker=told(archive={**ARCHIVE, "sqlite_version": version})))
    assert verdict is not None
    assert (verdict.level is OK) == mended


def test_another_database_has_no_sqlite_to_judge() -> None:
    verdict = CHECKS["sqlite"](facts(worker=told(archive={"where": "postgresql://x", "full": False})))
    assert verdict is not None
    assert verdict.level is OK


def test_every_rule_is_fine_with_a_healthy_whole() -> None:
    findings = examine(facts())
    assert {each.name: each.level for each in findings} == dict.fromkeys(CHECKS, OK)


def test_what_cannot_be_checked_is_named() -> None:
    """With everything down each check is either judged or named; none fails."""
    findings = examine(Facts(redis_error="it is away"))
    unknown = next(each for each in findings if each.name == "not checked")
    assert unknown.level is WARNING
    assert {each.name for each in findings if each is not unknown} | set(unknown.found.split(", ")) == set(CHECKS)


def test_what_another_version_tells_is_understood_as_far_as_it_goes() -> None:
    newer = told().model_dump(mode="json") | {"something_new": 1}
    del newer["dead_letters"]
    assert WorkerFacts.model_validate(newer) == told(dead_letters=None)


@pytest.mark.parametrize(
    ("host", "local", "public"),
    [("127.0.0.1", True, False), ("::1", True, False), ("localhost", True, False), ("10.0.0.5", False, False),
     ("8.8.8.8", False, True)],
)  # fmt: skip
def test_an_address_is_known_by_who_can_reach_it(host: str, local: bool, public: bool) -> None:
    found = address(host, 6379, answers=lambda _: False)
    assert (found.local, found.public, found.elsewhere) == (local, public, None)


def test_a_local_server_that_answers_elsewhere_too_is_found() -> None:
    outer = outer_address()
    found = address("127.0.0.1", 6379, answers=lambda other: other == outer)
    assert found.elsewhere == (None if outer is None else f"{outer}:6379")


def test_the_installed_libraries_are_those_that_the_package_asks_for() -> None:
    found = packages([*OF_WORKERS, "not-installed"])
    assert set(found) == set(OF_WORKERS)
    assert found["celery"][1] == "==5.7.0"
    verdict = CHECKS["packages here"](facts(packages=found))
    assert verdict is not None
    assert verdict.level is OK
