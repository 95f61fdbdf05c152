"""The command line in the test's own process, over stubs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from tests.unit.clients import Bench
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.interfaces import entering
from trinitas_tasks.interfaces.cli import main
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.settings import Settings
from trinitas_tasks.tiers.ledger.memory import MemoryLedger


class Done(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """What it said as JSON."""
        assert self.code == 0, self.err
        return json.loads(self.out)


class CommandLine:
    """`trinitas`, as this machine's user calls it; the workers are in this process, too."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.client: MemoryClient = bench.client(persona=None)
        self.ledger = MemoryLedger()
        self._patch = monkeypatch
        monkeypatch.setattr(entering, "entered", self._entered)

    @contextmanager
    def _entered(self, settings: Settings, name: str) -> Iterator[Door]:
        yield Door(self.client, entering.user(settings), self.ledger, name)

    def __call__(self, *arguments: str, stdin: str | bytes = "", columns: int = 0, **variables: str) -> Done:
        """``columns``: on a terminal of this width; else in a pipe."""
        size = {"COLUMNS": str(columns or 80), "LINES": "40"}
        with (
            self._patch.context() as patch,
            CliRunner().isolation(stdin, {"TERM": "xterm-256color", **size, **variables}) as (out, err, _),
        ):
            patch.setattr(sys, "argv", ["trinitas", *arguments])
            if columns:
                for stream in (sys.stdin, sys.stdout, sys.stderr):
                    patch.setattr(stream, "isatty", lambda: True)
            with pytest.raises(SystemExit) as ended:
                main()
            sys.stdout.flush()
            sys.stderr.flush()
            return Done(int(ended.value.code or 0), out.getvalue().decode(), err.getvalue().decode())

    def rows(self) -> Sequence[tuple[str | None, ...]]:
        """The audit, oldest first: what was done to whose which memory, and what came of it."""
        return [(deed.action, deed.persona, deed.subject, deed.outcome) for deed in reversed(self.ledger.deeds(100))]
