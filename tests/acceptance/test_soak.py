"""The soak for two minutes: everything is killed, stopped, filled and torn, and no promise is broken."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEED = 5
"""Strikes all but one of the processes, the disk and Chroma's files within two minutes."""
SECONDS = 570
"""Starting, two minutes of faults, three minutes at most of healing, and comparing."""


@pytest.mark.timeout(SECONDS + 60)
def test_two_minutes_of_faults_break_no_promise(tmp_path: Path) -> None:
    out = tmp_path / "soak.log"
    command = [sys.executable, "-m", "tests.soak", "--minutes", "2", "--seed", str(SEED)]
    with out.open("wb") as file, subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file) as soak:
        try:
            soak.wait(SECONDS)
        finally:
            soak.terminate()  # it ends what it started
    told = out.read_text(encoding="utf-8")
    assert soak.returncode == 0, told
    last = re.fullmatch(
        r"(\d+) operations, (\d+) faults: 0 lost, 0 resurrected, 0 duplicated, 0 leaked", told.splitlines()[-1]
    )
    assert last, told
    operations, faults = map(int, last.groups())
    assert operations > 500
    assert faults > 10
