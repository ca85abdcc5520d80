"""The broker's pure core with everything that it says kept: for tests that play every member themselves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from trollbridge.actors.broker.routing import Port, Routing
from trollbridge.messages.address import Directory
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import BROKER, NO_UID, HandlerUID, MemberId, Role
from trollbridge.messages.record import Item, Lease, Publish, PublishedHandler, Refusal, Request, Routed

if TYPE_CHECKING:
    from trollbridge.messages.control import NoticeKind

UI: Final = MemberId("console")
PLUGIN: Final = MemberId("plugin")
VAULT: Final = MemberId("vault")
NOTARY: Final = MemberId("notary")
METHODS: Final = ("sign", "list")
BODY: Final = bytes(range(100, 164))


def routed(  # noqa: PLR0913  # a header has so many fields
    kind: int,
    sender: MemberId,
    receiver: MemberId,
    uid: bytes = NO_UID,
    *,
    sequence: int = 0,
    deadline: int = 0,
    via: bytes = b"",
) -> Routed:
    """Return a header for `BODY`."""
    return Routed(kind, sender, receiver, uid, sequence, deadline, via, len(BODY), BODY[-16:])


class Board:
    """The broker's core with the ports that a test opens: what it sends and why it complains is kept."""

    def __init__(self) -> None:
        """Start without members."""
        self.sent: list[tuple[MemberId, Item]] = []
        self.why: list[str] = []
        self.routing: Final = Routing(self)

    def send(self, member: MemberId, item: Item, body: bytes = b"") -> None:
        """Keep an item."""
        del body
        self.sent.append((member, item))

    def notice(self, kind: NoticeKind, about: MemberId, why: str, detail: str = "") -> None:
        """Keep why."""
        del kind, about, detail
        self.why.append(why)

    def remove(self, member: MemberId, why: str) -> None:
        """Fail: nobody is to be removed here."""
        raise AssertionError(member, why)

    def take(self, member: MemberId, item: Item) -> list[tuple[MemberId, Item]]:
        """Have a member send an item; return what the broker sends."""
        self.sent.clear()
        self.routing.take(member, item, BODY)
        return list(self.sent)


class Switchboard:
    """`Routing` between a UI, an extension and two enclaves, sealed; whatever it sends, notes or cuts is kept."""

    def __init__(self, *, tells_calls: bool = False) -> None:
        """Open the ports, publish the handlers, seal; `tells_calls` as of `Routing`."""
        self.sent: list[tuple[MemberId, Item, bytes]] = []
        self.notices: list[tuple[NoticeKind, MemberId, str, str]] = []
        self.removed: list[tuple[MemberId, str]] = []
        self.routing: Final = Routing(self, tells_calls=tells_calls)
        seeds = {each: {name: os.urandom(32) for name in METHODS} for each in (VAULT, NOTARY)}
        self.directories: Final = {each: Directory(seeds[each]) for each in seeds}
        for enclave in (VAULT, NOTARY):
            self.routing.open(Port(enclave, Role.ENCLAVE, frozenset(), frozenset({UI})))
        ui = frozenset({"vault.sign", "vault.list", "notary.sign"})
        self.routing.open(Port(UI, Role.UI, ui, frozenset({VAULT, NOTARY})))
        for enclave, found in seeds.items():
            self.routing.take(enclave, Publish(tuple(PublishedHandler(*each) for each in found.items())), b"")
        self.routing.sealed = True
        self.routing.open(Port(PLUGIN, Role.EXTENSION, frozenset({"vault.list"}), frozenset({VAULT})))

    def send(self, member: MemberId, item: Item, body: bytes = b"") -> None:
        """Keep an item for a member."""
        self.sent.append((member, item, body))

    def notice(self, kind: NoticeKind, about: MemberId, why: str, detail: str = "") -> None:
        """Keep a notice."""
        self.notices.append((kind, about, why, detail))

    def remove(self, member: MemberId, why: str) -> None:
        """Keep a removal; as the broker does, forget the member."""
        self.removed.append((member, why))
        self.routing.close(member)

    def take(self, member: MemberId, item: Item, body: bytes = BODY) -> list[tuple[MemberId, Item, bytes]]:
        """Have a member send an item; return what that made the broker send."""
        before = len(self.sent)
        self.routing.take(member, item, body if type(item) is Routed else b"")
        return self.sent[before:]

    def lease(self, member: MemberId, handler: str) -> list[HandlerUID]:
        """Have a member ask for UIDs; return them."""
        [(receiver, item, _)] = self.take(member, Request(handler))
        if not isinstance(item, Lease) or (receiver, item.handler) != (member, handler):
            raise AssertionError(item)
        return [HandlerUID(item.uids[start : start + 16]) for start in range(0, len(item.uids), 16)]

    def call(self, member: MemberId, receiver: MemberId, uid: bytes) -> str:
        """Have a member call; return the handler at whose address the call arrived, or `refused`."""
        answer = self.take(member, routed(Kind.CALL, member, receiver, uid))
        match answer:
            case [(to, Routed() as item, body)] if to == receiver and body == BODY:
                if (item.uid, item.sender, item.receiver) != (uid, member, receiver):
                    raise AssertionError(item)
                return self.directories[receiver].take(item.route)
            case [(to, Refusal(refused), b"")] if (to, refused) == (member, uid):
                return "refused"
            case _:
                raise AssertionError(answer)

    def reply(self, enclave: MemberId, receiver: MemberId, uid: bytes) -> HandlerUID | None:
        """Have an enclave reply; return the UID that replaces the used one, or None if the reply went nowhere."""
        answer = self.take(enclave, routed(Kind.REPLY, enclave, receiver, uid))
        match answer:
            case [(to, Routed() as item, body)] if (to, item.uid, body) == (receiver, uid, BODY):
                return HandlerUID(item.route)
            case []:
                return None
            case _:
                raise AssertionError(answer)

    def why(self) -> list[str]:
        """Return why things were refused so far, in order."""
        return [why for _, _, why, _ in self.notices]


ANYBODY: Final = (UI, PLUGIN, VAULT, NOTARY, BROKER, MemberId("nobody"))
