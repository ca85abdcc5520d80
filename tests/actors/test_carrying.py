"""What of a client's calls goes out again in the next epoch, and what each other call is told when its ring falls."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import contextlib
import select
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.actors.memory_ring import ENCLAVE, UI, MemoryRing
from trollbridge.actors.broker.uids import CREDIT
from trollbridge.actors.calling.client import Client
from trollbridge.actors.calling.pending import Pending
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.calling.proxies import MemberProxy
from trollbridge.actors.handlers import handler
from trollbridge.messages.control import NOTHING_KNOWN, Verdict
from trollbridge.messages.errors import CallError, DeadlineExceeded, Outcome, RingDismantled
from trollbridge.messages.ids import HandlerName

NOT_STARTED: Final = "RingDismantled: not started"
UNKNOWN: Final = "RingDismantled: unknown"
GLANCE: Final = 0.01
"""Seconds between two looks at what threads have sent."""
DONE: Final = "RingDismantled: done"


class Clerk:
    """Counts what it runs, over all epochs."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.ran: Counter[str] = Counter()

    @handler
    def mark(self, word: str) -> str:
        """Do something once."""
        self.ran[word] += 1
        return word

    @handler(idempotent=True)
    def look(self, word: str) -> str:
        """Do something that may be done twice."""
        return self.mark(word)

    @handler
    def count(self, last: int) -> Iterator[int]:
        """Yield numbers."""
        yield from range(last)


class Changed(Clerk):
    """Another program by the same name: one handler takes something else, one is not there."""

    look = None  # type: ignore[assignment]

    @handler
    def mark(self, word: str, often: int = 1) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]  # the point
        """Do something."""
        del often
        return super().mark(word)


class Epochs:
    """One client over several rings of the same clerk, which a test has fall."""

    def __init__(self) -> None:
        """Form the first."""
        self.clerk: Final = Clerk()
        self.client: Final = Client()
        self.vault: Final[Any] = MemberProxy(self.client, "vault")
        self.epoch = 0
        self.ring = self.form()

    def form(self, clerk: Clerk | None = None) -> MemoryRing:
        """Form the next ring."""
        if self.epoch:
            self.ring.close()
        self.epoch += 1
        self.ring = MemoryRing(clerk or self.clerk, epoch=self.epoch)
        self.client.attach(self.ring.membership(UI), ())
        return self.ring

    def fall(self, *, stays: bool = True, started: bool = True) -> None:
        """Have the ring fall; the verdict on the enclave says that it had begun with everything, or with nothing."""
        self.client.detach(stays=stays)
        if stays:
            self.client.judge(Verdict("vault", NOTHING_KNOWN if started else 0, (), ()))

    def next(self) -> None:
        """Have the ring fall, form the next, and let it work."""
        self.fall()
        self.form().pump(answering=True)

    def send(self) -> None:
        """Have what was called leave this process, and no answer come."""
        self.client.flush()
        self.ring.pump()

    def close(self) -> None:
        """Leave for good."""
        self.client.detach()
        self.ring.close()


@pytest.fixture
def epochs() -> Iterator[Epochs]:
    """Give a client in its first epoch."""
    with contextlib.closing(Epochs()) as made:
        yield made


def end_of(promise: Promise[Any]) -> str:
    """Return what a promise came to."""
    if not promise.done:
        return "pending"
    try:
        return str(promise.get(timeout=0))
    except CallError as error:
        return f"{type(error).__name__}: {error.outcome}" if isinstance(error, RingDismantled) else type(error).__name__


def ends(*promises: Promise[Any]) -> list[str]:
    """Return what each promise came to."""
    return [end_of(each) for each in promises]


