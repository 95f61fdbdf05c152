"""What `trinitas eval` shows, and what it says where it cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.progress import Progress

from tests.unit.folders import written
from trinitas_tasks.interfaces.cli.evaluating import Watched, show
from trinitas_tasks.interfaces.cli.signals import StopSignals
from trinitas_tasks.interfaces.evaluation.folder import load
from trinitas_tasks.interfaces.evaluation.report import Report
from trinitas_tasks.policy.metrics import score
from trinitas_tasks.query import Ranking

ANSWERS = {
    Ranking.FUSED: {"q1": ["D1:2", "D1:3"], "q2": ["D1:1"], "q3": ["東京/1"]},
    Ranking.DENSE: {"q1": ["D1:1", "D1:2"], "q2": ["D1:1"], "q3": []},
    Ranking.FULLTEXT: {"q1": ["D1:2"], "q2": ["D1:3", "D1:1"], "q3": ["東京/1"]},
}


@pytest.fixture
def report(tmp_path: Path) -> Report:
    dataset = load(written(tmp_path))
    scores = {
        ranking: {each: score(ids, dataset.relevant[each]) for each, ids in answers.items()}
        for ranking, answers in ANSWERS.items()
    }
    return Report(dataset, scores, [20.0, 30.0, 10.0], {"asking": 1.0})


def test_a_table_in_a_pipe_is_plain_lines(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    show(report, 12.3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "category", "n", "ranking", "recall@1", "recall@5", "recall@10", "hit@1", "hit@10", "MRR", "nDCG@10"
    ]  # fmt: skip
    rows = [line.split() for line in lines[1:10]]
    assert [row[0] for row in rows] == ["4", "dense", "full", "tea", "dense", "full", "overall", "dense", "full"]
    assert rows[6][:6] == ["overall", "3", "fused", "0.833", "1.000", "1.000"]
    assert rows[7][:4] == ["dense", "0.333", "0.500", "0.500"]
    assert rows[8][:5] == ["full", "text", "0.500", "0.833", "0.833"]
    rest = "\n".join(lines[10:])
    assert "fused minus full text, the better of the two by recall@10: +0.167 [+0.000, +0.500]" in rest
    assert "20.0 ms p50, 30.0 ms p99, 3 calls" in rest
    assert "5 documents in 2 groups, 3 questions, 12 s" in rest
    assert "\x1b" not in rest


def test_how_far_it_is_comes_in_lines_of_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 0.0, 4.0, 11.0, 12.0, 13.0])
    with StopSignals() as signals, Progress(disable=True) as bar:
        watch = Watched(bar, signals, clock=lambda: next(clock))
        for doing, done in (("asking", 0), ("asking", 20), ("asking", 50), ("asking", 60), ("packing", 0)):
            watch(doing, done, 100)
    said = capsys.readouterr().err.splitlines()
    assert said == ["asking (100)", "asking: 50 of 100, 11 s left", "packing (100)"]


def test_without_the_embedded_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['psutil'] = None; from trinitas_tasks.interfaces.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "eval", str(written(tmp_path))],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == "error: psutil is not installed: pip install 'trinitas-tasks[embedded]'\n"
    assert not list(tmp_path.glob("trinitas-eval-*"))
