"""What is not in the archive yet, as the lines of a backup: writes, forgets, grants, and what was said of memories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trinitas_tasks.errors import BackupError
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.policy.grants import Grant
from trinitas_tasks.tiers.hot.interface import Said, Signal
from trinitas_tasks.tiers.spool.interface import Entry


def line(said: Entry | Grant | Signal) -> bytes:
    """Of one of them, with its end."""
    fields: dict[str, Any] = {**said.key._asdict()}
    match said:
        case Entry(item=None):
            fields |= {"kind": "forgotten", "version": said.version}
        case Entry(item=MemoryItem() as item):
            fields |= {"kind": "record", "version": said.version, "body": item.to_json().decode()}
        case Grant():
            fields |= {"kind": "grant", "grantee": said.grantee, "version": said.version, "revoked": said.revoked}
        case Signal():
            fields |= {"kind": "signal", "by": said.by, "said": said.said.value, "at": said.at.isoformat()}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read(text: bytes) -> Entry | Grant | Signal:
    """What a line says. Raises: BackupError."""
    try:
        return _read(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"a line of what was not archived cannot be read: {error}") from error


def _read(fields: Mapping[str, Any]) -> Entry | Grant | Signal:
    key = Key(fields["persona"], fields["id"])
    match fields["kind"]:
        case "record":
            return Entry(0, key, int(fields["version"]), MemoryItem.from_json(fields["body"].encode()))
        case "forgotten":
            return Entry(0, key, int(fields["version"]), None)
        case "grant":
            return Grant(key, fields["grantee"], int(fields["version"]), bool(fields["revoked"]))
        case "signal":
            return Signal(key, fields["by"], Said(fields["said"]), datetime.fromisoformat(fields["at"]))
        case kind:
            raise ValueError(f"{kind!r} is not known")
