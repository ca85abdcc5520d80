"""Calls that come from a page, or from whoever else has only the generated code: one JSON message, one JSON answer.

May import: our messages, the bridge's stubs, `page_values`. Invariants: a name in a message is looked up among the
stubs of the session that there is now, and nowhere else; what is refused is refused alike, whatever the cause, and said
in one line of the log; after `MOST_REFUSED` of them nothing is taken any more.

    {"kind": "call", "code": "h_…", "arguments": [value, …]}     → {"kind": "value", "value": value}
                                                   of a stream:  → {"kind": "stream", "stream": number}
    {"kind": "pull", "stream": number, "items": n}               → {"kind": "items", "items": [value, …],
                                                                    "progress": value, "over": bool, "value": value}
    {"kind": "halt", "stream": number}                           → {"kind": "value", "value": null}
    whatever fails                                               → {"kind": "error", "name": "…", "text": "…"}
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

import msgspec
import pykka

from trollbridge.actors.calling.stream import Stream
from trollbridge.messages.errors import (
    DeclaredError,
    InvalidArguments,
    NoSuchHandler,
    Overloaded,
    ProtocolError,
    Refused,
    StreamEnded,
    TrollbridgeError,
)
from trollbridge.ui_adapter.page_values import give, take

if TYPE_CHECKING:
    from collections.abc import Generator

    from trollbridge.actors.calling.promise import Promise
    from trollbridge.ui_adapter.bridge import Bridge
    from trollbridge.ui_adapter.page_values import Tree, Value

MOST_REFUSED: Final = 16
"""Refusals after which a page has lost its bridge."""
MOST_STREAMS: Final = 64
"""Streams of one page that are open at a time."""
MOST_ITEMS: Final = 256
"""Items in one answer."""
LONGEST: Final = 64 * 1024 * 1024
"""Bytes of a message."""
_NO_MESSAGE: Final = "what is no message"
_NO_NAME: Final = "a call under a name that stands for nothing in this session"
_NO_STREAM: Final = "a pull of a stream that is not open, or of too many items"


class _Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="call"):
    code: str
    arguments: tuple[Any, ...]


class _Pull(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pull"):
    stream: int
    items: int


class _Halt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="halt"):
    stream: int


_Message: TypeAlias = _Call | _Pull | _Halt
_MESSAGE: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class _Pulling:
    """A page's wish for more of a stream, and what there is for it."""

    def __init__(self, number: int, stream: Stream[Any], most: int) -> None:
        """Take what of, and how many at most."""
        self.number: Final = number
        self.stream: Final = stream
        self._most: Final = most
        self._items: list[Tree] = []
        self._over = False

    def take(self, *, wait: bool) -> None:
        """Take what is there, and wait for the first if need be; raises what the stream ended by, once that is next."""
        try:
            while len(self._items) < self._most:
                self.add(self.stream.get(timeout=None if wait and not self._items else 0))
        except pykka.Timeout:
            pass
        except StreamEnded:
            self.end()
        except TrollbridgeError:
            if not self._items:
                raise

    def add(self, item: Value) -> None:
        """Take one item."""
        self._items.append(give(item))

    def end(self) -> None:
        """Note that there are no more."""
        self._over = True

    @property
    def over(self) -> bool:
        """Whether there are no more."""
        return self._over

    def answer(self) -> str:
        """Return what the page is told."""
        result = give(self.stream.result.get(timeout=0)) if self._over else None
        progress = give(self.stream.progress)
        return _json({"kind": "items", "items": self._items, "progress": progress, "over": self._over, "value": result})