def test_an_idempotent_call_that_was_sent_goes_out_again_and_no_other_does(epochs: Epochs) -> None:
    """A58: in the next epoch, under a new UID; the promise waits meanwhile."""
    look, mark = epochs.vault.look("a"), epochs.vault.mark("b")
    epochs.send()
    before = {uid for uid, _ in epochs.ring.enclave.ran} | set(epochs.ring.membership(UI).pending)
    epochs.fall()
    assert ends(look, mark) == ["pending", UNKNOWN]
    epochs.form().pump(answering=True)
    assert ends(look, mark) == ["a", UNKNOWN]
    [(uid, name)] = epochs.ring.enclave.ran
    assert (uid in before, name, epochs.clerk.ran) == (False, "look", {"a": 1})


def test_a_second_fall_ends_it(epochs: Epochs) -> None:
    """K4, A58: what was outstanding at two falls is never sent a third time."""
    look = epochs.vault.look("a")
    for _ in range(2):
        epochs.send()
        assert not look.done
        epochs.fall()
        epochs.form()
    assert end_of(look) == UNKNOWN
    epochs.ring.pump(answering=True)
    assert epochs.ring.enclave.ran == []


def test_a_call_that_is_known_to_be_done_is_not_sent_again(epochs: Epochs) -> None:
    """A58: only its reply was lost, and it may have said something else."""
    look, other = epochs.vault.look("a"), epochs.vault.look("b")
    epochs.send()
    sequences = sorted(each.sequence for each in epochs.ring.membership(UI).pending.values())
    epochs.client.detach(stays=True)
    assert ends(look, other) == ["pending", "pending"]
    epochs.client.judge(Verdict("vault", 0, (), (sequences[0],)))
    assert ends(look, other) == [DONE, "pending"]
    epochs.form().pump(answering=True)
    assert ends(look, other) == [DONE, "b"]


def test_an_idempotent_call_that_is_in_quarantine_is_told_so_and_not_sent_again(epochs: Epochs) -> None:
    """K4: nobody is told to look before the next call, where there is none; one that is no such call is told so."""
    look, mark = epochs.vault.look("a"), epochs.vault.mark("b")
    epochs.send()
    both = tuple(sorted(each.sequence for each in epochs.ring.membership(UI).pending.values()))
    epochs.client.detach(stays=True)
    epochs.client.judge(Verdict("vault", 0, both, (), both))
    assert ends(look, mark) == ["Quarantined", UNKNOWN]
    with pytest.raises(CallError, match=r"vault\.look was running .* restarts vault"):
        look.get()
    epochs.form()


def test_every_call_that_a_fall_ends_is_told_which_it_was(epochs: Epochs) -> None:
    """A58: not started, done, unknown, or not sent at all: each by its handler's name, and none twice."""
    sent = [epochs.vault.mark(word) for word in "abc"]
    epochs.send()
    first, second, third = sorted(each.sequence for each in epochs.ring.membership(UI).pending.values())
    epochs.client.detach(stays=True)
    epochs.client.judge(Verdict("vault", third, (first,), (second,)))
    said: list[str] = []
    for each in sent:
        with pytest.raises(RingDismantled) as told:
            each.get()
        said.append(str(told.value))
    assert [each.startswith("vault.mark ") for each in said] == [True] * 3
    assert [each.rpartition(": ")[2] for each in said] == [
        "look before you call it again.",
        "do not call it again.",
        "call it again once bridge.wait_sealed() returns.",
    ]
    with pytest.raises(RingDismantled, match=r"no sealed ring, and vault\.mark was not sent: call it once") as unsent:
        epochs.vault.mark("d")
    assert unsent.value.outcome is Outcome.NOT_STARTED
    epochs.form()


def test_calls_that_wait_for_credit_go_out_again_if_they_are_idempotent(epochs: Epochs) -> None:
    """A58: they were not started; the others are told so and nothing else is done for them."""
    looks = [epochs.vault.look(f"l{number}") for number in range(CREDIT + 5)]
    marks = [epochs.vault.mark(f"m{number}") for number in range(CREDIT + 5)]
    epochs.send()
    epochs.fall()
    assert Counter(ends(*marks)) == {UNKNOWN: CREDIT, NOT_STARTED: 5}
    epochs.form().pump(answering=True)
    assert ends(*looks) == [f"l{number}" for number in range(CREDIT + 5)]
    assert sum(epochs.clerk.ran.values()) == CREDIT + 5


