"""What clients are told of the tools: kept as it is, short, and the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.unit import mcp_schemas
from trinitas_tasks.interfaces.mcp.server import listed_tools
from trinitas_tasks.policy.access import Right

DOCS = Path(__file__).parents[2] / "docs" / "mcp.md"
TOOLS = {made.name: made for _, made in listed_tools()}
PROMISED = (
    "remember", "recall", "semantic_search", "memory_search", "share_memory", "consolidate", "memory_stats",
    "memory_analytics", "get", "update", "forget", "pin", "feedback", "timeline", "health", "why",
)  # fmt: skip


def test_a_change_of_what_clients_are_told_is_meant() -> None:
    """If so: python -m tests.unit.mcp_schemas"""
    assert mcp_schemas.told() == mcp_schemas.KEPT.read_text(encoding="utf-8")


def test_the_tools_that_users_know_are_there() -> None:
    assert {f"trinitas_{name}" for name in PROMISED} <= TOOLS.keys()
    asked = TOOLS["trinitas_semantic_search"].input_schema["properties"]
    assert asked["min_similarity"]["default"] == 0.7
    assert "default" not in asked["personas"]


@pytest.mark.parametrize("name", TOOLS)
def test_schemas_are_valid_strict_and_described(name: str) -> None:
    tool = TOOLS[name]
    for schema in (tool.input_schema, tool.output_schema or {}):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    for argument, its in tool.input_schema["properties"].items():
        assert its.get("description"), argument
        assert "title" not in its
    assert "$ref" not in str(tool.input_schema)


def test_an_argument_means_the_same_wherever_it_is_taken() -> None:
    kinds: dict[str, set[str]] = {}
    for tool in TOOLS.values():
        for argument, its in tool.input_schema["properties"].items():
            kinds.setdefault(argument, set()).add(str(its.get("type", "any")))
    assert {argument for argument, its in kinds.items() if len(its) > 1} == set()


def test_annotations_tell_what_a_tool_may_do() -> None:
    for right, tool in listed_tools():
        told = tool.annotations
        assert told is not None
        assert told.read_only_hint == (right is Right.READ)
        assert told.open_world_hint is False
        assert not (told.read_only_hint and told.destructive_hint)
    destructive = {name for name, tool in TOOLS.items() if tool.annotations and tool.annotations.destructive_hint}
    assert destructive == {"trinitas_update", "trinitas_forget", "trinitas_unshare_memory"}


def test_what_an_agent_pays_for_is_little() -> None:
    """Most clients hand names, descriptions and input schemas to the model, some four characters a token."""
    told: list[Any] = [(tool.name, tool.description, tool.input_schema) for tool in TOOLS.values()]
    assert len(str(told)) < 20_000


def test_the_docs_list_the_tools_as_they_are() -> None:
    """Each row: name, right, what it changes, and how its description begins."""
    rows = set()
    for right, tool in listed_tools():
        hints = tool.annotations
        assert hints is not None
        changes = [] if hints.read_only_hint else ["replaces" if hints.destructive_hint else "adds"]
        changes += ["again is the same"] if changes and hints.idempotent_hint else []
        rows.add((f"`{tool.name}`", right.value, ", ".join(changes)))
    shown = set()
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `trinitas_"):
            name, right_shown, changed, about = (cell.strip() for cell in line.strip("|").split("|"))
            shown.add((name, right_shown, changed))
            assert (TOOLS[name.strip("`")].description or "").startswith(about), name
    assert shown == rows
