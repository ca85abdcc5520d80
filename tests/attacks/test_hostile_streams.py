"""Streams under a hostile broker, with real processes at both ends: one arrives whole, or ends by an error."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.attacks.middle import UI, Middle, Passing
from tests.harness.puppeteer import Told
from tests.processes import stream_acts
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind
from trollbridge.messages.record import Item, Left, Routed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trollbridge.messages.ids import MemberId

    Change = Callable[[Routed, bytes, list[tuple[Routed, bytes]]], Passing]

change: Final = msgspec.structs.replace
ITEMS: Final = 100
WHOLE: Final = [*range(ITEMS), f"up to {ITEMS}"]
FIFTH: Final = 5


def flipped(item: Routed, body: bytes, place: int) -> tuple[Item, bytes]:
    """Return an envelope with one bit of its body changed, under a header that fits."""
    body = body[:place] + bytes((body[place] ^ 1,)) + body[place + 1 :]
    return change(item, tag=body[-16:]), body


TRICKS: Final[dict[str, tuple[Change, bool]]] = {
    "twice": (lambda item, body, _: [(item, body), (item, body)], True),
    "the one before again": (lambda item, body, before: [before[-2], (item, body)], True),
    "a reply of the same body before it": (
        lambda item, body, _: [(change(item, kind=Kind.REPLY), body), (item, body)],
        True,
    ),
    "not": (lambda _item, _body, _: [], False),
    "changed": (lambda item, body, _: [flipped(item, body, 30)], False),
    "with another tag": (lambda item, body, _: [flipped(item, body, len(body) - 1)], False),
    "stripped": (lambda item, _body, _: [(change(item, length=16, tag=bytes(16)), bytes(16))], False),
    "under no UID": (lambda item, body, _: [(change(item, uid=bytes(16)), body)], False),
    "for another call": (lambda item, body, _: [(change(item, deadline=item.deadline + 1), body)], False),
    "as a part": (lambda item, body, _: [(change(item, kind=Kind.PART), body)], False),
    "as a step": (lambda item, body, _: [(change(item, kind=Kind.STEER), body)], False),
    "from the other enclave": (lambda item, body, _: [(change(item, sender="other"), body)], False),
    "back to its sender": (lambda item, body, _: [(change(item, receiver="probe", sender=UI), body)], False),
}
"""What is done to the fifth item, and whether the stream arrives whole."""


class Fifth:
    """Plays a trick on the fifth item that goes to the UI, and is honest otherwise."""

    def __init__(self, trick: Change) -> None:
        """Take the trick."""
        self._trick = trick
        self.passed: list[tuple[Routed, bytes]] = []

    def __call__(self, member: MemberId, item: Item, body: bytes) -> Passing:
        """Let pass what is not meant."""
        if member != UI or not isinstance(item, Routed) or item.kind != Kind.ITEM:
            return [(item, body)]
        self.passed.append((item, body))
        return self._trick(item, body, self.passed) if len(self.passed) == FIFTH else [(item, body)]


def drip(middle: Middle) -> list[Any] | str:
    """Take a whole stream; return what came of it, or what it ended by."""
    middle.hand.act(stream_acts.open_stream, name="drip", handler="drip", positional=[ITEMS], of="probe")
    try:
        taken: list[Any] = middle.hand.act(stream_acts.end, name="drip")
    except Told as told:
        return told.kind
    return taken


def test_a_stream_that_a_broker_has_touched_arrives_whole_or_fails(tmp_path: Path) -> None:
    """F1, F3, F4, F8, F9: doubled, withheld, changed, redirected, renamed: no item counts twice or is missed."""
    with Middle(tmp_path, enclaves=("probe", "other")) as middle:
        assert drip(middle) == WHOLE
        for name, (trick, whole) in TRICKS.items():
            middle.play = fifth = Fifth(trick)
            assert drip(middle) == (WHOLE if whole else "OutOfSequence"), name
            assert len(fifth.passed) >= FIFTH
            middle.play = middle._honest
            assert middle.hand.result("probe.echo", name.encode()) == name.encode()
        assert drip(middle) == WHOLE
        assert middle.notices == []


def test_steps_that_a_broker_makes_up_end_the_stream_and_nothing_else(tmp_path: Path) -> None:
    """F3, F4: a changed Pull is refused like a forgery; the server closes that stream, and lives on."""
    with Middle(tmp_path) as middle:

        def spoil(member: MemberId, item: Item, body: bytes) -> Passing:
            steps = isinstance(item, Routed) and item.kind == Kind.STEER and member == "probe"
            return [flipped(item, body, 30)] if steps and isinstance(item, Routed) else [(item, body)]

        middle.play = spoil
        assert drip(middle) == "Refused"
        middle.play = middle._honest
        assert drip(middle) == WHOLE
        assert {kind for kind, _, _ in middle.member("probe").noticed()} == {NoticeKind.ENVELOPE_REFUSED}


def test_a_client_that_is_said_to_have_left_is_not_served_by_its_old_session(tmp_path: Path) -> None:
    """F3: a broker can deny service, and no more: what comes over the session after that is refused."""
    with Middle(tmp_path) as middle:
        assert drip(middle) == WHOLE
        middle.inject("probe", Left(UI))
        promise = middle.hand.send("probe.mark", "after")
        assert promise.outcome() == "Refused"
        assert middle.ran() == []
        assert middle.member("probe").alive()
