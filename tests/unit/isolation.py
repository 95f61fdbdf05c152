"""Settings of a test's own: an environment in which nothing is set, and the files beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from trinitas_tasks.settings import GUARDED, Settings, environment_name


def isolated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Unset every setting; only the home is under the folder."""
    names = {environment_name(field) for field in Settings.model_fields}
    for name in list(os.environ):
        if name.upper() in names or name.startswith(GUARDED):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRINITAS_HOME", str(folder / "home"))
    return folder


def write_yaml(folder: Path, text: str) -> Path:
    path = folder / "config" / "memory.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def write_stack(folder: Path, **told: Any) -> None:
    path = folder / "home" / "run" / "stack.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(told))
