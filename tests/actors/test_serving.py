"""The enclave's core: what may run, what is refused on the way there, and what its callers are told."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.actors.keeper import Keeper
from tests.actors.memory_ring import ENCLAVE, EXTENSION, TOKEN, UI, MemoryRing
from trollbridge.actors.calling.membership import Pending
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.handlers import exported, handler
from trollbridge.actors.serving.faults import LONGEST_TEXT
from trollbridge.actors.serving.invocation import Origin
from trollbridge.actors.serving.served import MOST_HELD
from trollbridge.actors.serving.server import Serving
from trollbridge.messages import payloads
from trollbridge.messages.codec import encode
from trollbridge.messages.control import Granted, NoticeKind, SessionTicket
from trollbridge.messages.envelope import Envelope, Kind, prologue
from trollbridge.messages.errors import (
    AuthenticationFailed,
    CallError,
    DeadlineExceeded,
    DeclarationError,
    DeclaredError,
    HandshakeFailed,
    InvalidArguments,
    Refused,
    TooLarge,
)
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import NO_UID, Epoch, HandlerName, HandlerUID, MemberId, Microseconds, Role
from trollbridge.messages.limits import FARTHEST
from trollbridge.messages.noise import Initiator
from trollbridge.messages.record import Item, Publish, Routed, route
from trollbridge.messages.ring_key import Sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trollbridge.actors.serving.invocation import Invocation

GRANTS: Final = {UI: tuple(sorted(exported(Keeper))), EXTENSION: ("echo", "secret")}
UID: Final = HandlerUID(b"u" * 16)
NEVER: Final = Microseconds(0)


class Grower:
    """Whose results are long."""

    @handler(max_bytes=MOST_HELD)
    def grow(self, size: int) -> bytes:
        """Return so many bytes."""
        return bytes(size)


@pytest.fixture
def ring() -> Iterator[MemoryRing]:
    """Give a sealed ring."""
    made = MemoryRing(Keeper(), grants=GRANTS)
    yield made
    made.close()


def code_of(ring: MemoryRing, method: str, member: MemberId = UI) -> bytes:
    """Return the session code of a handler, as the client was told."""
    return ring.membership(member).routes[HandlerName(f"{ENCLAVE}.{method}")].entry.code


def hand_in(  # noqa: PLR0913  # what an attacker may vary
    ring: MemoryRing, content: bytes, *, at: str = "echo", member: MemberId = UI, deadline: int = 0, uid: bytes = UID
) -> Invocation | None:
    """Seal a content of one's own making and hand it to the enclave, at the valid next address of a handler."""
    session = ring.membership(member).peers[ENCLAVE].session
    envelope = session.seal(Kind.CALL, HandlerUID(uid), Microseconds(deadline), content)
    address = ring.routing._callers[ENCLAVE, f"{ENCLAVE}.{at}"].next()
    return ring.enclave.serving.take(route(envelope, address), envelope.body)


def call_with(ring: MemoryRing, content: bytes, *, to: str = "echo", deadline: int = 0) -> Promise[Any]:
    """Send a content of one's own making as a call of a handler, and wait for what comes of it."""
    promise: Promise[Any] = Promise()
    found = ring.membership().routes[HandlerName(f"{ENCLAVE}.{to}")]
    ring.membership().call(Pending(promise, found, content, deadline, None))
    ring.pump(answering=True)
    return promise


def error_of(promise: Promise[Any]) -> CallError:
    """Return the error that a promise ended with."""
    with pytest.raises(CallError) as caught:
        promise.get(timeout=0)
    return caught.value


def test_a_call_that_is_right_in_all_parts_may_run(ring: MemoryRing) -> None:
    """A22: who asks, under which UID, for what, with which arguments."""
    invocation = hand_in(ring, b"\x01" + code_of(ring, "echo") + encode((b"hi",)))
    assert invocation is not None
    assert (invocation.origin, invocation.exported.name) == (Origin(UI, UID, 1), "echo")
    assert invocation.arguments == (b"hi",)


