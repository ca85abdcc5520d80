# pyright: reportPrivateUsage=false
"""A broker that rewrites, redirects, replays, holds back and reflects: real processes at both ends lose only time.

The enclave runs what a client has sealed for it, once, or nothing; a promise gets its own value, or none.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from tests.attacks.middle import PATIENCE, UI, Middle, Passing
from tests.harness.puppeteer import Told
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import BROKER, MemberId
from trollbridge.messages.record import Item, Lease, Refusal, Request, Routed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[Routed, bytes], Passing]

change = msgspec.structs.replace


class Hook:
    """Plays one trick on the next envelope of a kind that goes to a member; then it is honest again."""

    def __init__(self, kind: Kind, receiver: str, trick: Change) -> None:
        """Take the trick."""
        self.caught: list[tuple[Routed, bytes]] = []
        self._wanted = (kind, receiver)
        self._trick = trick
        self._played = threading.Event()

    def __call__(self, member: MemberId, item: Item, body: bytes) -> Passing:
        """Let pass what is not meant."""
        if self.caught or not isinstance(item, Routed) or (item.kind, member) != self._wanted:
            return [(item, body)]
        self.caught.append((item, body))
        self._played.set()
        return self._trick(item, body)

    def wait(self) -> tuple[Routed, bytes]:
        """Wait for what is meant; return it as it was."""
        if not self._played.wait(PATIENCE):
            raise TimeoutError
        return self.caught[0]


def flip(body: bytes, place: int = 40) -> bytes:
    """Return a body with one bit changed."""
    return body[:place] + bytes((body[place] ^ 1,)) + body[place + 1 :]


def retagged(item: Routed, body: bytes, **fields: Any) -> tuple[Item, bytes]:  # noqa: ANN401  # a header's fields
    """Return an envelope whose header fits its body, so that the link takes it."""
    return change(item, length=len(body), tag=body[-16:], **fields), body


CALLS: Final[dict[str, Change]] = {
    "another sender": lambda item, body: [(change(item, sender="console"), body)],
    "the enclave as its own client": lambda item, body: [(change(item, sender="probe"), body)],
    "the broker as client": lambda item, body: [(change(item, sender=BROKER), body)],
    "another receiver": lambda item, body: [(change(item, receiver="other"), body)],
    "another UID": lambda item, body: [(change(item, uid=bytes(16)), body)],
    "a later deadline": lambda item, body: [(change(item, deadline=2**62), body)],
    "an earlier sequence": lambda item, body: [(change(item, sequence=item.sequence - 1), body)],
    "a later sequence": lambda item, body: [(change(item, sequence=item.sequence + 1), body)],
    "a sequence far ahead": lambda item, body: [(change(item, sequence=2**63), body)],
    "as a reply": lambda item, body: [(change(item, kind=Kind.REPLY), body)],
    "as a part": lambda item, body: [(change(item, kind=Kind.PART), body)],
    "as a word about the session": lambda item, body: [(change(item, kind=Kind.SESSION), body)],
    "as a handshake": lambda item, body: [(change(item, kind=Kind.HANDSHAKE), body)],
    "as nothing known": lambda item, body: [(change(item, kind=200), body)],
    "a changed body": lambda item, body: [retagged(item, flip(body))],
    "a changed tag": lambda item, body: [retagged(item, flip(body, -1))],
    "a body cut short": lambda item, body: [retagged(item, body[:-16])],
    "a body made longer": lambda item, body: [retagged(item, body + bytes(16))],
    "a stripped body": lambda item, _body: [retagged(item, bytes(16))],
    "no address": lambda item, body: [(change(item, route=b""), body)],
    "a made-up address": lambda item, body: [(change(item, route=bytes(16)), body)],
    "never": lambda _item, _body: [],
}


@pytest.mark.parametrize("trick", CALLS.values(), ids=CALLS)
def test_a_call_that_a_broker_has_touched_does_not_run(trick: Change, tmp_path: Path) -> None:
    """I2, F3, F4, F9: nothing of it; the enclave lives on, and so does the caller, who is not told anything untrue."""
    with Middle(tmp_path) as middle:
        assert middle.hand.result("probe.mark", "before") == 1
        middle.play = Hook(Kind.CALL, "probe", trick)
        promise = middle.hand.send("probe.mark", "touched")
        assert middle.hand.result("probe.pid") == middle.member("probe").process.pid
        assert (middle.ran(), middle.member("probe").alive()) == (["before"], True)
        if trick is not CALLS["never"] and trick is not CALLS["as nothing known"] and trick is not CALLS["as a reply"]:
            kinds = {kind for kind, _, _ in middle.member("probe").noticed()}
            assert kinds <= {NoticeKind.ENVELOPE_REFUSED, NoticeKind.JOIN_REFUSED}
            assert kinds
        middle.fall()
        assert promise.outcome() in {"RingDismantled: unknown", "Refused"}


def test_a_call_cannot_be_redirected_to_another_handler(tmp_path: Path) -> None:
    """I2, F3: sent to the address of `die`: the handler that the ciphertext names is compared with it."""
    with Middle(tmp_path) as middle:
        address = middle.routing._callers[MemberId("probe"), "probe.die"].next()
        middle.play = Hook(Kind.CALL, "probe", lambda item, body: [(change(item, route=address), body)])
        promise = middle.hand.send("probe.mark", "touched")
        assert promise.outcome() == "Refused"
        assert middle.ran() == []
        assert middle.member("probe").noticed() == [(NoticeKind.ENVELOPE_REFUSED, UI, "AuthenticationFailed")]


def test_a_call_delivered_twice_runs_once(tmp_path: Path) -> None:
    """F1, A27, A6: at the same address, and at fresh ones, as often as the broker likes."""

    def again(item: Routed, body: bytes) -> Passing:
        fresh = [middle.routing._callers[MemberId("probe"), "probe.mark"].next() for _ in range(3)]
        return [(item, body), (item, body), *((change(item, route=each), body) for each in fresh)]

    with Middle(tmp_path) as middle:
        middle.play = Hook(Kind.CALL, "probe", again)
        assert middle.hand.call("probe.mark", "once").outcome() in {"value", "Refused"}  # whichever comes first
        assert middle.hand.result("probe.mark", "next") == 2
        assert middle.ran() == ["once", "next"]
        why = [why for _, _, why in middle.member("probe").noticed()]
        assert why == ["AuthenticationFailed", "OutOfSequence", "OutOfSequence", "OutOfSequence"]


def test_a_call_held_back_until_a_later_one_has_run_does_not_run(tmp_path: Path) -> None:
    """F9: order is authenticated: what was overtaken is lost, and told as unknown; it never runs late."""
    with Middle(tmp_path) as middle:
        hook = middle.play = Hook(Kind.CALL, "probe", lambda _item, _body: [])
        late = middle.hand.send("probe.mark", "late")
        assert len(middle.hand.result("probe.echo", b"overtakes")) == 9
        middle.inject("probe", *hook.wait())
        assert middle.hand.result("probe.echo", b"after") == b"after"
        assert (middle.ran(), [why for _, _, why in middle.member("probe").noticed()]) == ([], ["OutOfSequence"])
        assert late.outcome() == "Refused"


def test_a_call_sent_back_to_its_sender_is_nothing_to_it(tmp_path: Path) -> None:
    """F9: reflected as it is, as a reply, and with its names exchanged."""
    with Middle(tmp_path) as middle:
        hook = middle.play = Hook(Kind.CALL, "probe", lambda _item, _body: [])
        promise = middle.hand.send("probe.echo", b"mine")
        item, body = hook.wait()
        for back in (item, change(item, kind=Kind.REPLY)):
            middle.inject(UI, back, body)
            middle.inject(UI, change(back, sender=item.receiver, receiver=item.sender), body)
        assert middle.hand.result("probe.pid") > 0
        assert not promise.done


def test_a_call_of_the_last_ring_does_not_run_in_the_next(tmp_path: Path) -> None:
    """F2, F1, A7: all that the enclave was ever sent, delivered to its successor, at its old and at new addresses."""
    with Middle(tmp_path) as middle:
        for word in ("one", "two", "three"):
            middle.hand.result("probe.mark", word)
        calls = middle.passed(Kind.CALL, BROKER, "probe")
        handshakes = middle.passed(Kind.HANDSHAKE, BROKER, "probe") + middle.passed(Kind.SESSION, BROKER, "probe")
        assert (len(calls), len(handshakes)) == (3, 2)
        middle.fall()
        middle.form()
        for item, body in calls + handshakes:
            middle.inject("probe", item, body)
            if item.kind == Kind.CALL:
                address = middle.routing._callers[MemberId("probe"), "probe.mark"].next()
                middle.inject("probe", change(item, route=address), body)
        assert middle.hand.result("probe.echo", b"new") == b"new"
        assert (middle.ran(), len(middle.member("probe").noticed())) == (["one", "two", "three"], 3 * 2 + 2)


REPLIES: Final[dict[str, Change]] = {
    "another sender": lambda item, body: [(change(item, sender="other"), body)],
    "the caller as sender": lambda item, body: [(change(item, sender=UI), body)],
    "another receiver": lambda item, body: [(change(item, receiver="other"), body)],
    "another UID": lambda item, body: [(change(item, uid=bytes(16)), body)],
    "a deadline": lambda item, body: [(change(item, deadline=5), body)],
    "a later sequence": lambda item, body: [(change(item, sequence=item.sequence + 1), body)],
    "as a part": lambda item, body: [(change(item, kind=Kind.PART), body)],
    "as a call": lambda item, body: [(change(item, kind=Kind.CALL), body)],
    "a changed body": lambda item, body: [retagged(item, flip(body))],
    "a stripped body": lambda item, _body: [retagged(item, bytes(16))],
    "never": lambda _item, _body: [],
}


@pytest.mark.parametrize("trick", REPLIES.values(), ids=REPLIES)
def test_a_reply_that_a_broker_has_touched_resolves_nothing(trick: Change, tmp_path: Path) -> None:
    """I2, I5, F8, F9: the promise stays pending; other calls go on; when the ring falls it is told as unknown."""
    with Middle(tmp_path) as middle:
        middle.play = hook = Hook(Kind.REPLY, UI, trick)
        promise = middle.hand.send("probe.mark", "ran")
        assert middle.hand.result("probe.echo", b"other") == b"other"
        assert (promise.done, middle.ran(), len(hook.caught)) == (False, ["ran"], 1)
        middle.fall()
        assert promise.outcome() == "RingDismantled: unknown"


def test_two_replies_exchanged_resolve_neither(tmp_path: Path) -> None:
    """F3, F8: each under the other's UID, in the order of their sequences."""
    held: list[tuple[Routed, bytes]] = []

    def exchange(member: MemberId, item: Item, body: bytes) -> Passing:
        if member != UI or not isinstance(item, Routed) or item.kind != Kind.REPLY or len(held) == 2:
            return [(item, body)]
        held.append((item, body))
        if len(held) < 2:
            return []
        (first, one), (second, two) = held
        return [(change(first, uid=second.uid), one), (change(second, uid=first.uid), two)]

    with Middle(tmp_path) as middle:
        middle.play = exchange
        promises = [middle.hand.send("probe.echo", word) for word in (b"a", b"b")]
        assert middle.hand.result("probe.echo", b"c") == b"c"
        assert [each.done for each in promises] == [False, False]