def test_a_call_whose_handler_has_changed_is_not_made(epochs: Epochs) -> None:
    """A58: the next enclave may be another program; nothing is called by arguments that it does not take."""
    look, held = epochs.vault.look("a"), epochs.vault.mark("b")
    epochs.send()
    epochs.client.hold()
    late = epochs.vault.mark("c")
    epochs.fall(started=False)
    epochs.form(Changed()).pump(answering=True)
    assert ends(look, held, late) == [NOT_STARTED, NOT_STARTED, NOT_STARTED]
    assert epochs.ring.enclave.ran == []


def test_a_call_that_nobody_waits_for_any_more_is_not_made(epochs: Epochs) -> None:
    """A14: cancelled, or its deadline has passed, while there was no ring."""
    cancelled, late = epochs.vault.look("a"), epochs.vault.look.within(0.05)("b")
    epochs.send()
    epochs.fall()
    cancelled.cancel()
    with pytest.raises(DeadlineExceeded):
        late.get()
    epochs.form().pump(answering=True)
    assert ends(cancelled, late) == ["Cancelled", "DeadlineExceeded"]
    assert epochs.ring.enclave.ran == []


def test_calls_are_held_while_the_keys_are_changed(epochs: Epochs) -> None:
    """A58: what is in flight ends; what is new, or has no credit yet, is made in the next epoch, in order."""
    first = [epochs.vault.mark(f"a{number}") for number in range(CREDIT + 2)]
    epochs.send()
    epochs.client.hold()
    new = epochs.vault.mark("b")
    assert not epochs.client.drained()
    epochs.ring.pump(answering=True)
    assert epochs.client.drained()
    assert ends(*first[CREDIT - 1 :], new) == [f"a{CREDIT - 1}", "pending", "pending", "pending"]
    epochs.fall()
    between = epochs.vault.mark("c")
    epochs.form().pump(answering=True)
    assert ends(*first[CREDIT:], new, between) == [f"a{CREDIT}", f"a{CREDIT + 1}", "b", "c"]
    assert set(epochs.clerk.ran.values()) == {1}
    assert list(epochs.clerk.ran)[-4:] == [f"a{CREDIT}", f"a{CREDIT + 1}", "b", "c"]


def test_what_was_in_flight_too_long_is_told_and_what_had_not_left_is_made(epochs: Epochs) -> None:
    """A58: a call that has left this process may have been run: it is not made again."""
    sent = epochs.vault.mark("a")
    epochs.send()
    ready = epochs.vault.mark("b")
    assert len(epochs.ring.membership(UI).pending) == 2
    epochs.client.hold()
    epochs.next()
    assert ends(sent, ready) == [UNKNOWN, "b"]
    assert epochs.clerk.ran == {"b": 1}


def test_a_stream_is_held_too_and_one_that_runs_is_cut(epochs: Epochs) -> None:
    """A58: nobody could tell where to go on; it keeps nothing waiting."""
    running = epochs.vault.count(1000)
    epochs.send()
    epochs.ring.pump(answering=True)
    epochs.client.hold()
    held = epochs.vault.count(3)
    assert epochs.client.drained()
    epochs.next()
    epochs.client.tend()
    epochs.ring.pump(answering=True)
    assert ends(running.result, held.result) == [UNKNOWN, "None"]
    assert [held.get(timeout=5) for _ in range(3)] == [0, 1, 2]


def test_a_call_that_is_being_made_as_the_next_epoch_begins_goes_out_in_it(epochs: Epochs) -> None:
    """A58: it was checked by the manifest of the last one; after a death instead, it is refused."""
    for planned in (True, False):
        last = epochs.ring.membership(UI)
        route = last.routes[HandlerName("vault.mark")]
        if planned:
            epochs.client.hold()
        epochs.fall()
        epochs.form()
        promise: Promise[str] = Promise(epochs.client)
        pending = Pending(promise, route, route.content(("a",), {}), 0, None)
        if planned:
            assert epochs.client._begin(pending, last) == []
            epochs.ring.pump(answering=True)
            assert end_of(promise) == "a"
        else:
            with pytest.raises(RingDismantled):
                epochs.client._begin(pending, last)


