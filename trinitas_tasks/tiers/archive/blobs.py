"""Between vectors and the bytes in which the archive keeps them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_blob(vector: NDArray[np.float32]) -> bytes:
    """The vector as float32, little-endian."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def from_blob(data: bytes) -> NDArray[np.float32]:
    """The vector, float32, (dim,)."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32)
