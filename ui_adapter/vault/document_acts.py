"""What is done about documents: signing, verifying, encrypting, decrypting, sealing.

May import: our desk, our orders, `documents`, `messages`. Invariant: a plaintext is written whole, after everything
about it was checked, the demanded signer too, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import BadSignature, KeyLocked
from trollbridge.messages.vault import UNKNOWN
from trollbridge.ui_adapter import documents, streaming
from trollbridge.ui_adapter.screen import Screen
from trollbridge.ui_adapter.vault import inputs, naming, outputs, signature_facts, times
from trollbridge.ui_adapter.vault.refusals import WrongInput
from trollbridge.ui_adapter.vault.reports import tell
from trollbridge.ui_adapter.vault.work_orders import Decrypt, DocumentOrder, Encrypt, OpenFile, SealFile, Sign, Verify

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import BinaryIO

    from trollbridge.messages.vault import KeyInfo
    from trollbridge.messages.vault_documents import Report
    from trollbridge.ui_adapter.vault.desk import Desk
    from trollbridge.ui_adapter.vault.orders import Target

    Progress = Callable[[int, int | None], None]

LONG: Final = 8 << 20
"""Bytes from which on a terminal shows a progress bar."""


def carry_out(desk: Desk, order: DocumentOrder) -> int:
    """Do it; return the exit code."""
    match order:
        case Sign():
            _sign(desk, order)
        case Verify():
            _verify(desk, order)
        case Encrypt():
            _encrypt(desk, order)
        case Decrypt():
            _decrypt(desk, order)
        case SealFile():
            outputs.check(order.target, binary=True)
            with inputs.waited(order.file) as source, outputs.place(order.target) as place:
                desk.open()
                with _progress("sealed", order.file) as report:
                    documents.seal(desk.vault, source, place, report)
        case OpenFile():
            outputs.check(order.target, binary=False)
            with inputs.waited(order.file) as source, outputs.place(order.target) as place:
                desk.open()
                with _progress("opened", order.file) as report:
                    documents.open_sealed(desk.vault, source, place, report)
        case _:
            typing.assert_never(order)
    return 0


def _now() -> int:
    return int(time.time())


@contextlib.contextmanager
def _progress(title: str, file: str) -> Generator[Progress]:
    """Show how far a long document has come, at a terminal only."""
    screen = Screen(sys.stderr)
    known = None if file == inputs.STANDARD else Path(file).stat().st_size  # it is open already
    typed = known is None and os.isatty(0)
    if not screen.terminal or typed or (known is not None and known < LONG):
        yield lambda _done, _total: None
        return
    with screen.progress(title) as show:
        yield lambda done, total: show(done, done if total is None else total)


def _ready(desk: Desk, key: KeyInfo) -> str:
    """Have a key that has a password of its own unlocked; return its fingerprint."""
    if key.own_password:
        desk.unlock_keys(key.fingerprint)
    return key.fingerprint


def _sign(desk: Desk, order: Sign) -> None:
    outputs.check(order.target, binary=not order.armored)
    with inputs.waited(order.file) as source, outputs.place(order.target) as place:
        desk.open()
        key = _ready(desk, naming.signing(desk.all_keys(), order.key, _now()))
        with _progress("signed", order.file) as report:
            documents.sign(
                desk.vault, source, place, key, report, mode=order.mode, armored=order.armored, approve=desk.decide
            )


def _others(keys: Sequence[KeyInfo], name: str) -> str:
    """Return the fingerprint of the key that is named, and tell if it was found by a name that anybody can give it."""
    key = naming.find(keys, name, _now())
    if naming.trust(key, name) == UNKNOWN and not naming.fingerprint(name):
        tell(f"{name}: {key.fingerprint}, whose certificate nobody has vouched for")
    return key.fingerprint


def _encrypt(desk: Desk, order: Encrypt) -> None:
    outputs.check(order.target, binary=not order.armored, instead="; -a writes it as text")
    with inputs.waited(order.file) as source, outputs.place(order.target) as place:
        desk.open()
        keys = desk.all_keys()
        to = tuple(dict.fromkeys(_others(keys, each) for each in order.recipients))
        key = _ready(desk, naming.signing(keys, order.key, _now())) if order.sign else None
        with _progress("encrypted", order.file) as report:
            documents.encrypt(desk.vault, source, place, to, key, report, armored=order.armored, approve=desk.decide)


def _expected(desk: Desk, signer: str) -> str:
    """Return the fingerprint of who must have signed, or nothing."""
    return _others(desk.all_keys(), signer) if signer else ""


def _demand(report: Report, expected: str) -> None:
    """Raise `BadSignature` unless the key that was demanded is among those that have signed."""
    if expected and expected not in {each.fingerprint for each in report.signers}:
        msg = f"it carries no valid signature by the key {expected}"
        raise BadSignature(msg)


def _held(work: Callable[[outputs.Place], Report], target: Target, expected: str) -> Report:
    """Do the work into the target; where a signer is demanded, let the result be seen only once that is checked."""
    if not expected:
        with outputs.place(target) as place:
            return work(place)
    with tempfile.TemporaryFile() as held:
        report = work(held)
        _demand(report, expected)
        held.seek(0)
        outputs.copy(target, held)
        return report


def _tell(desk: Desk, report: Report, target: Target | None, otherwise: Sequence[str] = ()) -> None:
    """Report who has signed."""
    lines: list[str] = []
    for each in report.signers:
        when = "" if each.created is None else f", {times.shown(each.created)}"
        lines.append(f"valid signature by {each.user_id or '(no user id)'}{when}")
        lines.append(f"  key {each.fingerprint}, {each.standing}; trust: {each.trust}")
    lines += [f"a signature that cannot be checked: the vault has no certificate of {each}" for each in report.unknown]
    value: dict[str, object] = {"signers": report.signers, "unknown": report.unknown}
    if report.recipient:
        value["recipient"] = report.recipient
    desk.reporter(outputs.report_to(target)).give(value, lines or otherwise)


def _look(order: Verify, signature: bytes, source: BinaryIO) -> None:
    """Raise `WrongInput` for what a person confuses: a detached signature for a document, or one for the other."""
    if not source.seekable() or signature_facts.alone(signature):
        return
    start = source.tell()
    beginning = streaming.read(source, documents.LONGEST_SIGNATURE)
    source.seek(start)
    if not signature_facts.alone(beginning):
        return
    if order.signature:
        msg = (
            f"{inputs.named(order.signature)} is no signature, but {inputs.named(order.file)} is one; "
            f"the signature comes first: verify {order.file} {order.signature}"
        )
        raise WrongInput(msg)
    stem = Path(order.file).with_suffix("")
    beside = str(stem) if stem != Path(order.file) and stem.is_file() else "FILE"
    msg = f"{inputs.named(order.file)} is a detached signature; name the document: verify {order.file} {beside}"
    raise WrongInput(msg)


def _verify(desk: Desk, order: Verify) -> None:
    if order.target is not None:
        outputs.check(order.target, binary=False)
    with inputs.waited(order.file) as source:
        signature = inputs.whole(order.signature, documents.LONGEST_SIGNATURE) if order.signature else b""
        _look(order, signature, source)
        desk.open()
        expected = _expected(desk, order.signer)
        with _progress("verified", order.file) as progress:
            if signature:
                report = documents.verify(desk.vault, source, signature, progress)
            elif order.target is None:
                report = documents.read_signed(desk.vault, source, None, progress)
            else:
                report = _held(
                    lambda place: documents.read_signed(desk.vault, source, place, progress), order.target, expected
                )
    _demand(report, expected)
    _tell(desk, report, order.target)


def _decrypt(desk: Desk, order: Decrypt) -> None:
    outputs.check(order.target, binary=False)
    with inputs.copied(order.file) as source:
        desk.open()
        expected = _expected(desk, order.signer)
        start = source.tell()

        def work(place: outputs.Place) -> Report:
            with _progress("decrypted", order.file) as progress:
                return documents.decrypt(desk.vault, source, place, progress, approve=desk.decide)

        try:
            report = _held(work, order.target, expected)
        except KeyLocked:
            desk.unlock_keys("")
            source.seek(start)
            report = _held(work, order.target, expected)
    _tell(desk, report, order.target, ["not signed: nobody is known to have written it"])