def test_calls_between_two_rings_are_refused_unless_the_keys_are_changed(epochs: Epochs) -> None:
    """A14: after a death, who calls is told at once; checks of the arguments are made in any case."""
    epochs.fall()
    with pytest.raises(RingDismantled):
        epochs.vault.mark("a")
    epochs.form()
    epochs.client.hold()
    epochs.fall()
    assert "mark" in dir(epochs.vault)
    with pytest.raises(CallError, match="word"):
        epochs.vault.mark(7)
    with pytest.raises(CallError, match="not exported"):
        epochs.vault.mask("a")
    epochs.form()
    epochs.fall()
    with pytest.raises(RingDismantled):
        epochs.vault.mark("a")


def test_a_client_that_does_not_stay_tells_every_call(epochs: Epochs) -> None:
    """A14: an extension's, and a UI's with foreign code: what was held goes with its process."""
    sent = epochs.vault.look("a")
    epochs.send()
    epochs.client.hold()
    held = epochs.vault.mark("b")
    epochs.fall(stays=False)
    assert ends(sent, held) == [UNKNOWN, NOT_STARTED]
    with pytest.raises(RingDismantled):
        epochs.vault.mark("c")
    epochs.form()


def test_what_was_kept_is_told_when_no_ring_follows(epochs: Epochs) -> None:
    """A14: the application stops between two rings."""
    look = epochs.vault.look("a")
    epochs.send()
    epochs.client.hold()
    held = epochs.vault.mark("b")
    epochs.fall()
    assert ends(look, held) == ["pending", "pending"]
    epochs.client.detach()
    assert ends(look, held) == [UNKNOWN, NOT_STARTED]
    epochs.form()


def test_threads_that_wait_between_two_rings_are_told_by_the_next(epochs: Epochs) -> None:
    """A58, A14: some wait before the fall, some since; none is told that the ring fell."""
    look = epochs.vault.look("a")
    epochs.send()
    found: list[str] = []
    before = threading.Thread(target=lambda: found.append(look.get(timeout=30)))
    before.start()
    epochs.fall()
    after = threading.Thread(target=lambda: found.append(look.get(timeout=30)))
    after.start()
    epochs.form()
    ring, far = epochs.ring, epochs.ring._wires[UI].far
    while before.is_alive() or after.is_alive():
        select.select([far.socket], [], [], GLANCE)
        ring.at_broker(UI)  # whoever waits sends; nobody else may flush the client's end meanwhile
        ring.to_member(ENCLAVE)
        while ring.enclave.waiting:
            ring.answer()
        ring.to_broker(ENCLAVE)
        far.flush()  # what it holds, the threads read
    assert found == ["a", "a"]


def test_a_callback_of_the_thread_that_brings_the_next_ring_does_not_wait_for_it(epochs: Epochs) -> None:
    """A14: it would wait for ever; so it is told that its ring fell."""
    epochs.client.minder = threading.get_ident()
    mark, look = epochs.vault.mark("a"), epochs.vault.look("b")
    epochs.send()
    found: list[Outcome] = []

    def ask() -> None:
        with pytest.raises(RingDismantled) as told:
            look.get()
        found.append(told.value.outcome)

    mark.when_done(ask)
    epochs.next()
    assert found == [Outcome.UNKNOWN]
    assert epochs.ring.enclave.ran == []


def test_what_a_callback_of_that_thread_calls_still_goes_out_while_calls_are_held(epochs: Epochs) -> None:
    """A58: it is part of a call in flight; and what is held, it does not wait for."""
    epochs.client.minder = threading.get_ident()
    epochs.client.hold()
    promise = epochs.vault.mark("a")
    epochs.send()
    assert not epochs.client.drained()
    epochs.ring.pump(answering=True)
    assert (end_of(promise), epochs.client.drained()) == ("a", True)
