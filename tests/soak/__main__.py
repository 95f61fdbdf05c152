"""Tries to break the promises. Started by scripts/soak.

Exit code 1 if anything acknowledged was lost, anything forgotten came back, anything stands twice, anything went to
another persona, or what had been broken did not heal.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.soak import report
from tests.soak.run import Options, Run
from tests.soak.stage import forget_settings, stage

SIZE_MB, SIZE_MB_A_MINUTE = 600, 40


def main() -> int:
    """Run a soak; the exit code."""
    given = _parser().parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):  # also where a script started it in the background
        signal.signal(each, signal.default_int_handler)
    forget_settings()
    options = Options(given.minutes, given.seed, given.clients, given.gap, given.settle)
    size_mb = round(SIZE_MB + SIZE_MB_A_MINUTE * given.minutes)
    try:
        with stage(disk=given.disk, size_mb=size_mb, keep=given.keep, say=say) as where:
            run = Run(options, where, say)
            result = run.result()
            report.show(result, run.journals)
    except KeyboardInterrupt:
        say("interrupted: nothing is left running")
        return 130
    if given.json is not None:
        given.json.write_text(report.to_json(result), encoding="utf-8")
    say(result.last_line())
    return int(result.failed)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, required=True, help="how long the clients work")
    parser.add_argument("--seed", type=int, required=True, help="the same seed plans the same operations and faults")
    parser.add_argument("--clients", type=int, default=3, metavar="K", help="client processes (default 3)")
    parser.add_argument("--gap", type=float, default=10.0, metavar="SECONDS", help="mean between faults (default 10)")
    parser.add_argument("--settle", type=float, default=180.0, metavar="SECONDS", help="limit of healing (default 180)")
    parser.add_argument(
        "--disk",
        choices=("auto", "tmpfs", "limit"),
        default="auto",
        help="how the disk gets full: a mounted tmpfs (root), or a limit on the ingest worker's files",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as JSON")
    parser.add_argument("--keep", action="store_true", help="leave the folder with journals, logs and data")
    return parser


if __name__ == "__main__":
    sys.exit(main())