def test_a_reply_that_comes_twice_or_too_late_resolves_nothing_else(tmp_path: Path) -> None:
    """F8: the same reply again at once, after other calls, and in the next ring."""
    with Middle(tmp_path) as middle:
        hook = middle.play = Hook(Kind.REPLY, UI, lambda item, body: [(item, body), (item, body)])
        assert middle.hand.result("probe.echo", b"first") == b"first"
        middle.inject(UI, *hook.wait())
        assert middle.hand.result("probe.echo", b"second") == b"second"
        middle.fall()
        middle.form()
        waiting = middle.hand.send("probe.echo", b"third")
        middle.inject(UI, *hook.wait())
        assert waiting.get() == b"third"


def test_a_reply_after_the_caller_stopped_waiting_still_counts_and_only_for_it(tmp_path: Path) -> None:
    """F8: a time-out of `get` is not the end of the call; a deadline is."""
    with Middle(tmp_path) as middle:
        hook = middle.play = Hook(Kind.REPLY, UI, lambda _item, _body: [])
        waiting = middle.hand.send("probe.echo", b"late")
        with pytest.raises(Told, match="Timeout"):
            waiting.get(0.05)
        middle.inject(UI, *hook.wait())
        assert waiting.get() == b"late"
        hook = middle.play = Hook(Kind.REPLY, UI, lambda _item, _body: [])
        limited = middle.hand.call("probe.echo", b"expired", within=0.2)
        assert limited.outcome() == "DeadlineExceeded"
        middle.play = middle._honest  # on a slow machine the call was late already, and the hook has caught nothing
        assert middle.hand.result("probe.echo", b"next") == b"next"
        assert limited.outcome() == "DeadlineExceeded"


