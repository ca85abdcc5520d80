"""A host that lies about the calls that wait and about what it noticed, and an extension that reads its tickets."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.harness.puppet import Puppet
from tests.harness.replacing import replace
from trollbridge.actors.app import App, Child
from trollbridge.actors.calling.joining import Joining
from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.actors.serving.approving import Desk
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.errors import CallError, NotAllowed
from trollbridge.messages.grants import CallApproval, Grant, Shown
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    import socket

    from tests.harness.puppet import Strings
    from trollbridge.actors.calling.membership import Membership
    from trollbridge.messages import control

PATIENCE: Final = 30.0
ESCAPES: Final = "pay\x1b[2J\u202e"


class Keeper(EnclaveActor):
    """Honest, with calls that wait."""

    @handler
    def pay(self, amount: int, notes: dict[str, int]) -> int:  # noqa: ARG002  # it is shown
        """Return the amount."""
        return amount


class Liar(HostActor):
    """Says what it likes."""

    @handler
    def go(self) -> None:
        """Do nothing."""

    @handler
    def lie(self, how: str) -> None:
        """Answer from now on in one of these ways, when the core UI asks what waits."""
        forged = CallApproval(
            bytes(16), "keeper", ESCAPES, ESCAPES, 1, (Shown(ESCAPES, ESCAPES + "x" * 200),) * 20, b"", 1 << 62
        )
        answer: object = {"forge": (forged,) * 70, "fail": NotAllowed("no")}[how]

        def answered(_desk: Desk, _name: str, _arguments: tuple[object, ...]) -> object:
            return answer

        replace(Desk, run=answered)

    @handler
    def notice(self, kind: str, about: str, why: str) -> None:
        """Tell the supervisor something."""
        self._own_mailbox().notice(NoticeKind(kind), about, why, why)


class Nosy(Puppet):
    """An extension that looks at what it is given to join with."""

    def __init__(self, strings: str) -> None:
        """Stand in the way of its own joining."""
        super().__init__(strings=strings)
        join = Joining.join

        def look(joining: Joining, end: socket.socket, message: control.Join) -> Membership:
            SEEN.extend(repr((each.server, each.grants)) for each in message.tickets)
            return join(joining, end, message)

        replace(Joining, join=look)


SEEN: Final[list[str]] = []


def ring(*, extension: str = "") -> App:
    """Return a puppet, an honest enclave, a lying host, and a nosy extension if there is a socket to obey."""
    nosy = Child(Nosy, settings={"strings": extension}, sandbox=Sandbox(network=("unix",)))
    rule = Grant("keeper.pay").where(amount=9).at_most(5, seconds=60).approved()
    console: list[str | Grant] = [Grant("keeper.pay").approved(), Grant("liar.go").approved()]
    grants: dict[str | type, list[str | Grant]] = {"console": [*console, "liar.lie", "liar.notice"]}
    if extension:
        grants["nosy"] = [Grant("liar.go").approved(), rule]
    return App(
        ui=Child("tests.harness.puppet:Puppet", name="console"),
        enclaves=[Keeper],
        hosts=[Liar],
        extensions=[nosy] if extension else [],
        grants=grants,
    )


def tickets(_strings: Strings) -> list[str]:
    """Return the extension's tickets, without their tokens."""
    return SEEN


def listed(strings: Strings) -> list[dict[str, Any]]:
    """Return what waits, as the core UI has it."""
    return [
        {
            "server": each.server,
            "texts": [each.handler, each.caller, *(text for one in each.arguments for text in (one.name, one.text))],
            "asked": each.asked,
        }
        for each in strings.bridge.approvals()
    ]


def pay(strings: Strings, amount: int, keys: str) -> str:
    """Ask for a payment; return what it came to. `keys`: of its notes, in their order."""
    try:
        return str(strings.bridge.keeper.pay(amount, dict.fromkeys(keys, 1)).get(timeout=PATIENCE))
    except CallError as error:
        return type(error).__name__


def refuse_all(strings: Strings) -> None:
    """Refuse all that waits."""
    for each in strings.bridge.approvals():
        strings.bridge.refuse(each).get(timeout=PATIENCE)
