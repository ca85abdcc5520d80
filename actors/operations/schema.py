"""The JSON schema of a line of the log, as it is published in `log.schema.json` beside this module.

May import: `msgspec`, the log. Pure. Invariant: it is made from the type itself and from the table of events.
"""

from __future__ import annotations

from typing import Final

import msgspec

from trollbridge.actors.operations.events import EVENTS
from trollbridge.actors.operations.log import Line

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_VALUE: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


class _Type(msgspec.Struct):
    """What is used of the schema that the codec makes."""

    description: str
    type: str
    properties: dict[str, dict[str, object]]


def schema() -> dict[str, object]:
    """Return the schema."""
    found = msgspec.convert(msgspec.json.schema_components([Line])[1]["Line"], _Type)
    fields = {name: {key: each[key] for key in each if key != "default"} for name, each in found.properties.items()}
    return {
        "$schema": DIALECT,
        "title": "A line of the log of a Trollbridge application",
        "description": found.description,
        "type": found.type,
        "properties": {
            **fields,
            "event": {"type": "string", "enum": [*EVENTS]},
            "after": _VALUE,
            "seq": {"type": "integer", "minimum": 1},
            "chain": _VALUE,
        },
        "required": ["time", "event", "epoch", "seq", "chain"],
        "additionalProperties": False,
    }


def text() -> str:
    """Return the schema as it is published."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"