def test_a_reply_of_one_enclave_is_none_of_another(tmp_path: Path) -> None:
    """I5, F8: two enclaves; the broker presents the reply of one as the reply of the other."""
    with Middle(tmp_path, enclaves=("one", "two")) as middle:
        dropped = middle.play = Hook(Kind.REPLY, UI, lambda _item, _body: [])
        waiting = middle.hand.send("one.echo", b"from one")
        assert middle.hand.result("one.pid") == middle.member("one").process.pid
        uid = dropped.wait()[0].uid
        middle.play = Hook(Kind.REPLY, UI, lambda item, body: [(change(item, sender="one", uid=uid), body)])
        other = middle.hand.send("two.echo", b"from two")
        assert middle.hand.result("two.pid") == middle.member("two").process.pid
        assert (waiting.done, other.done) == (False, False)


def test_a_lie_about_credit_or_leases_harms_nobody_but_time(tmp_path: Path) -> None:
    """I2: giant and negative-looking credit, empty, odd, doubled and foreign leases, refusals of nothing."""
    with Middle(tmp_path) as middle:
        lies: list[Item] = [
            *(
                Refusal(bytes(16)),
                Lease("probe.echo", b"odd"),
                Lease("probe.echo", bytes(32)),
                Lease("nobody.x", bytes(16)),
            ),
            *(Lease("", b""), Request("probe.echo")),
        ]
        assert middle.hand.result("probe.echo", b"before") == b"before"
        for each in lies:
            middle.inject(UI, each)
            middle.inject("probe", each)
        assert middle.member("probe").alive()
        assert middle.member(UI).alive()
        found = [middle.hand.call("probe.echo", b"%d" % number) for number in range(20)]
        assert found[-1].get() == b"19"


