"""Asks a Chroma server in earnest: it answers its heartbeat and its health check whatever state it is in.

Without Chroma's library, which takes 100 MB.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from trinitas_tasks.local.chroma_guard.diagnosis import Verdict, judge

COLLECTIONS: Final = "/api/v2/tenants/default_tenant/databases/default_database/collections"
NAME: Final = "trinitas-canary"
VECTOR: Final = (1.0, 0.0)

ANSWER_SECONDS: Final = 2.0


class Answer(NamedTuple):
    """What the server said, and what that means."""

    verdict: Verdict
    said: str = ""


class _RefusedError(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.said)
        self.answer = answer


class Canary:
    """Searches in a collection of its own, and writes into it every ``write_seconds``: that costs 60 KB on the disk."""

    def __init__(self, host: str, port: int, write_seconds: float) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        self._write_seconds = write_seconds
        self._collection: str | None = None
        self._write_at = 0.0

    def ask(self) -> Answer:
        """Never raises."""
        try:
            with contextlib.closing(self._connection):
                return self._answer()
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            return Answer(Verdict.UNKNOWN, repr(error))

    def _answer(self) -> Answer:
        try:
            self._write_and_search()
        except _RefusedError as refused:
            # perhaps its own collection is torn, or was deleted: the next time it has a new one
            self._collection = None
            answer = refused.answer
        else:
            return Answer(Verdict.SOUND)
        if answer.verdict is Verdict.SUSPECT:
            try:
                self._call("DELETE", f"/{NAME}")
            except _RefusedError as refused:
                if "NotFoundError" not in refused.answer.said:
                    return refused.answer  # of a full disk only this says so
        return answer

    def _write_and_search(self) -> None:
        if self._collection is None:
            self._collection = str(self._call("POST", "", {"name": NAME, "get_or_create": True})["id"])
            self._write_at = 0.0
        if time.monotonic() >= self._write_at:
            self._call("POST", f"/{self._collection}/upsert", {"ids": ["1"], "embeddings": [VECTOR]})
            self._write_at = time.monotonic() + self._write_seconds
        wanted = {"query_embeddings": [VECTOR], "n_results": 1, "include": ["distances"]}
        self._call("POST", f"/{self._collection}/query", wanted)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        self._connection.request(method, COLLECTIONS + path, json.dumps(body) if body else None, headers)
        response = self._connection.getresponse()
        said = response.read().decode(errors="replace")
        if response.status >= HTTPStatus.BAD_REQUEST:
            internal = response.status == HTTPStatus.INTERNAL_SERVER_ERROR
            raise _RefusedError(Answer(judge(said) if internal else Verdict.UNKNOWN, said[:300]))
        return json.loads(said)
