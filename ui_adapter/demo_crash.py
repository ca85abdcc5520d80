"""The last act of the demonstration: SIGKILL for the enclave while it works, and what becomes of everybody.

May import: our bridge, `messages`, the parts of the demonstration. Invariant: each outstanding call is asked for what
it was told, with a time limit, so that one that hangs is found and named.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import pykka

from trollbridge.messages.errors import Outcome, RingDismantled, TrollbridgeError
from trollbridge.messages.ids import Role
from trollbridge.messages.vault import LOCKED, PASSWORD_ONLY, Verified
from trollbridge.ui_adapter import unlocking
from trollbridge.ui_adapter.demo_report import expect
from trollbridge.ui_adapter.log_reading import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.calling.promise import Promise
    from trollbridge.actors.operations.log import Line
    from trollbridge.ui_adapter.bridge import Bridge
    from trollbridge.ui_adapter.log_reading import LogReader
    from trollbridge.ui_adapter.screen import Screen

LONG: Final = bytes(range(256)) * (16 << 12)
"""16 MiB: signing them takes the enclave a tenth of a second, in which it can be killed."""
SHORT: Final = b"A short document."
MESSAGE: Final = b"Signed after the crash."
PATIENCE: Final = 20.0
"""Seconds for one call, or for a new ring."""
_GLANCE: Final = 0.002
"""Seconds for which the link is read and written before the next look."""
_BEGUN: Final = 0.03
"""Seconds after which the enclave works on a call that has left, as a rule."""
_ANSWERED: Final = "answered"
_EVENTS: Final = {
    "process.ended", "ring.dismantling", "ring.dismantled", "ring.restarting", "ring.forming", "process.started",
    "ring.sealed",
}  # fmt: skip


class Crash:
    """Kills, watches, and goes on."""

    def __init__(self, bridge: Bridge, screen: Screen, log: LogReader, key: str, password: str) -> None:
        """Take the bridge, where to write, the supervisor's log, and whose key is unlocked by which password."""
        self._bridge = bridge
        self._screen = screen
        self._log = log
        self._key = key
        self._password = password
        self._start = 0
        self._epoch = 0

    def kill(self) -> str:
        """Send calls, kill the enclave while it works on one of them, and ask what each of them was told."""
        self._log.refresh()
        self._start, self._epoch = len(self._log.lines), self._bridge.epoch or 0
        [pid] = [each.pid for each in self._bridge.members if each.role == Role.ENCLAVE]
        enclave = os.pidfd_open(pid)
        try:
            calls = self._send(enclave)
            _signal(enclave, signal.SIGKILL)
        finally:
            os.close(enclave)
        fates = [(what, _fate(each)) for what, each in calls]
        self._screen.table([(f"sign {what}", fate) for what, fate in fates])
        counted = Counter(fate for _, fate in fates)
        known = {_ANSWERED, Outcome.UNKNOWN, Outcome.NOT_STARTED, Outcome.DONE}
        expect(set(counted) <= known, f"a call ended otherwise: {', '.join(sorted(set(counted) - known))}")
        expect(counted[_ANSWERED] < len(fates), "the calls were over before the enclave was")
        return ", ".join(f"{number} {fate}" for fate, number in counted.items()) + "; none hangs"

    def _send(self, enclave: int) -> list[tuple[str, Promise[bytes]]]:
        """Send seven calls; the enclave is stopped a moment after the second one has left.

        So however late we come to kill it, it has done none of those that are sent then.
        """
        left: list[int] = []
        sign = self._bridge.vault.sign
        counting = sign.progress(lambda sent, total: left.append(sent) if sent == total else None)
        first = sign(self._key, SHORT)
        first.get(timeout=PATIENCE)
        long = [counting(self._key, LONG)]
        until = time.monotonic() + PATIENCE
        while not left and time.monotonic() < until:
            with contextlib.suppress(pykka.Timeout):
                long[0].get(timeout=_GLANCE)
        with contextlib.suppress(pykka.Timeout):
            long[0].get(timeout=_BEGUN)
        _signal(enclave, signal.SIGSTOP)
        long += [sign(self._key, LONG) for _ in range(2)]
        short = [sign(self._key, SHORT) for _ in range(3)]
        with contextlib.suppress(pykka.Timeout):
            short[-1].get(timeout=_GLANCE)  # whoever waits sends
        return [
            ("a short document, awaited", first),
            *((f"16 MiB, {which}", each) for which, each in zip(("sent", "behind it", "behind it"), long, strict=True)),
            *(("a short document, sent", each) for each in short),
        ]

    def recover(self) -> str:
        """Show from the supervisor's log that the old ring was dismantled whole before the next was formed."""
        old, new = self._epoch, self._epoch + 1
        expect(self._bridge.wait_dismantled(old, PATIENCE), f"epoch {old} still stands")
        sealed = self._log.wait(
            1, lambda each: each.event == "ring.sealed" and each.epoch == new, PATIENCE, self._start
        )
        lines = [each for each in self._log.lines[self._start :] if each.event in _EVENTS]
        self._screen.table([told(each, lines[0].time) for each in lines])
        expect(sealed, f"epoch {new} was not sealed")
        _check_order(lines, old)
        expect(self._bridge.wait_sealed(PATIENCE) and self._bridge.epoch == new, "the UI is not in the new ring")
        seconds = sealed[0].time - lines[0].time
        return f"epoch {old} dismantled, then epoch {new} formed, {seconds:.2f} s after the kill"

    def sign_again(self) -> str:
        """Unlock the new incarnation of the vault, which knows nothing any more, and sign."""
        vault = self._bridge.vault
        expect(vault.status().get(timeout=PATIENCE).state == LOCKED, "the new enclave did not start locked")
        unlocking.unlock(vault, self._password, PASSWORD_ONLY)
        signature: bytes = vault.sign(self._key, MESSAGE).get(timeout=PATIENCE)
        verified: Verified = vault.verify(MESSAGE, signature).get(timeout=PATIENCE)
        expect([each.fingerprint for each in verified.signers] == [self._key], "the signature does not verify")
        return "locked after the restart; unlocked again; signed with the same key; verified"


def _signal(process: int, number: signal.Signals) -> None:
    """Send a signal to a process that we have a descriptor of, or that the supervisor has ended: it was stopped."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, number)


def _fate(promise: Promise[bytes]) -> str:
    try:
        promise.get(timeout=PATIENCE)
    except RingDismantled as fallen:
        return fallen.outcome
    except pykka.Timeout:
        return "nothing: it hangs"
    except TrollbridgeError as error:
        return type(error).__name__
    return _ANSWERED


def _check_order(lines: Sequence[Line], old: int) -> None:
    """Raise `NotShown` unless the log has: killed, dismantled with every process but the UI reaped, then forming."""
    events = [(each.event, each.epoch, each.member) for each in lines]
    killed = [
        each for each in lines if each.event == "process.ended" and each.signal == "SIGKILL" and each.epoch == old
    ]
    expect(killed, "the log does not tell of the SIGKILL")
    fallen, forming = ("ring.dismantled", old, "supervisor"), ("ring.forming", old + 1, "supervisor")
    expect(fallen in events and forming in events, "the log does not tell of both rings")
    ended = {member for event, _, member in events[: events.index(fallen)] if event == "process.ended"}
    expect(ended == {"broker", "vault"}, f"reaped before the ring was dismantled: {', '.join(sorted(ended))}")
    expect(events.index(fallen) < events.index(forming), "the new ring was formed before the old one had fallen")
