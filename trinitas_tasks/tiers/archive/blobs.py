"""Between vectors and the bytes in which the archive keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def to_blob(vector: NDArray[np.float32]) -> bytes:
    """The vector as float32, little-endian."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def from_blobs(data: Sequence[bytes]) -> NDArray[np.float32]:
    """The vectors, float32, (len(data), dim); those of another length than the first are left out."""
    alike = [each for each in data if len(each) == len(data[0])]
    return np.frombuffer(b"".join(alike), dtype="<f4").reshape(len(alike), -1).astype(np.float32)
