"""What an import loads, seen by a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = {"torch", "sentence_transformers", "transformers", "chromadb"}
HEAVY = MODEL | {"sqlalchemy", "alembic", "numpy", "supervisor", "mcp"}


def loaded_by(statement: str, folder: Path) -> set[str]:
    """The top-level modules that a statement loads, in an interpreter of its own."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TRINITAS_HOME": str(folder),
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "statement",
    [
        "import trinitas_tasks",
        "from trinitas_tasks import *",
        "from trinitas_tasks import MemoryClient; MemoryClient.connect(persona='athena').close()",
        "import trinitas_tasks.interfaces.cli",
        "import trinitas_tasks.compat",
    ],
)
def test_the_client_loads_no_engine_but_redis(statement: str, tmp_path: Path) -> None:
    assert not loaded_by(statement, tmp_path) & HEAVY


def test_a_worker_loads_no_model_before_it_needs_one(tmp_path: Path) -> None:
    assert not loaded_by("import trinitas_tasks.tasks.worker", tmp_path) & MODEL
