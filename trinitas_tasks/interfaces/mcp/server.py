"""The server behind both transports: what clients list, call and read, and what they are told where it fails."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError

from trinitas_tasks import __version__
from trinitas_tasks.errors import Permanent, TrinitasError
from trinitas_tasks.interfaces.mcp import prompts, refusals, resources
from trinitas_tasks.interfaces.mcp.calls import MOST, MOST_SLOW, Calls
from trinitas_tasks.policy.personas import FIVE

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door
    from trinitas_tasks.interfaces.mcp.tools import Tool
    from trinitas_tasks.policy.access import Principal, Right
    from trinitas_tasks.policy.personas import Persona

logger = logging.getLogger(__name__)

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]
Paged = types.PaginatedRequestParams | None

NAME: Final = "trinitas"
PRINCIPAL: Final = "trinitas.principal"
"""Under this name a transport that knows who asks leaves it in the scope of the request."""
MOST_COMPLETIONS: Final = 100
LOGGED: Final = "%s failed unexpectedly (reference %s)"
UNEXPECTED: Final = "{} failed unexpectedly; the server's log says why under reference {}"


class Doors(Protocol):
    """Gives the door of a principal, for the length of a block; None: of this machine's user."""

    def __call__(self, principal: Principal | None) -> AbstractContextManager[Door]: ...


