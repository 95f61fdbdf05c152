"""What each part of recall brings: python -m benchmarks.retrieval DIR... [--sample N] [--json].

Each folder (as of `trinitas eval`) is ranked by the package's own full-text tier, model and fusion, whole and with one
part left out at a time. Dense search is exact here: Chroma's own recall is measured by benchmarks.scale. Shown is how
much is lost without a part, with a 95 % interval (paired bootstrap).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from trinitas_tasks.embedding.sentence_transformer import SentenceTransformerEmbedder
from trinitas_tasks.interfaces.evaluation.folder import load
from trinitas_tasks.interfaces.evaluation.preparing import Prepared, prepare
from trinitas_tasks.model import MemoryItem, MemoryType, Position
from trinitas_tasks.policy.fusion import Evidence, boosted, boosts
from trinitas_tasks.policy.metrics import compare, mean, score
from trinitas_tasks.policy.text import (
    STOP_WORDS,
    content_text,
    embedding_text,
    index_terms,
    query_terms,
    session,
    terms,
)
from trinitas_tasks.query import Query
from trinitas_tasks.services.fulltext import NEIGHBOURS
from trinitas_tasks.tiers.lexical.interface import Document, Wanted
from trinitas_tasks.tiers.lexical.tantivy import TantivyLexical

DEPTH = 100
RANK_CONSTANT = 60
METRICS = ("recall@10", "mrr")
Scores = dict[str, float]
Ranked = list[str]


@dataclass(frozen=True, slots=True)
class Corpus:
    """One folder as its parts see it: memories by persona, with the vectors of their parts."""

    prepared: Prepared
    items: Mapping[str, list[MemoryItem]]
    vectors: Mapping[str, Mapping[str, NDArray[np.float32]]]
    bare: Mapping[str, Mapping[str, NDArray[np.float32]]]
    whole: TantivyLexical
    alone: TantivyLexical
    unsaid: TantivyLexical


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path, nargs="+")
    options.add_argument("--sample", type=int, help="so many questions of each")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    embedder = SentenceTransformerEmbedder("all-MiniLM-L6-v2")
    reports: dict[str, Any] = {}
    for folder in given.folder:
        dataset = load(folder).sampled(given.sample)
        with tempfile.TemporaryDirectory(prefix="trinitas-retrieval-") as beside:
            corpus = read(prepare(dataset, kind=MemoryType.SEMANTIC, now=datetime.now(UTC)), embedder, Path(beside))
            reports[folder.name] = ablated(corpus, embedder)
            for each in (corpus.whole, corpus.alone, corpus.unsaid):
                each.close()
    if given.json:
        json.dump(reports, sys.stdout, indent=2)
    else:
        for name, rows in reports.items():
            show(name, rows)
    return 0


def read(prepared: Prepared, embedder: SentenceTransformerEmbedder, folder: Path) -> Corpus:
    """Index and embed everything, in each of the ways that are compared."""
    items: dict[str, list[MemoryItem]] = defaultdict(list)
    for fields in prepared.memories:
        item = MemoryItem.build(**fields)
        items[item.persona].append(item)
    bare = {
        persona: {item.id: embedder.encode([content_text(item)]) for item in mine} for persona, mine in items.items()
    }
    vectors = {persona: _parts(mine, embedder) for persona, mine in items.items()}
    whole, alone, unsaid = (TantivyLexical(folder / each) for each in ("whole", "alone", "unsaid"))
    for mine in items.values():
        whole.apply(_documents(mine, index_terms), [], Position(1, 1))
        alone.apply([Document(item, index_terms(item)) for item in mine], [], Position(1, 1))
        unsaid.apply(_documents(mine, lambda item: terms(content_text(item))), [], Position(1, 1))
    return Corpus(prepared, items, vectors, bare, whole, alone, unsaid)


def _parts(items: Sequence[MemoryItem], embedder: SentenceTransformerEmbedder) -> dict[str, NDArray[np.float32]]:
    texts = {item.id: embedder.split(embedding_text(item).body, prefix=embedding_text(item).prefix) for item in items}
    made = embedder.encode([each for parts in texts.values() for each in parts])
    ends = np.cumsum([len(parts) for parts in texts.values()])
    return dict(zip(texts, np.split(made, ends[:-1]), strict=True))


def _documents(items: Sequence[MemoryItem], read_terms: Callable[[MemoryItem], list[str]]) -> list[Document]:
    sessions: dict[str, list[MemoryItem]] = defaultdict(list)
    for item in sorted(items, key=lambda each: each.timestamp):
        sessions[session(item) or f"alone {item.id}"].append(item)
    made = []
    for turns in sessions.values():
        for at, item in enumerate(turns):
            near = [*turns[max(at - NEIGHBOURS, 0) : at], *turns[at + 1 : at + 1 + NEIGHBOURS]]
            beside = [term for other in near for term in read_terms(other)]
            made.append(Document(item, read_terms(item), [other.id for other in near], beside))
    return made


# What is compared.

Weighed = Callable[[str], Mapping[str, float]]


def every_word(text: str) -> dict[str, float]:
    """A question's terms with its stop words."""
    return query_terms(text) | {term: 1.0 for term in terms(text) if term in STOP_WORDS}


