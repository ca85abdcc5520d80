"""Opening what somebody hands on: a handler opens its own results, for exactly the arguments that one names."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from tests.actors.memory_ring import EXTENSION, UI, MemoryRing
from trollbridge.actors.calling.client import Client
from trollbridge.actors.calling.proxies import MemberProxy
from trollbridge.actors.handlers import handler
from trollbridge.messages.codec import encode
from trollbridge.messages.errors import (
    AuthenticationFailed,
    InvalidArguments,
    NoSuchHandler,
    NotGranted,
    RingDismantled,
    TooLarge,
    UsageError,
)
from trollbridge.messages.ring_key import Sealed, asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.ids import MemberId

ENTRY: Final = ("mail", 1)


class Safe:
    """Keeps entries, each in versions."""

    @handler(sensitive=True, max_bytes=1000)
    def get(self, name: str, version: int = 1) -> str:
        """Return an entry."""
        return f"{name} {version}"

    @handler(sensitive=True)
    def peek(self, name: str, version: int = 1) -> str:
        """Return the beginning of an entry."""
        return f"{name[:1]} {version}"

    @handler(sensitive=True)
    def history(self, name: str) -> Iterator[str]:
        """Give two versions of an entry."""
        yield f"{name} 1"
        yield f"{name} 2"

    @handler(sensitive=True)
    def hidden(self) -> str:
        """Return what the core is not granted."""
        return ""

    @handler
    def plain(self) -> bytes:
        """Return what nobody hides."""
        return b""


class Opening:
    """A ring in which an extension has asked, and the client of one member."""

    def __init__(self, member: MemberId = UI) -> None:
        """Form it."""
        shared = ("get", "peek", "history", "plain")
        self.ring: Final = MemoryRing(Safe(), grants={UI: shared, EXTENSION: shared})
        self.client: Final = Client()
        self.client.attach(self.ring.membership(member), ())
        self.safe: Final[Any] = MemberProxy(self.client, "vault")

    def handed(self, name: str, *arguments: object) -> Sealed:
        """Return what the extension got."""
        found = self.ring.result(name, *arguments, member=EXTENSION)
        assert isinstance(found, Sealed)
        return found

    def close(self) -> None:
        """Close it."""
        self.ring.close()


@pytest.fixture
def opening() -> Iterator[Opening]:
    """Return one for the core."""
    with contextlib.closing(Opening()) as made:
        yield made


def test_a_handler_opens_what_it_was_asked_for(opening: Opening) -> None:
    """A41: by position, by name, with the default left out or given, as it is called."""
    sealed, safe = opening.handed("get", *ENTRY), opening.safe
    assert [safe.get.open(sealed, "mail"), safe.get.open(sealed, *ENTRY)] == ["mail 1"] * 2
    assert [safe.get.open(sealed, name="mail"), safe.get.open(sealed, "mail", version=1)] == ["mail 1"] * 2
    assert safe.get.within(5).open(opening.handed("get", "mail", 2), "mail", 2) == "mail 2"
    assert opening.client.open(sealed) == "mail 1"


def test_a_handler_opens_nothing_else(opening: Opening) -> None:
    """A41, F3: what an extension passes off: another entry, another version, another handler's, something altered."""
    safe, sealed = opening.safe, opening.handed("get", *ENTRY)
    bank, peeked = opening.handed("get", "bank"), opening.handed("peek", *ENTRY)
    wrong = [
        *(bank, peeked, opening.handed("get", "mail", 2)),
        msgspec.structs.replace(peeked, handler=sealed.handler),
        msgspec.structs.replace(sealed, ciphertext=bank.ciphertext),
        msgspec.structs.replace(bank, salt=sealed.salt),
        msgspec.structs.replace(sealed, handler="vault.get[0]"),
        msgspec.structs.replace(sealed, epoch=2),
    ]
    for each in wrong:
        with pytest.raises(AuthenticationFailed):
            safe.get.open(each, "mail")
    for other in (("bank",), ("mail", 2), ("",), ("mail\0",)):
        with pytest.raises(AuthenticationFailed):
            safe.get.open(sealed, *other)


