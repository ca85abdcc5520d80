"""The ring's life, its keys and its grants, as attacks: rows R1 to R11, K4, A22, A41 and A49.

May import: the stage and what a row is. Invariant: no row calls a handler of the application's own, granted or not; to
ask the broker for its UIDs is as far as any goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.control import FROM_CHILD, Dismantled, Ready
from trollbridge.messages.ring_key import SEALED
from trollbridge.ui_adapter.attack.catalogue import Position
from trollbridge.ui_adapter.attack.ring_stage import Lost, Met
from trollbridge.ui_adapter.attack.ring_trial import NotTried, Row, row

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.ring_stage import Stage
    from trollbridge.ui_adapter.attack.ring_trial import Run

EXTENSION: Final = Position.EXTENSION
FORGED: Final = "AuthenticationFailed"
OPENED: Final = "the core UI opens it"
SHUT: Final = "the core UI does not open it"
UNKNOWN: Final = "RingDismantled, unknown"
DEADLY: Final = (7,)
"""The exit code that the deadly call asks for: the same each time, so that it is the same call."""
MOST_ASKED: Final = 8
"""Handlers of the application that are asked for."""
_BLOCK: Final = 16
_RUN: Final = 8


def unsealed(act: Callable[..., object], sealed: bytes, handler: str = "") -> str:
    """Return what a member makes of a sealed result."""
    try:
        act("unseal", sealed=sealed, handler=handler)
    except Met as met:
        return met.kind
    return OPENED


def _works(stage: Stage) -> str:
    """Return whether a sealed result of now is opened by the core UI."""
    return OPENED if unsealed(stage.ui, stage.extension("secret")) == OPENED else SHUT


def _old_ring(stage: Stage, _word: str) -> list[str]:
    old = stage.extension("secret")
    before = unsealed(stage.ui, old)
    stage.rekey()
    return [before, unsealed(stage.ui, old), unsealed(stage.extension, old), _works(stage)]


def _two_alike(stage: Stage, _word: str) -> list[str]:
    sealed = [SEALED.decode(stage.extension("secret")).ciphertext for _ in range(2)]
    return ["nothing in common" if _unlike(*stage.ui("twins")) and _unlike(*sealed) else "alike in part"]


def _unlike(one: bytes, two: bytes) -> bool:
    """Return whether two ciphertexts have the same length, no block in common, and no run of octets at one place."""
    places = range(len(one) - _RUN)
    blocks = [each[at : at + _BLOCK] for each in (one, two) for at in range(0, len(one) - _BLOCK + 1, _BLOCK)]
    alike = any(one[at : at + _RUN] == two[at : at + _RUN] for at in places)
    return len(one) == len(two) and len(set(blocks)) == len(blocks) and not alike


def _offered(act: str, *, same: bool) -> Run:
    def run(stage: Stage, _word: str) -> list[str]:
        (stage.ui if act == "ui" else stage.extension)("offer", same=same)
        return [_works(stage)]

    return run


def _greeted(stage: Stage, _word: str) -> list[str]:
    stage.extension("greet")
    return [_works(stage)]


def _joined_again(stage: Stage, _word: str) -> list[str]:
    stage.extension("hello")
    return []


def _said(message: Callable[[int], bytes]) -> Run:
    """Have the extension say something to the supervisor, and wait until it is gone."""

    def run(stage: Stage, _word: str) -> list[str]:
        stage.tell_extension("control", said=[message(stage.epoch)])
        return [ended(stage)]

    return run


def ended(stage: Stage) -> str:
    """Wait until the extension's process is gone; return whether it is."""
    try:
        stage.await_line("process.ended", member=stage.cast.extension, epoch=stage.epoch)
    except Lost:
        return "the extension goes on"
    return GONE


GONE: Final = "the extension is ended"


def _half_closed(stage: Stage, _word: str) -> list[str]:
    stage.tell_extension("half_close")
    return [ended(stage)]


def _hunted(stage: Stage, _word: str) -> list[str]:
    return [f"{stage.extension('hunt')} ring keys", f"{stage.accomplice('hunt')} ring keys"]


def _forced(stage: Stage, _word: str) -> list[str]:
    return [f"{stage.extension('unseal_by_force', sealed=stage.extension('secret'))} keys fit"]


def _deadly(stage: Stage, _word: str) -> list[str]:
    """Have a call kill its enclave; see that nobody sends it again, and that the same call is not sent a third time."""
    found: list[str] = []
    for _ in range(2):
        epoch = stage.epoch
        found.append(stage.ui("attempt", method="die", arguments=list(DEADLY)))
        stage.settle(epoch + 1)
        alive = stage.ui("echo", data=b"alive") and not stage.lines("process.ended", epoch=epoch + 1)
        found.append("not sent again" if alive else "sent again")
    return [*found, stage.ui("attempt", method="die", arguments=list(DEADLY))]


def _sealed(stage: Stage, _word: str) -> list[str]:
    sealed = stage.extension("secret")
    return [unsealed(each, sealed) for each in (stage.extension, stage.accomplice)] + [unsealed(stage.ui, sealed)]


def _renamed(stage: Stage, _word: str) -> list[str]:
    return [unsealed(stage.ui, stage.extension("secret"), f"{stage.cast.target}.echo")]


