"""Telling other programs to start the server, without harm to what they hold."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.isolation import isolated
from trinitas_tasks.errors import SettingsError
from trinitas_tasks.interfaces.cli import main
from trinitas_tasks.interfaces.mcp import installing
from trinitas_tasks.interfaces.mcp.installing import Client, Machine, Start

START = Start(Path("/opt/trinitas/bin/trinitas"), {"TRINITAS_HOME": "/data"})
NOW = datetime(2026, 11, 26, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("client", "system", "file"),
    [
        (Client.CLAUDE_CODE, "linux", "project/.mcp.json"),
        (Client.CLAUDE_DESKTOP, "darwin", "home/Library/Application Support/Claude/claude_desktop_config.json"),
        (Client.CLAUDE_DESKTOP, "win32", "roaming/Claude/claude_desktop_config.json"),
        (Client.CLAUDE_DESKTOP, "linux", "home/.config/Claude/claude_desktop_config.json"),
        (Client.CURSOR, "darwin", "home/.cursor/mcp.json"),
        (Client.CURSOR, "win32", "home/.cursor/mcp.json"),
        (Client.VSCODE, "darwin", "home/Library/Application Support/Code/User/mcp.json"),
        (Client.VSCODE, "win32", "roaming/Code/User/mcp.json"),
        (Client.VSCODE, "linux", "home/.config/Code/User/mcp.json"),
    ],
)
def test_every_client_has_its_file(client: Client, system: str, file: str) -> None:
    machine = Machine(system, Path("home"), Path("project"), Path("roaming"))
    assert machine.file(client) == Path(file)


@pytest.mark.parametrize("client", Client)
def test_what_is_there_stays(client: Client) -> None:
    key = installing.servers_key(client)
    before = {"theme": "dark", key: {"other": {"command": "x", "args": ["日本"]}}, "z": [1, 2.5, None]}
    after = json.loads(installing.merged(json.dumps(before), client, START))
    entry = after[key].pop("trinitas")
    assert list(after) == list(before)
    assert after == before
    assert (entry["command"], entry["args"], entry["env"]) == (str(START.command), ["mcp"], {"TRINITAS_HOME": "/data"})
    assert entry.get("type") == (None if client is Client.CLAUDE_DESKTOP else "stdio")


def test_the_same_twice_changes_nothing_and_another_start_takes_its_place() -> None:
    once = installing.merged("", Client.CURSOR, START)
    assert installing.merged(once, Client.CURSOR, START) == once
    other = Start(START.command, {"TRINITAS_HOME": "/data", "TRINITAS_PERSONA": "athena"})
    changed = json.loads(installing.merged(once, Client.CURSOR, other))
    assert changed["mcpServers"]["trinitas"]["env"]["TRINITAS_PERSONA"] == "athena"


def test_the_indentation_is_the_files_own() -> None:
    assert '\n\t"mcpServers"' in installing.merged('{\n\t"a": 1\n}', Client.CURSOR, START)
    assert '\n    "mcpServers"' in installing.merged('{\n    "a": 1\n}', Client.CURSOR, START)


@pytest.mark.parametrize(
    "text",
    [
        '{"servers": {} // mine\n}',
        '{"a": 1,}',
        "[]",
        '{"servers": []}',
        '{"servers": {}, "servers": {"x": {}}}',
        "{",
        "[" * 100_000,
    ],
)
def test_what_could_be_harmed_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        installing.merged(text, Client.VSCODE, START)


def test_a_file_is_replaced_at_once_and_its_copy_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles" / "mcp.json", tmp_path / ".cursor" / "mcp.json"
    assert installing.write(real, "first", NOW) is None
    assert real.stat().st_mode & 0o777 == 0o600
    real.chmod(0o640)
    link.parent.mkdir()
    link.symlink_to(real)
    backup = installing.write(link, "second", NOW)
    assert backup is not None
    assert (link.is_symlink(), real.read_text(), backup.read_text()) == (True, "second", "first")
    assert [each.stat().st_mode & 0o777 for each in (real, backup)] == [0o640, 0o640]
    assert len(list(real.parent.iterdir())) == 2


def test_two_backups_of_one_second_are_two(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    for text in ("first", "second", "third"):
        installing.write(file, text, NOW)
    kept = {path.read_text() for path in tmp_path.iterdir() if path != file}
    assert kept == {"first", "second"}


class Terminal:
    """Runs `trinitas mcp install` in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capsys = folder, monkeypatch, capsys
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.chdir(folder)
        self.file = folder / ".mcp.json"

    def install(self, *arguments: str) -> tuple[int, str, str]:
        self._patch.setattr(sys, "argv", ["trinitas", "mcp", "install", "--client", "claude-code", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        return int(ended.value.code or 0), out, err

    def held(self) -> Any:
        return json.loads(self.file.read_text())


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(isolated(tmp_path, monkeypatch), monkeypatch, capsys)


def test_nothing_is_written_unless_somebody_agrees(terminal: Terminal) -> None:
    code, _, err = terminal.install()
    assert (code, terminal.file.exists()) == (2, False)
    assert "nobody can be asked here" in err
    code, out, _ = terminal.install("--yes", "--persona", "athena")
    assert (code, out.startswith("written: ")) == (0, True)
    entry = terminal.held()["mcpServers"]["trinitas"]
    assert Path(entry["command"]).is_file()
    assert entry["env"] == {"TRINITAS_HOME": str(terminal.folder / "home"), "TRINITAS_PERSONA": "athena"}
    assert "says so already" in terminal.install("--yes", "--persona", "athena")[1]


def test_print_touches_no_file(terminal: Terminal) -> None:
    code, out, err = terminal.install("--print")
    assert (code, terminal.file.exists()) == (0, False)
    assert json.loads(out)["mcpServers"]["trinitas"]["args"] == ["mcp"]
    assert "claude mcp add --transport stdio --scope user --env TRINITAS_HOME=" in err


def test_a_file_with_comments_stays_as_it_is(terminal: Terminal) -> None:
    terminal.file.write_text('{"mcpServers": {} /* mine */}')
    code, _, err = terminal.install("--yes")
    assert code == 1
    assert "stays as it is" in err
    assert terminal.file.read_text() == '{"mcpServers": {} /* mine */}'


def test_what_the_program_will_not_have_is_told(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@redis.example/0")
    _, out, err = terminal.install("--yes")
    assert "REDIS_URL: add them to its env" in err
    assert "hunter2" not in out + err + terminal.file.read_text()
