"""How clients are told to start the server: the file of each, and what stands in it."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import SettingsError

NAME: Final = "trinitas"
"""What clients call the server."""


class Client(StrEnum):
    """Programs that start MCP servers, as of November 2026."""

    CLAUDE_CODE = "claude-code"
    CLAUDE_DESKTOP = "claude-desktop"
    CURSOR = "cursor"
    VSCODE = "vscode"


@dataclass(frozen=True)
class Machine:
    """Where the clients of a machine keep their files. ``system`` is that of sys.platform."""

    system: str
    home: Path
    folder: Path
    """The project that somebody is in."""
    app_data: Path | None = None
    """Of Windows."""

    @classmethod
    def here(cls) -> Machine:
        """This one."""
        app_data = os.environ.get("APPDATA")
        return cls(sys.platform, Path.home(), Path.cwd(), Path(app_data) if app_data else None)

    def file(self, client: Client) -> Path:
        """Where the client looks for servers: Claude Code in the project, all others for the user."""
        match client:
            case Client.CLAUDE_CODE:
                return self.folder / ".mcp.json"
            case Client.CLAUDE_DESKTOP:
                return self._applications() / "Claude" / "claude_desktop_config.json"
            case Client.CURSOR:
                return self.home / ".cursor" / "mcp.json"
            case Client.VSCODE:
                return self._applications() / "Code" / "User" / "mcp.json"

    def _applications(self) -> Path:
        match self.system:
            case "darwin":
                return self.home / "Library" / "Application Support"
            case "win32":
                return self.app_data or self.home / "AppData" / "Roaming"
            case _:
                return self.home / ".config"


@dataclass(frozen=True)
class Start:
    """How the server is started."""

    command: Path
    environment: Mapping[str, str]
    arguments: Sequence[str] = ("mcp",)

    def entry(self, client: Client) -> dict[str, Any]:
        """As the client writes it; Claude Desktop knows no other kind."""
        kind = {} if client is Client.CLAUDE_DESKTOP else {"type": "stdio"}
        command = {"command": str(self.command), "args": list(self.arguments)}
        return {**kind, **command, "env": dict(self.environment)}

    def for_every_project(self) -> str:
        """The command that tells Claude Code, for all projects of the user."""
        variables = [part for name, value in self.environment.items() for part in ("--env", f"{name}={value}")]
        options = ["--transport", "stdio", "--scope", "user", *variables]
        return shlex.join(["claude", "mcp", "add", *options, NAME, "--", str(self.command), *self.arguments])


def command() -> Path:
    """The absolute path of this installation's `trinitas`. Raises: SettingsError."""
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        for name in ("trinitas", "trinitas.exe"):
            if (folder / name).is_file():
                return (folder / name).absolute()
    raise SettingsError(f"there is no `trinitas` beside {sys.executable}: install the package, do not copy it")


def servers_key(client: Client) -> str:
    """Under which name the client's file has its servers."""
    return "servers" if client is Client.VSCODE else "mcpServers"


def document(client: Client, start: Start) -> str:
    """A file of the client that holds nothing else."""
    return json.dumps({servers_key(client): {NAME: start.entry(client)}}, indent=2, ensure_ascii=False) + "\n"


def merged(text: str, client: Client, start: Start) -> str:
    """The client's file with the server in it; all else stays. Raises: SettingsError where that cannot be made sure,
    as in a file with comments."""
    if not text.strip():
        return document(client, start)
    try:
        held = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"it is not plain JSON ({error}); with comments in it, it is yours to edit") from None
    key = servers_key(client)
    servers = held.get(key, {}) if isinstance(held, dict) else None
    if not isinstance(servers, dict):
        raise SettingsError(f"it does not hold a JSON object, or its {key} is none")
    if servers.get(NAME) == start.entry(client):
        return text
    changed = {**held, key: {**servers, NAME: start.entry(client)}}
    return json.dumps(changed, indent=_indent(text), ensure_ascii=False) + "\n"


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name stands in it twice")
    return made


def _indent(text: str) -> str | int:
    """That of the first line that has any."""
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return found[1] if found else 2


def read(file: Path) -> str:
    """What stands in it; nothing where there is none. Raises: SettingsError."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from None


def write(file: Path, text: str, now: datetime) -> Path | None:
    """Put it there at once or not at all; returns the copy of what was there before. Raises: SettingsError."""
    file = file.resolve()  # a link to it stays a link
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        backup = _kept(file, now) if file.exists() else None
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, prefix=file.name, delete=False) as new:
            new.write(text)
        Path(new.name).chmod(file.stat().st_mode & 0o777 if backup else 0o600)
        Path(new.name).replace(file)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error}; what was there is there") from None
    return backup


def _kept(file: Path, now: datetime) -> Path:
    """A copy of it that takes no other's place."""
    for number in count(1):
        backup = file.with_name(f"{file.name}.{now:%Y%m%d-%H%M%S}{f'-{number}' if number > 1 else ''}.bak")
        with suppress(FileExistsError):
            backup.touch(0o600, exist_ok=False)
            backup.write_bytes(file.read_bytes())
            backup.chmod(file.stat().st_mode & 0o777)
            return backup
    raise AssertionError("numbers end")