class MemoryServer:
    """Answers clients through doors. What it does for them runs in threads; see Calls."""

    def __init__(self, doors: Doors, *, greeted: Callable[[], None] | None = None) -> None:
        """``greeted`` is called once, when the first answer has been given."""
        self._doors = doors
        self._greeted = greeted
        self._calls = Calls(MOST)
        self._slow = Calls(MOST_SLOW)
        self._tools: Mapping[str, Tool] | None = None
        self.protocol: Server[Any] = Server(
            NAME,
            version=__version__,
            title="Trinitas memory",
            description="The long-term memory of teams of AI agents.",
            instructions=prompts.INSTRUCTIONS,
            get_tool_input_schema=lambda _: None,  # no argument is repeated in a header
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
        )
        if greeted is not None:
            self.protocol.middleware.append(self._greeting)

    def close(self) -> None:
        """Begin no more calls; those that run are not waited for."""
        self._calls.close()
        self._slow.close()

    async def _greeting(self, ctx: Context, call_next: Callable[[Context], Awaitable[Any]]) -> Any:
        answer = await call_next(ctx)
        greeted, self._greeted = self._greeted, None
        if greeted is not None:
            greeted()
        return answer

    # Tools.

    async def _list_tools(self, ctx: Context, _: Paged) -> types.ListToolsResult:
        """Those that the principal has the right to."""
        principal = _principal(ctx)
        every = await self._told("tools/list", listed_tools)
        return types.ListToolsResult(
            tools=[made for right, made in every if principal is None or right in principal.rights]
        )

    async def _call_tool(self, ctx: Context, asked: types.CallToolRequestParams) -> types.CallToolResult:
        if self._tools is None:
            self._tools = await self._told("tools/call", _tools)
        tools = self._tools
        tool = tools.get(asked.name)
        if tool is None:
            complaint = f"there is no tool {refusals.shown(asked.name)}{refusals.nearest(asked.name, tools)}"
            raise MCPError(types.INVALID_PARAMS, complaint)
        principal, given = _principal(ctx), asked.arguments or {}
        try:
            calls = self._slow if tool.slow else self._calls
            return await calls.run(lambda: self._used(tool, principal, given))
        except TrinitasError as error:
            return _failed(refusals.told(error))
        except Exception:
            number = secrets.token_hex(4)
            logger.exception(LOGGED, asked.name, number)
            return _failed(UNEXPECTED.format(asked.name, number))

    def _used(self, tool: Tool, principal: Principal | None, given: dict[str, Any]) -> types.CallToolResult:
        with self._doors(principal) as door:
            answer = tool.run(door, given)
        return types.CallToolResult(
            content=[types.TextContent(text=answer.text())],
            structured_content=answer.model_dump(mode="json"),
        )

    # All else. What cannot be done is an error of the protocol.

    async def _list_resources(self, ctx: Context, _: Paged) -> types.ListResourcesResult:
        personas: Mapping[str, Persona]
        try:
            personas = await self._behind(ctx, "resources/list", lambda door: door.personas())
        except MCPError:  # clients ask when they start, and perhaps never again
            personas = FIVE
        return types.ListResourcesResult(resources=resources.listed(personas))

    async def _list_templates(self, ctx: Context, _: Paged) -> types.ListResourceTemplatesResult:  # noqa: ARG002
        return types.ListResourceTemplatesResult(resource_templates=resources.templates())

    async def _read_resource(self, ctx: Context, asked: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        text = await self._behind(ctx, "resources/read", lambda door: resources.read(door, asked.uri))
        held = types.TextResourceContents(uri=asked.uri, mime_type=resources.MIME_TYPE, text=text)
        return types.ReadResourceResult(contents=[held])

    async def _list_prompts(self, ctx: Context, _: Paged) -> types.ListPromptsResult:  # noqa: ARG002
        return types.ListPromptsResult(prompts=[prompts.listed()])

    async def _get_prompt(self, ctx: Context, asked: types.GetPromptRequestParams) -> types.GetPromptResult:
        if asked.name != prompts.NAME:
            raise MCPError(types.INVALID_PARAMS, f"there is no prompt {refusals.shown(asked.name)}: {prompts.NAME}")
        given = asked.arguments or {}
        text = await self._behind(ctx, "prompts/get", lambda door: prompts.written(door, given))
        message = types.PromptMessage(role="user", content=types.TextContent(text=text))
        return types.GetPromptResult(description=prompts.ABOUT, messages=[message])

    async def _complete(self, ctx: Context, asked: types.CompleteRequestParams) -> types.CompleteResult:
        """Names of personas; ids are not guessed."""
        names: list[str] = []
        if asked.argument.name == "persona":
            personas = await self._behind(ctx, "completion/complete", lambda door: door.personas())
            names = sorted(name for name in personas if name.startswith(asked.argument.value))
        shown = names[:MOST_COMPLETIONS]
        found = types.Completion(values=shown, total=len(names), has_more=len(shown) < len(names))
        return types.CompleteResult(completion=found)

    async def _behind(self, ctx: Context, doing: str, work: Callable[[Door], T]) -> T:
        principal = _principal(ctx)

        def through() -> T:
            with self._doors(principal) as door:
                return work(door)

        return await self._told(doing, through)

    async def _told(self, doing: str, work: Callable[[], T]) -> T:
        try:
            return await self._calls.run(work)
        except TrinitasError as error:
            code = types.INVALID_PARAMS if isinstance(error, Permanent) else types.INTERNAL_ERROR
            raise MCPError(code, refusals.told(error)) from None
        except Exception:
            number = secrets.token_hex(4)
            logger.exception(LOGGED, doing, number)
            raise MCPError(types.INTERNAL_ERROR, UNEXPECTED.format(doing, number)) from None


def _principal(ctx: Context) -> Principal | None:
    """Whom the transport let in; None: it has nobody but this machine's user."""
    found: Principal | None = None if ctx.request is None else ctx.request.scope.get(PRINCIPAL)
    return found


def _tools() -> Mapping[str, Tool]:
    from trinitas_tasks.interfaces.mcp.tools import TOOLS  # noqa: PLC0415 - a server says hello before it is loaded

    return TOOLS


@cache
def listed_tools() -> tuple[tuple[Right, types.Tool], ...]:
    """What is told of the tools, each with the right that it takes."""
    return tuple((tool.right, _told(name, tool)) for name, tool in _tools().items())


def _told(name: str, tool: Tool) -> types.Tool:
    return types.Tool(
        name=name,
        title=tool.title,
        description=tool.about,
        input_schema=tool.input_schema(),
        output_schema=tool.output_schema(),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.reads,
            destructive_hint=not tool.adds,
            idempotent_hint=tool.again,
            open_world_hint=False,
        ),
    )


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
