"""What a scribe is made of, piece by piece: recipients, a glimpse of signers, armor, words; and a hostile scribe."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, BinaryIO, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.enclave.document_desk import ADA, BOB, DECRYPTING, Desk, checking, encrypting, signing
from trollbridge.enclave import recipients, scribe_client, scribe_job
from trollbridge.enclave.armor import Armor
from trollbridge.enclave.certificate import SecretKey
from trollbridge.enclave.glimpse import Glimpse, glimpse
from trollbridge.enclave.scribe_job import UNSEEN
from trollbridge.enclave.scribe_words import (
    BEGINNING,
    FROM_SCRIBE,
    LARGEST,
    LARGEST_SAID,
    MOST_ASKS,
    MOST_HANDLES,
    TO_SCRIBE,
    Ask,
    Check,
    Decrypt,
    Done,
    Failed,
    FromScribe,
    Key,
    Look,
    Seen,
    Sighted,
    Valid,
    Witnesses,
    framed,
    receive,
    unframed,
)
from trollbridge.messages.error_codes import ErrorCode
from trollbridge.messages.errors import BadSignature, CannotDecrypt, Malformed, NoSuchJob, NotOpenPGP, Overloaded
from trollbridge.messages.vault import COMPAT, DEFAULT, POST_QUANTUM, V6
from trollbridge.messages.vault_documents import PIECE, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.enclave.gnupg import GnuPG
    from trollbridge.enclave.storage import Records

PATIENCE: Final = 20.0
TEXT: Final = b"A line of a document.\n" * 500


@pytest.fixture
def desk(records: Records) -> Iterator[Desk]:
    """Return an open vault."""
    made = Desk(records)
    yield made
    made.close()


@pytest.fixture
def lend(desk: Desk) -> Callable[[str], SecretKey]:
    """Return what gives a key as a scribe gets it."""

    def lent(name: str) -> SecretKey:
        fingerprint = desk.keys.show_key(name).fingerprint
        (key,) = desk.keys.decrypting_parts([fingerprint], UNSEEN, desk.keys.encrypt([name], b"", None, armored=False))
        return SecretKey(key.secret, lambda: key.password)

    return lent


# Whom it is encrypted to.


def test_a_message_s_recipients_are_seen_at_its_beginning(desk: Desk, gnupg: GnuPG) -> None:
    """Of version 3 and 6, in binary and in armor; who is hidden has no name."""
    profiles = {name: desk.keys.generate(name, name) for name in (DEFAULT, COMPAT, V6, POST_QUANTUM)}
    for key in profiles.values():
        handles = {handle for each in key.subkeys for handle in (each.fingerprint, each.fingerprint[-16:])}
        handles |= {each.fingerprint[:16] for each in key.subkeys}  # a key id of version 6
        for armored in (False, True):
            message = desk.keys.encrypt([key.fingerprint], TEXT, None, armored=armored)
            (found,) = recipients.named(message)
            assert found in handles
            assert recipients.named(message[: len(message) - 500]) == (found,)
    compat = profiles[COMPAT].fingerprint
    gnupg.out("--import", data=desk.keys.export_public(compat))
    hidden = gnupg.out("--encrypt", "--hidden-recipient", compat, "--armor", data=TEXT)
    assert recipients.named(hidden) == ("",)
    with_a_password = gnupg.out("--symmetric", "--passphrase", "x", data=TEXT)
    assert recipients.named(with_a_password) == ()


def test_a_beginning_may_end_anywhere(desk: Desk) -> None:
    """At each byte: the recipients who are there, or no message; nothing else."""
    for armored in (False, True):
        message = desk.keys.encrypt([ADA, BOB], b"short", ADA, armored=armored)
        whole = recipients.named(message)
        assert len(whole) == 2
        for cut in range(len(message)):
            try:
                found = recipients.named(message[:cut])
            except NotOpenPGP:
                continue
            assert all(each in whole or any(name.startswith(each) for name in whole) for each in found)


@given(st.binary(max_size=300))
def test_junk_has_no_recipients(data: bytes) -> None:
    """Whatever it is, it is refused, or read as far as it goes."""
    for each in (data, b"\xc1" + data, b"-----BEGIN PGP MESSAGE-----\n\n" + data):
        with contextlib.suppress(NotOpenPGP):
            assert isinstance(recipients.named(each), tuple)


# Who has signed inside.


@pytest.mark.parametrize("profile", [DEFAULT, COMPAT, V6])
def test_signers_are_seen_before_a_message_is_opened(
    desk: Desk, lend: Callable[[str], SecretKey], profile: str
) -> None:
    """One, none; by a key of each version; the key of somebody else shows nothing."""
    ours, signer = desk.keys.generate("reader", profile), desk.keys.generate("writer", profile)
    for armored in (False, True):
        message = desk.keys.encrypt([ours.fingerprint], TEXT, signer.fingerprint, armored=armored)
        seen = glimpse(message[: len(message) - 100], lend("reader"))
        assert seen is not None
        assert not seen.compressed
        (handle,) = seen.signers
        assert any(handle in each.fingerprint for each in signer.subkeys)
        message = desk.keys.encrypt([ours.fingerprint], TEXT, None, armored=armored)
        assert glimpse(message, lend("reader")) == Glimpse((), compressed=False)
        assert glimpse(message, lend(ADA)) is None


def test_what_cannot_be_seen_is_not_guessed(desk: Desk, lend: Callable[[str], SecretKey]) -> None:
    """With a post-quantum key; in what was cut off before the first packet; in junk."""
    desk.keys.generate("quantum", POST_QUANTUM)
    assert glimpse(desk.keys.encrypt(["quantum"], TEXT, ADA, armored=False), lend("quantum")) is None
    message, key = desk.keys.encrypt([ADA], TEXT, BOB, armored=False), lend(ADA)
    for data in (b"", b"junk", bytes(100), b"\xff" * 100, message[:100], message[:20]):
        assert glimpse(data, key) is None


@pytest.mark.parametrize("algorithm", ["future-default", "rsa2048"])
def test_signers_are_seen_in_what_gpg_wrote(
    desk: Desk, gnupg: GnuPG, lend: Callable[[str], SecretKey], algorithm: str
) -> None:
    """To a key of gpg's own, on a curve or RSA, brought here; inside and outside of a compressed layer (A23)."""
    ours = gnupg.new_key(f"Reader {algorithm}", algorithm, "default")
    if algorithm == "rsa2048":
        gnupg.out("--quick-add-key", ours, "rsa2048", "encr", "0")
    desk.keys.import_secret(gnupg.out("--export-secret-keys", ours), ())
    theirs = gnupg.new_key(f"Writer for {algorithm}")
    for more, compressed in ((("-z", "0"), False), ((), True), (("--compress-algo", "zlib"), True)):
        signed = gnupg.out("--sign", "--local-user", theirs, "--encrypt", "--recipient", ours, *more, data=TEXT)
        seen = glimpse(signed, lend(ours))
        assert seen is not None
        assert (len(seen.signers), seen.compressed) == (1, compressed)
        assert theirs.endswith(seen.signers[0])
        assert glimpse(gnupg.out("--encrypt", "--recipient", ours, *more, data=TEXT), lend(ours)) == Glimpse(
            (), compressed
        )


