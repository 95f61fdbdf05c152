"""A Chroma server: bounded calls, and its answers in our words.

`chromadb.HttpClient` waits for ever, and its constructor already calls the server. So this uses the layer below
it, the library's `FastAPI` class, over an HTTP session of our own: every request there gets the time that is left
to the operation, and every answer that is not one becomes one of our errors.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx
from chromadb.api.fastapi import FastAPI
from chromadb.config import Settings, System
from chromadb.errors import ChromaError, NotFoundError

from trinitas_tasks.errors import DeadlineExceeded, Unavailable
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.vectors.interface import Torn

PATIENCE_SECONDS: Final = 60
"""For deleting a collection: 1 s for 100,000 vectors on 2 cores, and one that is cut off is undone by the server."""

DEATHS: Final = 3
"""How often one call must end the server, and nothing but it, until its files are to blame."""

PASSING: Final = frozenset({5, 6, 7, 9, 13})
"""SQLite's codes for busy, locked, out of memory, interrupted, disk full: https://sqlite.org/rescode.html."""

DATABASE: Final = frozenset({1, 8, 10, 11, 14, 26})
"""No such table, read-only (its file was deleted), unreadable, malformed, cannot be opened, not a database."""


class Connection:
    """One server, and what is known of its health; safe to share between threads. Connects at the first call."""

    def __init__(
        self, host: str, port: int, *, deadline_ms: int, query_ms: int | None = None, breaker: Breaker | None = None
    ) -> None:
        self.where = f"Chroma at {host}:{port}"
        self.deadline_seconds = deadline_ms / 1000
        self._query_seconds = (query_ms or deadline_ms) / 1000
        self._breaker = breaker
        if breaker is not None:
            breaker.probe = self.ping
        self._host, self._port = host, port
        self._lock = threading.Lock()
        self._api: FastAPI | None = None
        self._thread = threading.local()
        self._answering = True
        self._deaths: dict[str, int] = {}

    @property
    def api(self) -> FastAPI:
        """The library's API."""
        with self._lock:
            if self._api is None:
                self._api = self._build()
            return self._api

    def close(self) -> None:
        """Give the connections back; the next call makes new ones."""
        with self._lock:
            if self._api is not None:
                self._api._session.close()
            self._api = None
        if self._breaker is not None:
            self._breaker.close()

    @contextmanager
    def bounded(self, what: str) -> Iterator[None]:
        """Give the block the deadline, and its errors our names; where the server is away, the breaker opens."""
        if self._breaker is not None:
            self._breaker.check()
        try:
            with self._explained(what, self._query_seconds if what == "query" else self.deadline_seconds):
                yield
        except Unavailable as error:
            if self._breaker is not None and isinstance(error.__cause__, httpx.HTTPError):
                self._breaker.failed(error)
            raise

    def ping(self) -> None:
        """Return if it answers; an open breaker is closed by that. Raises: Unavailable."""
        with self._explained("ping", self.deadline_seconds):
            self.api.heartbeat()
        if self._breaker is not None:
            self._breaker.succeeded()

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Within a bounded block: give this one `PATIENCE_SECONDS`, and what follows the whole deadline again."""
        seconds: float = self._thread.seconds
        self._allow(max(PATIENCE_SECONDS, seconds))
        yield
        self._allow(seconds)

    @contextmanager
    def _explained(self, what: str, seconds: float) -> Iterator[None]:
        failed = f"{self.where} failed to {what}"
        self._allow(seconds)
        try:
            yield
        except httpx.TimeoutException as error:
            within = f"within {self._thread.seconds:g} s"
            raise DeadlineExceeded(f"{failed}: no answer {within}; is the server busy or stopped?") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{failed}: {error}; does the server run?") from error
        except (ChromaError, ValueError, LookupError, TypeError) as error:  # refused, or not an answer of Chroma's
            raise Unavailable(f"{failed}: {error}") from error

    @contextmanager
    def suspected(self, call: str) -> Iterator[None]:
        """Note whether the call ends the server. Raises: Torn when it did so `DEATHS` times and never succeeded.

        A torn index can crash the server whenever it is asked. Of the calls that one death cuts off, one counts.
        """
        try:
            yield
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            with self._lock:
                self._deaths[call] = self._deaths.get(call, 0) + self._answering
                self._answering = False
                deaths = self._deaths[call]
            if deaths >= DEATHS:
                raise Torn(f"{self.where} ended {deaths} times at {call}: are its files torn? Rebuild them") from error
            raise
        self._deaths.pop(call, None)

    def _build(self) -> FastAPI:
        """The library's API without a word to the server."""
        settings = Settings(
            _env_file=None,
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=self._host,
            chroma_server_http_port=self._port,
            anonymized_telemetry=False,
        )
        api = System(settings).instance(FastAPI)
        theirs, api._session = (
            api._session,
            httpx.Client(
                headers=api._session.headers,
                limits=api.http_limits,
                trust_env=False,  # no proxy stands between us and a server on loopback
                event_hooks={"request": [self._limit], "response": [self._judge]},
            ),
        )
        theirs.close()
        return api

    def _allow(self, seconds: float) -> None:
        self._thread.seconds, self._thread.ends = seconds, time.monotonic() + seconds

    def _limit(self, request: httpx.Request) -> None:
        """Let the request take the time that is left."""
        left = self._thread.ends - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout("the deadline has passed", request=request)
        request.extensions["timeout"] = httpx.Timeout(left).as_dict()

    def _judge(self, response: httpx.Response) -> None:
        """Raise for an error here, because the library raises a bare Exception for some."""
        self._answering = True
        if response.is_success:
            return
        said = response.read().decode(errors="replace")
        if response.status_code == httpx.codes.NOT_FOUND and "NotFoundError" in said:
            raise NotFoundError(said)
        raise refusal(f"{self.where} answered {response.status_code}: {said[:200]}", said)


def refusal(message: str, said: str) -> Unavailable:
    """The error for what the server said: a passing one, or that its files are torn.

    A collection that is being deleted says "Missing metadata segment"; one that cannot be looked up, "Failed to get
    segments". Any other InternalError without a code of
    SQLite's is taken for a torn index: it may be a full disk, and then the rebuild fails by its code.
    """
    coded = re.search(r"\(code: (\d+)\)", said)
    code = int(coded[1]) & 0xFF if coded else 0  # the rest is SQLite's detail
    if code in PASSING or not ("InternalError" in said or "Missing metadata segment" in said):
        return Unavailable(message)
    if code in DATABASE or "Failed to get segments" in said:
        return Torn(f"{message}; its database is broken: start it again over an empty folder", whole=True)
    return Torn(f"{message}; its index files may be torn: rebuild them")