def test_every_handler_answers_with_what_it_returned(ring: MemoryRing) -> None:
    """A17: octets, numbers with a default, nothing."""
    assert [ring.result("echo", b"hi"), ring.result("add", 2, 3), ring.result("add", 2)] == [b"hi", 5, 3]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x02" + encode(b"hi"), id="a result"),
        pytest.param(b"\x03sealed", id="a sealed result"),
        pytest.param(b"\x04" + encode([2, "", ""]), id="a fault"),
        pytest.param(b"\x06" + encode([bytes(32)]), id="a ring key"),
        pytest.param(b"\x01" + bytes(16) + encode((b"hi",)), id="a code that nobody was told"),
        pytest.param(b"\x01" + bytes(15), id="a short code"),
        pytest.param(b"\x01echo", id="a name"),
        pytest.param(b"\x80\x04\x95c__builtin__\neval\n.", id="a pickle"),
    ],
)
def test_a_sealed_content_that_is_no_call_is_refused(ring: MemoryRing, content: bytes) -> None:
    """A10, A11, P1: though the session is genuine and the address valid; one refusal, one line, nothing runs."""
    assert hand_in(ring, content) is None
    assert [kind for kind, _, _ in ring.enclave.notices] == [NoticeKind.ENVELOPE_REFUSED]
    assert ring.enclave.ran == []


def test_a_call_that_arrives_at_anothers_address_is_refused(ring: MemoryRing) -> None:
    """F3, I2: a hostile broker cannot redirect a call: the code inside names the handler."""
    content = b"\x01" + code_of(ring, "echo") + encode((b"hi",))
    assert hand_in(ring, content, at="secret") is None
    assert ring.enclave.notices == [(NoticeKind.ENVELOPE_REFUSED, UI, "AuthenticationFailed")]


def test_a_code_of_another_session_is_refused(ring: MemoryRing) -> None:
    """A4, F3: codes are unique to a session: the extension cannot use the UI's, for the same handler either."""
    codes = [{each.entry.code for each in ring.membership(member).routes.values()} for member in (UI, EXTENSION)]
    assert (codes[0] & codes[1], len(codes[0]), len(codes[1])) == (set(), len(GRANTS[UI]), 2)
    content = b"\x01" + code_of(ring, "echo", UI) + encode((b"hi",))
    assert hand_in(ring, content, member=EXTENSION) is None


def test_what_is_not_granted_has_no_code(ring: MemoryRing) -> None:
    """A18, A26: the extension knows two handlers, not the names of the others; the UI learns what it is not granted."""
    assert set(ring.membership(EXTENSION).routes) == {"vault.echo", "vault.secret"}
    assert ring.membership(EXTENSION).peers[ENCLAVE].withheld == ()
    other = MemoryRing(Keeper(), grants={UI: ("echo",)})
    assert other.membership().peers[ENCLAVE].withheld == tuple(sorted(set(exported(Keeper)) - {"echo"}))
    other.close()


@pytest.mark.parametrize("address", [b"", b"echo", bytes(16), b"x" * 17])
def test_a_valid_call_at_no_address_is_refused(ring: MemoryRing, address: bytes) -> None:
    """A6, A7: nothing but the one address reaches a handler, and the session is none the worse."""
    session = ring.membership().peers[ENCLAVE].session
    content = b"\x01" + code_of(ring, "echo") + encode((b"hi",))
    envelope = session.seal(Kind.CALL, UID, NEVER, content)
    assert ring.enclave.serving.take(route(envelope, address), envelope.body) is None
    assert ring.result("echo", b"hi") == b"hi"


def test_one_envelope_runs_once_whatever_addresses_it_is_given(ring: MemoryRing) -> None:
    """F1, A27: a hostile broker delivers it again at fresh addresses, and the sequence says no."""
    session = ring.membership().peers[ENCLAVE].session
    envelope = session.seal(Kind.CALL, UID, NEVER, b"\x01" + code_of(ring, "echo") + encode((b"hi",)))
    caller = ring.routing._callers[ENCLAVE, "vault.echo"]
    ran = [ring.enclave.serving.take(route(envelope, caller.next()), envelope.body) for _ in range(5)]
    assert [each is not None for each in ran] == [True, False, False, False, False]
    assert [why for _, _, why in ring.enclave.notices] == ["OutOfSequence"] * 4


def test_a_stranger_and_a_ghost_are_refused(ring: MemoryRing) -> None:
    """I2, I5: an envelope of a member without a session."""
    envelope = Envelope(Kind.CALL, MemberId("stranger"), ENCLAVE, UID, 0, NEVER, bytes(144))
    address = ring.routing._callers[ENCLAVE, "vault.echo"].next()
    assert ring.enclave.serving.take(route(envelope, address), envelope.body) is None
    for kind in (Kind.PART, Kind.SESSION):
        other = Envelope(kind, MemberId("stranger"), ENCLAVE, UID, 0, NEVER, bytes(144))
        assert ring.enclave.serving.take(route(other, b""), other.body) is None
    assert {about for _, about, _ in ring.enclave.notices} == {"stranger"}


