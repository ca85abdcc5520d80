"""Documents in pieces through a vault's jobs and real scribes: what comes out, what does not, whose they are."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.document_desk import (
    ADA,
    BOB,
    DECRYPTING,
    OPENING,
    READING,
    SEALING,
    Desk,
    checking,
    encrypting,
    job,
    noise,
    signing,
)
from tests.enclave.gnupg import good_signers
from trollbridge.enclave import jobs
from trollbridge.messages.errors import (
    BadSignature,
    CannotDecrypt,
    FileDamaged,
    InvalidArguments,
    KeyUnusable,
    NoSuchJob,
    NoSuchKey,
    NotAllowed,
    NotASealedFile,
    NotOpenPGP,
    Overloaded,
    TooLarge,
)
from trollbridge.messages.vault import CLEAR, COMPAT, INLINE, POST_QUANTUM
from trollbridge.messages.vault_documents import DECRYPT, FEED, PIECE, SIGN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.enclave.gnupg import GnuPG
    from trollbridge.enclave.storage import Records

LONG: Final = 64 << 20
"""Bytes of a document of which some must come out before all of it is checked: pysequoia holds back 25 MiB."""
TEXT: Final = b"A line of a document that is signed.\n" * 9000


@pytest.fixture
def desk(records: Records) -> Iterator[Desk]:
    """Return an open vault."""
    made = Desk(records)
    yield made
    made.close()


@pytest.mark.parametrize("armored", [False, True])
@pytest.mark.parametrize("size", [0, 1, 70_000, 3 * FEED])
def test_a_document_comes_back_as_it_was(desk: Desk, size: int, *, armored: bool) -> None:
    """Encrypted to two, signed, and decrypted: with who wrote it, and which key opened it (A23, A31, streamed)."""
    content = noise(size)
    message = desk.out(encrypting(ADA, BOB, signer=ADA, armored=armored), content)
    assert message.startswith(b"-----BEGIN PGP MESSAGE-----") is armored
    found, report = desk.run(DECRYPTING, message, 100_000)
    assert found == content
    assert [each.fingerprint for each in report.signers] == [desk.ada]
    assert (report.unknown, report.again, report.recipient in {desk.ada, desk.bob}) == ((), False, True)
    assert desk.keys.decrypt(message).plaintext == content, "in one call it is the same"
    assert {code for code, _ in desk.scribes.ends()} == {0}


def test_a_long_document_passes_in_bounded_pieces(desk: Desk) -> None:
    """Each piece has at most 4 MiB, and some come before the end; the scribe's memory does not grow with the length."""
    content = noise(LONG)
    task = encrypting(BOB, signer=ADA)
    number = desk.begin(task)
    early = desk.feed(number, task, content)
    late, _ = desk.rest(number, task)
    message = b"".join([*early, *late])
    number = desk.begin(DECRYPTING)
    early = desk.feed(number, DECRYPTING, message)
    late, report = desk.rest(number, DECRYPTING)
    assert b"".join([*early, *late]) == content
    assert max(map(len, [*early, *late])) <= PIECE
    assert sum(map(len, early)) > 0
    assert [each.fingerprint for each in report.signers] == [desk.ada]
    encrypted, decrypted = (int(peak) for _, peak in desk.scribes.ends())
    assert encrypted < 100 << 10, "KiB"
    assert decrypted < 300 << 10, "25 MiB are held back, in several buffers of twice that"


def test_gpg_reads_what_passed_in_pieces(desk: Desk, gnupg: GnuPG) -> None:
    """Encrypted to gpg's key and signed with ours; both kinds of armor; a detached signature (A23)."""
    theirs = gnupg.new_key("Gerda in pieces <g@example.org>")
    desk.keys.import_public(gnupg.certificate(theirs))
    ours = desk.keys.generate("Compat in pieces", COMPAT).fingerprint
    gnupg.out("--import", data=desk.keys.export_public(ours))
    content = noise(2 * FEED + 5)
    for armored in (False, True):
        done = gnupg.run("--decrypt", data=desk.out(encrypting(theirs, signer=ours, armored=armored), content))
        assert (done.stdout, good_signers(done)) == (content, [ours])
        done = gnupg.run("--decrypt", data=desk.out(signing(ours, INLINE, armored=armored), content))
        assert (done.stdout, good_signers(done)) == (content, [ours])


