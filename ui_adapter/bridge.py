"""The bridge: `bridge.vault.sign(…)` in a UI is a message to the enclave, and a promise of its reply.

May import: `actors`, `messages`. Invariants: names come from the manifest of the epoch, so what is not granted is not
there; a proxy holds names only and stays good across epochs.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Final

from trollbridge.actors.caller import CallerActor
from trollbridge.messages.errors import DeclarationError, NoSuchHandler, UsageError
from trollbridge.messages.ids import HandlerName

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from trollbridge.actors.client import Client
    from trollbridge.actors.promise import Promise
    from trollbridge.messages.control import MemberRecord
    from trollbridge.messages.posture import Posture
    from trollbridge.messages.ring_key import Sealed

_COROUTINE: Final = 0x80
"""`inspect.CO_COROUTINE`, without the 6 ms that importing inspect takes."""
LONGEST: Final = 1e8
"""Seconds: three years, the farthest deadline."""


class HandlerProxy:
    """One handler, ready to call."""

    __slots__ = ("_client", "_name", "_progress", "_within")

    def __init__(
        self,
        client: Client,
        name: HandlerName,
        within: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Take which handler, and how it is to be called."""
        self._client = client
        self._name = name
        self._within = within
        self._progress = progress

    def __call__(self, *positional: object, **named: object) -> Promise[Any]:
        """Send the call and return the promise of its result.

        Raises `InvalidArguments`, `TooLarge`, `NoSuchHandler`, `NotGranted`, `Quarantined` or `RingDismantled` before
        anything is sent.
        """
        return self._client.call(self._name, positional, named, within=self._within, progress=self._progress)

    def within(self, seconds: float) -> HandlerProxy:
        """Return the handler with a deadline, after which it is not started and its promise is `DeadlineExceeded`."""
        if not 0 <= seconds <= LONGEST:
            msg = f"a deadline lies between 0 and {LONGEST:.0f} seconds ahead"
            raise UsageError(msg)
        return HandlerProxy(self._client, self._name, seconds, self._progress)

    def progress(self, report: Callable[[int, int], None]) -> HandlerProxy:
        """Return the handler with `report(sent, total)` called in bytes as long arguments leave."""
        return HandlerProxy(self._client, self._name, self._within, report)

    @property
    def signature(self) -> str:
        """Its parameters and result as Python writes them; raises `NoSuchHandler`."""
        route = self._client.routes().get(self._name)
        if route is None:
            raise NoSuchHandler
        return route.signature()

    def __repr__(self) -> str:
        """Show the name."""
        return f"<handler {self._name}>"


class MemberProxy:
    """One enclave: its handlers are its attributes."""

    def __init__(self, client: Client, member: str) -> None:
        """Take which."""
        self._client = client
        self._member = member

    def __getattr__(self, name: str) -> HandlerProxy:
        """Return the handler of that name; whether it is there shows when it is called."""
        if name.startswith("_"):
            raise AttributeError(name)
        return HandlerProxy(self._client, HandlerName(f"{self._member}.{name}"))

    def __dir__(self) -> list[str]:
        """List the handlers that may be called."""
        prefix = f"{self._member}."
        return [name.removeprefix(prefix) for name in self._client.routes() if name.startswith(prefix)]

    def __repr__(self) -> str:
        """Show the name and what may be called."""
        return f"<member {self._member}: {', '.join(dir(self))}>"


class Bridge:
    """A UI's way to the enclaves."""

    def __init__(self, client: Client) -> None:
        """Take the client that carries the calls."""
        self._client: Final = client

    def __getattr__(self, name: str) -> MemberProxy:
        """Return the enclave of that name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return MemberProxy(self._client, name)

    def __dir__(self) -> list[str]:
        """List the enclaves with handlers that may be called, and what a bridge itself offers."""
        enclaves = {name.partition(".")[0] for name in self._client.routes()}
        return [*super().__dir__(), *sorted(enclaves)]

    @property
    def members(self) -> tuple[MemberRecord, ...]:
        """Who was in the ring when it was sealed: member, role and PID."""
        return self._client.members

    @property
    def epoch(self) -> int | None:
        """The epoch of the sealed ring; None while there is none."""
        return self._client.epoch

    def posture(self) -> tuple[Posture, ...]:
        """How each process of the ring is kept, as it was measured when the ring was sealed; the supervisor's too."""
        return self._client.postures

    def open(self, sealed: Sealed) -> object:
        """Return the result that a `Sealed` value holds; only the core UI can, in the epoch that it was sealed in.

        Raises `AuthenticationFailed` for one that is of another epoch, altered or foreign.
        """
        return self._client.open(sealed)

    def wait_sealed(self, timeout: float | None = None) -> bool:
        """Wait for a sealed ring, at most `timeout` seconds; return whether there is one."""
        return self._client.wait_sealed(timeout)

    def wait_dismantled(self, epoch: int, timeout: float | None = None) -> bool:
        """Wait until the ring of `epoch` has fallen, at most `timeout` seconds; return whether it has."""
        return self._client.wait_dismantled(epoch, timeout)

    def __repr__(self) -> str:
        """Show the epoch."""
        return f"<Bridge, epoch {self.epoch}>"


class UiActor(CallerActor):
    """A user interface: subclass it and write `main`, which starts once the ring is sealed."""

    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = ()

    def __init_subclass__(cls) -> None:
        """Refuse a `main` that is a coroutine: nobody would await it."""
        super().__init_subclass__()
        if getattr(cls.main, "__code__", None) is not None and cls.main.__code__.co_flags & _COROUTINE:
            msg = f"{cls.__name__}.main is a coroutine; subclass AsyncUiActor instead"
            raise DeclarationError(msg)

    @abc.abstractmethod
    def main(self, bridge: Bridge) -> int | None:
        """Do the UI's work; when it returns, the application stops with that exit code, 0 for None."""

    def run(self, client: Client) -> int | None:
        """Run `main` over a bridge."""
        return self.main(Bridge(client))


class ExtensionActor(UiActor):
    """Untrusted code in a process of its own; `sensitive` results come as `Sealed`, which only the core UI opens."""