def test_nothing_runs_before_the_seal(ring: MemoryRing) -> None:
    """A33, A26: a call that is right in all parts, while the ring forms."""
    ring.enclave.serving.sealed = False
    assert hand_in(ring, b"\x01" + code_of(ring, "echo") + encode((b"hi",))) is None
    assert ring.enclave.notices == [(NoticeKind.ENVELOPE_REFUSED, UI, "Malformed")]


def test_a_call_that_overtook_the_seal_runs(ring: MemoryRing) -> None:
    """A26: the seal was said before the caller heard of it; the enclave looks for it before it refuses."""
    serving = ring.enclave.serving
    serving.sealed = False
    ring.enclave.control.append(lambda: setattr(serving, "sealed", True))
    assert hand_in(ring, b"\x01" + code_of(ring, "echo") + encode((b"hi",))) is not None
    assert ring.enclave.notices == []


def test_a_holder_that_overtook_its_ticket_is_known(ring: MemoryRing) -> None:
    """A33: the enclave looks for a ticket before it refuses a stranger."""
    late, words = MemberId("late"), prologue(ring.epoch, MemberId("late"), Role.EXTENSION, ENCLAVE, Role.ENCLAVE)
    first, waiting = Initiator(TOKEN, words).message_1()
    ticket = SessionTicket(late, "extension", ENCLAVE, "enclave", TOKEN, (Grant("echo"),))
    ring.enclave.control.append(lambda: ring.enclave.serving.admit(ticket))
    hello = Envelope(Kind.HANDSHAKE, late, ENCLAVE, NO_UID, 0, NEVER, first)
    ring.enclave.serving.take(route(hello, b""), first)
    assert (ring.enclave.notices, late in ring.enclave.serving._clients, waiting is not None) == ([], True, True)


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b"\xc0",
        encode(()),
        encode((b"a", b"b")),
        encode(("text",)),
        encode((1,)),
        b"\x91\xc5\x00\x02hi",
        b"\x90\x90",
    ],
)
def test_arguments_of_another_shape_are_told_to_the_caller(ring: MemoryRing, arguments: bytes) -> None:
    """A10, P4: in number, type or encoding; a typed error, and nothing in the log."""
    promise = call_with(ring, b"\x01" + code_of(ring, "echo") + arguments)
    assert (type(error_of(promise)), ring.enclave.notices, ring.enclave.ran) == (InvalidArguments, [], [])


def test_a_call_whose_deadline_has_passed_is_not_started(ring: MemoryRing) -> None:
    """A14, A27: the caller is told so; the log tells of the first, the second, the fourth, lest lateness fill it."""
    content = b"\x01" + code_of(ring, "echo") + encode((b"hi",))
    errors = [type(error_of(call_with(ring, content, deadline=1))) for _ in range(20)]
    assert (errors, ring.enclave.ran) == ([DeadlineExceeded] * 20, [])
    assert ring.enclave.notices == [(NoticeKind.CALL_LATE, UI, "its deadline had passed")] * 5


def test_a_deadline_that_no_client_could_mean_is_refused(ring: MemoryRing) -> None:
    """P3, A27: what lies years ahead is no time to wait for; the farthest that a client takes is one."""
    content = b"\x01" + code_of(ring, "echo") + encode((b"hi",))
    farthest = ring.enclave.now() + FARTHEST * 1_000_000
    assert call_with(ring, content, deadline=farthest).get(timeout=0) == b"hi"
    for wrong in (farthest + 60_000_000, 2**62, 2**64 - 1):
        assert isinstance(error_of(call_with(ring, content, deadline=wrong)), Refused)
    assert {why for _, _, why in ring.enclave.notices} == {"Malformed"}


