"""Canonical MessagePack: what is decoded must re-encode to the very same bytes, or it is refused.

May import: `msgspec`, our errors. Invariant: for every `Codec` and every input, `decode` returns a value whose
`encode` is that input, or raises `Malformed`; nothing else escapes (deep nesting, surrogates and huge integers
included).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from trollbridge.messages.errors import DeclarationError, Malformed

if TYPE_CHECKING:
    from trollbridge.messages.aead import Octets

T = TypeVar("T")

BUILTIN: Final = (bytes, bytearray, memoryview)
"""For `msgspec.convert`: octets are octets, never base64 text."""
encode = msgspec.msgpack.Encoder().encode
"""Return the canonical bytes of a value."""


class Codec(Generic[T]):
    """Encodes and strictly decodes one type, or one closed union of types."""

    __slots__ = ("_decode",)

    def __init__(self, kind: object) -> None:
        """Take the type, a union or a `tuple[...]`, whose structs refuse unknown fields."""
        self._decode = msgspec.msgpack.Decoder(kind, strict=True).decode

    def encode(self, value: T) -> bytes:
        """Return the one encoding of `value`."""
        return encode(value)

    def decode(self, data: Octets) -> T:
        """Return the value that `data` is the encoding of; raises `Malformed` otherwise."""
        try:
            value: T = self._decode(data)
            again = encode(value)
        except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError, TypeError, DeclarationError):
            raise Malformed from None
        if again != data:
            raise Malformed
        return value
