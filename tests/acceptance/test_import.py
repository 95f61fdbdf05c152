"""`trinitas import` as users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import TRINITAS, Run
from tests.support import wait_until
from trinitas_tasks import MemoryClient


def written(file: Path, memories: list[Any]) -> Path:
    file.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in memories) + "\n")
    return file


def test_a_file_is_imported_once_however_often_it_is_given(
    trinitas: Run, tmp_path: Path, persona: str, client: MemoryClient
) -> None:
    same = {"content": "Thanks!", "metadata": {"speaker": "Mika"}}
    file = written(tmp_path / "m.jsonl", [{"content": f"line {each}"} for each in range(250)] + [same, same, ""])
    for _ in range(2):
        done = trinitas("import", file, "--persona", persona, "--wait", "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["good"], report["bad"]) == (252, [])
    counted = client.stats()
    assert sum((counted.by_type or {}).values()) == counted.vectors == 252


def test_bad_lines_are_named_and_stop_the_import(
    trinitas: Run, tmp_path: Path, persona: str, client: MemoryClient
) -> None:
    bad = [
        {"content": "good"},
        "{torn",
        {"contents": "misspelt"},
        {"content": "x", "importance": 7},
        ["a list"],
        {"content": "x", "timestamp": "2026-01-01T00:00:00"},
        {"content": "x", "persona": "somebody-else"},
        {"content": "also good", "timestamp": "2026-01-01T00:00:00+09:00"},
    ]
    file = written(tmp_path / "m.jsonl", bad)
    done = trinitas("import", file, "--persona", persona)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()[:6]] == [f"line {n}" for n in range(2, 8)]
    assert "nothing was imported" in done.stderr
    assert client.stats().pending == 0
    skipping = trinitas("import", file, "--persona", persona, "--skip-bad", "--wait", "--json")
    assert skipping.returncode == 0, skipping.stderr
    report = json.loads(skipping.stdout)
    assert report["imported"] == 2
    assert [each["line"] for each in report["bad"]] == [2, 3, 4, 5, 6, 7]
    assert sum((client.stats().by_type or {}).values()) == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_broken_off_import_goes_on_where_it_stopped(
    how: signal.Signals, trinitas: Run, home: Path, tmp_path: Path, persona: str, client: MemoryClient
) -> None:
    number = 1200
    file = written(tmp_path / "m.jsonl", [{"content": f"memory {each}", "type": "working"} for each in range(number)])
    state = home / "imports"
    command: list[str | Path] = [TRINITAS, "import", file, "--persona", persona, "--home", home]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=home) as process:
        wait_until(lambda: state.is_dir() and any(state.glob("*.json")), 60)
        os.kill(process.pid, how)
        _, error = process.communicate(timeout=60)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert b"again" in error
        assert b"Traceback" not in error
    report = json.loads(trinitas("import", file, "--persona", persona, "--json").stdout)
    assert report["good"] == number
    assert 0 < report["imported"] < number
    stored = client.stats()
    assert stored.pending + sum((stored.by_type or {}).values()) >= number
    for each in (0, 599, 1199):
        assert client.recall(f"memory {each}", limit=50)


def test_a_missing_file_or_persona_is_a_usage_error(trinitas: Run, tmp_path: Path) -> None:
    assert trinitas("import", tmp_path / "none.jsonl", "--persona", "athena").returncode == 2
    file = written(tmp_path / "m.jsonl", [{"content": "x"}])
    done = trinitas("import", file, "--persona", "../x")
    assert done.returncode == 1
    assert "persona" in done.stderr