def test_a_glimpse_of_an_altered_message_is_harmless(desk: Desk, lend: Callable[[str], SecretKey]) -> None:
    """Each of its first bytes flipped: something, or nothing, is seen, and no error comes out."""
    key = lend(ADA)
    message = desk.keys.encrypt([ADA], b"short", BOB, armored=False)
    for place in range(min(len(message), 400)):
        altered = bytearray(message)
        altered[place] ^= 1 << place % 8
        assert isinstance(glimpse(bytes(altered), key), Glimpse | None)


# Armor.


@given(st.binary(max_size=500), st.lists(st.integers(0, 200), max_size=8))
def test_armor_does_not_depend_on_the_pieces(content: bytes, cuts: list[int]) -> None:
    """Lines of 64 characters between two that frame them; each opens with the standard library alone."""
    armor, made, at = Armor(), b"", 0
    for size in cuts:
        made += armor.feed(content[at : at + size])
        at += size
    made += armor.feed(content[at:]) + armor.finish()
    begin, empty, *lines, end, nothing = made.split(b"\n")
    assert (begin, empty, end, nothing) == (b"-----BEGIN PGP MESSAGE-----", b"", b"-----END PGP MESSAGE-----", b"")
    assert base64.b64decode(b"".join(lines), validate=True) == content
    assert all(len(line) == 64 for line in lines[:-1])
    assert all(0 < len(line) <= 64 for line in lines)


