"""`trinitas eval`: how good recall is on a folder of documents and questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from trinitas_tasks.errors import StackError
from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.progress import Progress as Starting
from trinitas_tasks.interfaces.cli.session import Kind
from trinitas_tasks.interfaces.cli.signals import Interrupted, StopSignals

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.evaluation.folder import Dataset
    from trinitas_tasks.interfaces.evaluation.preparing import Prepared
    from trinitas_tasks.interfaces.evaluation.report import Report
    from trinitas_tasks.query import Ranking

SHOWN: Final = ("recall@1", "recall@5", "recall@10", "hit@1", "hit@10", "mrr", "ndcg@10")
TITLES: Final = {"fulltext": "full text", "mrr": "MRR", "ndcg@10": "nDCG@10"}
NEWS_SECONDS: Final = 10.0
# an evaluation can wait for a machine that it keeps busy itself; what a recall takes is told in any case
PATIENT: Final = {"redis_timeout_ms": 10_000, "deadline_ms": 20_000}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval", rich_help_panel=Panel.AROUND)(evaluate)


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds the three files.", exists=True, file_okay=False)],
    sample: Annotated[
        int | None, typer.Option(min=1, help="Ask only so many questions; all documents stay.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Which questions a sample holds.")] = 0,
    qrels: Annotated[
        str, typer.Option(help="Another file of relevant documents: NAME.jsonl.", metavar="NAME")
    ] = "qrels",
    kind: Annotated[Kind, typer.Option("--type", "-t", help="The type of a memory that names none.")] = Kind.SEMANTIC,
    as_json: output.Json = False,
) -> None:
    """Measure recall on your own documents and questions.

    Example:

        trinitas eval my-questions --sample 300

    DIR holds three files, UTF-8, one JSON object a line:

    documents.jsonl, what is remembered. Whatever else a document has (title,
    speaker, session, …) becomes part of its memory:

        {"id": "d1", "group": "mika", "text": "…", "date": "2026-06-03"}

    queries.jsonl, answered from the documents of the same group alone:

        {"id": "q1", "group": "mika", "text": "…", "category": "who"}

    qrels.jsonl, a line for each document that answers a question:

        {"query_id": "q1", "doc_id": "d1", "relevance": 1}

    All of it goes through a real stack with your settings, by meaning, by words,
    and both fused. It is started for this in a temporary folder and removed
    again: your own memories stay untouched.

    recall@k: the share of the relevant documents among the first k. hit@k: how
    often any is. MRR: the mean of 1 / the rank of the first. nDCG@10: also how
    high they stand. An interval that holds 0 says: no difference was shown.
    """
    from trinitas_tasks.interfaces.evaluation.folder import load  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.interfaces.evaluation.preparing import prepare  # noqa: PLC0415
    from trinitas_tasks.model import MemoryType, utc_now  # noqa: PLC0415

    dataset = load(folder, qrels=qrels).sampled(sample, seed=seed)
    prepared = prepare(dataset, kind=MemoryType(kind), now=utc_now())
    began = time.monotonic()
    with StopSignals() as signals:
        try:
            report = _run(prepared, signals, seed=seed)
        except Interrupted as interrupted:
            output.note("stopped: nothing is left of it")
            raise typer.Exit(interrupted.exit_code) from None
    seconds = round(time.monotonic() - began, 1)
    for reason in report.degraded:
        output.note(f"warning: not all answers were whole, and the figures are not those of a sound stack: {reason}")
    if as_json:
        told = report.as_json()
        asked = {"qrels": qrels, "sample": sample, "seed": seed, "type": kind.value}
        output.show_json({**told, **asked, "seconds": {**told["seconds"], "total": seconds}})
    else:
        show(report, seconds)


def _run(prepared: Prepared, signals: StopSignals, *, seed: int) -> Report:
    from trinitas_tasks.client import MemoryClient  # noqa: PLC0415 - see above
    from trinitas_tasks.interfaces.evaluation.running import Evaluation  # noqa: PLC0415

    try:
        # psutil and supervisor are not installed with a plain client
        from trinitas_tasks.interfaces.evaluation.scratch import scratch  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise StackError(f"{error.name} is not installed: pip install 'trinitas-tasks[embedded]'") from error
    with (
        Starting("starting a stack for the evaluation", signals) as starting,
        scratch(watcher=starting, overrides=PATIENT) as settings,
        MemoryClient.connect(settings) as client,
    ):
        starting.close()
        with _watching(signals) as watch:
            return Evaluation(client, prepared, watch).run(seed=seed)


class Watched:
    """Shows how far it is: a bar on a terminal, now and then a line in a pipe. Raises Interrupted after a signal."""

    def __init__(self, bar: Progress, signals: StopSignals, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._clock = clock
        self._signals = signals
        self._doing = ""
        self._task: TaskID | None = None
        self._began = self._told = clock()

    def __call__(self, doing: str, done: int, total: int) -> None:
        self._signals.check()
        now = self._clock()
        if doing != self._doing:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._doing, self._task, self._began = doing, self._bar.add_task(doing, total=total), now
            self._say(f"{doing} ({total:,})", now)
        elif now - self._told > NEWS_SECONDS:
            left = f", {(now - self._began) / done * (total - done):.0f} s left" if done else ""
            self._say(f"{doing}: {done:,} of {total:,}{left}", now)
        assert self._task is not None
        self._bar.update(self._task, completed=done)

    def _say(self, text: str, now: float) -> None:
        self._told = now
        if self._bar.disable:
            output.note(text)


@contextmanager
def _watching(signals: StopSignals) -> Iterator[Watched]:
    console = output.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Watched(bar, signals)


def show(report: Report, seconds: float) -> None:
    """The table, and below it how sure the difference is and how long it took."""
    output.show_table(("category", "n", "ranking", *map(_titled, SHOWN)), list(_rows(report)))
    output.say("")
    for metric, each in report.compared.items():
        difference, low, high = each.interval
        output.say(
            f"fused minus {_titled(each.against.value)}, the better of the two by {_titled(metric)}: "
            f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"
        )
    output.say(
        f"recall(limit=10): {report.p50_ms:.1f} ms p50, {report.p99_ms:.1f} ms p99, {len(report.latencies)} calls"
    )
    output.say(f"{_counted(report.dataset)}, {seconds:.0f} s")


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    """For every category, and at last for all questions, one row a ranking."""
    from trinitas_tasks.query import Ranking  # noqa: PLC0415 - see above

    overall = {ranking: report.overall(ranking) for ranking in report.scores}
    by_category = {ranking: report.by_category(ranking) for ranking in report.scores}
    for category in by_category[Ranking.FUSED]:
        yield from _block(category, {ranking: means[category] for ranking, means in by_category.items()})
    yield from _block("overall", overall)


def _block(name: str, means: Mapping[Ranking, Mapping[str, float]]) -> Iterator[tuple[str, ...]]:
    from trinitas_tasks.query import Ranking  # noqa: PLC0415 - see above

    for ranking, each in means.items():
        figures = (f"{each[metric]:.3f}" for metric in SHOWN)
        first = ranking is Ranking.FUSED
        yield name if first else "", f"{each['n']}" if first else "", _titled(ranking.value), *figures


def _counted(dataset: Dataset) -> str:
    groups = len(dataset.groups)
    within = f" in {groups:,} groups" if groups > 1 else ""
    return f"{len(dataset.documents):,} documents{within}, {len(dataset.questions):,} questions"


def _titled(name: str) -> str:
    return TITLES.get(name, name)
