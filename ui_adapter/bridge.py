"""The bridge: `bridge.vault.sign(…)` in a UI is a message to the enclave, and a promise of its reply.

May import: `actors`, `messages`. Invariants: names come from the manifest of the epoch, so what is not granted is not
there; a proxy holds names only and stays good across epochs.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Final

from trollbridge.actors.calling.proxies import HandlerProxy as HandlerProxy  # noqa: PLC0414  # re-exported
from trollbridge.actors.calling.proxies import MemberProxy as MemberProxy  # noqa: PLC0414  # re-exported
from trollbridge.actors.entry.caller import CallerActor
from trollbridge.messages.errors import DeclarationError
from trollbridge.ui_adapter.deciding import PATIENCE, decide, waiting
from trollbridge.ui_adapter.plugins import load_plugin

if TYPE_CHECKING:
    from os import PathLike
    from types import ModuleType

    import msgspec

    from trollbridge.actors.calling.client import Client
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.messages.control import MemberRecord
    from trollbridge.messages.grants import CallApproval
    from trollbridge.messages.posture import Posture
    from trollbridge.messages.ring_key import Sealed
    from trollbridge.ui_adapter.stubs import Stubs

_COROUTINE: Final = 0x80
"""`inspect.CO_COROUTINE`, without the 6 ms that importing inspect takes."""


class Bridge:
    """A UI's way to the enclaves."""

    def __init__(self, client: Client) -> None:
        """Take the client that carries the calls."""
        self._client: Final = client
        self._stubs: Stubs | None = None

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

        It does not tell what was asked for: `sealed.handler` says which handler gave it, and nothing for which
        arguments. From whom that matters, open with the handler: `bridge.vault.get_secret.open(sealed, "mail")`.
        Raises `AuthenticationFailed` for one that is of another epoch, altered or foreign.
        """
        return self._client.open(sealed)

    def approvals(self, timeout: float = PATIENCE) -> tuple[CallApproval, ...]:
        """Return the calls of others that wait to be approved, as grants with `approved()` want it; the oldest first.

        Only the core UI sees any. A server that fails, or does not answer within `timeout` seconds, is left out; raises
        its error, or `pykka.Timeout`, if there is no other. What a server tells is its word: see `CallApproval`.
        """
        return waiting(self._client, timeout)

    def approve(self, approval: CallApproval) -> Promise[None]:
        """Let a call that waits be made once, within 120 seconds, by its caller and with the very same arguments."""
        return decide(self._client, approval, approve=True)

    def refuse(self, approval: CallApproval) -> Promise[None]:
        """Refuse a call that waits, and its like for as long as the ring stands."""
        return decide(self._client, approval, approve=False)

    def load_plugin(self, reference: str | PathLike[str]) -> ModuleType:
        """Import foreign code, a module or `./file.py`, into this process, which first gives its ring key up for good.

        From then on `sensitive` results stay `Sealed`, `open` raises `UsageError`, and when the ring falls this process
        ends, and the UI is started anew. Promises and calls go on. Only the boundary of a process protects: a plugin
        can do whatever this UI may; code that is not to is an extension. Raises `UsageError`, `RingDismantled` or
        `DeclarationError` before anything is loaded, later whatever the import raises.
        """
        return load_plugin(self._client, reference)

    @property
    def stubs(self) -> Stubs:
        """The client code of this session, made for whoever may not have the bridge itself, such as a page."""
        from trollbridge.ui_adapter.stubs import stubs_of  # noqa: PLC0415  # whoever has no page does without

        self._stubs = stubs_of(self._client, self._stubs)
        return self._stubs

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
        """Do the UI's work; when it returns, the application stops with that exit code, 0 for None.

        It is a number from 0 to 255; for anything else the application says so, and stops with 70.
        """

    def run(self, client: Client) -> int | None:
        """Run `main` over a bridge."""
        return self.main(Bridge(client))


class ExtensionActor(UiActor):
    """Untrusted code in a process of its own; `sensitive` results come as `Sealed`, which only the core UI opens."""
