"""Text to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """A model that turns text into unit vectors; texts of like meaning get vectors of high cosine similarity."""

    @property
    def name(self) -> str:
        """The model's name: vectors of different names are never compared."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def fluency(self, text: str) -> float:
        """How well the model reads a text, 0 (letter by letter, or not at all) to 1: how far to trust its vector.
        Raises: ModelError."""

    def split(self, text: str, *, prefix: str = "") -> list[str]:
        """The texts to encode so that all of this one is read: one where the model reads it whole, else up to
        `MAX_PARTS` overlapping pieces; the prefix stands before each, shortened where it is long. Never empty. What
        comes after the last piece is left out. Raises: ModelError.
        """

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The texts' vectors (float32, (len(texts), dimension), each of length 1). Raises: ModelError."""