# Words.


def test_words_arrive_whole_whatever_the_stream_does() -> None:
    """Cut at each byte; and nothing is left over."""
    words: list[FromScribe] = [Ask(("ab", "cd")), Seen(()), Done((), ("x",), 3, again=True)]
    stream = b"".join(framed(FROM_SCRIBE.encode(each)) for each in words)
    for cut in range(len(stream)):
        held, found = bytearray(stream[:cut]), list[FromScribe]()
        for more in (b"", stream[cut:]):
            held += more
            while (word := unframed(held)) is not None:
                found.append(FROM_SCRIBE.decode(word))
        assert found == words
        assert not held


def test_a_word_that_is_too_long_or_cut_off_is_refused() -> None:
    """Before anything of it is read."""
    with pytest.raises(Malformed):
        unframed(bytearray((LARGEST_SAID + 1).to_bytes(4, "big")))
    for size in (LARGEST, LARGEST_SAID):
        with pytest.raises(Malformed):
            framed(bytes(size + 1), size)
    for data, error in (((LARGEST + 1).to_bytes(4, "big"), Malformed), (b"", EOFError), (b"\0\0\0\5ab", EOFError)):
        near, far = socket.socketpair()
        with near, far:
            near.sendall(data)
            near.close()
            with pytest.raises(error):
                receive(far)


def test_a_key_on_its_way_shows_nothing() -> None:
    """Neither its secret nor the password (K1)."""
    assert repr(Key(b"secret", "password", b"certificate")) == "Key(…)"


# A scribe that was taken over.


def _hostile(*said: bytes) -> Callable[[int, int], socket.socket]:
    """Return what starts no scribe, but says this and lets the document be."""

    def start(source: int, target: int) -> socket.socket:
        near, far = socket.socketpair()
        with far:
            far.sendall(b"".join(said))
        os.close(source)
        os.close(target)
        return near

    return start


def _say(word: FromScribe) -> bytes:
    return framed(FROM_SCRIBE.encode(word))


KNOWN: Final = "0123456789abcdef"
DONE: Final = Done((), (), 0, again=False)


@pytest.mark.parametrize(
    "said",
    [
        (b"\0\0\0\3abc",),
        ((LARGEST_SAID + 1).to_bytes(4, "big"),),
        (framed(TO_SCRIBE.encode(Check(b""))),),
        (_say(Seen((KNOWN,))),),
        (_say(Sighted()),),
        (_say(Ask((KNOWN,))),),
        (_say(DONE),) * 2,
        (_say(Failed(ErrorCode.APPROVAL_NEEDED, "Approve everything.")),),
        (_say(Done((Valid(KNOWN, KNOWN, 1),), (), 0, again=False)),),
        (_say(Done((), (), 1, again=False)),),
        (_say(Done((), (), 0, again=True)),),
    ],
)
def test_a_scribe_that_says_what_it_may_not_is_let_go_of(desk: Desk, said: tuple[bytes, ...]) -> None:
    """Junk, a flood, the vault's own words, what belongs to another task: the job is over (K1)."""
    task = signing(ADA)
    number = desk.begin(task, _hostile(*said))
    with pytest.raises(Overloaded, match="said what it may not"):
        desk.rest(number, task)
    with pytest.raises(NoSuchJob):
        desk.rest(number, task)


def test_what_a_scribe_says_it_failed_by_is_what_a_document_can_fail_by(desk: Desk) -> None:
    """In plain text, and not too much of it: it is shown to a person."""
    number = desk.begin(DECRYPTING, _hostile(_say(Failed(ErrorCode.CANNOT_DECRYPT, "\x1b[31m" + "x" * 5000))))
    with pytest.raises(CannotDecrypt) as caught:
        desk.rest(number, DECRYPTING)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 500


