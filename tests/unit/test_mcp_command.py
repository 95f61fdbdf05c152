"""What `trinitas mcp` refuses before it serves anybody."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette

from tests.unit.isolation import isolated
from trinitas_tasks.errors import SettingsError
from trinitas_tasks.interfaces.cli import main
from trinitas_tasks.interfaces.mcp import http

Refused = Callable[..., tuple[int, str]]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    isolated(tmp_path, monkeypatch)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["trinitas", "mcp", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), " ".join(capsys.readouterr().err.replace("│", " ").split())

    return run


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "memory.example", "127.0.0.1.evil.example"])
def test_nobody_comes_in_without_a_token_from_elsewhere(refused: Refused, host: str) -> None:
    code, said = refused("--http", "--no-token", "--host", host)
    assert code == 2
    assert "a token is needed there" in said


def test_a_key_without_a_certificate_is_no_use(refused: Refused) -> None:
    assert refused("--http", "--tls-key", "key.pem")[0] == 2


def test_what_is_not_installed_is_named(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "trinitas_tasks.interfaces.mcp.http")
    monkeypatch.delattr("trinitas_tasks.interfaces.mcp.http")
    code, said = refused("--http", "--port", "0")
    assert (code, said) == (1, "error: uvicorn is not installed: pip install 'trinitas-tasks[mcp]'")


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    app = Starlette()
    with socket.socket() as at:
        for name in ("none.pem", "bad.pem"):
            with pytest.raises(SettingsError, match="TLS cannot be set up with"):
                http.serve(app, at, certificate=tmp_path / name)
