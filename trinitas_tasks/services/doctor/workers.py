"""What the workers say of themselves and of what only they can see."""

from __future__ import annotations

from typing import Final

from trinitas_tasks.services.doctor.facts import Facts, WorkerFacts
from trinitas_tasks.services.doctor.verdict import Level, Verdict, fine, numbers

FIXED_SQLITE: Final = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""Where the WAL-reset bug is mended: from these on in their own line, and in every line after the last."""
COMPARED_SECONDS: Final = 900.0
"""Three times as long as reconcile, which beat sends, may take to come back."""
BEHIND: Final = 1000
"""With so many changes to catch up with searches do without the index."""
UNSERVED: Final = {
    "search": "recalls are answered by words alone, or not at all",
    "ingest": "nothing is archived: Redis holds the only copies",
    "lifecycle": "lost messages are not made up for",
}
"""By queue: what does not happen while nobody serves it."""
ANSWERED: Final = "answers"


def worker(facts: Facts, queue: str) -> Verdict | None:
    """Whether somebody serves the queue, and is well."""
    if facts.queues is None:
        return None
    # one that works does not tell that it is there, but the search worker gives answers
    serving = facts.queues.get(queue) or ([ANSWERED] if queue == "search" and facts.worker else [])
    if not serving:
        return Verdict(Level.PROBLEM, f"none runs: {UNSERVED[queue]}", "`trinitas status`, then `trinitas up`")
    if queue == "search" and facts.worker_error:
        return Verdict(Level.PROBLEM, facts.worker_error, "`trinitas logs search`")
    if trouble := facts.notes.get(queue):
        return Verdict(Level.PROBLEM, trouble, f"`trinitas logs {queue}`")
    return fine(", ".join(serving))


def writers(facts: Facts) -> Verdict | None:
    """Whether one process writes a SQLite archive."""
    if facts.queues is None or facts.worker is None or facts.worker.archive is None:
        return None
    serving = facts.queues.get("ingest", ())
    if len(serving) > 1 and "sqlite_version" in facts.worker.archive:
        found = f"two writers on one SQLite: {', '.join(serving)}"
        return Verdict(Level.WARNING, found, "run one ingest worker, or set ARCHIVE_URL to another database")
    return fine("one process" if len(serving) < 2 else f"{len(serving)} processes, on a database made for it")


def archive(told: WorkerFacts) -> Verdict | None:
    """Whether the archive can be written."""
    if told.archive_error:
        return Verdict(Level.PROBLEM, told.archive_error, "until then Redis holds the only copies")
    if told.archive is None:
        return None
    where = str(told.archive.get("where"))
    if told.archive.get("full"):
        return Verdict(Level.PROBLEM, f"no room for {where}", "make room on its disk: Redis holds the only copies")
    return fine(where)


def sqlite(told: WorkerFacts) -> Verdict | None:
    """Whether SQLite is one that can lose a commit."""
    if told.archive is None:
        return None
    version = told.archive.get("sqlite_version")
    if version is None:
        return fine("not in use")
    if not _mended(numbers(str(version))):
        found = f"{version} has the WAL-reset bug: two connections that write at once can, rarely, lose a commit"
        return Verdict(Level.WARNING, found, "pip install pysqlite3, or a Python with SQLite 3.51.3; one ingest worker")
    return fine(str(version))


def _mended(version: tuple[int, ...]) -> bool:
    backported = any(version[:2] == fixed[:2] and version >= fixed for fixed in FIXED_SQLITE)
    return backported or version[:2] > FIXED_SQLITE[-1][:2]


def dead_letters(told: WorkerFacts) -> Verdict | None:
    """Whether memories could not be archived."""
    if told.dead_letters is None:
        return None
    if told.dead_letters:
        found = f"{told.dead_letters} memories could not be archived"
        return Verdict(Level.WARNING, found, "`trinitas dead-letters list`")
    return fine("none")


def reconcile(told: WorkerFacts) -> Verdict | None:
    """Whether the tiers agreed when they were compared last."""
    if told.archive is None:
        return None
    if told.compared_seconds is None:
        return fine("has not run yet")
    if told.compared_seconds > COMPARED_SECONDS:
        found = f"the tiers were compared last {told.compared_seconds / 60:,.0f} minutes ago"
        return Verdict(Level.WARNING, found, "does beat run? `trinitas status`; `trinitas verify` compares now")
    if told.differences:
        found = ", ".join(f"{count} × {kind}" for kind, count in told.differences.items())
        return Verdict(Level.WARNING, f"met and mended lately: {found}", "`trinitas verify` tells whether any is left")
    return fine("found no difference")


def full_text(told: WorkerFacts) -> Verdict | None:
    """Whether the search worker's index follows the archive."""
    advice = "until then words are looked up in the archive, which is slower"
    if told.fulltext_error:
        return Verdict(Level.PROBLEM, told.fulltext_error, advice)
    if told.fulltext_behind > BEHIND:
        return Verdict(Level.WARNING, f"{told.fulltext_behind:,} changes behind: it is being built", advice)
    return None if told.fulltext_memories is None else fine(f"{told.fulltext_memories:,} memories")


def chroma(told: WorkerFacts) -> Verdict | None:
    """Whether Chroma answers, and is of the client's kind: all 1.x servers call themselves 1.0.0."""
    if told.chroma_error:
        return Verdict(Level.PROBLEM, told.chroma_error, "until then recalls scan the archive; `trinitas status`")
    if told.chroma_server is None or told.chroma_client is None:
        return None
    found = f"the server speaks {told.chroma_server}, the client is {told.chroma_client}"
    if numbers(told.chroma_server)[:1] != numbers(told.chroma_client)[:1]:
        return Verdict(Level.WARNING, found, f"run the server of chromadb {told.chroma_client}")
    return fine(found)


def chroma_address(told: WorkerFacts) -> Verdict | None:
    """Whether others than the workers get at Chroma."""
    at = told.chroma
    if at is None:
        return None
    if at.elsewhere or at.public:
        found = f"Chroma has no passwords, and answers at {at.elsewhere or at.where}"
        return Verdict(Level.PROBLEM, found, "`chroma run --host 127.0.0.1`, beside the search and ingest workers")
    if not at.local:
        found = f"Chroma has no passwords: whoever reaches {at.where} in its network reads and deletes vectors"
        return Verdict(Level.WARNING, found, "let nothing but the workers into that network")
    return fine(f"{at.where}, from its machine alone")


def model(told: WorkerFacts) -> Verdict | None:
    """Whether the weights are those that they should be."""
    if told.model_error:
        return Verdict(Level.PROBLEM, told.model_error, "until then nothing is embedded or found by meaning")
    if told.model is None:
        return None
    if not told.model_checked:
        found = f"{told.model}: nothing tells whether its weights were altered"
        return Verdict(Level.WARNING, found, "set TRINITAS_MODEL_SHA256 to what `sha256sum model.safetensors` says")
    return fine(f"{told.model}, checksum verified")
