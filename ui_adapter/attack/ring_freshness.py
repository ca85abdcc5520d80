"""Freshness and single use, as attacks: rows F1 to F9 of the catalogue.

May import: the stage and what a row is. Invariant: whatever a row has executed, it has executed on the target.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from trollbridge.messages.envelope import Kind
from trollbridge.ui_adapter.attack.catalogue import Position
from trollbridge.ui_adapter.attack.ring_stage import Lost
from trollbridge.ui_adapter.attack.ring_trial import NotTried, Row, row

if TYPE_CHECKING:
    from trollbridge.ui_adapter.attack.ring_stage import Stage
    from trollbridge.ui_adapter.attack.ring_trial import Run

EXTENSION: Final = Position.EXTENSION
VALUE: Final = "value"
GOOD: Final = "none twice, none alike"
RIGHT: Final = "each its own reply"
_FAR: Final = 6.0
"""Standard deviations of the number of set bits beyond which UIDs are not random."""


def _used_uid(stage: Stage, word: str) -> list[str]:
    uid = stage.ui("take", method="mark")
    return [stage.ui("call_under", method="mark", uid=uid, arguments=[word]) for _ in range(2)][1:]


def _same_envelope(stage: Stage, word: str) -> list[str]:
    return [stage.ui("again", word=word)]


def _same_packet(stage: Stage, word: str) -> list[str]:
    fate, packet = stage.ui("packet", word=word)
    stage.ui("throw", things=[packet] * 3)
    return [fate]


def _another_link(stage: Stage, word: str) -> list[str]:
    fate, packet = stage.ui("packet", word=word)
    stage.extension("throw", things=[packet] * 3)
    return [fate]


def _recorded_run(stage: Stage, word: str) -> list[str]:
    packets = stage.ui("packets", word=word, times=5)
    stage.rekey()
    stage.ui("throw", things=packets)
    return []


def _after_a_crash(stage: Stage, word: str) -> list[str]:
    packets, epoch = stage.ui("packets", word=word, times=5), stage.epoch
    stage.ui("attempt", method="die", arguments=[1])
    stage.settle(epoch + 1)
    stage.ui("throw", things=packets)
    return []


def _old_uids(stage: Stage, word: str) -> list[str]:
    uids = stage.ui("lease", method="mark")[:5]
    stage.rekey()
    return [stage.ui("call_under", method="mark", uid=uid, arguments=[word]) for uid in uids]


def _other_handler(stage: Stage, word: str) -> list[str]:
    uid = stage.ui("take", method="echo")
    return [stage.ui("call_under", method="echo", uid=uid, arguments=[word], inside="mark")]


def _other_member(stage: Stage, word: str) -> list[str]:
    uid = stage.ui("take", method="mark")
    stolen = stage.extension("call_under", method="mark", uid=uid, arguments=[word])
    stage.ui("call_under", method="mark", uid=uid, arguments=[word])
    return [stolen]


def _other_enclave(stage: Stage, _word: str) -> list[str]:
    others = stage.ui("elsewhere")[:4]
    if not others:
        msg = "the UI may call no other enclave"
        raise NotTried(msg)
    for each in others:
        stage.ui("send_elsewhere", receiver=each)
    return []


def _other_uid(stage: Stage, word: str) -> list[str]:
    stage.ui("twist", word=word, changes={"uid": stage.ui("take", method="mark")})
    return []


def _twisted(*changes: dict[str, Any], body: bytes | None = None) -> Run:
    def run(stage: Stage, word: str) -> list[str]:
        for each in changes:
            stage.ui("twist", word=word, changes=each, body=body)
        return []

    return run


def _flipped(stage: Stage, word: str) -> list[str]:
    for at in (0, 40, -1):
        stage.ui("flip", word=word, at=at)
    return []


def _predicted(stage: Stage, _word: str) -> list[str]:
    uids = [uid for method in ("mark", "echo") for uid in stage.ui("lease", method=method)]
    uids += stage.extension("lease", method="mark")
    bits = 128 * len(uids)
    ones = sum(int.from_bytes(each, "big").bit_count() for each in uids)
    alike = len({each[:8] for each in uids}) + len({each[8:] for each in uids}) < 2 * len(uids)
    random = abs(ones - bits / 2) < _FAR * bits**0.5 / 2
    return [GOOD if random and not alike else f"{len(uids)} UIDs, {ones} of {bits} bits set"]


def _raced(stage: Stage, word: str) -> list[str]:
    stage.ui("race", uid=stage.ui("take", method="mark"), word=word, times=12)
    return []


def _raced_by_two(stage: Stage, word: str) -> list[str]:
    uid = stage.ui("take", method="mark")
    stage.tell_ui("race", uid=uid, word=word, times=4)
    return [stage.extension("call_under", method="mark", uid=uid, arguments=[word])]


def _burned(stage: Stage, word: str) -> list[str]:
    uid = stage.ui("take", method="mark")
    stage.tell_extension("race", uid=os.urandom(16), word=word, times=40)
    _await_removal(stage)
    return [stage.ui("call_under", method="mark", uid=uid, arguments=[word])]


def _flooded(stage: Stage, _word: str) -> list[str]:
    stage.tell_extension("flood", name=f"{stage.cast.target}.mark", times=200)
    _await_removal(stage)
    return [VALUE if stage.ui("echo", data=b"still there") else "the UI starves"]


def _await_removal(stage: Stage) -> None:
    """Wait until the extension's link is cut and its process gone."""
    try:
        stage.await_line("process.ended", member=stage.cast.extension, epoch=stage.epoch)
    except Lost:
        return  # then the log does not have its removal either


