"""What the MCP server tells of its tools, as it is kept in mcp_schemas.json. After a change that is meant:

python -m tests.unit.mcp_schemas
"""

from __future__ import annotations

import json
from pathlib import Path

from trinitas_tasks.interfaces.mcp.server import listed_tools

KEPT = Path(__file__).with_suffix(".json")


def told() -> str:
    """All of it, as clients get it."""
    tools = [made.model_dump(mode="json", by_alias=True, exclude_none=True) for _, made in listed_tools()]
    return json.dumps(tools, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    KEPT.write_text(told(), encoding="utf-8")
