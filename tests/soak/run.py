"""One run: clients and chaos, then peace, then the comparison of what stands with what was acknowledged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak import measure, observe
from tests.soak.chaos import Chaos
from tests.soak.client import Errand
from tests.soak.clients import Clients
from tests.soak.faults import plan
from tests.soak.journal import Tail, lines
from tests.soak.ledger import Ledger, Violation
from tests.soak.measure import Calls
from tests.soak.monitor import Monitor
from tests.soak.report import Result
from tests.soak.stage import Say, Stage
from tests.soak.verdicts import judge, of_clients, together
from trinitas_tasks import MemoryClient
from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.runtime import Runtime

PERSONAS = ("soak-a", "soak-b", "soak-c", "soak-d")
OPERATIONS_A_SECOND = 16.0
"""Of all clients together: about 14 memories, which two cores embed beside everything else."""
PROGRESS_SECONDS = 10.0
LOOK_SECONDS = 0.5
BEFORE_END_SECONDS = 5.0
"""The last fault ends so long before the clients do."""
SLOW_SECONDS = 2.0
"""Beyond the deadline."""
LOOK_AGAIN_SECONDS = 1.0
"""What a client takes to find Redis again, beyond the delay of its breaker."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    minutes: float
    seed: int
    clients: int
    gap_seconds: float
    settle_seconds: float


