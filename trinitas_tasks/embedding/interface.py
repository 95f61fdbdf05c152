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

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The texts' vectors (float32, (len(texts), dimension), each of length 1). Raises: ModelError."""