@pytest.mark.parametrize("arguments", [("-z", "0"), ("-z", "0", "--armor"), ("-z", "0", "--hidden-recipient")])
def test_what_gpg_wrote_passes_in_pieces(desk: Desk, gnupg: GnuPG, arguments: tuple[str, ...]) -> None:
    """Signed and encrypted by gpg, to a named or a hidden recipient (A23)."""
    ours = desk.keys.generate("Reader of gpg", COMPAT).fingerprint
    gnupg.out("--import", data=desk.keys.export_public(ours))
    theirs = gnupg.new_key(f"Writer {arguments[-1]}")
    desk.keys.import_public(gnupg.certificate(theirs))
    content = noise(FEED)
    to = (ours,) if arguments[-1] == "--hidden-recipient" else ("--recipient", ours)
    message = gnupg.out("--sign", "--local-user", theirs, "--encrypt", *arguments, *to, data=content)
    found, report = desk.run(DECRYPTING, message)
    assert (found, [each.fingerprint for each in report.signers]) == (content, [theirs])


def test_what_gpg_compresses_is_explained(desk: Desk, gnupg: GnuPG) -> None:
    """A signature inside a compressed layer is not checked in pieces; without a signature the layer does not matter."""
    ours = desk.keys.generate("Reader of layers", COMPAT).fingerprint
    gnupg.out("--import", data=desk.keys.export_public(ours))
    theirs = gnupg.new_key("Writer of layers")
    desk.keys.import_public(gnupg.certificate(theirs))
    signed = gnupg.out("--sign", "--local-user", theirs, "--encrypt", "--recipient", ours, data=TEXT)
    with pytest.raises(InvalidArguments, match="gpg -z 0"):
        desk.run(DECRYPTING, signed)
    found, _ = desk.run(DECRYPTING, gnupg.out("--encrypt", "--recipient", ours, data=TEXT))
    assert found == TEXT


def test_a_small_message_that_grows_is_taken_in_pieces(desk: Desk, gnupg: GnuPG) -> None:
    """A hundred MiB of zeros out of a hundred KiB: nobody holds more than a piece of it (zip bombs)."""
    ours = desk.keys.generate("Reader of zeros", COMPAT).fingerprint
    gnupg.out("--import", data=desk.keys.export_public(ours))
    message = gnupg.out("--encrypt", "--recipient", ours, data=bytes(100 << 20))
    assert len(message) < 200_000
    number = desk.begin(DECRYPTING)
    early = desk.feed(number, DECRYPTING, message)
    late, _ = desk.rest(number, DECRYPTING)
    assert max(map(len, [*early, *late])) <= PIECE
    assert all(int(peak) < 300 << 10 for _, peak in desk.scribes.ends()), "KiB"