@dataclass(slots=True)
class Run:
    """The state of a run."""

    options: Options
    stage: Stage
    say: Say
    calls: Calls = field(default_factory=Calls)
    started: float = field(default_factory=time.monotonic)

    @property
    def journals(self) -> list[Path]:
        return [self.stage.folder / f"client-{number}.jsonl" for number in range(self.options.clients)]

    def now(self) -> float:
        """Seconds from the start of the run."""
        return time.monotonic() - self.started

    def result(self) -> Result:
        """Do everything and say what came of it."""
        seconds = self.options.minutes * 60
        # the monitor gives up soon: it asks again and again
        hasty = self.stage.settings(redis_timeout_ms=1000, deadline_ms=2000)
        runtime = Runtime(self.stage.settings())
        with MemoryClient.connect(hasty) as watching:
            clients = Clients(self._errands(seconds), self.say)
            monitor = Monitor(self.stage.stack, watching, runtime.hot, PERSONAS, self.now, self.say)
            chaos = Chaos(
                plan(self.options.seed, seconds=seconds - BEFORE_END_SECONDS, gap_seconds=self.options.gap_seconds),
                stack=self.stage.stack,
                chroma=runtime.settings.chroma_folder(),
                disk=self.stage.disk,
                clients=clients,
                now=self.now,
                say=lambda text: self.say(f"{self.now():6.0f} s  {text}"),
            )
            try:
                for each in (clients, monitor, chaos):
                    each.start()
                self._watch(seconds, clients, chaos, monitor)
                chaos.stop()
                clients.wait()
                return self._compared(clients, chaos, monitor, runtime)
            finally:
                chaos.stop()
                monitor.stop()
                clients.end()
                runtime.close()

    def _errands(self, seconds: float) -> list[Errand]:
        return [
            Errand(
                home=str(self.stage.home),
                journal=str(journal),
                client=number,
                seed=self.options.seed,
                personas=PERSONAS,
                started=self.started,
                ends=self.started + seconds,
                pace_seconds=self.options.clients / OPERATIONS_A_SECOND,
            )
            for number, journal in enumerate(self.journals)
        ]

    def _watch(self, seconds: float, clients: Clients, chaos: Chaos, monitor: Monitor) -> None:
        tails = [Tail(each) for each in self.journals]
        progress_at = PROGRESS_SECONDS
        while self.now() < seconds:
            clients.restart()
            self._read(tails)
            if self.now() >= progress_at:
                progress_at += PROGRESS_SECONDS
                self.say(self._progress(len(chaos.struck), monitor))
            time.sleep(LOOK_SECONDS)

    def _read(self, tails: Sequence[Tail]) -> None:
        known = len(self.calls.violations)
        for tail in tails:
            for line in tail.lines():
                self.calls.feed(line)
        for each in self.calls.violations[known:]:
            self.say(f"{each.at:6.0f} s  {each.kind.upper()} {each.persona}/{each.id}: {each.detail}")

    def _progress(self, faults: int, monitor: Monitor) -> str:
        look = monitor.last
        state = "nothing known yet"
        if look is not None:
            waiting = "unknown" if look.outbox is None else f"{look.outbox}, for {look.lag_seconds:.1f} s"
            state = f"outbox {waiting}; {'; '.join(look.wrong)[:120] or 'all well'}"
        return (
            f"{self.now():6.0f} s  {self.calls.operations} operations ({self.calls.failed} refused), {faults} faults; "
            f"{state}"
        )

    def _compared(self, clients: Clients, chaos: Chaos, monitor: Monitor, runtime: Runtime) -> Result:
        """Wait until all has settled, and compare what stands with the journals."""
        self.say("peace: waiting until everything has settled")
        began = time.monotonic()
        problems = [*clients.crashes]
        remarks = [f"disk: {self.stage.disk.name}"]
        self.calls = Calls()
        ledger = Ledger()
        for journal in self.journals:
            for line in lines(journal):
                self.calls.feed(line)
                ledger.feed(line)
        found: list[Violation] = []
        with MemoryClient.connect(self.stage.settings(redis_timeout_ms=5000, deadline_ms=20_000)) as client:
            left = observe.settle(client, runtime, PERSONAS, self.options.settle_seconds)
            remarks.append(f"settled after {time.monotonic() - began:.0f} s of peace" if not left else "did not settle")
            problems += [f"not settled after {self.options.settle_seconds:g} s: {each}" for each in left]
            monitor.stop()
            try:
                found = judge(ledger, observe.observe(client, runtime, ledger, PERSONAS), self.now())
                missing, asked = observe.sampled(client, ledger, self.options.seed, self.now())
                found += missing
                remarks.append(f"findable {asked - len(missing)}/{asked}")
            except TrinitasError as error:
                problems.append(f"what stands could not be read: {error}")
        # a client that found Redis away looks for it again after so long
        longer = runtime.settings.retry_delay + LOOK_AGAIN_SECONDS
        away = measure.faulty([each for each in chaos.struck if each.fault.takes_redis], monitor.looks)
        seen, stale = of_clients(self.calls.violations, [(start, end + longer) for start, end in away])
        problems += monitor.by_hand
        return Result(
            seed=self.options.seed,
            seconds=self.now(),
            disk=self.stage.disk.name,
            calls=self.calls,
            struck=chaos.struck,
            healings=measure.healings(chaos.struck, self.calls, monitor.looks),
            latencies=measure.latencies(self.calls, measure.faulty(chaos.struck, monitor.looks)),
            violations=together(seen, found),
            problems=problems,
            remarks=[*remarks, *self._remarks(ledger, stale)],
        )

    def _remarks(self, ledger: Ledger, stale: int) -> list[str]:
        deadline = self.stage.settings().deadline_ms / 1000
        slow = [each for each in self.calls.slowest if each > deadline + SLOW_SECONDS]
        standing = sum(each.acknowledged is not None for each in ledger.standings.values())
        open_ = sum(bool(each.later) for each in ledger.standings.values()) + len(ledger.loose)
        return [
            f"memories: {standing} acknowledged, {len(ledger.standings) - standing} forgotten, {open_} ambiguous",
            f"own memories found by recall at once: {self.calls.found}/{self.calls.asked}",
            f"stale reads while Redis was away: {stale}",
            f"calls refused: {self.calls.failed}; slower than the deadline and {SLOW_SECONDS:g} s: {len(slow)}, "
            f"the slowest call {max(self.calls.slowest, default=0):.2f} s",
        ]
