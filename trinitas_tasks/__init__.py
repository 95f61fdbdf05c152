"""A long-term memory for teams of AI agents.

>>> from trinitas_tasks import MemoryClient
>>> with MemoryClient.connect(persona="athena") as memory:      # doctest: +SKIP
...     memory.remember("The staging database moved to port 5433.", type="semantic")
...     memory.recall("where is the test database?")[0].item.content

Importing this package is cheap: what it offers is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trinitas_tasks.client import MemoryClient
    from trinitas_tasks.errors import TrinitasError
    from trinitas_tasks.model import MemoryItem, MemoryType
    from trinitas_tasks.query import Hit, Query, Recall
    from trinitas_tasks.services.condition import Health, Stats
    from trinitas_tasks.settings import Settings, load_settings

__version__ = "0.1.0"
__all__ = [
    "Health",
    "Hit",
    "MemoryClient",
    "MemoryItem",
    "MemoryType",
    "Query",
    "Recall",
    "Settings",
    "Stats",
    "TrinitasError",
    "load_settings",
]

_HOME = {
    "Health": "services.condition",
    "Hit": "query",
    "MemoryClient": "client",
    "MemoryItem": "model",
    "MemoryType": "model",
    "Query": "query",
    "Recall": "query",
    "Settings": "settings",
    "Stats": "services.condition",
    "TrinitasError": "errors",
    "load_settings": "settings",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
