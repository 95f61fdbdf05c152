"""Which TCP ports the stack's servers take, and who has the one that is wanted."""

from __future__ import annotations

import random
import socket

import psutil

from trinitas_tasks.errors import StackError
from trinitas_tasks.local.marks import MARK

LOOPBACK = "127.0.0.1"

# Below every system's range of outgoing ports: while a server restarts, a client that keeps
# knocking at a port of that range can be connected to itself, and then the port is taken.
FREE_PORTS = range(20_000, 32_000)


def choose(wanted: int | None, remembered: int | None, *, server: str, option: str) -> int:
    """The port wanted, else the last one, else a free one. Raises: StackError if the wanted one is taken."""
    if wanted is not None:
        if not is_free(wanted):
            raise StackError(
                f"port {wanted}, wanted for {server}, is taken{_holder(wanted)}: "
                f"stop that, or choose another port with {option}"
            )
        return wanted
    if remembered is not None and is_free(remembered):
        return remembered
    for port in random.sample(FREE_PORTS, 200):
        if is_free(port):
            return port
    raise StackError(f"no free port found for {server}: choose one with {option}")


def is_free(port: int) -> bool:
    """Whether a server could listen there on the loopback interface."""
    with socket.socket() as probe:
        # as servers do: the remains of closed connections do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _holder(port: int) -> str:
    try:
        listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
        pid = next(each.pid for each in listening if each.laddr and each.laddr.port == port and each.pid)
        process = psutil.Process(pid)
        home = process.environ().get(MARK)
        return f" by process {pid} ({process.name()}{f', of the stack in {home}' if home else ''})"
    except (psutil.Error, StopIteration):
        return ""
