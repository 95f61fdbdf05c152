"""Code of v3.5, as far as tests share it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from trinitas_tasks.compat import MemoryItem, MemoryType

T = TypeVar("T")


def run(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


def item(content: Any = "Python programming", **fields: Any) -> MemoryItem:
    return MemoryItem(**{"id": "", "type": MemoryType.SEMANTIC, "persona": "athena", **fields, "content": content})
