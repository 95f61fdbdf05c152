"""The server itself: `chroma run` with the options that come as arguments, as a process that ends with the guard.

Its engine alone, without the Python library that starts it otherwise: 75 MB and two seconds less.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from threading import Thread

import chromadb_rust_bindings  # type: ignore[import-untyped] # it is Rust

from trinitas_tasks.local.chroma_guard.diagnosis import CANNOT_OPEN, Verdict, judge

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until a signal comes."""
    Thread(target=_end_with_the_guard, daemon=True).start()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # ends a stopped process too, which no thread can
    # Chroma keeps four files open for every collection, and at the usual limit of 1024 it fails at 250 of them
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        chromadb_rust_bindings.cli(sys.argv)
    except BaseException as error:  # a panic of Rust is no Exception, and its class cannot be imported
        if type(error).__name__ != "PanicException" or judge(str(error)) is Verdict.UNKNOWN:
            raise
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT_OPEN)


def _end_with_the_guard() -> None:
    """Standard input is a pipe from the guard and ends with it, however it was killed. The next needs the port."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