def no_characters(text: str) -> dict[str, float]:
    """A question's terms without single Han characters."""
    return {term: weight for term, weight in query_terms(text).items() if weight >= 1 or len(term) > 1}


def covered(lexical: TantivyLexical, query: Query, weighed: Weighed) -> Scores:
    """Full text's list."""
    matches = lexical.search(query.persona, Wanted(weighed(query.text)), DEPTH)
    return {match.id: match.coverage for match in matches}


def alike(vectors: Mapping[str, NDArray[np.float32]], probe: NDArray[np.float32]) -> Scores:
    """Dense search's list: by the best part of each."""
    nearness = {id_: float((parts @ probe).max()) for id_, parts in vectors.items()}
    return dict(sorted(nearness.items(), key=lambda pair: -pair[1])[:DEPTH])


def fused(coverages: Scores, cosines: Scores, trust: float) -> Scores:
    """As services.recall does: a logit for each."""
    floor = min(cosines.values(), default=0.0)
    trust = trust if coverages else 1.0
    named = {**coverages, **cosines}
    return {each: Evidence(coverages.get(each, 0.0), cosines.get(each, floor), trust).logit for each in named}


def by_ranks(coverages: Scores, cosines: Scores) -> Scores:
    """Reciprocal rank fusion."""
    scores: Scores = defaultdict(float)
    for ranked in (coverages, cosines):
        for rank, each in enumerate(ranked, 1):
            scores[each] += 1 / (RANK_CONSTANT + rank)
    return dict(scores)


def ablated(corpus: Corpus, embedder: SentenceTransformerEmbedder) -> dict[str, Any]:
    """The figures of the whole and of each variant."""
    found: dict[str, dict[str, Scores]] = defaultdict(dict)
    for question, query in corpus.prepared.queries:
        probe = embedder.encode([query.text])[0]
        items = {item.id: item for item in corpus.items[query.persona]}
        for name, scores in variants(corpus, query, probe, embedder.fluency(query.text), items).items():
            ranked = sorted(scores, key=lambda each: -scores[each])
            documents = [corpus.prepared.documents[each] for each in ranked[:DEPTH]]
            found[name][question.id] = score(documents, corpus.prepared.dataset.relevant[question.id])
    whole = found["everything"]
    return {
        name: {
            metric: {
                "mean": mean(list(rows.values()))[metric],
                "lost": compare(whole, rows, metric)._asdict(),
            }
            for metric in METRICS
        }
        for name, rows in found.items()
    }


def variants(
    corpus: Corpus, query: Query, probe: NDArray[np.float32], trust: float, items: Mapping[str, MemoryItem]
) -> dict[str, Scores]:
    """One question's scores in every way."""
    vectors, bare = corpus.vectors[query.persona], corpus.bare[query.persona]
    words, meaning = covered(corpus.whole, query, query_terms), alike(vectors, probe)
    plain = fused(words, meaning, trust)
    return {
        "everything": raised(plain, query, items),
        "dense alone": meaning,
        "full text alone": words,
        "without the time and quotes of the question": plain,
        "without neighbours": fused(covered(corpus.alone, query, query_terms), meaning, trust),
        "with stop words": fused(covered(corpus.whole, query, every_word), meaning, trust),
        "without Han characters": fused(covered(corpus.whole, query, no_characters), meaning, trust),
        "without speaker, date, title in full text": fused(covered(corpus.unsaid, query, query_terms), meaning, trust),
        "without them in the vectors": fused(words, alike(bare, probe), trust),
        "without parts": fused(words, alike({key: parts[:1] for key, parts in vectors.items()}, probe), trust),
        "with the vectors trusted always": fused(words, meaning, 1.0),
        "ranks fused": by_ranks(words, meaning),
    }


def raised(scores: Scores, query: Query, items: Mapping[str, MemoryItem]) -> Scores:
    """With what the question says beside its words."""
    if not boosted(query):
        return scores
    now = max(item.timestamp for item in items.values())
    return {each: logit + sum(boosts(items[each], query, now).values()) for each, logit in scores.items()}


def show(name: str, rows: Mapping[str, Any]) -> None:
    table = Table("", *(f"{metric}, lost" for metric in METRICS), title=name)
    for variant, figures in rows.items():
        table.add_row(variant, *(_cell(each["mean"], each["lost"]) for each in figures.values()))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _cell(value: float, lost: Mapping[str, float]) -> str:
    return f"{value:.3f}  {-lost['difference']:+.3f} [{-lost['high']:+.3f}, {-lost['low']:+.3f}]"


if __name__ == "__main__":
    sys.exit(main())
