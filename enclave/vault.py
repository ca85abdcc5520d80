"""The enclave that ships: `Vault`, put together from its parts; the manifest is read off them.

May import: our actors' control messages, our enclave, our messages. Invariant: no handler returns an unprotected secret
key, and none but those that open or make a vault does anything while it is locked.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from trollbridge.enclave.access import IDLE, Access
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.enclave.gate import Caller
from trollbridge.enclave.keychain_client import Keychain
from trollbridge.enclave.vault_access import AccessHandlers
from trollbridge.enclave.vault_documents import DocumentHandlers
from trollbridge.enclave.vault_keys import KeyHandlers
from trollbridge.enclave.vault_secrets import SecretHandlers
from trollbridge.messages.control import ErrandKind
from trollbridge.messages.errors import DeclarationError, DeclaredError
from trollbridge.messages.posture import Evidence, Mechanism, State
from trollbridge.messages.sandbox import Sandbox
from trollbridge.messages.vault import TWO_LAYERS

if TYPE_CHECKING:
    import socket

AT_START: Final = "at-start"
AT_CALL: Final = "at-call"
"""When the file is claimed."""
_LONGEST_IDLE: Final = 30 * 86_400
_CHANGES_MODE: Final = frozenset({"create", "change_mode"})
_ONE_LAYER: Final = "trollbridge vault change-mode adds the other one"


def _seconds(idle: str) -> int:
    if not (idle.isascii() and idle.isdigit()) or int(idle) > _LONGEST_IDLE:
        msg = f"the setting idle={idle!r} is a number of seconds up to {_LONGEST_IDLE}, 0 for never"
        raise DeclarationError(msg)
    return int(idle)


class Vault(AccessHandlers, KeyHandlers, SecretHandlers, DocumentHandlers, EnclaveActor):
    """Keeps OpenPGP keys and API keys in one file, and works with them.

    The file has a folder of its own, which is all that this process can reach. The OS keychain, and documents that do
    not fit into one call, are the work of one-shot processes.
    """

    sandbox = Sandbox(write=("{path.parent}/",))
    single = True
    errands = frozenset({ErrandKind.KEYCHAIN, ErrandKind.SCRIBE})

    def __init__(self, path: str, idle: str = str(IDLE), claim: str = AT_START) -> None:
        """Take the absolute path of the vault's file, and the seconds without use after which it locks itself.

        `claim`: when the file is taken for this process: at its start, or at the first call, so that a command which
        waits for its input keeps no other one waiting.
        """
        super().__init__()
        if claim not in {AT_START, AT_CALL}:
            msg = f"the setting claim={claim!r} is {AT_START} or {AT_CALL}"
            raise DeclarationError(msg)
        self._claims = claim == AT_START
        self._access = Access(path, caller=self._asking, keychain=Keychain(self._keychain), idle=_seconds(idle))

    def _keychain(self) -> socket.socket:
        return self.errand(ErrandKind.KEYCHAIN)

    def _asking(self) -> Caller:
        """Return who makes the call that runs now."""
        return Caller(self.caller.member, self.caller.role)

    def on_start(self) -> None:
        """Claim the file. What stands in the way is told to whoever calls: it may be gone by then."""
        if self._claims:
            with contextlib.suppress(DeclaredError):
                self._access.claim()

    def on_receive(self, message: Any) -> Any:  # noqa: ANN401  # pykka's signature
        """Run one handler; then see when nobody will have used the vault for too long, and in which mode it is."""
        self._claims = True
        try:
            return super().on_receive(message)
        finally:
            self.wake_at(self._access.idle_deadline())
            if message.exported.name in _CHANGES_MODE:
                self.testify()

    def on_wake(self) -> None:
        """Lock the vault if nobody has used it for too long."""
        self._access.expire()
        self.wake_at(self._access.idle_deadline())

    def evidence(self) -> tuple[Evidence, ...]:
        """Return by how many layers the vault is protected, as its file says; nothing while none is claimed."""
        mode = self._access.mode() if self._claims else ""
        if not mode:
            return ()
        state, remedy = (State.IN_FORCE, "") if mode == TWO_LAYERS else (State.WEAKER, _ONE_LAYER)
        return (Evidence(Mechanism.VAULT_LAYERS, state, mode, remedy),)

    def on_stop(self) -> None:
        """Forget the keys and give the file up."""
        self._access.close()
