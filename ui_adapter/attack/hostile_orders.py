"""What the suite says to a hostile member, and what that answers: one line each, with octets as hexadecimal digits.

May import: `msgspec`. Invariant: what is decoded is an `Order` or an `Answer` of plain values, or raises
`msgspec.MsgspecError`; an act is named by a word of a table, never by a place in the code.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

Plain: TypeAlias = "bool | int | str | bytes | list[Plain] | dict[str, Plain] | None"


class Order(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Do one act."""

    number: int
    act: str
    arguments: dict[str, object]


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What came of it: a plain value, or the class and the text of the error that the act ended with."""

    number: int
    value: object = None
    error: str = ""
    text: str = ""


_ORDERS: Final = msgspec.msgpack.Decoder(Order)
_ANSWERS: Final = msgspec.msgpack.Decoder(Answer)


def encode(message: Order | Answer) -> bytes:
    """Return a message; raises `TypeError` for a value that is not plain."""
    return msgspec.msgpack.encode(message)


def order_of(data: bytes) -> Order:
    """Return the order that `encode` was given."""
    return _ORDERS.decode(data)


def answer_of(data: bytes) -> Answer:
    """Return the answer that `encode` was given."""
    return _ANSWERS.decode(data)


def line_of(message: Order | Answer) -> bytes:
    """Return a message as one line, its end included."""
    return encode(message).hex().encode() + b"\n"