class PageCalls:
    """What one page may call: exactly what its UI may. `answer` may be called from several threads at once."""

    def __init__(self, bridge: Bridge, *, within: float | None = None) -> None:
        """Take the bridge, and the seconds after which nobody needs the result of a call; None: whenever it comes."""
        self._bridge: Final = bridge
        self._within: Final = within
        self._streams: dict[int, Stream[Any]] = {}
        self._numbers = itertools.count(1)
        self.refused = 0
        """Messages that were none of the generated code's."""

    def answer(self, message: str | bytes) -> str:
        """Return the answer to one message, once it is there; raises nothing that a page could cause."""
        try:
            match self._begin(message):
                case str(text):
                    return text
                case _Pulling() as pulling:
                    with self._ending(pulling):
                        pulling.take(wait=True)
                    return pulling.answer()
                case promise:
                    return _value(promise.get())
        except TrollbridgeError as error:
            return _error(error)

    async def answered(self, message: str | bytes) -> str:
        """Return the answer to one message without blocking the running asyncio loop; raises as `answer`."""
        try:
            match self._begin(message):
                case str(text):
                    return text
                case _Pulling() as pulling:
                    with self._ending(pulling):
                        try:
                            pulling.add(await anext(pulling.stream))
                        except StopAsyncIteration:
                            pulling.end()
                        else:
                            pulling.take(wait=False)
                    return pulling.answer()
                case promise:
                    return _value(await promise)
        except TrollbridgeError as error:
            return _error(error)

    def close(self) -> None:
        """Cancel every stream of a page that has gone."""
        streams, self._streams = self._streams, {}
        for each in streams.values():
            each.cancel()

    def _begin(self, message: str | bytes) -> Promise[Any] | _Pulling | str:
        if self.refused >= MOST_REFUSED:
            raise Refused
        try:
            taken = _MESSAGE.decode(message if len(message) <= LONGEST else b"")
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise self._refusal(_NO_MESSAGE) from None
        match taken:
            case _Call(code, arguments):
                return self._call(code, arguments)
            case _Pull(number, items):
                stream = self._streams.get(number)
                if stream is None or not 0 < items <= MOST_ITEMS:
                    raise self._refusal(_NO_STREAM)
                return _Pulling(number, stream, items)
            case _Halt(number):
                stream = self._streams.pop(number, None)
                if stream is not None:
                    stream.cancel()
                return _value(None)
            case _:
                assert_never(taken)

    def _call(self, code: str, trees: tuple[Tree, ...]) -> Promise[Any] | str:
        stubs = self._bridge.stubs
        try:
            stub = stubs.stub(code)
        except NoSuchHandler:
            raise self._refusal(_NO_NAME) from None
        if len(trees) > len(stub.parameters):
            msg = f"{stub.full_name} takes at most {len(stub.parameters)} arguments"
            raise InvalidArguments(msg)
        values = [take(each.kind, tree) for each, tree in zip(stub.parameters, trees, strict=False)]
        handler = stubs.handler(code)
        if stub.item is not None and len(self._streams) >= MOST_STREAMS:
            raise Overloaded
        begun: Promise[Any] | Stream[Any] = (handler if self._within is None else handler.within(self._within))(*values)
        if not isinstance(begun, Stream):
            return begun
        number = next(self._numbers)
        self._streams[number] = begun
        return _json({"kind": "stream", "stream": number})

    @contextlib.contextmanager
    def _ending(self, pulling: _Pulling) -> Generator[None]:
        """Forget a stream that ends meanwhile, by itself or by an error."""
        ended = True
        try:
            yield
            ended = pulling.over
        finally:
            if ended:
                self._streams.pop(pulling.number, None)

    def _refusal(self, what: str) -> Refused:
        """Count and log a message that no generated code sends; the page is told one thing whatever it was."""
        self.refused += 1
        last = "; nothing more is taken from it" if self.refused == MOST_REFUSED else ""
        logging.getLogger("trollbridge").warning("a page sent %s%s", what, last)
        return Refused("the page's message was refused; the log of its user interface says why")


def _value(value: Value) -> str:
    return _json({"kind": "value", "value": give(value)})


def _error(error: TrollbridgeError) -> str:
    told = Refused() if isinstance(error, ProtocolError) else error
    name = told.name if isinstance(told, DeclaredError) else type(told).__name__
    return _json({"kind": "error", "name": name, "text": str(told)})


def _json(answer: dict[str, object]) -> str:
    return msgspec.json.encode(answer).decode()
