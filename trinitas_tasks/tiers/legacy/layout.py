"""What belongs to a store of version 3.5: the files below a base folder that hold memories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from trinitas_tasks.model import MemoryType

BESIDE: Final = ("-wal", "-journal")
"""What belongs to a database file beside it; the third, ``-shm``, is made anew."""


class Kind(IntEnum):
    """What a part holds, in the order in which parts are read."""

    EPISODES = 0
    PROCEDURES = 1
    KNOWLEDGE = 2
    CHROMA = 3


TYPES: Final = {
    Kind.EPISODES: MemoryType.EPISODIC,
    Kind.PROCEDURES: MemoryType.PROCEDURAL,
    Kind.KNOWLEDGE: MemoryType.SEMANTIC,
}
OF_A_PERSONA: Final = (
    (Kind.EPISODES, "episodes.db"),
    (Kind.PROCEDURES, "procedures.db"),
    (Kind.KNOWLEDGE, "knowledge/knowledge.json"),
)
OF_ALL: Final = (
    (Kind.EPISODES, "episodic.db"),
    (Kind.PROCEDURES, "procedural.db"),
    (Kind.KNOWLEDGE, "semantic/knowledge.json"),
)
CHROMA_FILE: Final = "chroma.sqlite3"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of memories (of Chroma: its folder). ``persona``: whose folder it is in; None: it holds everybody's."""

    kind: Kind
    name: str
    path: Path
    persona: str | None

    @property
    def size(self) -> int:
        """In bytes."""
        files = self.path.rglob("*") if self.kind is Kind.CHROMA else [self.path]
        return sum(each.stat().st_size for each in files if each.is_file())

    @property
    def files(self) -> list[Path]:
        """Its own and what belongs to it beside it."""
        if self.kind is Kind.CHROMA:
            return sorted(each for each in self.path.rglob("*") if each.is_file())
        beside = (self.path.with_name(self.path.name + end) for end in BESIDE)
        return [self.path, *(each for each in beside if each.is_file())]


def parts_of(base: Path) -> list[Part]:
    """In the order in which they are read. The base may also be the folder of one persona, or of Chroma.

    Raises: OSError.
    """
    folders = sorted(each for each in base.iterdir() if each.is_dir())
    found = [part for folder in (base, *folders) for part in _of_a_persona(base, folder)]
    found += _of_all(base)
    found += [_part(Kind.CHROMA, base, each, None) for each in (base, *folders) if (each / CHROMA_FILE).is_file()]
    return sorted(found, key=lambda part: (part.kind, part.persona is None, part.name))


def _of_a_persona(base: Path, folder: Path) -> Iterator[Part]:
    for kind, name in OF_A_PERSONA:
        if (folder / name).is_file():
            yield _part(kind, base, folder / name, folder.resolve().name)


def _of_all(base: Path) -> Iterator[Part]:
    for kind, name in OF_ALL:
        if (base / name).is_file():
            yield _part(kind, base, base / name, None)


def _part(kind: Kind, base: Path, path: Path, persona: str | None) -> Part:
    name = path.relative_to(base).as_posix()
    return Part(kind, "chroma" if kind is Kind.CHROMA and name == "." else name, path, persona)
