"""Keys with constraints and documents in pieces: what is approved is what was measured, and no job outlives its key."""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.document_desk import ADA, BOB, DECRYPTING, READING, SEALING, Desk, encrypting, noise, signing
from trollbridge.enclave import jobs
from trollbridge.messages import s2k
from trollbridge.messages.errors import (
    ApprovalNeeded,
    ApprovalRefused,
    InvalidArguments,
    NoSuchJob,
    NotAllowed,
    Overloaded,
)
from trollbridge.messages.ids import Role
from trollbridge.messages.vault import CLEAR, INLINE
from trollbridge.messages.vault_documents import FEED
from trollbridge.messages.vault_secrets import Constraints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trollbridge.enclave.storage import Records
    from trollbridge.messages.vault_documents import Job
    from trollbridge.messages.vault_secrets import Approval

AGREED: Final = b"I agree to pay 1 euro.\n" * 20_000
MORE: Final = b"Correction: 1,000,000 euros.\n"


@pytest.fixture
def desk(records: Records) -> Iterator[Desk]:
    """Return an open vault."""
    made = Desk(records)
    yield made
    made.close()


def constrain(desk: Desk, **fields: object) -> None:
    """Limit Ada's key."""
    desk.gate.constrain(f"key:{desk.ada}", Constraints(**fields), lambda: None)  # type: ignore[arg-type]


def waiting(desk: Desk) -> Approval:
    """Return the only use that waits."""
    (found,) = desk.gate.approvals()
    return found


def asked(desk: Desk, content: bytes) -> int:
    """Feed a document for a detached signature by Ada until it waits to be approved; return the job."""
    number = desk.begin(signing(ADA))
    assert b"".join(desk.feed(number, signing(ADA), content)) == b""
    with pytest.raises(ApprovalNeeded):
        desk.rest(number, signing(ADA))
    return number


def signed(desk: Desk, content: bytes, signature: bytes) -> bool:
    """Return whether Ada has signed it."""
    return [each.fingerprint for each in desk.keys.verify(content, signature).signers] == [desk.ada]


# What is approved.


def test_a_signature_comes_out_once_what_was_measured_is_approved(desk: Desk) -> None:
    """The whole document, its digest, size and head, as the vault found them (K1, K2, A31)."""
    constrain(desk, approval=True)
    number = asked(desk, AGREED)
    found = waiting(desk)
    assert (found.digest, found.size) == (hashlib.sha256(AGREED).digest(), len(AGREED))
    assert found.head.startswith("I agree to pay 1 euro.")
    with pytest.raises(ApprovalNeeded):
        desk.rest(number, signing(ADA))
    desk.gate.approve(waiting(desk).ticket)
    made, _ = desk.rest(number, signing(ADA))
    assert signed(desk, AGREED, b"".join(made))
    asked(desk, AGREED)
    desk.gate.refuse(waiting(desk).ticket)
    with pytest.raises(ApprovalRefused):
        desk.run(signing(ADA), AGREED)


def test_another_document_than_was_approved_gets_no_signature(desk: Desk) -> None:
    """Neither in another job, nor by feeding on after the end: that ends the job, and nothing comes out (K1, K2)."""
    constrain(desk, approval=True)
    number = asked(desk, AGREED)
    desk.gate.approve(waiting(desk).ticket)
    other = asked(desk, AGREED + MORE)
    assert waiting(desk).size == len(AGREED + MORE)
    for each, at in ((number, len(AGREED)), (other, len(AGREED + MORE))):
        with pytest.raises(InvalidArguments, match="has ended already"):
            desk.jobs.feed(each, at, MORE, plain=False)
        with pytest.raises(NoSuchJob):
            desk.jobs.finish(each, plain=False)
    made, _ = desk.run(signing(ADA), AGREED)
    assert signed(desk, AGREED, made), "the approval was not used up"


def test_after_its_end_no_job_takes_more(desk: Desk) -> None:
    """Of a key without any constraint, and of one that a scribe is not done with (K1)."""
    for task in (signing(ADA), signing(ADA, INLINE), encrypting(BOB, signer=ADA), READING, DECRYPTING, SEALING):
        plain = task in {READING, DECRYPTING}
        number = desk.begin(task, _slow(desk))
        desk.jobs.feed(number, 0, AGREED, plain=plain)
        if task is SEALING:
            assert desk.jobs.finish(number, plain=plain).report is not None
            continue
        desk.jobs.finish(number, plain=plain)
        with pytest.raises(InvalidArguments, match="has ended already"):
            desk.jobs.feed(number, len(AGREED), b"", plain=plain)
        with pytest.raises(NoSuchJob):
            desk.jobs.finish(number, plain=plain)


def _slow(desk: Desk) -> Callable[[int, int], socket.socket]:
    """Return what starts a scribe that is silent: its far end lies here."""

    def start(source: int, target: int) -> socket.socket:
        near, far = socket.socketpair()
        desk.held.extend((far.detach(), source, target))
        return near

    return start


@pytest.mark.parametrize("task", [signing(ADA, INLINE), signing(ADA, CLEAR), encrypting(BOB, signer=ADA)])
def test_what_must_be_approved_is_known_before_a_key_is_lent(desk: Desk, task: Job) -> None:
    """In pieces it is not: refused at once, and no scribe is started; in one call it can be approved (K1)."""
    constrain(desk, approval=True)
    with pytest.raises(ApprovalNeeded, match="64 MiB"):
        desk.begin(task)
    assert desk.gate.approvals() == ()
    assert not desk.scribes.started


