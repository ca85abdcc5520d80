"""What is said end to end, inside a session: a closed union of frozen values, one leading byte for the kind.

May import: `msgspec`, our messages. Invariant: `decode(encode(p)) == p`, and any other bytes raise `Malformed`.

    01  Call               session code (16) | arguments, canonical MessagePack array
    02  Result             value, canonical MessagePack
    03  SealedResult       value sealed under the ring key (`ring_key.Sealed`)
    04  Fault              [error code, name, text]
    05  Welcome            [handlers that the client may call, names of those that it may not]
    06  RingKeyOffer       [32 bytes]
    07  RingKeyAccepted    [fingerprint, 8 bytes]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, assert_never

import msgspec

from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import SessionCode
from trollbridge.messages.signature import TypeSpec

if TYPE_CHECKING:
    from trollbridge.messages.aead import Octets

CODE_SIZE: Final = 16
Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Parameter(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One parameter of a handler; `default` is its encoded default, or None if it must be given."""

    name: str
    kind: TypeSpec
    default: bytes | None


class HandlerEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One line of the manifest: a handler as one client sees it in one session."""

    name: str
    code: Bytes16
    parameters: tuple[Parameter, ...]
    result: TypeSpec
    sensitive: bool
    idempotent: bool
    max_bytes: int


class Call(msgspec.Struct, frozen=True):
    """Call the handler behind `code` with these encoded arguments."""

    code: SessionCode
    arguments: bytes


class Result(msgspec.Struct, frozen=True):
    """The handler's encoded result."""

    value: bytes


class SealedResult(msgspec.Struct, frozen=True):
    """The handler's encoded result, sealed to the core UI."""

    sealed: bytes


class Fault(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Why there is no result: an `ErrorCode`, the name of a declared error, a text that is safe to show."""

    code: int
    name: str
    text: str


class Welcome(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An enclave's first word to a client; `withheld` is told to the core UI only."""

    handlers: tuple[HandlerEntry, ...]
    withheld: tuple[str, ...]


class RingKeyOffer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The core UI gives an enclave this epoch's ring key."""

    key: Bytes32

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "RingKeyOffer(…)"


class RingKeyAccepted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The enclave holds the ring key with this fingerprint."""

    fingerprint: bytes


Payload: TypeAlias = Call | Result | SealedResult | Fault | Welcome | RingKeyOffer | RingKeyAccepted

_FAULT: Final[Codec[Fault]] = Codec(Fault)
_WELCOME: Final[Codec[Welcome]] = Codec(Welcome)
_OFFER: Final[Codec[RingKeyOffer]] = Codec(RingKeyOffer)
_ACCEPTED: Final[Codec[RingKeyAccepted]] = Codec(RingKeyAccepted)


def encode(payload: Payload) -> bytes:  # noqa: PLR0911  # one return for each kind of the closed union
    """Return the one encoding of `payload`."""
    match payload:
        case Call(code, arguments):
            return b"\x01" + code + arguments
        case Result(value):
            return b"\x02" + value
        case SealedResult(sealed):
            return b"\x03" + sealed
        case Fault():
            return b"\x04" + _FAULT.encode(payload)
        case Welcome():
            return b"\x05" + _WELCOME.encode(payload)
        case RingKeyOffer():
            return b"\x06" + _OFFER.encode(payload)
        case RingKeyAccepted():
            return b"\x07" + _ACCEPTED.encode(payload)
        case _:
            assert_never(payload)


def decode(content: Octets) -> Payload:  # noqa: PLR0911  # one return for each kind of the closed union
    """Return the payload; raises `Malformed` for anything that `encode` does not make."""
    if not content:
        raise Malformed
    rest = bytes(memoryview(content)[1:])
    match content[0]:
        case 1:
            if len(rest) < CODE_SIZE:
                raise Malformed
            return Call(SessionCode(rest[:CODE_SIZE]), rest[CODE_SIZE:])
        case 2:
            return Result(rest)
        case 3:
            return SealedResult(rest)
        case 4:
            return _FAULT.decode(rest)
        case 5:
            return _WELCOME.decode(rest)
        case 6:
            return _OFFER.decode(rest)
        case 7:
            return _ACCEPTED.decode(rest)
        case _:
            raise Malformed
