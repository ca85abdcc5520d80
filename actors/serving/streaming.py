"""What a handler that yields may use: progress, pauses, topics to subscribe to; and how its annotation is read.

May import: our messages. Invariants: nothing here blocks; what a topic keeps for a subscriber is bounded.

A handler annotated `-> Iterator[T]` or `-> Generator[T, None, R]` is a stream: items of type T, then a result R (None
for an `Iterator`). It runs in its actor's one thread, in between the calls, an item at a time, as its client takes
them; when the client lets go or leaves, or the deadline comes, the generator is closed, so that its `finally` runs.
"""

from __future__ import annotations

import collections.abc
import types
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar, Union, get_args, get_origin

from trollbridge.messages.errors import DeclarationError, Overloaded
from trollbridge.messages.payloads import Progress as Progress  # noqa: PLC0414  # re-exported

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")
BOUND: Final = 1024
"""Items that a topic keeps for a subscriber that does not take them."""


class News:
    """Whether there is something to give, and who is to be told once there is."""

    __slots__ = ("__weakref__", "arrived", "wake")

    def __init__(self) -> None:
        """Start without."""
        self.arrived = False
        self.wake: Callable[[], None] | None = None

    def arrive(self) -> None:
        """Tell whoever waits."""
        self.arrived = True
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()


class Pause(NamedTuple):
    """Yielded by a stream that has nothing to give now: when it is to be asked again, whichever comes first.

    Its actor serves other calls and streams meanwhile. Without anything said, it is asked again once other code of the
    actor has run: a call, another stream that gave something, `on_wake`.
    """

    readable: int | None = None
    """Once there is something to read on this descriptor, or its other end is closed."""
    until: float | None = None
    """Once this time of `time.monotonic` has come."""
    news: News | None = None
    """Once these have arrived."""


class _Subscription(News, Generic[T]):
    """What one subscriber has not taken yet."""

    __slots__ = ("items", "overrun")

    def __init__(self) -> None:
        super().__init__()
        self.items: deque[T] = deque()
        self.overrun = False


class Topic(Generic[T]):
    """Server push: what is published goes to every stream that has subscribed.

    A subscriber that falls `bound` items behind loses nothing silently: its stream gives what it has, then fails with
    `Overloaded`, and may be asked for again.
    """

    def __init__(self, bound: int = BOUND) -> None:
        """Take how many items a subscriber may be behind."""
        self._bound = bound
        self._subscriptions: weakref.WeakSet[_Subscription[T]] = weakref.WeakSet()

    def __len__(self) -> int:
        """Return the number of subscribers."""
        return len(self._subscriptions)

    def publish(self, item: T) -> None:
        """Give `item` to every subscriber there is now."""
        for each in tuple(self._subscriptions):
            if len(each.items) < self._bound and not each.overrun:
                each.items.append(item)
            else:
                each.overrun = True
            each.arrive()

    def subscribe(self) -> Generator[T | Pause, None, None]:
        """Return a generator of everything that is published from now on: `yield from topic.subscribe()`."""
        subscription: _Subscription[T] = _Subscription()
        self._subscriptions.add(subscription)
        return self._items(subscription)

    def _items(self, subscription: _Subscription[T]) -> Generator[T | Pause, None, None]:
        try:
            while True:
                if subscription.items:
                    yield subscription.items.popleft()
                elif subscription.overrun:
                    msg = f"the subscriber was {self._bound} items behind; take them faster, and subscribe again"
                    raise Overloaded(msg)
                else:
                    subscription.arrived = False
                    yield Pause(news=subscription)
        finally:
            self._subscriptions.discard(subscription)


KNOWN: Final[dict[str, object]] = {
    "Generator": collections.abc.Generator,
    "Iterator": collections.abc.Iterator,
    "Pause": Pause,
    "Progress": Progress,
}
"""Names that an annotation may use though its module imports them for type checkers only."""
_RESULT: Final = 2
"""Which argument of `Generator` is the result's type."""


def stream_types(hint: object) -> tuple[object, object] | None:
    """Return the types of the items and of the result that an annotation promises; None if it is no stream.

    Raises `DeclarationError` for one that does not say of what.
    """
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin not in (collections.abc.Iterator, collections.abc.Generator):
        return None
    if not arguments:
        msg = "say of what: Iterator[T] or Generator[T, None, R]"
        raise DeclarationError(msg)
    result = arguments[_RESULT] if len(arguments) > _RESULT else types.NoneType
    return _items(arguments[0]), types.NoneType if result is None else result


def _items(yielded: object) -> object:
    """Return the type of what is yielded without `Progress` and `Pause`; of nothing else, it is None's."""
    options = get_args(yielded) if get_origin(yielded) in (Union, types.UnionType) else (yielded,)
    items = tuple(each for each in options if each not in (Progress, Pause))
    return Union[items] if items else types.NoneType  # noqa: UP007  # made at run time
