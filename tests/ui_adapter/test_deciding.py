"""What the core UI makes of the servers' lists of calls that wait: nobody else's name, nothing unprintable, no gap."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.calling.route import Route
from trollbridge.messages.errors import HandlerFailed, InvalidArguments, RingDismantled
from trollbridge.messages.grants import LONGEST_SHOWN, MOST_SHOWN, MOST_WAITING, CallApproval, Shown
from trollbridge.messages.ids import HandlerName, MemberId
from trollbridge.messages.payloads import HandlerEntry
from trollbridge.messages.signature import Scalar
from trollbridge.ui_adapter.deciding import decide, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Answer: TypeAlias = "Callable[[], Promise[object]]"
HONEST: Final = CallApproval(b"t" * 16, "keeper", "pay", "front", 2, (Shown("amount", "5"),), bytes(32), 100)


def _answering(value: object = None, error: Exception | None = None) -> Answer:
    def answer() -> Promise[object]:
        promise = Promise[object]()
        promise.resolve(value, error)
        return promise

    return answer


def _failing() -> Promise[object]:
    raise InvalidArguments


class Servers:
    """A client of servers that answer as a test has them."""

    def __init__(self, **answers: Answer) -> None:
        """Take what each answers when it is asked what waits."""
        self.answers = answers
        self.called: list[tuple[HandlerName, tuple[object, ...]]] = []

    def call(
        self,
        name: HandlerName,
        positional: tuple[object, ...],
        named: Mapping[str, object],
        *,
        within: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Any:  # noqa: ANN401  # as the protocol has it
        """Answer."""
        assert (named, within, progress) == ({}, None, None)
        self.called.append((name, positional))
        server, _, method = name.partition(".")
        return self.answers[server]() if method == "call_approvals" else Promise[object]()

    def open_as(self, name: HandlerName, sealed: object, positional: object, named: object) -> object:
        """Open nothing."""
        raise NotImplementedError

    def routes(self) -> Mapping[HandlerName, Route]:
        """Return a desk for each server."""
        found: dict[HandlerName, Route] = {}
        for server in self.answers:
            for name in ("call_approvals", "approve_call", "refuse_call", "other"):
                entry = HandlerEntry(name, bytes(16), (), Scalar("none"), False, False, 1)  # noqa: FBT003  # as on the wire
                found[HandlerName(f"{server}.{name}")] = Route(MemberId(server), entry, {}, MemberId(server))
        return MappingProxyType(found)


@pytest.mark.parametrize(
    "answer",
    [
        _failing,
        _answering(error=HandlerFailed()),
        _answering((1, "two")),
        _answering("text"),
        _answering((HONEST, ("t", 1))),
        Promise,
    ],
)
def test_one_server_that_fails_hides_nobody_elses_calls(answer: Answer) -> None:
    """F3, K2: whether it refuses, babbles, or does not answer at all; wherever in the order it stands."""
    for servers in (
        {"bad": answer, "keeper": _answering((HONEST,))},
        {"keeper": _answering((HONEST,)), "bad": answer},
    ):
        assert waiting(Servers(**servers), timeout=0.01) == (HONEST,)
    assert waiting(Servers(bad=answer, keeper=_answering(())), timeout=0.01) == ()


def test_an_error_that_all_servers_have_is_raised() -> None:
    """A52: such as that there is no ring."""
    fallen = _answering(error=RingDismantled())
    with pytest.raises(RingDismantled):
        waiting(Servers(one=fallen, two=fallen))
    assert waiting(Servers()) == ()


def test_a_server_tells_of_its_own_calls_in_words_that_can_be_shown() -> None:
    """K2, I6: whatever name it gives, a call is of the server that was asked, and so is the decision on it."""
    escapes = "\x1b]0;owned\x07\u202e"
    forged = CallApproval(
        bytes(16), "keeper", escapes, escapes * 100, 1, (Shown(escapes, escapes * 100),) * 1000, b"", 1 << 62
    )
    servers = Servers(keeper=_answering((HONEST,)), spoof=_answering((forged,) * 1000))
    honest, *found = waiting(servers)
    assert (honest, len(found), {each.server for each in found}) == (HONEST, MOST_WAITING, {"spoof"})
    texts = [
        text
        for each in found
        for text in (each.handler, each.caller, *(part for one in each.arguments for part in (one.name, one.text)))
    ]
    assert all(each.isprintable() and len(each) <= LONGEST_SHOWN for each in texts)
    assert {len(each.arguments) for each in found} == {MOST_SHOWN + 1}
    assert all(0 <= each.asked <= time.time() for each in found), "a date that can be shown, too"
    for approve, name in ((True, "spoof.approve_call"), (False, "spoof.refuse_call")):
        decide(servers, found[0], approve=approve)
        assert servers.called[-1] == (name, (bytes(16),))
