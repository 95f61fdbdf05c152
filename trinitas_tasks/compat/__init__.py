"""The names of Trinitas v3.5, so that code written for it runs over MemoryClient unchanged.

Async as they were; each name warns once that it is deprecated and names its successor. docs/compat.md says what
differs.
"""

from __future__ import annotations

from trinitas_tasks.compat.enhanced import EnhancedMemoryManager, get_enhanced_memory_manager
from trinitas_tasks.compat.hybrid import HybridConfig, HybridMemoryBackend, create_hybrid_backend
from trinitas_tasks.compat.items import Context, MemoryItem, MemoryPriority, Query
from trinitas_tasks.compat.trinitas import (
    PersonaMemory,
    TrinitasMemoryManager,
    get_memory_manager,
    initialize_memory_manager,
)
from trinitas_tasks.model import MemoryType

__all__ = [
    "Context",
    "EnhancedMemoryManager",
    "HybridConfig",
    "HybridMemoryBackend",
    "MemoryItem",
    "MemoryPriority",
    "MemoryType",
    "PersonaMemory",
    "Query",
    "TrinitasMemoryManager",
    "create_hybrid_backend",
    "get_enhanced_memory_manager",
    "get_memory_manager",
    "initialize_memory_manager",
]