def _asked_by_ui(stage: Stage, _word: str) -> list[str]:
    names = stage.ui("withheld")[:MOST_ASKED]
    return [f"{stage.ui('request', names=names)} UIDs given"]


def _asked_by_extension(stage: Stage, _word: str) -> list[str]:
    app = stage.cast.app
    others = sorted(app.granted(stage.cast.ui) - app.granted(stage.cast.extension))[:MOST_ASKED]
    if not others:
        msg = "the extension is granted what the UI is"
        raise NotTried(msg)
    return [f"{stage.extension('request', names=others)} UIDs given"]


def _asked_by_accomplice(stage: Stage, _word: str) -> list[str]:
    names = [f"{stage.cast.target}.{each}" for each in ("mark", "secret", "die")]
    return [f"{stage.accomplice('request', names=names)} UIDs given"]


def _made_up(stage: Stage, word: str) -> list[str]:
    uids = (bytes(16), b"\xff" * 16, bytes(range(16)))
    return [stage.ui("call_under", method="mark", uid=uid, arguments=[word]) for uid in uids]


def _withheld(stage: Stage, _word: str) -> list[str]:
    return [stage.ui("attempt", method="forbidden", arguments=["x"])]


_UNCHANGED: Final = "refused and logged; the ring key stays"
_GOES: Final = "the extension is ended; the ring is unchanged"

ROWS: Final[tuple[Row, ...]] = (
    row("R1.old-ring", "open a sealed result of the last epoch; then one of the new",
        "the old one stays shut, the new one opens", _old_ring,
        fates=[OPENED, FORGED, FORGED, OPENED], exactly=True, last=True),
    row("R2.two-alike", "compare equal calls and equal sealed replies", "nothing in common", _two_alike,
        fates=["nothing in common"]),
    row("R3.same-key", "establish the ring key again, the same one", _UNCHANGED, _offered("ui", same=True),
        fates=[OPENED], logged=["envelope.refused"]),
    row("R3.other-key", "establish another ring key", _UNCHANGED, _offered("ui", same=False),
        fates=[OPENED], logged=["envelope.refused"]),
    row("R3.foreign-key", "establish a ring key as an extension", _UNCHANGED, _offered("extension", same=False),
        by=EXTENSION, fates=[OPENED], logged=["envelope.refused"]),
    row("R4.session-again", "found the session with an enclave anew", "refused and logged", _greeted,
        by=EXTENSION, fates=[OPENED], logged=["join.refused"]),
    row("R4.link-again", "join anew over the link", "refused and logged", _joined_again,
        by=EXTENSION, logged=["record.refused"]),
    row("R4.ready-again", "tell the supervisor that it has joined the next epoch", _GOES,
        _said(lambda epoch: FROM_CHILD.encode(Ready(epoch + 1, b""))), by=EXTENSION, fates=[GONE],
        logged=["process.refused"], last=True),
    row("R5.dismantled", "tell the supervisor that the ring has fallen", _GOES,
        _said(lambda epoch: FROM_CHILD.encode(Dismantled(epoch))), by=EXTENSION, fates=[GONE],
        logged=["process.refused"], last=True),
    row("R5.half-closed", "close one direction of the link", _GOES, _half_closed,
        by=EXTENSION, fates=[GONE], logged=["link.lost"], last=True),
    row("R11.hunt", "hunt for ring keys among the objects of its process", "there is none", _hunted,
        by=EXTENSION, fates=["0 ring keys"]),
    row("R11.by-force", "try every 32 octets that its process holds as the ring key", "none fits", _forced,
        by=EXTENSION, fates=["0 keys fit"]),
    row("K4.deadly-call", "crash an enclave by a call, three times", "never sent again; quarantined after the second",
        _deadly, fates=[*(UNKNOWN, "not sent again") * 2, "Quarantined"], exactly=True, falls=True, last=True),
    row("A22.made-up-uid", "call under UIDs that nobody issued", "refused and logged; no handler runs", _made_up,
        logged=["uid.refused"], strikes=3),
    row("A41.sealed", "open a sensitive result as the extension, and pass it round",
        "only the core UI opens it", _sealed, by=EXTENSION, fates=[FORGED, FORGED, OPENED], exactly=True),
    row("A41.renamed", "pass a sealed result off as another handler's", "it stays shut", _renamed, fates=[FORGED]),
    row("A49.withheld", "ask for UIDs of every handler that the UI is not granted", "none given, and logged",
        _asked_by_ui, fates=["0 UIDs given"], logged=["lease.refused"], strikes=MOST_ASKED),
    row("A49.not-granted", "ask for UIDs of handlers that only the UI is granted", "none given, and logged",
        _asked_by_extension, by=EXTENSION, fates=["0 UIDs given"], logged=["lease.refused"], strikes=MOST_ASKED),
    row("A49.accomplice", "ask for UIDs of handlers that another extension is granted", "none given",
        _asked_by_accomplice, by=EXTENSION, fates=["0 UIDs given"], strikes=3),
    row("A49.not-there", "call a handler that is not granted by its name", "it is not there", _withheld,
        fates=["NotGranted"]),
)  # fmt: skip
