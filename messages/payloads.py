"""What is said end to end, inside a session: a closed union of frozen values, one leading byte for the kind.

May import: `msgspec`, our messages. Invariant: `decode(encode(p)) == p`, and any other bytes raise `Malformed`.

    01  Call               session code (16) | arguments, canonical MessagePack array
    02  Result             value, canonical MessagePack
    03  SealedResult       value sealed under the ring key (`ring_key.Sealed`)
    04  Fault              [error code, name, text]
    05  Welcome            [handlers that the client may call, names of those that it may not]
    06  RingKeyOffer       [32 bytes]
    07  RingKeyAccepted    [fingerprint, 8 bytes]
    08  StreamItem         number, u64 | value, canonical MessagePack
    09  SealedItem         number, u64 | value sealed under the ring key (`ring_key.Sealed`)
    0a  StreamProgress     number, u64 | [done, total, note]
    0b  Pull               [how many more items the client takes]
    0c  Halt               []
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
_COUNT: Final = 8
Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Parameter(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One parameter of a handler; `default` is its encoded default, or None if it must be given."""

    name: str
    kind: TypeSpec
    default: bytes | None


class HandlerEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One line of the manifest: a handler as one client sees it in one session; `item` is what its stream has."""

    name: str
    code: Bytes16
    parameters: tuple[Parameter, ...]
    result: TypeSpec
    sensitive: bool
    idempotent: bool
    max_bytes: int
    item: TypeSpec | None = None


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


class StreamItem(msgspec.Struct, frozen=True):
    """One encoded item of a stream; how many items and reports of progress came before it."""

    number: int
    value: bytes


class SealedItem(msgspec.Struct, frozen=True):
    """One encoded item of a stream, sealed to the core UI."""

    number: int
    sealed: bytes


class Progress(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How far a stream's handler has come: yielded by it, shown by every UI; it is no item.

    A `total` of 0 says that nobody knows it. The note of a `sensitive` handler does not travel.
    """

    done: Annotated[int, msgspec.Meta(ge=0)]
    total: Annotated[int, msgspec.Meta(ge=0)]
    note: str = ""


class StreamProgress(msgspec.Struct, frozen=True):
    """How far a stream has come, in its place among the items."""

    number: int
    progress: Progress


class Pull(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The client takes this many more items of its stream."""

    items: Annotated[int, msgspec.Meta(ge=1)]


class Halt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The client wants no more of its stream."""


Payload: TypeAlias = (
    Call | Result | SealedResult | Fault | Welcome | RingKeyOffer | RingKeyAccepted
    | StreamItem | SealedItem | StreamProgress | Pull | Halt
)  # fmt: skip

_FAULT: Final[Codec[Fault]] = Codec(Fault)
_WELCOME: Final[Codec[Welcome]] = Codec(Welcome)
_OFFER: Final[Codec[RingKeyOffer]] = Codec(RingKeyOffer)
_ACCEPTED: Final[Codec[RingKeyAccepted]] = Codec(RingKeyAccepted)
_PROGRESS: Final[Codec[Progress]] = Codec(Progress)
_PULL: Final[Codec[Pull]] = Codec(Pull)
_HALT: Final[Codec[Halt]] = Codec(Halt)


def counted(number: int, rest: bytes) -> bytes:
    """Return `rest` behind a number: of an item, or, in front of a stream's result, of how many there were."""
    return number.to_bytes(_COUNT, "big") + rest


def split(data: bytes) -> tuple[int, bytes]:
    """Return the number and the rest; raises `Malformed` for less than a number."""
    if len(data) < _COUNT:
        raise Malformed
    return int.from_bytes(data[:_COUNT], "big"), data[_COUNT:]


def encode(payload: Payload) -> bytes:  # noqa: C901, PLR0911, PLR0912  # one return for each kind of the closed union
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
        case StreamItem(number, value):
            return b"\x08" + counted(number, value)
        case SealedItem(number, sealed):
            return b"\x09" + counted(number, sealed)
        case StreamProgress(number, progress):
            return b"\x0a" + counted(number, _PROGRESS.encode(progress))
        case Pull():
            return b"\x0b" + _PULL.encode(payload)
        case Halt():
            return b"\x0c" + _HALT.encode(payload)
        case _:
            assert_never(payload)


def decode(content: Octets) -> Payload:  # noqa: C901, PLR0911, PLR0912  # one return for each kind of the closed union
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
        case 8:
            return StreamItem(*split(rest))
        case 9:
            return SealedItem(*split(rest))
        case 10:
            number, progress = split(rest)
            return StreamProgress(number, _PROGRESS.decode(progress))
        case 11:
            return _PULL.decode(rest)
        case 12:
            return _HALT.decode(rest)
        case _:
            raise Malformed
