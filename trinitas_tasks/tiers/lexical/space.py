"""One full-text index in a folder of its own."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Collection as Several
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import tantivy
from tantivy import FieldType, Occur, Query

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.policy.bm25 import K1, Collection
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.lexical.interface import FIELDS, Document, Match, Wanted

P = ParamSpec("P")
T = TypeVar("T")

ANALYZER: Final = "stems"
HEAP_BYTES: Final = 15_000_000
"""What the writer may gather before it writes a segment; the least that tantivy takes."""
LONGEST: Final = 30_000
"""Longer values of metadata are not in the index: no filter finds them."""


class Broken(Unavailable):
    """The files are not an index of this version, or torn: what they held is in the archive."""


def mapped(call: Callable[P, T]) -> Callable[P, T]:
    """tantivy's errors as ours: it raises ValueError for everything, and panics."""

    @functools.wraps(call)
    def wrapped(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return call(*arguments, **named)
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise Broken(f"the full-text index failed to {call.__name__.strip('_')}: {error}") from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # of pyo3, which is no Exception and cannot be imported
                raise
            raise Broken(f"the full-text index panicked: {error}") from error

    return wrapped


def _sweep(folder: Path) -> None:
    """Take away lists of deleted documents that no commit names: a process that was killed in the middle of one left
    them, and tantivy, which numbers them alike again, would not write over them."""
    meta = folder / "meta.json"
    if not meta.exists():
        return
    segments = json.loads(meta.read_text())["segments"]
    named = {
        f"{each['segment_id'].replace('-', '')}.{each['deletes']['opstamp']}.del"
        for each in segments
        if each.get("deletes")
    }
    for file in folder.glob("*.del"):
        if file.name not in named:
            file.unlink()


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for field in FIELDS:
        option = "position" if field == "own" else "freq"
        builder.add_text_field(field, tokenizer_name=ANALYZER, index_option=option)
        builder.add_integer_field(f"{field}_length", fast=True)
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    for field in ("neighbour", "type", "tag", "fact"):
        builder.add_text_field(field, tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("timestamp", indexed=True, fast=True)
    builder.add_float_field("importance", indexed=True, fast=True)
    return builder.build()


def analyzer() -> tantivy.TextAnalyzer:
    """From terms, with spaces between, to stems."""
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return words.filter(tantivy.Filter.stemmer("english")).build()


class Space:
    """The index in a folder, made where there is none. Raises: Broken."""

    @mapped
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        self._schema = _schema()
        self._index = tantivy.Index(self._schema, path=str(folder))
        self._index.register_tokenizer(ANALYZER, analyzer())
        self._searcher = self._index.searcher()
        self._means = self._mean_lengths()

    @mapped
    def write(self, documents: Iterable[Document], gone: Iterable[str]) -> None:
        """Commit documents in place of what was known under their ids, and take ids away."""
        writer = self._index.writer(HEAP_BYTES, 1)
        try:
            for id_ in gone:
                writer.delete_documents_by_term("id", id_)
            for document in documents:
                writer.delete_documents_by_term("id", document.item.id)
                writer.add_document(_row(document))
            writer.commit()
        finally:
            writer.wait_merging_threads()  # and give the lock back
        self._index.reload()
        self._searcher = self._index.searcher()
        self._means = self._mean_lengths()

    @mapped
    def search(self, wanted: Wanted, limit: int) -> list[Match]:
        """See LexicalTier; terms and phrases are stems."""
        searcher, terms = self._searcher, wanted.terms
        # at most as many as there are: room is made for all of them before
        limit = min(limit, searcher.num_docs)
        ideal = sum(collection.ideal(terms) for collection in self.collections(terms))
        if not limit or not ideal:
            return []
        any_of = [
            (Occur.Should, Query.boost_query(Query.term_query(self._schema, field, term), weight))
            for term, weight in terms.items()
            for field in FIELDS
        ]
        query = _within(any_of, [*self._phrases(wanted.phrases), *self._limits(wanted.filters)])
        hits = searcher.search(query, limit, count=False).hits
        most = ideal * (K1 + 1)  # tantivy's scores are not divided by this
        found = (Match(_id(searcher, address), min(score / most, 1.0)) for score, address in hits)
        return sorted(found, key=lambda match: (-match.coverage, match.id))

    @mapped
    def among(self, ids: Several[str], wanted: Wanted, limit: int) -> list[str]:
        """See LexicalTier; terms and phrases are stems."""
        searcher, schema = self._searcher, self._schema
        limit = min(limit, searcher.num_docs)
        if not limit or not wanted.terms or not ids:
            return []
        any_of = [
            (Occur.Should, Query.const_score_query(Query.term_query(schema, "own", term), weight))
            for term, weight in wanted.terms.items()
        ]
        these = Query.term_set_query(schema, "id", sorted(ids))
        query = _within(any_of, [these, *self._phrases(wanted.phrases), *self._limits(wanted.filters)])
        hits = searcher.search(query, limit, count=False).hits
        found = ((-score, _id(searcher, address)) for score, address in hits)
        return [id_ for _, id_ in sorted(found)]

    def _phrases(self, phrases: Sequence[Sequence[str]]) -> list[Query]:
        """A phrase of one word is a word: tantivy knows phrases of two and more."""
        return [
            Query.phrase_query(self._schema, "own", list(phrase))
            if len(phrase) > 1
            else Query.term_query(self._schema, "own", phrase[0])
            for phrase in phrases
            if phrase
        ]

    def _limits(self, filters: Filters) -> list[Query]:
        schema = self._schema
        limits: list[Query] = []
        if filters.types:
            limits.append(Query.term_set_query(schema, "type", sorted(filters.types)))
        if filters.any_tags:
            limits.append(Query.term_set_query(schema, "tag", sorted(filters.any_tags)))
        limits += (Query.term_query(schema, "tag", tag, "basic") for tag in sorted(filters.all_tags))
        limits += (Query.term_query(schema, "fact", fact(*each), "basic") for each in filters.metadata.items())
        return [*limits, *self._ranges(filters)]

    def _ranges(self, filters: Filters) -> list[Query]:
        ranges: list[Query] = []
        if filters.since is not None or filters.before is not None:
            since, before = (each and to_micros(each) for each in (filters.since, filters.before))
            bounds = {"include_lower": True, "include_upper": before is None}  # a missing bound is included
            ranges.append(Query.range_query(self._schema, "timestamp", FieldType.Integer, since, before, **bounds))
        if filters.min_importance > 0:
            ranges.append(Query.range_query(self._schema, "importance", FieldType.Float, filters.min_importance, None))
        return ranges

    @mapped
    def collections(self, stems: Iterable[str]) -> tuple[Collection, Collection]:
        """See LexicalTier."""
        searcher, wanted = self._searcher, list(stems)
        own, around = (
            _collection(searcher.num_docs, mean, {stem: searcher.doc_freq(field, stem) for stem in wanted})
            for field, mean in zip(FIELDS, self._means, strict=True)
        )
        return own, around

    @mapped
    def holding(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are here."""
        wanted = list(ids)
        if not wanted or not self._searcher.num_docs:
            return set()
        hits = self._searcher.search(Query.term_set_query(self._schema, "id", wanted), len(wanted), count=False).hits
        return {_id(self._searcher, address) for _, address in hits}

    @mapped
    def beside(self, ids: list[str]) -> set[str]:
        """See LexicalTier."""
        searcher = self._searcher
        if not ids or not searcher.num_docs:
            return set()
        hits = searcher.search(Query.term_set_query(self._schema, "neighbour", ids), searcher.num_docs).hits
        return {_id(searcher, address) for _, address in hits}

    def _mean_lengths(self) -> tuple[float, ...]:
        wanted = {field: {"avg": {"field": f"{field}_length"}} for field in FIELDS}
        found = self._searcher.aggregate(Query.all_query(), wanted)
        return tuple(float(found[field]["value"] or 0.0) for field in FIELDS)

    @property
    def count(self) -> int:
        """How many memories it holds."""
        return self._searcher.num_docs


def _collection(texts: int, mean: float, holders: dict[str, int]) -> Collection:
    # replaced texts count among the holders until their segment is merged
    return Collection(max(texts, *holders.values(), 0), mean, holders)


def _within(any_of: list[tuple[Occur, Query]], limits: Sequence[Query]) -> Query:
    """What any of these finds, within all of the limits, which do not count."""
    query = Query.boolean_query(any_of)
    if not limits:
        return query
    must = [(Occur.Must, Query.const_score_query(each, 0.0)) for each in limits]
    return Query.boolean_query([(Occur.Must, query), *must])


def _id(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> str:
    return str(searcher.doc(address).get_first("id"))


def _row(document: Document) -> tantivy.Document:
    row, item = tantivy.Document(), document.item
    for name, terms in zip(FIELDS, (document.own, document.around), strict=True):
        row.add_text(name, " ".join(terms))
        row.add_integer(f"{name}_length", len(terms))
    row.add_text("id", item.id)
    for neighbour in document.neighbours:
        row.add_text("neighbour", neighbour)
    row.add_text("type", item.type.value)
    for tag in item.tags:
        row.add_text("tag", tag)
    for each in item.metadata.items():
        if len(named := fact(*each)) <= LONGEST:
            row.add_text("fact", named)
    row.add_integer("timestamp", to_micros(item.timestamp))
    row.add_float("importance", item.importance)
    return row


def fact(key: str, value: object) -> str:
    """One entry of metadata as a term: two are equal where the values are, as JSON tells them apart."""
    return json.dumps([key, _plain(value)], ensure_ascii=False, sort_keys=True)


def _plain(value: Any) -> Any:
    """1.0 is 1, but no truth is a number."""
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def remove(folder: Path) -> None:
    """Delete an index."""
    shutil.rmtree(folder, ignore_errors=True)