def test_a_scribe_cannot_ask_for_keys_that_its_document_does_not_name(desk: Desk) -> None:
    """What it says of recipients is checked against the message, and said once; junk opens with no key (K1)."""

    def attempt(content: bytes, *said: FromScribe) -> None:
        number = desk.begin(DECRYPTING, _hostile(*map(_say, said)))
        for at in range(0, BEGINNING, len(content)):
            desk.jobs.feed(number, at, content, plain=True)
        desk.rest(number, DECRYPTING)

    seen = Seen((desk.ada,))
    for content in (b"junk" * 25_000, desk.keys.encrypt([BOB], bytes(100_000), None, armored=False)):
        with pytest.raises((CannotDecrypt, NotOpenPGP)):
            attempt(content, seen)
    message = desk.keys.encrypt([ADA], bytes(100_000), None, armored=False)
    for said in ((seen, seen), (seen, Sighted(), Sighted()), (seen, Done((), (), 1, again=False)), (DONE,)):
        with pytest.raises(CannotDecrypt, match="said what it may not"):
            attempt(message, *said)


class Heard:
    """A scribe whose end a test holds."""

    def __init__(self) -> None:
        """Make the stream."""
        self.near, self.far = socket.socketpair()

    def start(self, source: int, target: int) -> socket.socket:
        """Take the pipes' far ends, and let the document be."""
        os.close(source)
        os.close(target)
        return self.near


def test_certificates_are_no_secret_and_a_scribe_may_ask_for_some(desk: Desk) -> None:
    """For 64 handles at a time, that nobody has or somebody does, each once, when it has the last answer."""
    scribe = Heard()
    number = desk.begin(checking(b"signature"), scribe.start)
    handles = (desk.ada, *(f"{each:016x}" for each in range(MOST_HANDLES - 1)))
    with scribe.far as far:
        desk.feed(number, checking(b""), b"x")
        assert isinstance(receive(far), Check)
        for _ in range(MOST_ASKS):
            far.sendall(_say(Ask(handles)))
            desk.jobs.feed(number, 1, b"", plain=True)
            desk.jobs.feed(number, 1, b"", plain=True)
            answer = receive(far)
            assert isinstance(answer, Witnesses)
            assert [len(each) for each in answer.certificates] == [1] + [0] * (MOST_HANDLES - 1)
        far.sendall(_say(Ask(handles)))
        with pytest.raises(Overloaded, match="said what it may not"):
            desk.jobs.feed(number, 1, b"", plain=True)


@pytest.mark.parametrize("handles", [(KNOWN,) * 2, tuple(f"{each:016x}" for each in range(65)), ("x",), ("AB" * 20,)])
def test_a_scribe_asks_for_nothing_but_a_few_handles(desk: Desk, handles: tuple[str, ...]) -> None:
    """One certificate is not sent a thousand times over (K1)."""
    number = desk.begin(checking(b"signature"), _hostile(_say(Ask(handles))))
    with pytest.raises(Overloaded, match="said what it may not"):
        desk.rest(number, checking(b""))


@pytest.mark.parametrize("word", [Sighted(), Ask((KNOWN,)), Ask((KNOWN,) * 5000), Seen((KNOWN,))])
def test_a_scribe_that_never_stops_talking_keeps_nobody_busy(desk: Desk, word: FromScribe) -> None:
    """It reads nothing and says one thing for ever: the job is over at once, with nothing piled up (K1, A50)."""
    scribe = Heard()
    number = desk.begin(checking(b"signature"), scribe.start)
    with scribe.far as far:
        talk = threading.Thread(target=_talk, args=(far, _say(word)))
        talk.start()
        with pytest.raises(Overloaded, match="said what it may not"):
            desk.rest(number, checking(b""))
        talk.join(PATIENCE)
        assert not talk.is_alive()
    with pytest.raises(NoSuchJob):
        desk.jobs.cancel(number)


