"""Applications whose every process lacks one layer of protection: to show that another one holds the attack.

`application(layer=…)` is a function for `launch`. It has the supervisor of the test start each child by `run`, below,
which takes the layer out of that process before the child's own entry begins. The shipped code has no such door: this
module replaces names in it, and is part of the tests only.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.harness.replacing import replace
from tests.harness.stage import puppet_app
from trollbridge.actors.broker import uids
from trollbridge.actors.broker.routing import Port, Routing
from trollbridge.actors.entry import child
from trollbridge.actors.isolation.lock import unlocked
from trollbridge.actors.supervision import spawn
from trollbridge.messages import aead, session
from trollbridge.messages.posture import Level

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from trollbridge.actors.app import App
    from trollbridge.actors.broker.uids import Lease, UidLedger
    from trollbridge.messages.aead import Octets
    from trollbridge.messages.ids import HandlerUID, MemberId
    from trollbridge.messages.posture import Evidence

REPOSITORY: Final = Path(__file__).resolve().parents[2]
NONE: Final = "none"
"""Nothing is taken out: the application as it ships."""


def application(*, layer: str, **settings: Any) -> App:  # noqa: ANN401  # passed on
    """Return the stage's application, in whose children a layer is missing; `settings` as for `stage.puppet_app`."""
    before = spawn._ENTRY.partition("from trollbridge")[0]
    entry = f"{before}sys.path.append({str(REPOSITORY)!r}); from {__name__} import run; run({layer!r})"
    replace(spawn, _ENTRY=entry)
    app = puppet_app(**settings)
    if layer == "sandbox":
        app._least = Level.PROCESS_ONLY
    return app


def run(layer: str) -> NoReturn:
    """Run one child process without a layer."""
    sys.path.remove(str(REPOSITORY))  # the child gets its path from the declaration, as ever
    LAYERS[layer]()
    child.main()


def _no_sandbox() -> None:
    """Leave out Landlock, seccomp and the drop of capabilities: each process may do what its user may."""

    def lock(*_: object, **_named: object) -> tuple[Evidence, ...]:
        return unlocked()

    replace(child, lock=lock)


def _no_uids() -> None:
    """Have the broker honour every UID as often as it is shown, whoever shows it."""
    known: dict[HandlerUID, Lease] = {}
    check = uids.UidLedger.check

    def claim(self: UidLedger, uid: HandlerUID, member: MemberId, receiver: MemberId) -> Lease:
        lease = known.get(uid) or self._leased.get(uid) or check(self, uid, member, receiver)
        known[uid] = lease
        answering = uids.Lease(member, lease.enclave, lease.handler)
        self._held.setdefault(answering.credit, 0)
        self._called[uid] = answering
        return lease

    uids.UidLedger.claim = claim  # type: ignore[method-assign]


def _no_link() -> None:
    """Leave what travels between a process and the broker unencrypted, unauthenticated and uncounted."""

    class Plain:
        """A cipher that is none."""

        def __init__(self, key: bytes) -> None:
            del key

        def seal(self, plaintext: Octets) -> bytes:
            return bytes(plaintext)

        def open(self, ciphertext: Octets) -> bytes:
            return bytes(ciphertext)

    replace(aead, CounterCipher=Plain)


def _no_session() -> None:
    """Leave bodies in clear, neither encrypted nor authenticated end to end. The ring key seals as ever."""

    class Plain:
        """Stands for `aead` in the sessions."""

        @staticmethod
        def seal_once(key: bytes, associated: bytes, plaintext: Octets) -> bytes:
            """Return the plaintext with a tag that checks nothing."""
            del key, associated
            return bytes(plaintext) + bytes(aead.TAG_SIZE)

        @staticmethod
        def open_once(key: bytes, associated: bytes, ciphertext: Octets) -> bytes:
            """Return what came, without its tag."""
            del key, associated
            return bytes(ciphertext[: -aead.TAG_SIZE])

    replace(session, aead=Plain)


def _no_grants() -> None:
    """Have the broker lease UIDs for every handler of every enclave to everybody."""

    class Everything(frozenset[str]):
        """A set of handlers in which each is."""

        __slots__ = ()

        def __contains__(self, _: object) -> bool:
            return True

    opened = Routing.open

    def opening(self: Routing, port: Port) -> None:
        port.handlers = Everything()
        opened(self, port)

    Routing.open = opening  # type: ignore[method-assign]


LAYERS: Final[dict[str, Callable[[], None]]] = {
    NONE: lambda: None,
    "sandbox": _no_sandbox,
    "uid": _no_uids,
    "link": _no_link,
    "session": _no_session,
    "grants": _no_grants,
}
