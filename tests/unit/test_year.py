"""Some simulated weeks of everybody's memories: see benchmarks.year, which lives a whole year."""

from __future__ import annotations

from pathlib import Path

from benchmarks.year import PERSONAS, Year
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.tiers.archive.lives import Choice


def test_some_weeks_lose_nothing_and_keep_within_the_budget(tmp_path: Path) -> None:
    year = Year(tmp_path, memories=200, days=10, cache_mb=1)
    for _ in year.live():
        assert year.hot.copies().bytes <= year.hot.copies().limit
    assert year.lost() == []
    assert len(year.kept) == 200
    cold = [year.archive.chosen(Choice(persona=each, cold=True), 1000) for each in PERSONAS]
    assert any(cold)
    assert all(year.archive.runs(task, 1)[0].errors == 0 for task in (LifeTask.PRUNE, LifeTask.SCORE_IMPORTANCE))
    year.close()
