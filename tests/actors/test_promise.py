"""Promises: resolved once, whoever tries; futures of pykka's; nothing hangs that has a time-out."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pykka
import pytest

from trollbridge.actors.calling.promise import Promise
from trollbridge.messages.errors import Cancelled, NotGranted, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATIENCE: Final = 20.0


class Bringer:
    """A source that notes what it is asked, and brings the reply when it is waited for."""

    def __init__(self, value: object = None, *, brings: bool = True) -> None:
        """Take the reply."""
        self.asked: list[str] = []
        self._value = value
        self._brings = brings

    def wait(self, promise: Promise[Any], until: float | None) -> None:
        """Resolve the promise."""
        self.asked.append("wait" if until is None else "wait until")
        if self._brings:
            promise.resolve(self._value)

    def watch(self, promise: Promise[Any]) -> None:
        """Resolve the promise from another thread, as a loop's reader would later."""
        self.asked.append("watch")
        threading.Thread(target=promise.resolve, args=(self._value,)).start()

    def cancel(self, promise: Promise[Any]) -> None:
        """Note it."""
        self.asked.append(f"cancel {promise!r}")


def race(attempts: Sequence[Callable[[], bool]]) -> list[int]:
    """Let a thread make each attempt, all at once; return the numbers of those that returned true."""
    gate = threading.Barrier(len(attempts))
    won: list[int] = []

    def run(number: int) -> None:
        gate.wait(PATIENCE)
        if attempts[number]():
            won.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(attempts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return won


def test_a_promise_resolves_once() -> None:
    """A14: the first wins, every later one is told so and changes nothing."""
    promise: Promise[int] = Promise()
    assert [promise.resolve(1), promise.resolve(2), promise.resolve(error=NotGranted()), promise.cancel()] == [
        True, False, False, False,
    ]  # fmt: skip
    assert (promise.done, promise.get(timeout=0), promise.get()) == (True, 1, 1)
    with pytest.raises(UsageError):
        promise.set(3)
    with pytest.raises(UsageError):
        promise.set_exception((NotGranted, NotGranted(), None))


def test_of_sixty_four_threads_one_resolves() -> None:
    """F6, A14: all at once, a hundred times; callbacks run once."""
    for _ in range(100):
        promise: Promise[int] = Promise()
        calls: list[int] = []
        note: Callable[[], None] = partial(calls.append, 1)
        promise.when_done(note)
        won = race([partial(promise.resolve, number) for number in range(64)])
        assert (len(won), won, calls) == (1, [promise.get(timeout=0)], [1])


def test_an_error_is_raised_each_time_it_is_asked_for() -> None:
    """A14: the same object."""
    error = NotGranted("no")
    promise: Promise[int] = Promise()
    promise.resolve(error=error)
    for _ in range(2):
        with pytest.raises(NotGranted) as raised:
            promise.get(timeout=0)
        assert raised.value is error


def test_a_timeout_leaves_a_promise_as_pending_as_it_was() -> None:
    """A14: it may be asked again, and the reply still counts."""
    promise: Promise[int] = Promise()
    with pytest.raises(pykka.Timeout) as late:
        promise.get(timeout=0.001)
    assert (str(late.value), promise.done) == ("no reply within 0.001 seconds", False)
    promise.set(7)
    assert promise.get(timeout=0) == 7


def test_waiting_asks_the_source_and_no_other_thread() -> None:
    """A14: the waiting caller pumps the link itself."""
    bringer = Bringer(7)
    assert Promise[int](bringer).get() == 7
    assert Promise[int](bringer).get(timeout=PATIENCE) == 7
    assert bringer.asked == ["wait", "wait until"]


def test_a_source_that_brings_nothing_ends_in_a_timeout() -> None:
    """A14: never a value that was not brought."""
    with pytest.raises(pykka.Timeout):
        Promise[int](Bringer(brings=False)).get(timeout=0)


def test_cancelling_tells_the_source_and_the_caller() -> None:
    """A14: `Cancelled`, and the call is forgotten if it was not sent."""
    bringer = Bringer(7)
    promise: Promise[int] = Promise(bringer)
    assert (promise.cancel(), promise.cancel()) == (True, False)
    with pytest.raises(Cancelled):
        promise.get()
    assert bringer.asked == ["cancel <Promise, done>"]


def test_callbacks_run_once_each_whenever_they_were_added() -> None:
    """A14: before and after; a callback may add another."""
    promise: Promise[int] = Promise()
    seen: list[str] = []
    promise.when_done(lambda: promise.when_done(lambda: seen.append("inner")))
    promise.when_done(lambda: seen.append("before"))
    promise.resolve(1)
    promise.when_done(lambda: seen.append("after"))
    assert sorted(seen) == ["after", "before", "inner"]


def test_a_promise_is_a_future_of_pykka() -> None:
    """A57: in one list with theirs, mapped, filtered, reduced, joined."""
    theirs: pykka.Future[int] = pykka.ThreadingFuture()
    theirs.set(1)
    ours: Promise[int] = Promise()
    ours.set(2)
    assert pykka.get_all([theirs, ours], timeout=PATIENCE) == [1, 2]
    assert ours.map(lambda value: value + 1).get(timeout=PATIENCE) == 3
    assert ours.join(theirs).get(timeout=PATIENCE) == [2, 1]
    both: Promise[list[int]] = Promise()
    both.set([1, 2, 3])
    assert both.filter(lambda value: value > 1).get(timeout=PATIENCE) == [2, 3]  # type: ignore[misc]
    assert both.reduce(lambda one, other: one + other).get(timeout=PATIENCE) == 6  # type: ignore[misc]


def test_a_hook_brings_the_value_once() -> None:
    """A57: pykka's own way to compute a future late; it cannot also be set."""
    promise: Promise[int] = Promise()
    asked: list[float | None] = []

    def hook(timeout: float | None) -> int:
        asked.append(timeout)
        return 7

    promise.set_get_hook(hook)
    assert (promise.get(timeout=1), promise.get(timeout=2), asked) == (7, 7, [1])
    with pytest.raises(UsageError):
        promise.set(8)
    resolved: Promise[int] = Promise()
    resolved.set(1)
    with pytest.raises(UsageError):
        resolved.set_get_hook(hook)


def test_an_exception_in_hand_can_be_handed_on() -> None:
    """A57: pykka's `set_exception`, with and without an argument."""
    promise: Promise[int] = Promise()
    try:
        raise NotGranted
    except NotGranted:
        promise.set_exception()
    with pytest.raises(NotGranted):
        promise.get(timeout=0)
    empty: Promise[int] = Promise()
    empty.set_exception((None, None, None))
    with pytest.raises(UsageError):
        empty.get(timeout=0)
    by_class: Promise[int] = Promise()
    by_class.set_exception((NotGranted, None, None))
    with pytest.raises(NotGranted):
        by_class.get(timeout=0)


def test_a_promise_is_awaited_without_blocking_the_loop() -> None:
    """A57: resolved from another thread while the loop does something else; many at once; resolved ones too."""

    async def main() -> list[int]:
        pending = [Promise[int](Bringer(number)) for number in range(10)]
        done: Promise[int] = Promise()
        done.set(10)
        return list(await asyncio.wait_for(asyncio.gather(*(_value(each) for each in [*pending, done])), PATIENCE))

    assert asyncio.run(main()) == list(range(11))


async def _value(promise: Promise[int]) -> int:
    return await promise


def test_no_repr_shows_the_value() -> None:
    """I6: the state only."""
    promise: Promise[str] = Promise()
    before = repr(promise)
    promise.set("canary")
    assert (before, repr(promise)) == ("<Promise, pending>", "<Promise, done>")