def test_of_a_message_nothing_comes_out_before_its_decryption_is_approved(desk: Desk) -> None:
    """In pieces that cannot be; another key that fits opens it without asking (K1, A31)."""
    message = desk.out(encrypting(ADA), noise(40 * FEED))
    both = desk.out(encrypting(ADA, BOB, signer=BOB), AGREED)
    assert desk.run(DECRYPTING, both)[0] == AGREED
    constrain(desk, approval=True)
    seen: list[bytes] = []
    with pytest.raises(ApprovalNeeded, match="64 MiB"):
        desk.feed(desk.begin(DECRYPTING), DECRYPTING, message, seen=seen)
    assert b"".join(seen) == b""
    assert desk.gate.approvals() == ()
    found, report = desk.run(DECRYPTING, both)
    assert (found, report.recipient) == (AGREED, desk.bob)


# What else limits a key.


def test_a_job_counts_as_one_use(desk: Desk) -> None:
    """A detached signature when it is made, all else when it begins; what is refused is told before it is fed (K1)."""
    constrain(desk, per_hour=2)
    desk.out(signing(ADA), AGREED)
    desk.begin(signing(ADA))
    desk.out(encrypting(BOB, signer=ADA), AGREED)
    for task in (signing(ADA), encrypting(BOB, signer=ADA)):
        with pytest.raises(NotAllowed, match="2 times an hour"):
            desk.begin(task)
    constrain(desk, members=("signer",))
    with pytest.raises(NotAllowed):
        desk.begin(signing(ADA))
    desk.member = "signer"
    assert signed(desk, AGREED, desk.out(signing(ADA), AGREED))


@pytest.mark.parametrize("task", [signing(ADA), signing(ADA, INLINE), encrypting(BOB, signer=ADA)])
def test_a_job_ends_with_the_time_in_which_its_key_may_be_used(desk: Desk, task: Job) -> None:
    """Begun before, nothing more comes out of it at that second (K1)."""
    constrain(desk, until=int(desk.wall) + 1000)
    number = desk.begin(task)
    desk.feed(number, task, AGREED)
    desk.wall += 1000
    for act in (lambda: desk.feed(number, task, MORE), lambda: desk.rest(number, task)):
        with pytest.raises((NotAllowed, NoSuchJob)):
            act()


def _delete(desk: Desk) -> None:
    desk.keys.delete_key(desk.ada)


def _revoke(desk: Desk) -> None:
    desk.keys.revoke_key(desk.ada)


def _constrain(desk: Desk) -> None:
    constrain(desk, per_hour=5)


def _set_password(desk: Desk) -> None:
    desk.keys.set_key_password(desk.ada, s2k.new_protection("a password"))


@pytest.mark.parametrize("change", [_delete, _revoke, _constrain, _set_password])
def test_no_job_goes_on_with_a_key_that_was_changed(desk: Desk, change: Callable[[Desk], None]) -> None:
    """Deleted, revoked, limited or locked: what was begun with it ends there and then; others' go on (K1)."""
    message = desk.out(encrypting(ADA, signer=BOB), noise(FEED))
    numbers = {task: desk.begin(task) for task in (signing(ADA), encrypting(BOB, signer=ADA))}
    desk.member = "another"
    numbers[DECRYPTING] = desk.begin(DECRYPTING)
    desk.feed(numbers[DECRYPTING], DECRYPTING, message)
    desk.until_lent(numbers[DECRYPTING], len(message))
    change(desk)
    for task, number in numbers.items():
        desk.member = "another" if task is DECRYPTING else "console"
        with pytest.raises(NoSuchJob):
            desk.rest(number, task)
    desk.scribes.ends()


# How many there are, and for how long.


def test_extensions_never_keep_the_core_ui_from_its_documents(desk: Desk) -> None:
    """All of them together have three processes, the core UI three of its own (A50)."""
    desk.role, desk.member = Role.EXTENSION, "first"
    for number in range(jobs.MOST):
        desk.member = f"extension{number}"
        desk.begin(signing(BOB))
    desk.member = "another"
    with pytest.raises(Overloaded, match="extensions"):
        desk.begin(signing(BOB))
    desk.jobs.cancel(desk.begin(SEALING))
    desk.role, desk.member = Role.UI, "console"
    for _ in range(jobs.MOST):
        desk.begin(signing(BOB))
    with pytest.raises(Overloaded, match="finish or cancel one"):
        desk.begin(SEALING)
    assert len(desk.scribes.started) == 2 * jobs.MOST, "the supervisor allows eight"


def test_a_job_that_nobody_feeds_goes(desk: Desk) -> None:
    """After a minute, when anybody asks for anything; not if its own member goes on; a signature waits longer (K1)."""
    constrain(desk, approval=True)
    kept, idle = asked(desk, AGREED), desk.begin(signing(BOB))
    desk.now = jobs.IDLE
    desk.jobs.feed(idle, 0, AGREED, plain=False)
    desk.now += jobs.IDLE + 1
    desk.jobs.feed(idle, len(AGREED), MORE, plain=False)
    desk.now += jobs.IDLE + 1
    desk.jobs.cancel(desk.begin(SEALING))
    with pytest.raises(NoSuchJob):
        desk.rest(idle, signing(BOB))
    desk.gate.approve(waiting(desk).ticket)
    assert signed(desk, AGREED, b"".join(desk.rest(kept, signing(ADA))[0]))
    kept = asked(desk, AGREED)
    desk.now += jobs.KEPT + 1
    desk.jobs.cancel(desk.begin(SEALING))
    with pytest.raises(NoSuchJob):
        desk.rest(kept, signing(ADA))
