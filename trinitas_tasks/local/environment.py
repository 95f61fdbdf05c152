"""The environment of the stack's processes: the caller's, the settings in force, each other's addresses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from trinitas_tasks.local.layout import Home
from trinitas_tasks.local.marks import MARK
from trinitas_tasks.local.records import Record
from trinitas_tasks.settings import Settings, as_json, environment_name

SQLITE = "sqlite:///"

# Celery lets these beat every configuration: exported for another application, they lead the workers there.
FOREIGN = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND")


def environment(settings: Settings, home: Home, record: Record) -> dict[str, str]:
    """For the supervisor and all below it, whatever folder they run in."""
    # the caller's settings are in `given`, as far as they are in force: what was overridden must not come back
    left_out = {*FOREIGN, *map(environment_name, Settings.model_fields)}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in left_out}
    given = {environment_name(name): _text(getattr(settings, name)) for name in settings.model_fields_set}
    loopback = ",".join(filter(None, (inherited.get("NO_PROXY") or inherited.get("no_proxy"), "127.0.0.1,localhost")))
    return {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCHINDUCTOR_CACHE_DIR": str(home.run / "torch"),  # else torch makes a folder in /tmp, and leaves it there
        **inherited,
        **{name: value for name, value in given.items() if value is not None},
        "TRINITAS_HOME": str(home.path),
        "REDIS_URL": record.redis_url,
        "CHROMADB_HOST": record.chromadb_host,
        "CHROMADB_PORT": str(record.chromadb_port),
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "PYTHONUNBUFFERED": "1",
        "SPT_NOENV": "1",  # setproctitle, where installed, would overwrite the mark
        MARK: str(home.path),
    }


def _text(value: Any) -> str | None:
    """A setting as its environment variable; relative paths, also in texts, are the caller's."""
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case SecretStr():
            return _text(value.get_secret_value())
        case Path():
            return str(value.absolute())
        case dict():
            return as_json(value)
        case str() if value.startswith(SQLITE) and not value.startswith((f"{SQLITE}/", f"{SQLITE}:")):
            return SQLITE + str(Path(value.removeprefix(SQLITE)).absolute())
        case str() if "/" in value and Path(value).exists():
            return str(Path(value).absolute())
    return str(value)