def _late(stage: Stage, word: str) -> list[str]:
    uid = stage.ui("take", method="mark")
    return [stage.ui("call_under", method="mark", uid=uid, arguments=[word], deadline=1)]


def _given_up(stage: Stage, _word: str) -> list[str]:
    return [RIGHT if stage.ui("given_up") else "another call's reply"]


def _forged_reply(stage: Stage, _word: str) -> list[str]:
    used = stage.ui("take", method="echo")
    stage.extension("claim", fields={"kind": int(Kind.REPLY), "receiver": stage.cast.ui, "uid": used})
    return []


def _overtaken(stage: Stage, word: str) -> list[str]:
    stage.ui("overtake", word=word)
    return []


def _reflected(stage: Stage, _word: str) -> list[str]:
    stage.ui("reflect")
    return []


_ONCE: Final = "refused and logged; the handler has run once"
_NEVER: Final = "refused and logged; no handler runs"

ROWS: Final[tuple[Row, ...]] = (
    row("F1.used-uid", "call again under a UID that was used, sealed anew", _ONCE, _used_uid,
        logged=["uid.refused"], runs=1),
    row("F1.same-envelope", "send the very envelope of a call twice", _ONCE, _same_envelope,
        fates=[VALUE], logged=["uid.refused"], runs=1),
    row("F1.same-packet", "send the packet of a call three times more", _ONCE, _same_packet,
        fates=[VALUE], logged=["record.refused"], runs=1, strikes=3),
    row("F1.another-link", "send the packet of the UI's call on the extension's link", _ONCE, _another_link,
        by=EXTENSION, fates=[VALUE], logged=["record.refused"], runs=1, strikes=3),
    row("F2.recorded-run", "record a run, replay each packet in the next epoch", _NEVER, _recorded_run,
        logged=["record.refused"], strikes=0, last=True),
    row("F2.after-a-crash", "record a run, crash the enclave, replay each packet", _NEVER, _after_a_crash,
        logged=["record.refused"], strikes=0, falls=True, last=True),
    row("F2.old-uids", "call under unused UIDs of the last epoch", _NEVER, _old_uids,
        logged=["uid.refused"], strikes=0, last=True),
    row("F3.other-handler", "call one handler under a UID for another", _NEVER, _other_handler,
        logged=["envelope.refused"]),
    row("F3.other-member", "call under a UID that the UI holds", "refused and logged; the UI's UID stays good",
        _other_member, by=EXTENSION, logged=["uid.refused"], runs=1),
    row("F3.other-enclave", "use a UID for the target at the other enclaves", _NEVER, _other_enclave,
        logged=["uid.refused"], strikes=8),
    row("F3.other-uid", "put a sealed call under another UID of one's own", _NEVER, _other_uid,
        logged=["envelope.refused"]),
    row("F3.other-sequence", "put a sealed call under another sequence", _NEVER,
        _twisted({"sequence": 4000}, {"sequence": 2**63}), logged=["envelope.refused"], strikes=4),
    row("F3.other-deadline", "put a sealed call under another deadline", _NEVER,
        _twisted({"deadline": 2**62}), logged=["envelope.refused"]),
    row("F4.no-body", "send nothing but a tag as the body", _NEVER,
        _twisted({}, body=bytes(16)), logged=["envelope.refused"]),
    row("F4.other-body", "put another body to a true header", _NEVER,
        _twisted({}, body=bytes(range(144))), logged=["envelope.refused"]),
    row("F4.zero-length", "name a body of length zero, or a longer one than is there", _NEVER,
        _twisted({"length": 0}, {"length": 2**40}), logged=["record.refused"], strikes=3),
    row("F4.other-kind", "change the kind of a sealed call", _NEVER,
        _twisted({"kind": int(Kind.REPLY)}, {"kind": 77}), logged=["envelope.refused"], strikes=4),
    row("F5.prediction", "find a pattern in several hundred UIDs", "random bits, none twice", _predicted,
        fates=[GOOD]),
    row("F6.race", "send twelve calls under one UID at once", "exactly one runs", _raced,
        logged=["uid.refused"], runs=1, strikes=12),
    row("F6.two-processes", "use one UID from the UI and the extension at once", "exactly one runs", _raced_by_two,
        by=EXTENSION, logged=["uid.refused"], runs=1, strikes=4),
    row("F7.burn", "guess UIDs without end", "the guesser is cut off; the UI's UIDs stay good", _burned,
        by=EXTENSION, fates=[VALUE], logged=["uid.refused", "member.removed"], runs=1, last=True),
    row("F7.flood", "ask for UIDs without end", "the asker is cut off; the UI does not starve", _flooded,
        by=EXTENSION, fates=[VALUE], logged=["lease.refused", "member.removed"], last=True),
    row("F8.late", "have a call delivered after its deadline", "not started, told and logged", _late,
        fates=["DeadlineExceeded"], logged=["call.late"]),
    row("F8.given-up", "take the reply to a call that was given up for the next one's", "dropped", _given_up,
        fates=[RIGHT]),
    row("F8.forged-reply", "reply to the UI in the place of an enclave", "refused and logged", _forged_reply,
        by=EXTENSION, logged=["envelope.refused"]),
    row("F9.overtaken", "send the second of two calls first", "the one that was overtaken does not run", _overtaken,
        logged=["envelope.refused"], runs=1),
    row("F9.reflected", "send an enclave's reply back to it as a call", _NEVER, _reflected,
        logged=["envelope.refused"]),
    row("F9.flipped", "change single bits of sealed calls", _NEVER, _flipped,
        logged=["envelope.refused"], strikes=6),
)  # fmt: skip
