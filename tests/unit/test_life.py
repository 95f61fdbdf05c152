"""What the scheduled tasks make of memories."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.lives import EPISODIC, LEASE_SECONDS, SEMANTIC, WORKING, life, lived, made, read, remembered, said
from tests.unit.workers import Workers
from tests.unit.world import Away, World
from trinitas_tasks.errors import InvalidQuery, NotFound, Unavailable
from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.tiers.hot.interface import Said

TASKS = [task for task in LifeTask if task not in (LifeTask.RECONCILE, LifeTask.SWEEP_OUTBOX)]


@pytest.fixture
def workers() -> Workers:
    return Workers(World())


def found(workers: Workers, text: str, **filters: Any) -> list[str]:
    return workers.world.found(text, filters=filters)


# Archiving by age.


def test_old_episodic_memories_leave_the_index_and_are_found_on_request(workers: Workers) -> None:
    world = workers.world
    remembered(
        workers,
        made(world, "a walk by the river", id="old", age_days=8),
        made(world, "a walk by the sea", id="new", age_days=6),
        made(world, "walks are healthy", id="fact", type=SEMANTIC, age_days=80),
    )
    assert workers.jobs.archive_old()["changed"] == 1
    assert set(found(workers, "walk")) == {"new", "fact"}
    assert set(found(workers, "walk", include_archived=True)) == {"old", "new", "fact"}
    assert sorted(world.vectors.listed("athena", 0, 10)) == ["fact", "new"]
    assert workers.compared() == set()
    assert workers.jobs.archive_old()["changed"] == 0


def test_reading_an_archived_memory_brings_it_back(workers: Workers) -> None:
    remembered(workers, made(workers.world, "a walk by the river", id="old", age_days=8))
    workers.jobs.archive_old()
    read(workers, "old")
    workers.jobs.flush_access()
    workers.jobs.ingest()
    assert found(workers, "walk") == ["old"]
    assert workers.world.vectors.listed("athena", 0, 10) == ["old"]
    assert workers.jobs.archive_old()["changed"] == 0


def test_pinned_memories_stay_and_unpinned_ones_live_by_the_rules_again(workers: Workers) -> None:
    remembered(workers, made(workers.world, "a walk by the river", id="old", age_days=8))
    said(workers, "old", Said.PIN)
    assert workers.jobs.archive_old()["changed"] == 0
    assert workers.jobs.why("athena", "old")["pinned"]
    said(workers, "old", Said.UNPIN)
    assert workers.jobs.archive_old()["changed"] == 1


def test_what_is_said_of_a_memory_on_its_way_to_the_archive_counts(workers: Workers) -> None:
    workers.world.remember(made(workers.world, "a walk by the river", id="old", age_days=8))
    said(workers, "old", Said.PIN)
    workers.jobs.flush_access()
    workers.jobs.ingest()
    workers.jobs.flush_access()
    assert life(workers, "old").pinned


def test_a_new_version_of_an_archived_memory_is_found_again(workers: Workers) -> None:
    remembered(workers, made(workers.world, "a walk by the river", id="old", age_days=8))
    workers.jobs.archive_old()
    remembered(workers, made(workers.world, "a walk by the lake", id="old", age_days=8))
    assert found(workers, "lake") == ["old"]
    assert workers.compared() == set()


def test_the_archive_goes_first_where_the_vector_tier_is_away(workers: Workers) -> None:
    remembered(workers, made(workers.world, "a walk by the river", id="old", age_days=8))
    vectors = workers.world.vectors
    workers.use("vectors", Away(vectors, "query_many", "delete"))
    assert workers.jobs.archive_old()["changed"] == 1
    workers.use("vectors", vectors)
    assert found(workers, "walk") == []
    workers.jobs.ingest()
    assert vectors.count("athena") == 0


def test_what_the_archive_lost_stays_in_redis_and_is_archived_again(workers: Workers) -> None:
    remembered(workers, made(workers.world, "a walk", id="kept"), made(workers.world, "a swim", id="lost"))
    workers.runtime.archive.erase([(Key("athena", "lost"), life(workers, "lost").record.version - 1)])
    held = workers.world.archive
    workers.use("archive", type(held)())  # restored from before
    workers.world.advance(workers.runtime.settings.redis_ttl_episodic - 100)
    assert workers.jobs.archive_expiring()["changed"] == 2
    workers.world.advance(1000)
    workers.jobs.ingest()
    assert {life(workers, each).record.item.content for each in ("kept", "lost")} == {"a walk", "a swim"}
    assert workers.jobs.archive_expiring()["changed"] == 0


def test_a_copy_newer_than_what_the_archive_has_stays_in_redis(workers: Workers) -> None:
    remembered(workers, made(workers.world, "a walk", id="n"))
    restored = workers.world.archive
    workers.use("archive", type(restored)())
    remembered(workers, made(workers.world, "a swim", id="n"))
    workers.use("archive", restored)  # it comes back from before the swim
    workers.world.advance(workers.runtime.settings.redis_ttl_episodic - 100)
    assert workers.jobs.archive_expiring()["changed"] == 1
    workers.world.advance(1000)
    workers.jobs.ingest()
    assert life(workers, "n").record.item.content == "a swim"


# Forgetting.


def test_hardly_remembered_memories_are_archived_and_never_deleted(workers: Workers) -> None:
    world = workers.world
    remembered(
        workers,
        made(world, "buy paper", id="faded", type=WORKING, age_days=10),
        made(world, "buy ink", id="fresh", type=WORKING),
        made(world, "paper burns", id="fact", type=SEMANTIC, age_days=10),
    )
    assert workers.jobs.prune()["archive"] == 1
    assert life(workers, "faded").cold
    assert not life(workers, "fresh").cold
    world.advance(86_400 * 4000)
    workers.jobs.prune()
    assert [life(workers, each).cold for each in ("faded", "fresh", "fact")] == [True] * 3
    assert [workers.world.archive.load("athena", [each])[0] is not None for each in ("faded", "fresh", "fact")]


def test_spaced_reading_keeps_a_memory_longer(workers: Workers) -> None:
    remembered(workers, *(made(workers.world, f"note {n}", id=f"n{n}", type=WORKING) for n in range(2)))
    for _ in range(4):
        workers.world.advance(86_400)
        read(workers, "n0")
        workers.jobs.flush_access()
    workers.world.advance(6 * 86_400)
    workers.jobs.prune()
    assert [life(workers, each).cold for each in ("n0", "n1")] == [False, True]


def test_of_too_many_memories_those_that_fade_first_are_archived() -> None:
    workers = Workers(World(), TRINITAS_LIFE={"athena": {"max_memories": 3}})
    remembered(
        workers, *(made(workers.world, f"note {n}", id=f"n{n}", type=SEMANTIC, importance=n / 10) for n in range(6))
    )
    workers.jobs.prune()
    workers.jobs.prune()
    assert [life(workers, f"n{n}").cold for n in range(6)] == [True] * 3 + [False] * 3


def test_what_is_forgotten_makes_room_before_anything_else_has_to_go() -> None:
    workers = Workers(World(), TRINITAS_LIFE={"athena": {"max_memories": 3}})
    world = workers.world
    remembered(
        workers,
        *(made(world, f"buy paper {n}", id=f"faded{n}", type=WORKING, age_days=30) for n in range(2)),
        *(made(world, f"note {n}", id=f"n{n}", type=SEMANTIC, importance=n / 10) for n in range(5)),
    )
    dry = workers.jobs.run("prune", True, "athena")
    real = workers.jobs.run("prune", False, "athena")
    assert dry["decisions"] == real["decisions"]
    assert [each["id"] for each in real["decisions"]] == ["faded0", "faded1", "n0", "n1"]
    assert workers.world.archive.active("athena") == 3


def test_only_a_retention_limit_deletes_and_says_so() -> None:
    workers = Workers(World(), TRINITAS_LIFE={"*": {"delete_after_days": {"working": 30}}})
    remembered(
        workers,
        made(workers.world, "buy paper", id="old", type=WORKING, age_days=31),
        made(workers.world, "buy ink", id="other", type=WORKING, age_days=20),
    )
    assert "delete" not in workers.jobs.prune()  # it was only archived now
    assert workers.jobs.prune()["delete"] == 1
    workers.world.settle()
    assert workers.world.archive.load("athena", ["old", "other"])[0] is None
    assert life(workers, "other").cold
    audit = workers.world.archive.audits(10)
    assert [(each.key.id, each.action, each.actor) for each in audit] == [("old", "delete", "prune")]


# Importance.


def test_importance_is_computed_and_explained(workers: Workers) -> None:
    remembered(workers, *(made(workers.world, f"The colour of thing {n} is blue", id=f"n{n}") for n in range(3)))
    read(workers, "n0", "n0", "n0", "n0")
    assert workers.jobs.score_importance()["score"] == 3
    scores = [life(workers, f"n{n}").score for n in range(3)]
    assert scores[0] > scores[1]  # type: ignore[operator]
    why = workers.jobs.why("athena", "n0")
    assert why["importance"]["stored"] == pytest.approx(why["importance"]["now"], abs=1e-3)
    assert {"prior", "uniqueness", "frequency"} <= why["importance"]["parts"].keys()
    assert workers.jobs.score_importance()["examined"] == 0  # not due before tomorrow


def test_feedback_makes_a_memory_more_important_and_teaches(workers: Workers) -> None:
    remembered(workers, *(made(workers.world, f"The colour of thing {n} is blue", id=f"n{n}") for n in range(2)))
    said(workers, "n0", Said.USEFUL)
    said(workers, "n1", Said.USELESS)
    workers.jobs.score_importance()
    useful, useless = life(workers, "n0"), life(workers, "n1")
    assert (useful.useful, useless.useless) == (1, 1)
    assert useful.score > useless.score  # type: ignore[operator]
    assert workers.world.archive.weights("athena")
    assert workers.world.archive.feedback(10) == []


def test_without_the_vector_tier_scoring_says_so_and_is_done_later(workers: Workers) -> None:
    remembered(workers, made(workers.world, "The colour is blue", id="n"))
    vectors = workers.world.vectors
    workers.use("vectors", Away(vectors, "query_many", "delete"))
    assert workers.jobs.score_importance()["errors"] == 1
    workers.use("vectors", vectors)
    workers.world.advance(LEASE_SECONDS)
    assert workers.jobs.score_importance()["score"] == 1


# Consolidation.


def test_working_memories_worth_keeping_last(workers: Workers) -> None:
    world = workers.world
    remembered(
        workers,
        made(world, "The staging database is on port 5433.", id="fact", type=WORKING, importance=0.9),
        made(world, "1. Stop the server. 2. Run `make`. 3. Start it.", id="steps", type=WORKING, importance=0.9),
        made(world, "hm, let me see", id="aside", type=WORKING, importance=0.1),
    )
    assert workers.jobs.consolidate()["keep"] == 2
    workers.jobs.ingest()
    kinds = [life(workers, each).record.item.type for each in ("fact", "steps", "aside")]
    assert kinds == [SEMANTIC, MemoryType.PROCEDURAL, WORKING]
    assert "keep" not in workers.jobs.consolidate()


@pytest.mark.parametrize("archived", [True, False])
def test_what_is_undone_stays_undone(workers: Workers, *, archived: bool) -> None:
    remembered(workers, made(workers.world, "The database is on port 5433.", id="n", type=WORKING, importance=0.9))
    workers.jobs.consolidate()
    if archived:
        workers.jobs.ingest()
    (done,) = workers.jobs.consolidations("athena", 10)
    assert workers.jobs.undo(done["number"])["undone_at"]
    workers.jobs.ingest()
    assert life(workers, "n").record.item.type is WORKING
    assert "keep" not in workers.jobs.consolidate()
    with pytest.raises(InvalidQuery, match="was undone"):
        workers.jobs.undo(done["number"])
    with pytest.raises(InvalidQuery, match="no consolidation"):
        workers.jobs.undo(12345)


def test_near_duplicates_are_linked_and_none_is_changed(workers: Workers) -> None:
    text = "The harbour opens at nine o'clock every morning"
    items = [made(workers.world, text, id=f"n{n}", type=SEMANTIC, age_days=3 - n) for n in range(3)]
    remembered(workers, *items, made(workers.world, "Something else entirely", id="other", type=SEMANTIC))
    assert workers.jobs.consolidate()["link"] == 2
    assert [life(workers, f"n{n}").representative for n in range(3)] == [None, "n0", "n0"]
    assert [workers.world.archived(item) for item in items] == items
    for each in workers.jobs.consolidations(None, 10):
        workers.jobs.undo(each["number"])
    assert [life(workers, f"n{n}").representative for n in range(3)] == [None] * 3
    assert workers.jobs.consolidate().get("link") is None


# Warming.


def test_what_is_read_next_is_there_before_it_is_read(workers: Workers) -> None:
    remembered(workers, *(made(workers.world, f"page {n}", id=f"n{n}", type=SEMANTIC) for n in range(30)))
    for _ in range(3):
        read(workers, "n0", "n1", "n2")
        workers.jobs.flush_access()
        workers.world.advance(3600)
    assert workers.runtime.hot.read("athena", ["n1"], touch=False) == [None]
    read(workers, "n0")  # loads what follows
    assert workers.runtime.hot.read("athena", ["n1"], touch=False) != [None]
    workers.world.advance(3600)
    assert workers.jobs.warm_cache()["changed"] > 0
    assert workers.runtime.hot.read("athena", ["n1", "n2"], touch=False).count(None) == 0


# Anomalies.


def test_a_report_tells_what_looks_wrong_and_changes_nothing(workers: Workers) -> None:
    for _ in range(10):
        remembered(workers, *(made(workers.world, f"note {workers.world.passed} {n}") for n in range(5)))
        workers.jobs.detect_anomalies()
        workers.world.advance(3600)
    before = workers.world.archive.position()
    remembered(workers, *(made(workers.world, "the same again and again", id=f"s{n}") for n in range(200)))
    remembered(workers, *(made(workers.world, "!!! ??? !!!", id=f"j{n}") for n in range(100)))
    position = workers.world.archive.position()
    report = workers.jobs.run("detect_anomalies", False, None)
    kinds = {(each["kind"], each["persona"]) for each in report["findings"]}
    assert {("burst of writes", "athena"), ("junk", "athena"), ("runaway duplicates", "athena")} <= kinds
    assert all(each["action"] and each["evidence"] and each["severity"] for each in report["findings"])
    assert workers.world.archive.position() == position != before
    assert workers.jobs.runs("detect_anomalies", 1)[0]["detail"]["findings"] == report["findings"]


def test_a_report_is_of_all_that_came_and_not_of_its_last_batch(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trinitas_tasks.tasks.lifecycle.BATCH", 10)
    remembered(workers, *(made(workers.world, "the same again and again", id=f"s{n}") for n in range(24)))
    report = workers.jobs.run("detect_anomalies", False, None)
    assert (report["examined"], report["arrived"]) == (24, {"athena": 24})
    assert [each["kind"] for each in report["findings"]] == ["runaway duplicates"]
    assert workers.jobs.run("detect_anomalies", False, None)["examined"] == 0


# How they run.


@pytest.mark.parametrize("task", TASKS)
def test_a_dry_run_says_what_a_real_one_does(task: LifeTask) -> None:
    workers = lived()
    if task is not LifeTask.FLUSH_ACCESS:
        workers.jobs.flush_access()
    before = workers.world.archive.position()
    dry = workers.jobs.run(task, True, None)
    assert workers.world.archive.position() == before
    real = workers.jobs.run(task, False, None)
    assert dry["decisions"] == real["decisions"]
    assert (dry["dry_run"], real["dry_run"]) == (True, False)
    if task is LifeTask.PRUNE:
        assert {each["action"] for each in dry["decisions"]} == {"archive", "delete"}
    if task in (LifeTask.ARCHIVE_OLD, LifeTask.CONSOLIDATE, LifeTask.SCORE_IMPORTANCE, LifeTask.WARM_CACHE):
        assert dry["decisions"]


@pytest.mark.parametrize("task", TASKS)
def test_a_run_leaves_a_row_and_a_second_one_finds_nothing(task: LifeTask) -> None:
    workers = lived()
    first = workers.jobs.run(task, False, None)
    again = workers.jobs.run(task, False, None)
    rows = workers.jobs.runs(task, 10)
    assert len(rows) >= 2
    assert rows[0]["errors"] == 0
    assert rows[-1]["examined"] == first["examined"] or task is LifeTask.PRUNE
    if task is not LifeTask.WARM_CACHE:
        assert again["changed"] == 0


def test_of_one_task_only_one_runs_at_a_time(workers: Workers) -> None:
    token = workers.runtime.hot.lease("prune", 60)
    assert token
    assert "skipped" in workers.jobs.prune()
    workers.runtime.hot.release("prune", token)
    assert "skipped" not in workers.jobs.prune()


def test_what_is_left_asks_for_another_run(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trinitas_tasks.tasks.lifecycle.BATCH", 2)
    monkeypatch.setattr("trinitas_tasks.tasks.lifecycle.BUDGET_SECONDS", -1)
    items = [made(workers.world, f"a walk {n}", id=f"n{n}", age_days=9) for n in range(5)]
    remembered(workers, *items)
    workers.nudged.clear()
    done: list[int] = []
    while not done or workers.nudged:
        workers.nudged.clear()
        done.append(workers.jobs.archive_old()["changed"])
    assert done == [2, 2, 1]


def test_only_one_persona_where_one_is_named() -> None:
    workers = lived()
    told = workers.jobs.run("archive_old", False, "hera")
    assert {each["persona"] for each in told["decisions"]} == {"hera"}
    assert not life(workers, "old2").cold


def test_a_failed_run_leaves_a_row_as_well(workers: Workers) -> None:
    remembered(workers, made(workers.world, "a walk", id="n", age_days=9))

    class Failing:
        def __getattr__(self, name: str) -> Any:
            if name == "turn":
                raise Unavailable("disk full")
            return getattr(archive, name)

    archive = workers.world.archive
    workers.use("archive", Failing())
    with pytest.raises(Unavailable):
        workers.jobs.archive_old()
    assert archive.runs("archive_old", 1)[0].errors == 1
    workers.use("archive", archive)
    assert workers.jobs.archive_old()["changed"] == 1  # the lease was given back


def test_what_is_said_of_memories_before_they_are_archived_holds_nothing_up(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trinitas_tasks.tasks.lifecycle.BATCH", 1)
    workers.world.remember(made(workers.world, "a walk", id="early"))
    for _ in range(2):
        said(workers, "early", Said.USEFUL)
    workers.jobs.flush_access()  # returns, though what it met still waits
    workers.jobs.ingest()
    workers.jobs.flush_access()
    assert life(workers, "early").useful == 2


def test_the_rows_of_what_another_command_runs_are_shown(workers: Workers) -> None:
    workers.jobs.reconcile()
    assert [each["task"] for each in workers.jobs.runs("reconcile", 10)] == ["reconcile"]
    with pytest.raises(InvalidQuery, match="verify --repair"):
        workers.jobs.run("reconcile", True, None)


def test_unknown_tasks_and_memories_are_told(workers: Workers) -> None:
    with pytest.raises(InvalidQuery, match="prune"):
        workers.jobs.run("purne", False, None)
    with pytest.raises(NotFound):
        workers.jobs.why("athena", "nothing")


def test_schedules_and_rules_are_settings() -> None:
    workers = Workers(World(), TRINITAS_SCHEDULE={"prune": 0, "archive_old": 60}, SQLITE_ARCHIVE_DAYS=2)
    settings = workers.runtime.settings
    assert [settings.seconds_between(task) for task in (LifeTask.PRUNE, LifeTask.ARCHIVE_OLD)] == [0, 60]
    remembered(workers, made(workers.world, "a walk", id="n", age_days=3, type=EPISODIC))
    assert workers.jobs.archive_old()["changed"] == 1


def test_analytics_count_and_recommend(workers: Workers) -> None:
    text = "The harbour opens at nine o'clock every morning"
    remembered(workers, *(made(workers.world, text, id=f"n{n}", type=SEMANTIC) for n in range(120)))
    workers.jobs.consolidate()
    read(workers, "n0")
    told = workers.jobs.analytics(None)
    its = told["personas"]["athena"]
    assert (its["memories"], its["by_type"], its["duplicates"]) == (120, {"semantic": 120}, 119)
    assert its["reads"]["read"] == 1
    assert told["hit_rate"] == 1.0
    advice = [(each["setting"], each["persona"]) for each in told["recommendations"]]
    assert ("TRINITAS_DEDUP_SECONDS", "athena") in advice


def test_the_time_of_a_run_is_that_of_the_clock(workers: Workers) -> None:
    workers.world.advance(86_400)
    workers.jobs.prune()
    started = workers.world.archive.runs("prune", 1)[0].started
    assert abs(started - workers.world.now()) < timedelta(minutes=1)