def test_packets_that_no_key_has_sealed_change_nothing(tmp_path: Path) -> None:
    """F4, P2: garbage, empty shells and old packets to UI and enclave; the links go on."""
    with Middle(tmp_path) as middle:
        assert middle.hand.result("probe.echo", b"before") == b"before"
        for member in (UI, MemberId("probe")):
            for packet in (b"\0", bytes(64), b"\0\0\0\x10" + bytes(16), b"\xff" * 1_000, middle.member(member).record):
                middle.send_packet(member, packet)
        assert middle.hand.result("probe.echo", b"after") == b"after"
        kinds = [kind for kind, _, _ in middle.member("probe").noticed()]
        assert kinds == [NoticeKind.RECORD_REFUSED] * 5


def test_an_honest_broker_in_the_middle_is_not_noticed(tmp_path: Path) -> None:
    """The rig itself: calls of every kind, long ones too, over two rings, without a single notice."""
    with Middle(tmp_path) as middle:
        for _ in range(2):
            assert middle.hand.result("probe.echo", b"hi") == b"hi"
            assert middle.hand.result("probe.echo", bytes(400_000)) == bytes(400_000)
            assert middle.hand.result("probe.secret").startswith("the word")
            assert middle.member("probe").noticed() == []
            middle.fall()
            middle.form()
        assert (middle.notices, middle.removed) == ([], [])
