"""An export into a file: the workers read, step by step, and this writes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidQuery, TrinitasError, Unavailable
from trinitas_tasks.interfaces.forms.form import Written
from trinitas_tasks.policy.hygiene import visible
from trinitas_tasks.services.exporting import Wanted

LIMIT: Final = 100
"""Memories in one step."""
STEP_MS: Final = 60_000
LOOK_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 60.0
"""How long nothing more may be archived before an export gives up waiting for it."""

Watch = Callable[[str, int], None]
"""Told what is being done, and how many memories one step of it was about."""


@dataclass(frozen=True, slots=True)
class Exported:
    """How many memories were written, in how many bytes."""

    memories: int
    bytes: int


def export(client: MemoryClient, file: Path | None, wanted: Wanted, form: Written, *, watch: Watch) -> Exported:
    """Write what is wanted, all that was acknowledged before included, to a file or (None) to standard output.

    The file gets its name when it is complete. A terminal gets marks in place of what is hidden, so that nothing moves
    its cursor. Raises: Unavailable, InvalidQuery.
    """
    _wait_archived(client, wanted.personas, watch=watch)
    with suppress(TrinitasError):  # reads and signals of the last seconds, if anybody is there to count them
        client.ask("run", "flush_access", False, None, deadline_ms=STEP_MS)
    shown = visible if file is None and sys.stdout.isatty() else str
    with _opened(file) as out:
        return _written(client, out, wanted, form, watch, shown)


def _wait_archived(client: MemoryClient, personas: Sequence[str], *, watch: Watch) -> None:
    """Return when all of theirs (none: of everybody) that was acknowledged before the call is archived.

    Raises: Unavailable when that does not end.
    """
    left, upto = client.ask("unarchived", None, personas, deadline_ms=STEP_MS)
    until = time.monotonic() + PATIENCE_SECONDS
    while left:
        time.sleep(LOOK_SECONDS)
        watch("waiting for the archive", 0)
        now, _ = client.ask("unarchived", upto, personas, deadline_ms=STEP_MS)
        if now < left:
            until = time.monotonic() + PATIENCE_SECONDS
        if now and time.monotonic() > until:
            raise Unavailable(
                f"{now:,} memories are in Redis only and nobody archives them: does an ingest worker run?"
            )
        left = now


def _written(
    client: MemoryClient, out: IO[bytes], wanted: Wanted, form: Written, watch: Watch, shown: Callable[[str], str]
) -> Exported:
    after: list[str] | None = ["", ""]
    count, size, begun = 0, 0, False
    asked = wanted.model_dump(mode="json")
    while after is not None:
        step: dict[str, Any] = client.ask("export_step", after, LIMIT, asked, deadline_ms=STEP_MS)
        texts = [] if begun else [form.header(step["model"])]
        begun = True
        texts += [form.written(line, first=count + place == 0) for place, line in enumerate(step["lines"])]
        data = shown("".join(texts)).encode()
        out.write(data)
        count, size, after = count + len(step["lines"]), size + len(data), step["after"]
        watch("exporting", step["examined"])
    end = form.footer().encode()
    out.write(end)
    return Exported(count, size + len(end))


@contextmanager
def _opened(file: Path | None) -> Iterator[IO[bytes]]:
    if file is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # nobody reads on: no error, if this was `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
            raise
        return
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        scratch.replace(file)
    except OSError as error:
        raise InvalidQuery(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            scratch.unlink()
