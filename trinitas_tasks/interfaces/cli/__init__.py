"""The command line: `trinitas`. Its commands are in the modules of this package, `app` puts them together."""

from __future__ import annotations

import sys
from typing import Final

INTERRUPTED: Final = 130


def main() -> None:
    """The entry point of the package."""
    try:
        # only here: whoever presses Ctrl-C while the commands are loaded wants to see no traceback either
        from trinitas_tasks.interfaces.cli import output  # noqa: PLC0415
        from trinitas_tasks.interfaces.cli.app import command  # noqa: PLC0415

        output.run(command())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
