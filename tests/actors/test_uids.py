"""UIDs: issued for one member and one handler, honoured once, replaced by each reply."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from typing import Final

import pytest

from trollbridge.actors.broker.uids import CREDIT, CREDIT_OF_EXTENSIONS, Denial, Lease, UidLedger, UidRefused
from trollbridge.messages.ids import HandlerName, HandlerUID, MemberId

UI: Final = MemberId("console")
PLUGIN: Final = MemberId("plugin")
VAULT: Final = MemberId("vault")
SIGN: Final = Lease(UI, VAULT, HandlerName("vault.sign"))
LIST: Final = Lease(UI, VAULT, HandlerName("vault.list"))
OTHERS: Final = Lease(PLUGIN, VAULT, HandlerName("vault.sign"))


def denial_of(ledger: UidLedger, uid: HandlerUID, member: MemberId = UI, receiver: MemberId = VAULT) -> Denial:
    """Return why a claim is refused."""
    with pytest.raises(UidRefused) as refusal:
        ledger.claim(uid, member, receiver)
    with pytest.raises(UidRefused) as unchecked:
        ledger.check(uid, member, receiver)
    assert unchecked.value.denial is refusal.value.denial
    return refusal.value.denial


def test_a_lease_is_filled_up_to_the_credit_and_no_further() -> None:
    """A27, P3: the credit bounds what one member can have in flight for one handler, whatever it asks for."""
    ledger = UidLedger()
    uids = ledger.issue(SIGN)
    assert (len(uids), len(set(uids)), {len(each) for each in uids}) == (CREDIT, CREDIT, {16})
    assert [ledger.issue(SIGN) for _ in range(3)] == [[], [], []]
    for each in uids[:10]:
        ledger.claim(each, UI, VAULT)
    assert ledger.issue(SIGN) == []
    assert len(ledger.issue(LIST)) == CREDIT


def test_a_uid_is_claimed_once() -> None:
    """A27, F1: the second claim finds nothing, and so does every later one."""
    ledger = UidLedger()
    uid = ledger.issue(SIGN)[0]
    assert ledger.claim(uid, UI, VAULT) == SIGN
    assert [denial_of(ledger, uid) for _ in range(3)] == [Denial.NOT_LIVE] * 3


def test_a_uid_is_its_holders_alone() -> None:
    """F7, A27: another member burns nothing by trying."""
    ledger = UidLedger()
    uid = ledger.issue(SIGN)[0]
    assert denial_of(ledger, uid, PLUGIN) is Denial.OTHER_MEMBER
    assert denial_of(ledger, uid, UI, MemberId("notary")) is Denial.OTHER_RECEIVER
    assert ledger.claim(uid, UI, VAULT) == SIGN


@pytest.mark.parametrize("guess", [bytes(16), b"", b"x" * 16, b"x" * 17])
def test_what_was_never_issued_is_not_live(guess: bytes) -> None:
    """F5: guesses."""
    ledger = UidLedger()
    ledger.issue(SIGN)
    assert denial_of(ledger, HandlerUID(guess)) is Denial.NOT_LIVE


def test_a_reply_ends_the_call_and_brings_one_new_uid() -> None:
    """A27, F8: the second reply, and the reply of another, find nothing; the new UID is for the same handler."""
    ledger = UidLedger()
    uid = ledger.issue(SIGN)[0]
    ledger.claim(uid, UI, VAULT)
    for enclave, receiver in ((MemberId("notary"), UI), (VAULT, PLUGIN)):
        with pytest.raises(UidRefused) as refusal:
            ledger.answered(uid, enclave, receiver)
        assert refusal.value.denial is Denial.OTHER_MEMBER
    fresh = ledger.answered(uid, VAULT, UI)
    with pytest.raises(UidRefused):
        ledger.answered(uid, VAULT, UI)
    assert (fresh != uid, ledger.claim(fresh, UI, VAULT)) == (True, SIGN)
    assert (ledger.issue(SIGN), len(ledger)) == ([], CREDIT)


def test_a_leased_uid_owes_no_reply() -> None:
    """F8: an enclave cannot answer a call that was not made."""
    ledger = UidLedger()
    uid = ledger.issue(SIGN)[0]
    with pytest.raises(UidRefused):
        ledger.answered(uid, VAULT, UI)
    assert (ledger.in_flight(uid, VAULT, UI), ledger.holder(uid)) == (False, SIGN)


def test_a_call_in_flight_is_known_by_both_ends() -> None:
    """F8: and by nobody else."""
    ledger = UidLedger()
    uid = ledger.issue(SIGN)[0]
    ledger.claim(uid, UI, VAULT)
    assert (ledger.in_flight(uid, VAULT, UI), ledger.holder(uid)) == (True, SIGN)
    assert not ledger.in_flight(uid, VAULT, PLUGIN)
    assert not ledger.in_flight(uid, MemberId("notary"), UI)


def test_a_void_uid_has_no_holder() -> None:
    """F1: answered, forfeited, or never issued."""
    ledger = UidLedger()
    first, second = ledger.issue(SIGN)[:2]
    ledger.claim(first, UI, VAULT)
    ledger.answered(first, VAULT, UI)
    ledger.forfeit(second)
    assert [ledger.holder(uid) for uid in (first, second, HandlerUID(bytes(16)))] == [None] * 3


def test_a_forfeited_uid_frees_its_place_in_the_credit() -> None:
    """A27: leased or called; twice frees nothing more."""
    ledger = UidLedger()
    uids = ledger.issue(SIGN)
    ledger.claim(uids[0], UI, VAULT)
    for each in (uids[0], uids[1], uids[1], HandlerUID(bytes(16))):
        ledger.forfeit(each)
    assert (denial_of(ledger, uids[0]), denial_of(ledger, uids[1])) == (Denial.NOT_LIVE, Denial.NOT_LIVE)
    assert (len(ledger.issue(SIGN)), len(ledger)) == (2, CREDIT)


def test_a_member_that_leaves_takes_all_of_its_uids_with_it() -> None:
    """F7: leased and called ones; those of others stay."""
    ledger = UidLedger()
    mine, lists, theirs = ledger.issue(SIGN), ledger.issue(LIST), ledger.issue(OTHERS)
    ledger.claim(mine[0], UI, VAULT)
    ledger.forget(UI)
    assert {denial_of(ledger, each) for each in (mine[0], mine[1], lists[0])} == {Denial.NOT_LIVE}
    assert (ledger.claim(theirs[0], PLUGIN, VAULT), len(ledger)) == (OTHERS, CREDIT)
    assert len(ledger.issue(SIGN)) == CREDIT


def test_uids_are_the_kernels_random_bytes_in_their_order() -> None:
    """F5: the source is `os.urandom`, each of its bytes is used once, none is left out."""
    stream = bytes(range(256)) * 64
    given = 0

    def counting(size: int) -> bytes:
        nonlocal given
        given += size
        return stream[given - size : given]

    ledger = UidLedger(counting)
    uids = ledger.issue(SIGN) + ledger.issue(LIST)
    assert b"".join(uids) == stream[: 2 * CREDIT * 16]
    assert given == len(b"".join(uids))
    assert UidLedger()._random is os.urandom


def test_every_denial_has_a_sentence_for_the_log() -> None:
    """A27: three causes in the log, none of them told to the member."""
    assert {each.name: each.value for each in Denial} == {
        "NOT_LIVE": "never issued, used or void",
        "OTHER_MEMBER": "leased to another member",
        "OTHER_RECEIVER": "leased for a handler of another enclave",
    }
    assert [str(UidRefused(each)) for each in Denial] == [each.value for each in Denial]


def test_less_credit_is_filled_up_to_less() -> None:
    """A56: what an extension gets; a UID that comes in the place of another counts as that one did."""
    ledger = UidLedger()
    [uids] = ledger.share(SIGN, most=CREDIT_OF_EXTENSIONS)
    assert (len(uids), ledger.share(SIGN, most=CREDIT_OF_EXTENSIONS)) == (CREDIT_OF_EXTENSIONS, [[]])
    ledger.claim(uids[0], SIGN.member, SIGN.enclave)
    ledger.answered(uids[0], SIGN.enclave, SIGN.member)
    assert ledger.share(SIGN, most=CREDIT_OF_EXTENSIONS) == [[]]
    ledger.forfeit(uids[1])
    assert len(ledger.share(SIGN, most=CREDIT_OF_EXTENSIONS)[0]) == 1