def test_an_earlier_result_of_the_same_call_passes_in_its_epoch(opening: Opening) -> None:
    """A known weakness: the seal does not say when; it is over with the ring."""
    earlier, later = opening.handed("get", "mail"), opening.handed("get", "mail")
    assert earlier.ciphertext != later.ciphertext
    assert opening.safe.get.open(earlier, "mail") == opening.safe.get.open(later, "mail")


def test_a_stream_opens_its_items_and_each_says_which_it_is(opening: Opening) -> None:
    """A41, A9: the number is in the name that the seal binds."""
    pending = opening.ring.stream("history", "mail", member=EXTENSION)
    items, history = opening.ring.taken(pending, EXTENSION), opening.safe.history
    last = pending.promise.get(timeout=0)
    assert [(each.handler, history.open(each, "mail")) for each in (*items, last)] == [
        ("vault.history[0]", "mail 1"),
        ("vault.history[1]", "mail 2"),
        ("vault.history", None),
    ]
    forged = [msgspec.structs.replace(items[0], handler=name) for name in ("vault.history[1]", "vault.history")]
    for each, name in [*((each, "mail") for each in forged), (items[0], "bank"), (last, "bank")]:
        with pytest.raises(AuthenticationFailed):
            history.open(each, name)


def test_what_cannot_be_asked_for_is_told_as_a_call_tells_it(opening: Opening) -> None:
    """A17: before anything is opened."""
    sealed, safe = opening.handed("get", *ENTRY), opening.safe
    wrong: dict[type[Exception], Callable[[], object]] = {
        InvalidArguments: lambda: safe.get.open(sealed),
        TooLarge: lambda: safe.get.open(sealed, "m" * 1001),
        NotGranted: lambda: safe.hidden.open(sealed),
        NoSuchHandler: lambda: safe.absent.open(sealed),
        AuthenticationFailed: lambda: safe.plain.open(sealed),
    }
    for error, act in wrong.items():
        with pytest.raises(error) as caught:
            act()
        assert type(caught.value) is error
    hidden = msgspec.structs.replace(sealed, handler="vault.hidden")
    with pytest.raises(NotGranted, match=r"vault\.hidden is not granted to this member"):
        opening.client.open(hidden)
    with pytest.raises(AuthenticationFailed):
        opening.client.open(msgspec.structs.replace(hidden, epoch=2))
    for each in (opening.client.open, safe.get.open):
        with pytest.raises(UsageError, match="a value of the type bytes is no Sealed value"):
            each(b"x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # what a person may try


def test_whoever_has_no_ring_key_opens_nothing() -> None:
    """A41, A42: an extension; a core that has loaded foreign code; a process whose ring has fallen."""
    with contextlib.closing(Opening(EXTENSION)) as theirs, pytest.raises(AuthenticationFailed):
        theirs.safe.get.open(theirs.handed("get", *ENTRY), *ENTRY)
    with contextlib.closing(Opening()) as core:
        sealed = core.handed("get", *ENTRY)
        core.client.foreign = True
        with pytest.raises(UsageError):
            core.safe.get.open(sealed, *ENTRY)
        core.client.foreign = False
        core.client.detach()
        with pytest.raises(AuthenticationFailed):
            core.safe.get.open(sealed, *ENTRY)
        with pytest.raises(RingDismantled):
            core.safe.get(*ENTRY)


def test_the_core_refuses_a_result_that_is_not_for_the_arguments_that_it_sent(opening: Opening) -> None:
    """A41: of its own calls too; only what is sensitive costs a digest."""
    for name, other in (("get", ("bank", 1)), ("get", ENTRY)):
        promise = opening.ring.call(name, "mail")
        opening.ring.pump()
        invocation = opening.ring.enclave.waiting.popleft()
        assert invocation.asked == asked(encode(ENTRY))
        opening.ring.enclave.run(msgspec.structs.replace(invocation, asked=asked(encode(other))))
        opening.ring.pump()
        if other == ENTRY:
            assert promise.get(timeout=0) == "mail 1"
        else:
            with pytest.raises(AuthenticationFailed):
                promise.get(timeout=0)
    opening.ring.call("plain")
    opening.ring.pump()
    assert opening.ring.enclave.waiting.popleft().asked == b""
