"""The server over HTTP: who may come in, from where, and how much they may bring."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import anyio
import uvicorn
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trinitas_tasks.errors import Forbidden, Overloaded, SettingsError, Transient, TrinitasError
from trinitas_tasks.interfaces.mcp import refusals
from trinitas_tasks.interfaces.mcp.calls import Calls
from trinitas_tasks.interfaces.mcp.server import PRINCIPAL, MemoryServer
from trinitas_tasks.model import utc_now

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.tokens import Gate

PATH: Final = "/mcp"
HEALTH: Final = "/health"
MOST_SESSIONS: Final = 1000
IDLE_SECONDS: Final = 1800.0
"""A session without a request for so long has ended; the client opens another."""
BODY_SECONDS: Final = 30.0
"""So long the body of a request may take to come."""
RETRY_SECONDS: Final = 5
"""After so long a request that was one too many may be made again."""
CHECKING: Final = 4
"""So many tokens are looked up at a time."""
REFUSED: Final = -32001
"""The code of errors that tell of a request that was not let in; JSON-RPC leaves it to servers."""
GRACE_SECONDS: Final = 1
"""So long what goes on may go on when the server is stopped."""
MOST_CONNECTIONS: Final = 1000
BACKLOG: Final = 128
METHODS: Final = ("POST", "DELETE")
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
HEADERS: Final = ("authorization", "content-type", "accept", "mcp-session-id", "mcp-protocol-version", "last-event-id")


@dataclass(frozen=True)
class Bounds:
    """``hosts`` are names under which this server is reached beside the loopback's, ``origins`` of web pages that may
    ask (``https://example.com``); ``port`` is its own. ``body_bytes`` is the longest request."""

    port: int
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    body_bytes: int = 4 << 20

    def rules(self) -> TransportSecuritySettings:
        """Which Host and Origin headers are accepted; whoever sends no Origin is no web page."""
        names = (*LOOPBACK, *self.hosts)
        own = [f"{scheme}://{name}:{self.port}" for scheme in ("http", "https") for name in LOOPBACK]
        return TransportSecuritySettings(
            allowed_hosts=[*names, *(f"{name}:*" for name in names)], allowed_origins=[*own, *self.origins]
        )


def application(server: MemoryServer, gate: Gate | None, bounds: Bounds) -> Starlette:
    """The ASGI application. ``gate`` None: whoever reaches it acts as this machine's user."""
    manager = StreamableHTTPSessionManager(
        server.protocol,
        max_request_body_size=bounds.body_bytes,
        max_sessions=MOST_SESSIONS,
        session_idle_timeout=IDLE_SECONDS,
    )
    asked: ASGIApp = Asked(StreamableHTTPASGIApp(manager))
    pages = Middleware(
        CORSMiddleware,
        allow_origins=bounds.origins,
        allow_methods=["POST", "DELETE"],
        allow_headers=HEADERS,
        expose_headers=["mcp-session-id", "www-authenticate"],
    )
    return Starlette(
        routes=[Route(PATH, asked if gate is None else Bearers(asked, gate)), Route(HEALTH, alive)],
        middleware=[Middleware(Addressed, rules=bounds.rules()), *([pages] if bounds.origins else [])],
        lifespan=lambda _: manager.run(),
    )


async def alive(_: Request) -> Response:
    """That this process answers, and nothing about what is behind it: that takes a token."""
    return JSONResponse({"status": "ok"})


class Addressed:
    """Refuses what is not meant for this server, or comes from a web page that nobody allowed (DNS rebinding)."""

    def __init__(self, app: ASGIApp, rules: TransportSecuritySettings) -> None:
        self._app = app
        self._rules = TransportSecurityMiddleware(rules)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await self._rules.validate_request(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)


class Bearers:
    """Lets in whoever shows a valid token, looked up anew for every request."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate
        self._checks = Calls(CHECKING, waiting=MOST_CONNECTIONS // CHECKING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        secret = _bearer(scope)
        try:
            if secret is None:
                raise Forbidden("a token is needed: Authorization: Bearer TOKEN (`trinitas token create` makes one)")
            principal = await self._checks.run(lambda: self._gate.admit(secret, utc_now()))
        except (Forbidden, Transient) as error:
            return await _refusal(error, shown=secret is not None)(scope, receive, send)
        # the session manager keeps a session to the user that opened it
        user = AuthenticatedUser(AccessToken(token="", client_id=principal.name, scopes=sorted(principal.rights)))
        await self._app({**scope, "user": user, PRINCIPAL: principal}, receive, send)
        return None


def _bearer(scope: Scope) -> str | None:
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        return None
    scheme, _, secret = given[0].decode("latin-1").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def _refusal(error: TrinitasError, *, shown: bool) -> Response:
    """``shown``: there was something that could have been a token."""
    match error:
        case Forbidden():
            problem = ', error="invalid_token"' if shown else ""
            return _error(HTTPStatus.UNAUTHORIZED, error, {"WWW-Authenticate": f'Bearer realm="trinitas"{problem}'})
        case Overloaded():
            return _error(HTTPStatus.TOO_MANY_REQUESTS, error, {"Retry-After": str(RETRY_SECONDS)})
        case _:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, error, {"Retry-After": str(RETRY_SECONDS)})


def _error(status: HTTPStatus, error: TrinitasError, headers: Mapping[str, str]) -> Response:
    """With a body that clients of the protocol show to their users."""
    told = {"code": REFUSED, "message": refusals.told(error)}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": told}, status, headers)


class Asked:
    """Takes requests whose body comes in time. Nothing is sent that was not asked for, so there is no stream to get."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in METHODS:
            refusal = Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(METHODS)})
            return await refusal(scope, receive, send)
        body = Body(receive)
        try:
            await self._app(scope, body.receive, send)
        except TimeoutError:
            if body.complete:
                raise
            await Response(status_code=HTTPStatus.REQUEST_TIMEOUT)(scope, receive, send)
        return None


class Body:
    """The messages of a request, of which those that bring its body must come in time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._until = anyio.current_time() + BODY_SECONDS
        self.complete = False

    async def receive(self) -> Message:
        if self.complete:
            return await self._receive()
        with anyio.fail_after(self._until - anyio.current_time()):
            message = await self._receive()
        self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one. Raises: SettingsError."""
    with ExitStack() as undone:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            made = undone.enter_context(socket.socket(family, kind, protocol))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(BACKLOG)
        except (OSError, UnicodeError) as error:
            raise SettingsError(f"nobody can listen at {host}, port {port}: {error}: try another --port") from None
        undone.pop_all()
    return made


def serve(app: Starlette, at: socket.socket, *, certificate: Path | None = None, key: Path | None = None) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, which whoever handles it is told of, too. Raises: SettingsError."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"TLS cannot be set up with {certificate} and {key or certificate}: {error}") from None
    server = uvicorn.Server(config)
    handled = signal.getsignal(signal.SIGHUP)

    def hang_up(number: int, frame: FrameType | None) -> None:
        """As the library does by itself with the others."""
        server.should_exit = True
        if callable(handled):
            handled(number, frame)

    if handled is not signal.SIG_IGN:  # that is how nohup asks for it
        signal.signal(signal.SIGHUP, hang_up)
    server.run(sockets=[at])