def test_a_call_that_waited_past_its_deadline_is_not_started(ring: MemoryRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A14: it came in time, and its turn did not."""
    deadline = ring.enclave.now() + 60_000_000
    promises = [ring.call("echo", b"hi", deadline=each) for each in (deadline, deadline + 1_000_000, 0)]
    ring.pump()
    monkeypatch.setattr(ring.enclave, "now", lambda: deadline + 1)
    assert [ring.enclave.serving.starts(each) for each in ring.enclave.waiting] == [False, True, True]
    ring.pump()
    assert isinstance(error_of(promises[0]), DeadlineExceeded)
    assert ring.enclave.notices == [(NoticeKind.CALL_LATE, UI, "its deadline had passed")]


def test_who_does_not_take_replies_has_no_more_calls_run() -> None:
    """P3: beyond `MOST_HELD` bytes a client is slow, until it has taken them, or left; nobody else is."""
    ring = MemoryRing(Grower(), grants={UI: ("grow",), EXTENSION: ("grow",)})
    try:
        promises = [ring.call("grow", MOST_HELD // 2, member=EXTENSION) for _ in range(4)]
        ring.call("grow", MOST_HELD // 2)
        ring.pump()
        slow = ring.enclave.serving.slow
        states: list[bool] = []
        while ring.enclave.waiting:
            ring.answer()
            states.append(EXTENSION in slow)
        assert (states, slow) == ([False, False, True, True, True], {EXTENSION})
        ring.pump()
        assert (len(promises[3].get(timeout=0)), slow) == (MOST_HELD // 2, set())
        for _ in range(3):
            ring.call("grow", MOST_HELD // 2, member=EXTENSION)
        ring.pump()
        while ring.enclave.waiting:
            ring.answer()
        assert slow == {EXTENSION}
        ring.remove(EXTENSION, "it is enough")
        ring.pump()
        assert slow == set()
    finally:
        ring.close()


def test_arguments_over_the_limit_are_refused_by_the_enclave_too(ring: MemoryRing) -> None:
    """A11, P3: each side checks for itself: `max_bytes` of the encoded arguments, to the byte."""
    for size, expected in ((64, InvalidArguments), (65, TooLarge)):
        promise = call_with(ring, b"\x01" + code_of(ring, "small") + bytes(size), to="small")
        assert type(error_of(promise)) is expected


def test_a_result_over_the_limit_is_told_as_too_large(ring: MemoryRing) -> None:
    """P3: 64 bytes of encoded result, two of which are its header."""
    assert ring.result("small", 62) == bytes(62)
    promise = ring.call("small", 63)
    ring.pump(answering=True)
    assert type(error_of(promise)) is TooLarge


def test_a_declared_error_reaches_the_caller_by_its_name(ring: MemoryRing) -> None:
    """A14: name and text; the class itself stays in the enclave."""
    promise = ring.call("refuse")
    ring.pump(answering=True)
    error = error_of(promise)
    assert isinstance(error, DeclaredError)
    assert (type(error), error.name, str(error)) == (DeclaredError, "NoPaper", "There is no paper left.")


def test_a_sensitive_result_opens_for_the_core_ui_only(ring: MemoryRing) -> None:
    """A41: the UI gets the value, the extension ciphertext; that ciphertext the UI's key opens."""
    assert ring.result("secret", "one") == "secret one"
    sealed = ring.result("secret", "two", member=EXTENSION)
    assert isinstance(sealed, Sealed)
    assert (sealed.handler, b"secret" in sealed.ciphertext) == ("vault.secret", False)
    key = ring.membership().ring_key
    assert key is not None
    assert key.open(sealed) == encode("secret two")
    route = ring.membership().routes[HandlerName("vault.secret")]
    assert ring.membership().open(sealed, route.asked(("two",), {})) == "secret two"
    for other in ({"word": "one"}, {"word": ""}):
        with pytest.raises(AuthenticationFailed):
            ring.membership().open(sealed, route.asked((), other))
    assert ring.membership(EXTENSION).ring_key is None


def test_only_the_ui_gives_a_ring_key_and_only_once(ring: MemoryRing) -> None:
    """A43, R3: another offer is refused, from the UI and from an extension, of the same key and of another."""
    for member, key in ((UI, b"k" * 32), (UI, b"x" * 32), (EXTENSION, b"x" * 32)):
        session = ring.membership(member).peers[ENCLAVE].session
        offer = session.seal(Kind.SESSION, NO_UID, NEVER, payloads.encode(payloads.RingKeyOffer(key)))
        ring.enclave.serving.take(route(offer, b""), offer.body)
    assert ring.enclave.notices == [
        (NoticeKind.ENVELOPE_REFUSED, UI, "Malformed"),
        (NoticeKind.ENVELOPE_REFUSED, UI, "Malformed"),
        (NoticeKind.ENVELOPE_REFUSED, EXTENSION, "Malformed"),
    ]
    assert ring.result("secret", "one") == "secret one"


def test_a_ticket_is_good_for_one_session(ring: MemoryRing) -> None:
    """A38, I8, R6: a second hello of a member that has joined is refused and logged; its session goes on."""
    words = prologue(ring.epoch, UI, Role.UI, ENCLAVE, Role.ENCLAVE)
    first, _ = Initiator(TOKEN, words).message_1()
    hello = Envelope(Kind.HANDSHAKE, UI, ENCLAVE, NO_UID, 0, NEVER, first)
    ring.enclave.serving.take(route(hello, b""), first)
    assert ring.enclave.notices == [(NoticeKind.JOIN_REFUSED, UI, "it did not prove its join token")]
    assert ring.result("echo", b"hi") == b"hi"


class Quiet:
    """An outside that keeps what it is told."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.items: list[Item] = []
        self.notices: list[tuple[NoticeKind, str, str]] = []

    def put(self, item: Item, body: bytes = b"") -> None:
        """Keep an item."""
        del body
        self.items.append(item)

    def notice(self, kind: NoticeKind, about: str, why: str, detail: str = "") -> None:
        """Keep a notice."""
        del detail
        self.notices.append((kind, about, why))

    def now(self) -> int:
        """Return a time."""
        return 1

    def catch_up(self) -> None:
        """Have nothing to catch up with."""


@pytest.mark.parametrize("wrong", ["token", "epoch", "role", "member", "nobody"])
def test_a_join_that_proves_nothing_aborts_the_boot(wrong: str) -> None:
    """A36, A32, R7: never swallowed: while the ring forms, the core raises."""
    outside = Quiet()
    serving = Serving(ENCLAVE, exported(Keeper), outside)
    serving.join(Epoch(1), (SessionTicket(UI, "ui", ENCLAVE, "enclave", TOKEN, (Grant("echo"),)),))
    token = bytes(32) if wrong == "token" else TOKEN
    role = Role.EXTENSION if wrong == "role" else Role.UI
    words = prologue(Epoch(2 if wrong == "epoch" else 1), UI, role, ENCLAVE, Role.ENCLAVE)
    first, _ = Initiator(token, words).message_1()
    sender = MemberId("nobody") if wrong == "nobody" else UI
    receiver = MemberId("other") if wrong == "member" else ENCLAVE
    hello = Envelope(Kind.HANDSHAKE, sender, receiver, NO_UID, 0, NEVER, first)
    with pytest.raises(HandshakeFailed):
        serving.take(route(hello, b""), first)
    assert outside.notices == [(NoticeKind.JOIN_REFUSED, sender, "it did not prove its join token")]


def test_a_manifest_names_every_handler_under_fresh_seeds() -> None:
    """A4, A5, A26: two boots share no seed; nothing but marked methods is published."""
    seeds: set[bytes] = set()
    for _ in range(10):
        outside = Quiet()
        Serving(ENCLAVE, exported(Keeper), outside).join(Epoch(1), ())
        [published] = outside.items
        assert isinstance(published, Publish)
        assert [each.name for each in published.handlers] == sorted(exported(Keeper))
        seeds |= {each.seed for each in published.handlers}
    assert len(seeds) == 10 * len(exported(Keeper))


def many(count: int) -> type:
    """Return a class with so many handlers, of long names."""

    def named(name: str) -> Callable[[object, bytes], bytes]:
        def echo(_self: object, data: bytes) -> bytes:
            return data

        echo.__name__ = name
        return handler(echo)

    return type("Many", (), {name: named(name) for name in (f"{number:n>64}" for number in range(count))})


@pytest.mark.parametrize(("count", "fits"), [(1_000, True), (1_300, False)])
def test_a_manifest_that_does_not_fit_one_envelope_is_told_at_boot(count: int, *, fits: bool) -> None:
    """A17: it never comes in parts; below the limit, all is well."""
    handlers, outside = exported(many(count)), Quiet()
    serving = Serving(ENCLAVE, handlers, outside)
    ticket = SessionTicket(UI, "ui", ENCLAVE, "enclave", TOKEN, tuple(map(Grant, handlers)))
    if not fits:
        with pytest.raises(DeclarationError, match=r"the manifest of vault takes \d+ bytes, at most 130560; split it"):
            serving.join(Epoch(1), (ticket,))
        return
    serving.join(Epoch(1), (ticket,))
    first, _ = Initiator(TOKEN, prologue(Epoch(1), UI, Role.UI, ENCLAVE, Role.ENCLAVE)).message_1()
    hello = route(Envelope(Kind.HANDSHAKE, UI, ENCLAVE, NO_UID, 0, NEVER, first), b"")
    serving.take(hello, first)
    assert [each.kind for each in outside.items if isinstance(each, Routed)] == [Kind.HANDSHAKE, Kind.SESSION]


def test_a_grant_of_what_is_not_exported_is_told_at_boot() -> None:
    """A18: by name, with what there is, whichever way it is heard of; a grant of what is there passes."""
    serving = Serving(ENCLAVE, exported(Keeper), Quiet())
    serving.check_grants((Granted(UI, "ui", tuple(map(Grant, exported(Keeper)))),))
    ticket = SessionTicket(UI, "ui", ENCLAVE, "enclave", TOKEN, (Grant("echo"), Grant("burn")))
    told = r"^grants name vault\.burn, but vault exports add, echo, note, refuse, secret, small$"
    with pytest.raises(DeclarationError, match=told):
        serving.check_grants((Granted(UI, "ui", (Grant("echo"), Grant("burn"))),))
    with pytest.raises(DeclarationError, match=told):
        serving.join(Epoch(1), (ticket,))
    with pytest.raises(DeclarationError, match=told):
        serving.admit(ticket)


@pytest.mark.parametrize(("text", "told"), [("x" * 5_000, "x" * LONGEST_TEXT), ("a\ud800b", "a?b"), ("né", "né")])
def test_an_errors_text_can_always_travel(ring: MemoryRing, text: str, told: str) -> None:
    """A14: cut to what a person reads, and without lone surrogates; the caller does not wait for ever."""
    promise = ring.call("echo", b"hi")
    ring.pump()
    ring.enclave.serving.fail(ring.enclave.waiting.popleft().origin, Refused(text))
    ring.pump()
    assert str(error_of(promise)) == told


@pytest.mark.parametrize("kind", [Kind.PART, Kind.CALL])
def test_a_ring_key_comes_in_a_session_envelope_only(kind: Kind) -> None:
    """A43: not in PARTs, and not as a call."""
    made = MemoryRing(Keeper())
    made.enclave.serving._ring_key = None
    session = made.membership().peers[ENCLAVE].session
    offer = payloads.encode(payloads.RingKeyOffer(b"k" * 32))
    envelopes = [session.seal(kind, UID, NEVER, offer), session.seal(Kind.SESSION, NO_UID, NEVER, offer)]
    found: list[bytes | None] = []
    for each in envelopes:
        made.enclave.serving.take(route(each, b""), each.body)
        found.append(made.enclave.serving.fingerprint)
    assert (found[0], found[1] is not None) == (None, True)
    made.close()


def test_a_fallen_ring_leaves_nothing_to_answer_with(ring: MemoryRing) -> None:
    """A44, A39: after `drop` no call is taken, no result is sent, no key is left."""
    ring.call("secret", "one")
    ring.pump()
    invocation = ring.enclave.waiting.popleft()
    ring.enclave.serving.drop()
    assert ring.enclave.serving.fingerprint is None
    ring.enclave.serving.fail(invocation.origin, Refused())
    before = ring.to_broker(ENCLAVE)
    assert (before, hand_in(ring, b"\x01" + bytes(16))) == (0, None)


@pytest.mark.parametrize("size", [200_000, 3 << 20])
def test_long_arguments_and_results_arrive_whole(ring: MemoryRing, size: int) -> None:
    """A9: in parts, in both directions, several at once, in their order."""
    contents = [bytes([number]) * (size + number) for number in range(3)]
    promises = [ring.call("echo", each) for each in contents]
    ring.pump(answering=True)
    assert [each.get(timeout=0) == content for each, content in zip(promises, contents, strict=True)] == [True] * 3
    assert (ring.notices, ring.enclave.notices) == ([], [])


def test_a_long_call_that_came_too_late_does_not_stop_the_next(ring: MemoryRing) -> None:
    """A14, P3: the parts of a call that the broker refused must not stay in the way of every later long call."""
    late = ring.call("echo", bytes(300_000), deadline=1)
    ring.pump(answering=True)
    assert type(error_of(late)) is DeadlineExceeded
    assert ring.result("echo", b"x" * 300_000) == b"x" * 300_000
    assert ring.result("echo", b"y" * 300_000) == b"y" * 300_000
