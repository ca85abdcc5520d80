"""What is not what it should be: records, packets, contents and arguments that a strict receiver must refuse.

May import: `msgspec`, our messages. Invariant: nothing in here does harm where it is refused, and little where it is
not: what would run as code ends its process with `EXPLODED`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from trollbridge.messages.limits import LARGEST_RECORD

EXPLODED: Final = 77
"""The exit code of a process that has run a payload."""


def pack(value: object) -> bytes:
    """Return the canonical encoding of any value."""
    return msgspec.msgpack.encode(value)


PICKLE: Final = b"cposix\n_exit\n(I%d\ntR." % EXPLODED
"""Ends a process that unpickles it. Written by hand: the product has no pickle."""
SOURCE: Final = b"__import__('os')._exit(%d)" % EXPLODED
"""Ends a process that runs it as Python."""

_NAME: Final = "target.echo"
_HEAD: Final[list[object]] = [1, 3, "x", "target", bytes(16), 0, 0, b"", 32, bytes(16)]

EXPLOSIVES: Final = (PICKLE, SOURCE, pack([PICKLE]), pack({"__reduce__": ["posix._exit", [EXPLODED]]}))
"""As the plaintext of a record, or as a packet."""
LOADERS: Final = ("os:_exit", "posix._exit", "builtins.print", "../target", "target.__init__", "target.__class__")
"""As the name of a handler."""
STRANGE_FIELDS: Final = (
    pack({"handler": _NAME}),
    b"\x91\x82\xa7handler\xa1a\xa7handler\xa1b",
    pack([{"type": 2, "handler": _NAME}]),
    pack([["Request", _NAME]]),
    pack([[2]]),
    pack([[2, _NAME, 0]]),
    pack([[9, _NAME]]),
    pack([[*_HEAD, 0]]),
    pack([_HEAD[:-1]]),
)
"""Unknown, abbreviated, missing and repeated fields."""
STRANGE_FORMS: Final = (
    b"",
    b"\xc1",
    pack([7]),
    pack([[2, _NAME.encode()]]),
    pack([[4, bytes(15)]]),
    b"\x91\x92\x02\xa3\xed\xa0\x80",
    pack([[2, _NAME]]) + b"\0",
    pack([[2, _NAME]])[:-1],
    b"\x91\x92\xcc\x02" + pack(_NAME),
    b"\xdc\x00\x01\x92\x02" + pack(_NAME),
    pack([_HEAD]),
)
"""Wrong types, cut off, too long, and the right value in another encoding."""
GIANTS: Final = (
    b"\xdd\xff\xff\xff\xff",
    b"\x91\x92\x04\xc6\xff\xff\xff\xff",
    b"\x91\x92\x02\xdb\xff\xff\xff\xff",
    pack([[*_HEAD[:8], 2**63, bytes(16)]]),
    b"\x91" * 100_000,
    b"\x81" * 100_000,
)
"""Lengths of gigabytes, and nesting without end."""
PACKETS: Final = (
    b"\0",
    bytes(48),
    b"\0\0\0\x40",
    b"\xff\xff\xff\xff" + bytes(60),
    bytes(4),
    bytes(LARGEST_RECORD),
    bytes(LARGEST_RECORD + 1),
)
"""What no link has sealed."""
CONTENTS: Final = (
    b"\0",
    b"\x08" + bytes(16),
    b"\x02" + bytes(16) + b"\x90",
    b"\x01" + bytes(15),
    b"\x01" + bytes(16) + b"\x90",
    b"\x06" + pack([bytes(32)]),
)
"""Sealed as they should be, and no calls."""
ARGUMENTS: Final = (
    b"",
    pack("word"),
    pack({"word": "x"}),
    pack([]),
    pack(["x", "y"]),
    pack([1]),
    pack([b"x"]),
    pack([None]),
    b"\x91\xd9\x01x",
    b"\xdc\x00\x01\xa1x",
    pack(["x"]) + b"\0",
    b"\x91\xdb\xff\xff\xff\xff",
    b"\x91" * 100_000,
    b"\x91\xc7\x01\x2ax",
    PICKLE,
    SOURCE,
)
"""Of a handler that takes one word."""
LOOKALIKES: Final = ("UI", "{me}.evil", "{me}\0", "{me} ", "{ui}", "{target}", "broker", "supervisor", "\u0443i", "")
"""Names of a sender: another's, another spelling, a longer one, a letter of another alphabet."""
