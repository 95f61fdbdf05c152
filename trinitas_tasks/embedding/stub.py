"""An embedder without a model: for tests and for trying things out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trinitas_tasks.embedding.splitting import Splitter
from trinitas_tasks.policy.text import CJK, terms

_WORDS: Final = re.compile(rf"[{CJK}]|[^\W{CJK}]+|[^\w\s]")


class HashEmbedder:
    """Feature hashing (Weinberger et al., ICML 2009): texts with common terms are near. Deterministic.

    Like a model it reads only the first ``window`` words of a text; a CJK character or a sign is one.
    """

    def __init__(self, dimension: int = 64, window: int = 256) -> None:
        self.dimension, self.window = dimension, window
        self.name = f"hash-{dimension}"

    def split(self, text: str, *, prefix: str = "") -> list[str]:
        """See Embedder."""
        return Splitter(_offsets, self.window, overlap=self.window // 8).split(text, prefix)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See Embedder."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            read = text[: _end(text, self.window)]
            for term in terms(read) or [read]:
                digest = hashlib.blake2b(term.encode(), digest_size=8).digest()
                row[int.from_bytes(digest[:4]) % self.dimension] += 1.0 if digest[4] & 1 else -1.0
            row /= np.linalg.norm(row) or 1.0
        return vectors

    def fluency(self, text: str) -> float:
        """See Embedder: it reads words."""
        return float(bool(terms(text)))


def _offsets(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _WORDS.finditer(text)]


def _end(text: str, words: int) -> int:
    """Where so many words end."""
    beyond = next(islice(_WORDS.finditer(text), words, None), None)
    return len(text) if beyond is None else beyond.start()
