"""An application with grants of every kind, and what its user interface and its extension do under them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import CallError
from trollbridge.messages.grants import Between, Grant, Longest, Matching, OneOf
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.harness.puppet import Strings

PATIENCE: Final = 30.0


class Notary(EnclaveActor):
    """Signs, counts and forgets."""

    def __init__(self) -> None:
        """Have run nothing."""
        super().__init__()
        self._ran = 0

    @handler
    def sign(self, document: bytes, key: str = "test") -> str:
        """Tell what was signed with what."""
        self._ran += 1
        return f"{key}:{len(document)}"

    @handler
    def draw(self, amount: int, purpose: str) -> str:
        """Take an amount."""
        self._ran += 1
        return f"{amount} for {purpose}"

    @handler
    def stamp(self, number: int) -> int:
        """Give the number back."""
        self._ran += 1
        return number

    @handler
    def spell(self, word: str) -> Iterator[str]:
        """Yield its letters."""
        self._ran += 1
        yield from word

    @handler(core=True)
    def wipe(self, what: str) -> str:
        """Forget something: for the core UI alone."""
        self._ran += 1
        return f"{what} wiped"

    @handler
    def ran(self) -> int:
        """Tell how many handlers have run."""
        return self._ran


EXTRA: Final = (
    Notary.sign.where(key="release", document=Longest(100)),
    Notary.sign.where(key=Matching(r"test-[0-9]+")),
    Notary.draw.where(amount=Between(1, 10), purpose=OneOf("food", Matching("books?"))).approved(),
    Notary.stamp.at_most(2, seconds=3600),
    Notary.spell.where(word=Matching("[a-z]+")),
)
CORE: Final = ("notary.wipe", "notary.ran", "notary.draw", Grant("notary.stamp").where(number=7), "notary.sign")


def application(*, extension: str, wrong: str = "") -> App:
    """Return a puppet, the notary, and an extension that obeys the socket at `extension`.

    `wrong`: a handler that the extension is granted besides.
    """
    puppet = "tests.harness.puppet:Puppet"
    grants: Mapping[str | type, Sequence[str | Grant]] = {
        "console": CORE,
        "extra": [*EXTRA, *([wrong] if wrong else [])],
    }
    return App(
        ui=Child(puppet, name="console"),
        enclaves=[Notary],
        extensions=[Child(puppet, name="extra", settings={"strings": extension}, sandbox=Sandbox(network=("unix",)))],
        grants=grants,
    )


def told(attempt: Callable[[], Any]) -> str:
    """Return the result of a call as text, or its error's class and text."""
    try:
        return repr(attempt().get(timeout=PATIENCE))
    except CallError as error:
        return f"{type(error).__name__}: {error}"


def every(strings: Strings, calls: list[list[Any]]) -> list[str]:
    """Make some calls of the notary, one after the other; return what each came to."""
    notary = strings.bridge.notary
    return [told(partial(getattr(notary, name), *arguments)) for name, *arguments in calls]


def seen(strings: Strings) -> list[str]:
    """Return what of the notary this process can see, and how many calls of others it sees waiting."""
    return [*sorted(dir(strings.bridge.notary)), str(len(strings.bridge.approvals()))]


def waiting(strings: Strings) -> list[str]:
    """Return what waits to be approved, in words."""
    return [
        f"{each.caller} {each.handler} rule {each.rule}: "
        + ", ".join(f"{argument.name}={argument.text}" for argument in each.arguments)
        for each in strings.bridge.approvals()
    ]


def decide(strings: Strings, *, approve: bool) -> int:
    """Approve or refuse all that waits; return how much that was."""
    found = strings.bridge.approvals()
    for each in found:
        (strings.bridge.approve if approve else strings.bridge.refuse)(each).get(timeout=PATIENCE)
    return len(found)


def meddle(strings: Strings) -> list[str]:
    """Ask the desk as whoever this is, by every name; return what it came to."""
    notary = strings.bridge.notary
    return [
        told(notary.call_approvals),
        told(lambda: notary.approve_call(bytes(16))),
        told(lambda: notary.refuse_call(bytes(16))),
        told(lambda: notary.wipe("all")),
    ]
