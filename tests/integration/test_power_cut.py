"""Every acknowledged memory is there after every process was killed at once, two hundred times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CUTS = 200


def test_what_was_acknowledged_survives_the_end_of_every_process(tmp_path: Path) -> None:
    # a process of its own: it forks, and pytest has threads
    command = [sys.executable, "-m", "tests.integration.power_cut", str(tmp_path), str(CUTS), "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=220)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["wrong"] == []
    assert report["acknowledged"] > CUTS * 2
    assert report["without_redis"] > CUTS / 8
