"""The server over standard input and output: one client, which started it."""

from __future__ import annotations

import signal
import sys
from typing import BinaryIO, Final, cast

import anyio
import anyio.to_thread
from mcp.server.stdio import stdio_server

from trinitas_tasks.interfaces.mcp.server import MemoryServer

STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Lines:
    """The lines of a stream, UTF-8. Whoever waits for the next one can be cancelled; the thread that reads cannot."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        line = await anyio.to_thread.run_sync(self._stream.readline, abandon_on_cancel=True)
        if not line:
            raise StopAsyncIteration
        return line.decode(errors="replace")


def serve(server: MemoryServer) -> signal.Signals | None:
    """Serve until the input ends, the client is gone or a signal comes, which is returned.

    A thread may still read from the input, others may wait for answers that nobody wants: they hold up the end of the
    interpreter.
    """
    stopped: signal.Signals | None = None
    try:
        stopped = anyio.run(_serve, server)
    except* BrokenPipeError:
        pass
    finally:
        server.close()
    return stopped


async def _serve(server: MemoryServer) -> signal.Signals | None:
    received: list[signal.Signals] = []
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with anyio.open_signal_receiver(*STOP) as signals:
                async for each in signals:
                    received.append(each)
                    tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        lines = cast("anyio.AsyncFile[str]", Lines(sys.stdin.buffer))  # it is iterated over, no more
        async with stdio_server(stdin=lines) as (incoming, outgoing):
            await server.protocol.run(incoming, outgoing, server.protocol.create_initialization_options())
        tasks.cancel_scope.cancel()
    return received[0] if received else None