@pytest.mark.parametrize("size", [200_000, LONG])
def test_a_message_that_was_altered_or_cut_has_no_report(desk: Desk, size: int) -> None:
    """Whatever came out before it showed (A29, A31 streamed): its receiver has been told not to trust it."""
    message = bytearray(desk.out(encrypting(ADA, signer=BOB), noise(size)))
    places = [len(message) // 2] if size == LONG else [20, 300, 1000, size // 2, len(message) - 1]
    for place in places:
        altered = bytearray(message)
        altered[place] ^= 4
        with pytest.raises((CannotDecrypt, NotOpenPGP, BadSignature)):
            desk.run(DECRYPTING, bytes(altered))
        with pytest.raises((CannotDecrypt, NotOpenPGP)):
            desk.run(DECRYPTING, bytes(message[:place]))
    assert {code for code, _ in desk.scribes.ends()} == {0}


def test_a_short_message_is_found_damaged_at_each_byte_that_is_cut(desk: Desk) -> None:
    """Each cut of its first and last bytes, in which the packets begin and end."""
    message = desk.out(encrypting(ADA, signer=BOB), b"short")
    for cut in {0, 1, 2, 3, 30, 100, len(message) - 40, len(message) - 1}:
        with pytest.raises((CannotDecrypt, NotOpenPGP)):
            desk.run(DECRYPTING, message[:cut])
        desk.scribes.ends()


@pytest.mark.parametrize("data", [b"", b"hello", bytes(5000), b"\xff" * 5000, TEXT])
def test_junk_is_no_message(desk: Desk, data: bytes) -> None:
    """As a message, as a signed one, as a signature."""
    with pytest.raises(NotOpenPGP):
        desk.run(DECRYPTING, data)
    with pytest.raises((NotOpenPGP, BadSignature)):
        desk.run(READING, data)
    with pytest.raises(NotOpenPGP):
        desk.run(checking(data), b"document")


def test_a_message_to_somebody_else_does_not_open(desk: Desk, gnupg: GnuPG) -> None:
    """Three recipients each could, a fourth cannot (A31)."""
    theirs = gnupg.new_key("Somebody else in pieces")
    desk.keys.import_public(gnupg.certificate(theirs))
    with pytest.raises(CannotDecrypt):
        desk.run(DECRYPTING, desk.out(encrypting(theirs, signer=ADA), b"not for us"))
    for wanted in (desk.ada, desk.bob):
        _, report = desk.run(DECRYPTING, desk.out(encrypting(theirs, wanted, signer=ADA), b"for us too"))
        assert report.recipient == wanted


def test_nobody_is_known_to_have_written_an_unsigned_message(desk: Desk) -> None:
    """It comes out at once, with no signer."""
    for armored in (False, True):
        content = noise(FEED)
        found, report = desk.run(DECRYPTING, desk.out(encrypting(ADA, armored=armored), content))
        assert (found, report.signers, report.unknown, report.again) == (content, (), (), False)
        assert report.recipient == desk.ada


def test_where_it_cannot_be_seen_in_advance_who_has_signed_a_message_is_brought_again(desk: Desk) -> None:
    """With a post-quantum key: signed, it is checked at once; unsigned, it comes out when the same message comes again.

    Only that message, of that member: of any other that is said to come again there is no report.
    """
    ours = desk.keys.generate("Post-quantum", POST_QUANTUM).fingerprint
    content = noise(3 * FEED)
    signed = desk.out(encrypting(ours, signer=ADA), content)
    found, report = desk.run(DECRYPTING, signed)
    assert (found, [each.fingerprint for each in report.signers]) == (content, [desk.ada])
    message = desk.out(encrypting(ours), content)
    found, report = desk.run(DECRYPTING, message)
    assert report.again
    assert found != content, "the end is withheld"
    again = job(DECRYPT, again=True)
    with pytest.raises(NotAllowed):
        desk.run(again, signed)
    desk.member = "another"
    with pytest.raises(NotAllowed):
        desk.run(again, message)
    desk.member = "console"
    found, report = desk.run(again, message)
    assert (found, report.signers, report.unknown, report.again) == (content, (), (), False)


def test_a_signer_without_a_certificate_is_named_as_unknown(desk: Desk, gnupg: GnuPG) -> None:
    """Of the signature nothing is known; once the certificate is here, it is checked."""
    theirs = gnupg.new_key("Stranger in pieces")
    gnupg.out("--import", data=desk.keys.export_public(desk.keys.generate("Host", COMPAT).fingerprint))
    message = gnupg.out("-z", "0", "--sign", "--local-user", theirs, "--encrypt", "-r", "Host", data=TEXT)
    found, report = desk.run(DECRYPTING, message)
    assert (found, report.signers, len(report.unknown)) == (TEXT, (), 1)
    assert theirs.endswith(report.unknown[0])
    desk.keys.import_public(gnupg.certificate(theirs))
    found, report = desk.run(DECRYPTING, message)
    assert (found, [each.fingerprint for each in report.signers], report.unknown) == (TEXT, [theirs], ())


def test_an_invalid_signature_withholds_the_report(desk: Desk) -> None:
    """Ada's key turns out to be stolen: revoked, it has never signed."""
    message = desk.out(encrypting(BOB, signer=ADA), TEXT)
    signed = desk.out(signing(ADA, INLINE), TEXT)
    signature = desk.out(signing(ADA), TEXT)
    desk.keys.revoke_key(desk.ada)
    for task, data in ((DECRYPTING, message), (READING, signed), (checking(signature), TEXT)):
        with pytest.raises(BadSignature, match="1 of 1 signers' signatures are invalid"):
            desk.run(task, data)


def test_a_detached_signature_is_of_this_document_only(desk: Desk) -> None:
    """And says when it was made; one flipped bit, one byte less or more is another document (A31)."""
    for armored in (False, True):
        signature = desk.out(signing(ADA, armored=armored), TEXT)
        nothing, report = desk.run(checking(signature), TEXT)
        assert nothing == b""
        (signer,) = report.signers
        assert (signer.fingerprint, signer.trust) == (desk.ada, "own")
        assert signer.created is not None
        for other in (TEXT[:-1], TEXT + b"\n", b"B" + TEXT[1:], b""):
            with pytest.raises(BadSignature):
                desk.run(checking(signature), other)
    with pytest.raises(InvalidArguments, match="several signatures"):
        desk.run(checking(signature_of_two(desk)), TEXT)


def signature_of_two(desk: Desk) -> bytes:
    """Return two signatures in one file."""
    return desk.out(signing(ADA), TEXT) + desk.out(signing(BOB), TEXT)


def test_a_signed_message_gives_what_was_signed(desk: Desk) -> None:
    """Inline; of one that was altered, cut or never signed there is no report."""
    for size in (70_000, 3 * FEED):
        content = noise(size)
        message = desk.out(signing(ADA, INLINE), content)
        found, report = desk.run(READING, message)
        assert (found, [each.fingerprint for each in report.signers]) == (content, [desk.ada])
        altered = bytearray(message)
        altered[len(message) // 2] ^= 1
        for bad in (bytes(altered), message[: len(message) // 2], message[:-1]):
            with pytest.raises((BadSignature, NotOpenPGP)):
                desk.run(READING, bad)
    literal = b"\xcb\x09b\0\0\0\0\0abc"
    with pytest.raises(BadSignature, match="not signed"):
        desk.run(READING, literal)
    with pytest.raises(NotOpenPGP):
        desk.run(READING, desk.out(encrypting(ADA, signer=ADA), TEXT))


def test_clear_signing_is_for_text(desk: Desk, gnupg: GnuPG) -> None:
    """The text stays readable; gpg verifies it; it is checked in one call, not in pieces."""
    ours = desk.keys.generate("Clear in pieces", COMPAT).fingerprint
    gnupg.out("--import", data=desk.keys.export_public(ours))
    message = desk.out(signing(ours, CLEAR), TEXT)
    assert TEXT in message
    assert good_signers(gnupg.run("--verify", data=message)) == [ours]
    assert desk.keys.verify(message, None).content == TEXT
    with pytest.raises(InvalidArguments, match="64 MiB"):
        desk.run(READING, message)
    with pytest.raises(InvalidArguments, match="UTF-8"):
        desk.run(signing(ours, CLEAR), b"\xff" * 10)


def test_a_file_is_sealed_and_opened_in_pieces(desk: Desk) -> None:
    """Without a scribe; what is damaged or somebody else's is refused, and the job is gone (A29)."""
    content = noise(3 * FEED + 7)
    sealed = desk.out(SEALING, content)
    assert desk.out(OPENING, sealed) == content
    with pytest.raises(FileDamaged):
        desk.run(OPENING, sealed[:-1])
    with pytest.raises(NotASealedFile):
        desk.run(OPENING, content)
    assert not desk.scribes.started
    number = desk.begin(OPENING)
    with pytest.raises(NotASealedFile):
        desk.feed(number, OPENING, content)
    with pytest.raises(NoSuchJob):
        desk.rest(number, OPENING)


@pytest.mark.parametrize("spoil", ["revoke_key", "expire"])
def test_nothing_is_encrypted_to_or_signed_by_a_key_that_is_no_longer_valid(desk: Desk, spoil: str) -> None:
    """Before a scribe is started."""
    if spoil == "expire":
        desk.keys.set_expiry(desk.ada, desk.keys.show_key(desk.ada).created + 1)
    else:
        desk.keys.revoke_key(desk.ada)
    for task in (encrypting(BOB, desk.ada), encrypting(BOB, signer=desk.ada), signing(desk.ada), encrypting()):
        with pytest.raises(KeyUnusable):
            desk.begin(task)
    for task in (encrypting("nobody"), signing("nobody")):
        with pytest.raises(NoSuchKey):
            desk.begin(task)
    assert not desk.scribes.started


def test_a_job_is_its_member_s(desk: Desk) -> None:
    """Another member finds none, whatever it does; and each may have three."""
    task = signing(ADA)
    numbers = [desk.begin(task) for _ in range(jobs.MOST)]
    with pytest.raises(Overloaded):
        desk.begin(task)
    desk.member = "another"
    for act in (
        lambda: desk.feed(numbers[0], task, b"x"),
        lambda: desk.rest(numbers[0], task),
        lambda: desk.jobs.cancel(numbers[0]),
    ):
        with pytest.raises(NoSuchJob):
            act()
    desk.jobs.cancel(desk.begin(task))
    desk.member = "console"
    desk.feed(numbers[0], task, b"x")
    assert desk.rest(numbers[0], task)[1].signers == ()


def test_locking_ends_every_job_and_its_scribe(desk: Desk) -> None:
    """In the middle of a document, before its first byte, after its last."""
    began, fed = desk.begin(signing(ADA)), desk.begin(encrypting(ADA, signer=BOB))
    desk.feed(fed, encrypting(ADA), noise(2 * FEED))
    desk.jobs.drop()
    for number in (began, fed):
        with pytest.raises(NoSuchJob):
            desk.jobs.cancel(number)
    assert len(desk.scribes.ends()) == 2


def test_a_document_goes_on_where_it_was(desk: Desk) -> None:
    """A piece from elsewhere, too long a piece, the wrong way to feed: each ends the job."""
    task = signing(ADA)

    def refused(act: Callable[[int], object], error: type[Exception]) -> None:
        number = desk.begin(task)
        desk.feed(number, task, b"ten bytes.")
        with pytest.raises(error):
            act(number)

    refused(lambda number: desk.jobs.feed(number, 0, b"x", plain=False), InvalidArguments)
    refused(lambda number: desk.jobs.feed(number, 9, b"x", plain=False), InvalidArguments)
    refused(lambda number: desk.jobs.feed(number, 11, b"x", plain=False), InvalidArguments)
    refused(lambda number: desk.jobs.feed(number, 10, bytes(FEED + 1), plain=False), TooLarge)
    refused(lambda number: desk.jobs.feed(number, 10, b"x", plain=True), InvalidArguments)
    refused(lambda number: desk.jobs.finish(number, plain=True), InvalidArguments)
    for bad in (job(""), job("burn"), job(SIGN, signer=ADA, again=True)):
        with pytest.raises(InvalidArguments):
            desk.begin(bad)
    with pytest.raises(InvalidArguments):
        desk.begin(signing(ADA, "sideways"))


def test_what_may_wait_is_bounded(desk: Desk) -> None:
    """A scribe that takes nothing: the vault answers in time, and takes no more than 8 MiB."""
    number = desk.begin(signing(ADA))
    (scribe,) = desk.scribes.started
    os.kill(scribe.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, scribe.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        waiting = 0
        for at in range(0, jobs.MOST_WAITING, FEED):
            waiting = desk.jobs.feed(number, at, bytes(FEED), plain=False).waiting
        assert jobs.MOST_WAITING - (2 << 20) < waiting < jobs.MOST_WAITING
        with pytest.raises(Overloaded):
            desk.feed_beyond(number)
    finally:
        os.kill(scribe.pid, signal.SIGCONT)
    with pytest.raises(NoSuchJob):
        desk.jobs.cancel(number)


def test_a_scribe_that_cannot_be_had_or_dies_is_told(desk: Desk) -> None:
    """Refused by the supervisor, killed in the middle: an error, never half a document with a report."""
    for task, error in ((signing(ADA), Overloaded), (DECRYPTING, CannotDecrypt)):
        number = desk.begin(task, desk.scribes.refuse)
        with pytest.raises(error, match="could not be had, or was ended"):
            desk.rest(number, task)
    task = encrypting(ADA, signer=BOB)
    number = desk.begin(task)
    desk.feed(number, task, noise(FEED))
    (scribe,) = desk.scribes.started
    scribe.kill()
    with pytest.raises(Overloaded, match="could not be had, or was ended"):
        desk.rest(number, task)
