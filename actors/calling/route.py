"""One handler that a client may call: its arguments out, its results in, as the manifest of this epoch has them.

May import: our messages. Invariant: nothing is sent that the handler's server would refuse for its type or its size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs

from trollbridge.messages import payloads
from trollbridge.messages.codec import BUILTIN, Codec, encode
from trollbridge.messages.errors import InvalidArguments, Malformed, TooLarge
from trollbridge.messages.ids import HANDLER, MemberId, handler_name
from trollbridge.messages.limits import LARGEST_MAX_BYTES
from trollbridge.messages.ring_key import asked
from trollbridge.messages.signature import is_name, realise, sentence, tuple_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_DEFAULT: Final = 60
"""Characters of a default that a signature shows."""


class Route:
    """One handler that the client may call, as its enclave's manifest of this epoch describes it."""

    __slots__ = (
        *("_code", "_defaults", "_names", "_renewed", "_replicas", "_type"),
        *("entry", "item", "name", "peer", "result"),
    )

    def __init__(
        self,
        peer: MemberId,
        entry: payloads.HandlerEntry,
        vocabulary: Mapping[str, type[msgspec.Struct]],
        service: MemberId | None = None,
    ) -> None:
        """Take the manifest's line, and the name that handlers of this peer go by if it is not its own.

        Raises `Malformed` if its types make no sense, or its names or its size are beyond what any handler may have.
        """
        names = tuple(each.name for each in entry.parameters)
        if not 0 < entry.max_bytes <= LARGEST_MAX_BYTES or not HANDLER.fullmatch(entry.name):
            raise Malformed
        if not all(map(is_name, names)) or len(set(names)) != len(names):
            raise Malformed
        self.peer: Final = peer
        self.name: Final = handler_name(service or peer, entry.name)
        self.entry: Final = entry
        self._code = b"\x01" + entry.code
        self._replicas: dict[MemberId, bytes] = {peer: self._code}
        self._renewed = False
        """Whether calls may wait whose contents have an older code."""
        self._names = names
        try:
            types = tuple(realise(each.kind, vocabulary) for each in entry.parameters)
            self._type = tuple_of(types)
            Codec[object](self._type)
            self._defaults: dict[str, object] = {
                each.name: Codec[object](kind).decode(each.default)
                for each, kind in zip(entry.parameters, types, strict=True)
                if each.default is not None
            }
            self.result: Final[Codec[Any]] = Codec(realise(entry.result, vocabulary))
            item = None if entry.item is None else realise(entry.item, vocabulary)
            self.item: Final[Codec[Any] | None] = None if entry.item is None else Codec(item)
        except TypeError:  # a union that no decoder could take apart
            raise Malformed from None

    def _bind(self, positional: tuple[object, ...], named: Mapping[str, object]) -> tuple[object, ...]:
        names = self._names
        if len(positional) == len(names) and not named:
            return positional
        given = dict(zip(names, positional, strict=False))
        unknown = [name for name in named if name not in names or name in given]
        given.update(named)
        missing = [name for name in names if name not in given and name not in self._defaults]
        if len(positional) > len(names) or unknown or missing:
            msg = f"{self.name}{self.signature()}: " + (
                f"missing {', '.join(missing)}" if missing else f"unexpected {', '.join(unknown) or 'arguments'}"
            )
            raise InvalidArguments(msg)
        return tuple(given.get(name, self._defaults.get(name)) for name in names)

    def content(self, positional: tuple[object, ...], named: Mapping[str, object]) -> bytes:
        """Return the content of a call; raises `InvalidArguments` or `TooLarge` before anything is sent."""
        arguments = self._bind(positional, named)
        try:
            encoded = encode(msgspec.convert(arguments, self._type, builtin_types=BUILTIN))
        except (msgspec.MsgspecError, OverflowError, RecursionError, TypeError, ValueError) as error:
            strangers = sorted({type(each).__name__ for each in arguments if isinstance(each, msgspec.Struct)})
            hint = f"; is {', '.join(strangers)} in the UI's vocabulary?" if strangers else ""
            msg = f"{self.name}{self.signature()}: {_where(error, self._names)}{hint}"
            raise InvalidArguments(msg) from None
        if len(encoded) > self.entry.max_bytes:
            msg = f"{self.name} takes at most {self.entry.max_bytes} bytes of arguments, not {len(encoded)}"
            raise TooLarge(msg)
        return self._code + encoded

    def asked(self, positional: tuple[object, ...], named: Mapping[str, object]) -> bytes:
        """Return the digest that sensitive results of such a call are bound to; raises as `content` does."""
        return asked(self.content(positional, named)[payloads.CODE_SIZE + 1 :])

    def add(self, peer: MemberId, entry: payloads.HandlerEntry) -> None:
        """Take the line of a replica's manifest; raises `Malformed` if it exports something else."""
        if peer in self._replicas or structs.replace(entry, code=self.entry.code) != self.entry:
            raise Malformed
        self._replicas[peer] = b"\x01" + entry.code

    def is_like(self, other: Route) -> bool:
        """Return whether this is the same handler in another epoch: all but its code is equal."""
        return structs.replace(other.entry, code=self.entry.code) == self.entry

    def again(self, content: bytes) -> bytes:
        """Return the content of a call over a route that is like this, as this one has it."""
        return self._code + content[payloads.CODE_SIZE + 1 :]

    def renew(self, peer: MemberId, entry: payloads.HandlerEntry) -> None:
        """Take the line of a member's manifest anew: its process is another; raises `Malformed` for another handler."""
        if structs.replace(entry, code=self.entry.code) != self.entry:
            raise Malformed
        self._replicas[peer] = b"\x01" + entry.code
        if peer == self.peer:
            self._code = b"\x01" + entry.code
            self._renewed = True

    @property
    def servers(self) -> tuple[MemberId, ...]:
        """The members that export it."""
        return tuple(self._replicas)

    @property
    def replicated(self) -> bool:
        """Whether several members export it."""
        return len(self._replicas) > 1

    def serves(self, peer: str) -> bool:
        """Return whether a member exports this handler."""
        return peer in self._replicas

    def content_for(self, peer: MemberId, content: bytes) -> bytes:
        """Return the content of a call as this replica takes it: each has session codes of its own."""
        if peer == self.peer and not self._renewed:
            return content
        return self._replicas[peer] + content[payloads.CODE_SIZE + 1 :]

    def signature(self) -> str:
        """Return the parameters and the result as Python writes them."""
        parameters = ", ".join(
            f"{each.name}: {sentence(each.kind)}{self._default(each.name)}" for each in self.entry.parameters
        )
        result = sentence(self.entry.result)
        item = self.entry.item
        if item is not None:
            items = sentence(item)
            result = f"Iterator[{items}]" if result == "None" else f"Generator[{items}, None, {result}]"
        return f"({parameters}) -> {result}"

    def _default(self, name: str) -> str:
        """Return a parameter's default as it is written behind the type, if it has one and it is short."""
        if name not in self._defaults:
            return ""
        text = repr(self._defaults[name])
        return f" = {text if len(text) <= _LONGEST_DEFAULT else '…'}"


def _where(error: Exception, names: tuple[str, ...]) -> str:
    text = str(error)
    for number, name in enumerate(names):
        text = text.replace(f"`$[{number}]", f"`{name}")
    return text
