"""An embedder without a model: for tests and for trying things out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trinitas_tasks.policy.text import terms


class HashEmbedder:
    """Feature hashing (Weinberger et al., ICML 2009): texts with common terms are near. Deterministic."""

    def __init__(self, dimension: int = 64) -> None:
        self.dimension = dimension
        self.name = f"hash-{dimension}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See Embedder."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for term in terms(text) or [text]:
                digest = hashlib.blake2b(term.encode(), digest_size=8).digest()
                row[int.from_bytes(digest[:4]) % self.dimension] += 1.0 if digest[4] & 1 else -1.0
            row /= np.linalg.norm(row) or 1.0
        return vectors
