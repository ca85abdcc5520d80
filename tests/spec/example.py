"""The worked example of SPEC section 17, made by the second implementation with all randomness fixed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from tests.spec.keys import Handshake, asked, direction, fingerprint, prologue, ratchet, sealed_result, step
from tests.spec.packing import Value, pack
from tests.spec.wire import (
    CALL,
    HANDSHAKE,
    LEASE,
    NO_UID,
    REPLY,
    REQUEST,
    SESSION,
    Envelope,
    Item,
    Link,
    Session,
)

EPOCH: Final = 1
CONSOLE: Final = ("console", "ui")
ECHO: Final = ("echo", "enclave")
BROKER: Final = ("broker", "broker")


def run(first: int, size: int = 32) -> bytes:
    """Return `size` bytes that count up from `first`."""
    return bytes((first + number) % 256 for number in range(size))


LINK_TOKEN: Final = run(0x00)
SESSION_TOKEN: Final = run(0x20)
EPHEMERAL: Final = {"console, link": 0x40, "broker, link": 0x60, "console, session": 0x80, "echo, session": 0xA0}
RING_KEY: Final = run(0xC0)
CODE: Final = run(0xE0, 16)
UID: Final = run(0xF0, 16)
FRESH: Final = run(0x30, 16)
SEED: Final = run(0x50)
RESULT_SALT: Final = run(0x70)
SALTS: Final = {"Welcome": 0x01, "RingKeyOffer": 0x02, "RingKeyAccepted": 0x03, "Call": 0x04, "Result": 0x05}
DEADLINE: Final = 1_000_000
MANIFEST: Final[list[Value]] = [
    [["say", CODE, [["text", [1, "str"], None]], [1, "str"], False, False, 1 << 20, None]],
    [],
]


@dataclass
class Page:
    """Lines of the example, and the values by their names for those who check them."""

    lines: list[str] = field(default_factory=list)
    values: dict[str, bytes] = field(default_factory=dict)

    def title(self, text: str) -> None:
        """Begin a part."""
        self.lines += ["", text]

    def show(self, name: str, value: bytes) -> bytes:
        """Write a value down, 32 bytes to a line."""
        assert name not in self.values, name
        self.values[name] = value
        text = value.hex()
        pieces = [text[at : at + 64] for at in range(0, len(text), 64)]
        self.lines.append(f"    {name:<24} {pieces[0]}")
        self.lines += [f"    {'':<24} {piece}" for piece in pieces[1:]]
        return value


def _handshake(page: Page, what: str, token: bytes, responder: tuple[str, str]) -> tuple[Handshake, Handshake]:
    """Run the handshake of `what` between the console and `responder`, and write it down."""
    bound_to = page.show(f"prologue, {what}", prologue(EPOCH, CONSOLE, responder))
    keys = [run(EPHEMERAL[f"{name}, {what}"]) for name in (CONSOLE[0], responder[0])]
    ours = Handshake(token, bound_to, initiator=True, ephemeral=keys[0])
    theirs = Handshake(token, bound_to, initiator=False, ephemeral=keys[1])
    theirs.read(page.show(f"message 1, {what}", ours.write()))
    ours.read(page.show(f"message 2, {what}", theirs.write()))
    page.show(f"k1, {what}", ours.send_key)
    page.show(f"k2, {what}", ours.receive_key)
    return ours, theirs


class Exchange:
    """The two ends of the console's link, and of its session with the enclave."""

    def __init__(self, page: Page) -> None:
        """Found the link."""
        self.page = page
        page.title("The link of console")
        ours, theirs = _handshake(page, "link", LINK_TOKEN, BROKER)
        self.console, self.broker = Link(ours), Link(theirs)

    def record(self, link: Link, *items: Item) -> None:
        """Seal a record, write it down, and see the other end open it."""
        forward = link is self.console
        name = f"record {link.sent}, {'to' if forward else 'from'} broker"
        other = self.broker if forward else self.console
        heads: list[Value] = [item.item() if isinstance(item, Envelope) else item for item in items]
        self.page.show(f"items {link.sent}, {'to' if forward else 'from'} broker", pack(heads))
        assert other.open(self.page.show(name, link.seal(*items))) == list(items)

    def found(self) -> None:
        """Found the session; the enclave's Welcome shares a record with its handshake."""
        page = self.page
        page.title("The session of console and echo")
        ours, theirs = _handshake(page, "session", SESSION_TOKEN, ECHO)
        self.client = Session(ours, EPOCH, CONSOLE[0], ECHO[0], client=True)
        self.enclave = Session(theirs, EPOCH, ECHO[0], CONSOLE[0], client=False)
        names, back = (CONSOLE[0], ECHO[0]), (ECHO[0], CONSOLE[0])
        page.show("context, forward", direction(EPOCH, *names, forward=True))
        page.show("context, back", direction(EPOCH, *back, forward=False))
        first, answer = page.values["message 1, session"], page.values["message 2, session"]
        self.record(self.console, Envelope(HANDSHAKE, *names, NO_UID, 0, 0, first))
        welcome = self.seal("Welcome", SESSION, NO_UID, b"\x05" + pack(MANIFEST))
        self.record(self.broker, Envelope(HANDSHAKE, *back, NO_UID, 0, 0, answer), welcome)

    def seal(self, name: str, kind: int, uid: bytes, content: bytes, deadline: int = 0) -> Envelope:
        """Seal a content, write down what goes in and what comes out, and see the other end open it."""
        page = self.page
        forward = name in {"RingKeyOffer", "Call"}
        sender, receiver = (self.client, self.enclave) if forward else (self.enclave, self.client)
        chain = page.show(f"chain {sender.sent}, {'forward' if forward else 'back'}", sender.chain)
        page.show(f"key {sender.sent}, {'forward' if forward else 'back'}", step(chain)[1])
        page.show(f"content, {name}", content)
        envelope = sender.seal(kind, uid, content, deadline, salt=run(SALTS[name], 16))
        page.show(f"ad, {name}", envelope.associated(page.values[f"context, {'forward' if forward else 'back'}"]))
        page.show(f"body, {name}", envelope.body)
        assert receiver.open(envelope) == content
        return envelope

    def ring_key(self) -> None:
        """Give the ring key."""
        page = self.page
        page.title("The ring key")
        page.show("ring key", RING_KEY)
        page.show("fingerprint", fingerprint(RING_KEY, EPOCH))
        self.record(self.console, self.seal("RingKeyOffer", SESSION, NO_UID, b"\x06" + pack([RING_KEY])))
        accepted = b"\x07" + pack([page.values["fingerprint"]])
        self.record(self.broker, self.seal("RingKeyAccepted", SESSION, NO_UID, accepted))

    def call(self) -> None:
        """Lease, call and reply."""
        page = self.page
        page.title("A lease of one UID")
        self.record(self.console, [REQUEST, "echo.say"])
        self.record(self.broker, [LEASE, "echo.say", UID, ""])
        page.title("A call of echo.say with the text hello, and what the broker makes of its header")
        call = self.seal("Call", CALL, UID, b"\x01" + CODE + pack(["hello"]), DEADLINE)
        self.record(self.console, call)
        page.show("seed 0", SEED)
        seed, address = ratchet(SEED)
        page.show("address 0", address)
        page.show("seed 1", seed)
        page.show("items, to echo", pack([replace(call, route=address).item()]))
        page.title("Its result, and the UID that replaces the used one")
        reply = self.seal("Result", REPLY, UID, b"\x02" + pack("hello"), call.sequence)
        self.record(self.broker, replace(reply, route=FRESH))

    def sensitive(self) -> None:
        """Seal the same result as that of a sensitive handler."""
        page = self.page
        page.title("The same result as a sensitive one")
        what = page.show("asked", asked(pack(["hello"])))
        ciphertext = sealed_result(RING_KEY, EPOCH, "echo.say", RESULT_SALT, what, pack("hello"))
        page.show("content, SealedResult", b"\x03" + pack([EPOCH, "echo.say", RESULT_SALT, ciphertext]))


def example() -> Page:
    """Return the whole example."""
    page = Page()
    page.title("What is random, here fixed")
    page.show("token, link", LINK_TOKEN)
    page.show("token, session", SESSION_TOKEN)
    for name, first in EPHEMERAL.items():
        page.show(f"e, {name}", run(first))
    for name, first in SALTS.items():
        page.show(f"salt, {name}", run(first, 16))
    exchange = Exchange(page)
    exchange.found()
    exchange.ring_key()
    exchange.call()
    exchange.sensitive()
    page.lines = page.lines[1:]
    return page