def _talk(far: socket.socket, said: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            far.sendall(said)


def test_a_scribe_that_writes_without_end_is_heard_for_a_bounded_time(desk: Desk) -> None:
    """A detached signature is not longer than one; a document comes out in pieces, each call one of them (K1)."""
    for task, error in ((signing(ADA), Overloaded), (encrypting(ADA), None)):
        targets: list[int] = []

        def start(source: int, target: int, targets: list[int] = targets) -> socket.socket:
            near, far = socket.socketpair()
            targets.append(target)
            desk.held.extend((source, far.detach()))
            return near

        number = desk.begin(task, start)
        with os.fdopen(targets[0], "wb", buffering=0) as target:
            flood = threading.Thread(target=_flood, args=(target,))
            flood.start()
            if error is not None:
                with pytest.raises(error, match="said what it may not"):
                    desk.rest(number, task)
            else:
                pieces = [desk.jobs.feed(number, 0, b"", plain=False) for _ in range(5)]
                assert max(len(each.data) for each in pieces) <= PIECE
                desk.jobs.cancel(number)
            flood.join(PATIENCE)
            assert not flood.is_alive()


def _flood(target: BinaryIO, size: int = 1 << 16) -> None:
    with contextlib.suppress(OSError):
        while True:
            target.write(bytes(size))


def test_a_scribe_that_writes_byte_by_byte_is_heard_for_a_bounded_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is always something to be taken: one call ends by the clock, long before its piece is full (K1, A50)."""
    assert scribe_client.WORK == 1.0
    monkeypatch.setattr(scribe_client, "WORK", 0.05)
    targets: list[int] = []

    def start(source: int, target: int) -> socket.socket:
        near, far = socket.socketpair()
        targets.append(target)
        desk.held.extend((source, far.detach()))
        return near

    number = desk.begin(encrypting(ADA), start)
    with os.fdopen(targets[0], "wb", buffering=0) as target:
        drip = threading.Thread(target=_flood, args=(target, 1))
        drip.start()
        until = time.monotonic() + PATIENCE
        while not (piece := desk.jobs.feed(number, 0, b"", plain=False).data):
            assert time.monotonic() < until
        assert len(piece) < PIECE // 2
        assert drip.is_alive(), "it goes on writing"
        desk.jobs.cancel(number)
        drip.join(PATIENCE)
        assert not drip.is_alive()


def test_a_scribe_that_reads_its_answers_says_each_thing_once_too(desk: Desk) -> None:
    """That it has seen who signed, and to whom it is: a second time it is let go of (K1)."""
    message = desk.keys.encrypt([ADA], b"short", None, armored=False)
    for again in (Sighted(), Seen((desk.ada,))):
        scribe = Heard()
        number = desk.begin(DECRYPTING, scribe.start)
        with scribe.far as far:
            desk.jobs.feed(number, 0, message, plain=True)
            desk.jobs.finish(number, plain=True)
            assert isinstance(receive(far), Look)
            for word in (Seen((desk.ada,)), Sighted()):
                far.sendall(_say(word))
                desk.jobs.finish(number, plain=True)
            assert isinstance(receive(far), Decrypt)
            far.sendall(_say(again))
            with pytest.raises(CannotDecrypt, match="said what it may not"):
                desk.jobs.finish(number, plain=True)


def test_only_signers_that_the_vault_has_are_reported_as_valid(desk: Desk) -> None:
    """Whatever a scribe calls valid: another is unknown, and with none the document is not signed (K1)."""
    bob = desk.keys.show_key(BOB).subkeys[0].fingerprint
    stranger = "ab" * 20

    def report(*valid: Valid) -> Report:
        number = desk.begin(checking(b"signature"), _hostile(_say(Done(valid, (), 0, again=False))))
        return desk.rest(number, checking(b""))[1]

    found = report(Valid(desk.bob, bob, 5), Valid(stranger, stranger, None), Valid(desk.ada, bob, 5))
    assert [(each.fingerprint, each.signing_key, each.created) for each in found.signers] == [(desk.bob, bob, 5)]
    assert found.unknown == (stranger, bob)
    with pytest.raises(BadSignature):
        report(Valid(stranger, stranger, None))
    with pytest.raises(BadSignature):
        report()
    for wrong in (Valid(desk.bob, bob, 1 << 40), Valid(desk.bob, bob, -1), Valid(desk.bob, "\x1b[31m", 1)):
        with pytest.raises(Overloaded, match="said what it may not"):
            report(wrong)


def test_a_scribe_that_does_nothing_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute after it has all of the document (A50)."""
    monkeypatch.setattr(scribe_job, "SILENCE", 0.5)
    near, far = socket.socketpair()

    def start(source: int, target: int) -> socket.socket:
        desk.held.extend((source, target))
        return near

    number = desk.begin(signing(ADA), start)
    with far:
        desk.feed(number, signing(ADA), b"")
        with pytest.raises(Overloaded, match="was ended"):
            desk.rest(number, signing(ADA))
