"""What gpg and sq write by default, signed inside a compressed packet: opened, checked, refused when it is not right.

Real programs write the messages; what they would not write is put together from packets of theirs, and encrypted by gpg
too, which takes packets as they are with --no-literal.
"""

from __future__ import annotations

import functools
import itertools
import os
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.enclave.sequoia import Sq
from tests.isolation.confined import Done, confined
from trollbridge.enclave import key_editing, nested, openpgp, outline, packets
from trollbridge.enclave.certificate import Certificate, SecretKey
from trollbridge.enclave.gate import Caller, Gate
from trollbridge.enclave.keystore import Keystore
from trollbridge.enclave.openpgp import Find, Opener, Signing
from trollbridge.messages.errors import BadSignature, CannotDecrypt, KeyLocked, NotAllowed, NotOpenPGP
from trollbridge.messages.ids import Role
from trollbridge.messages.s2k import new_protection
from trollbridge.messages.vault import COMPAT, DEFAULT, V6
from trollbridge.messages.vault_secrets import Constraints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.enclave.gnupg import GnuPG
    from trollbridge.enclave.storage import Records

TEXT: Final = "Grüße\nfrom here\n- dashed\n".encode()
REFUSED: Final = (CannotDecrypt, BadSignature, NotOpenPGP)
ELSEWHERE: Final = "gpg -z 0"
"""In the sentence about a signature that lies where it cannot be checked."""
COMPRESSED, LITERAL, MARKER = 8, 11, 10


@functools.cache
def opener() -> Opener:
    """Return the one that the tests share."""
    return Opener()


def knowing(*known: Certificate) -> Find:
    """Return the lookup of somebody who has these certificates."""
    return lambda handle: [each for each in known if handle in each.handles]


def opened(message: bytes, key: Signing, *known: Certificate) -> openpgp.Report:
    """Decrypt with one key, knowing these signers."""
    return opener().decrypt(message, [("", key.secret, None)], knowing(*known))[1]


def signers(report: openpgp.Report) -> list[str]:
    """Return whose signatures are valid."""
    return [each.certificate for each in report.valid]


def certificate(gnupg: GnuPG, fingerprint: str) -> Certificate:
    """Return a certificate that gpg has."""
    (found,) = Certificate.read(gnupg.certificate(fingerprint))
    return found


class Post(NamedTuple):
    """A key of ours that gpg can encrypt to, and a key of gpg's that signs."""

    gnupg: GnuPG
    ours: Signing
    signer: Certificate

    def write(self, *more: str, data: bytes = TEXT) -> bytes:
        """Return a message to our key, signed, as gpg writes it."""
        return self.gnupg.out(*self._to, "-u", self.signer.fingerprint, *more, "--sign", "--encrypt", data=data)

    def wrap(self, *parts: bytes, compress: bool = True) -> bytes:
        """Return a message to our key that holds these packets."""
        how = () if compress else ("-z", "0")
        return self.gnupg.out(*self._to, *how, "--no-literal", "--encrypt", data=b"".join(parts))

    @property
    def _to(self) -> tuple[str, str]:
        return "-r", self.ours.certificate.fingerprint

    def signed(self, data: bytes = TEXT, by: Certificate | None = None) -> list[bytes]:
        """Return the three packets of a signed message."""
        signer = self.signer if by is None else by
        made = self.gnupg.out("-u", signer.fingerprint, "-z", "0", "--sign", data=data)
        return [bytes(each) for each in packets.parse(made)]


@pytest.fixture(scope="module")
def post(gnupg: GnuPG) -> Post:
    """Make both keys."""
    ours = openpgp.generate("Alice nested", COMPAT)
    gnupg.out("--import", data=ours.certificate.binary())
    return Post(gnupg, ours, certificate(gnupg, gnupg.new_key("Gerd nested")))


@pytest.fixture(scope="module")
def sq(tmp_path_factory: pytest.TempPathFactory) -> Sq:
    """Give sq a folder."""
    return Sq(tmp_path_factory.mktemp("sq"))


# What they write


@pytest.mark.parametrize("kind", ["future-default", "rsa2048", "nistp256"])
def test_what_gpg_signs_and_encrypts_by_default_is_checked(gnupg: GnuPG, kind: str) -> None:
    """To each kind of key of ours that it encrypts to, in each way it compresses that Sequoia reads (A23, A31)."""
    signer = certificate(gnupg, gnupg.new_key(f"Signer {kind}", kind, "default" if kind[0] == "f" else "cert,sign"))
    for profile in (DEFAULT, COMPAT):
        ours = openpgp.generate(f"Reader {kind} {profile}", profile)
        gnupg.out("--import", data=ours.certificate.binary())
        post = Post(gnupg, ours, signer)
        for how in ((), ("--armor",), *(("--compress-algo", each) for each in ("none", "zip", "zlib"))):
            report = opened(post.write(*how), ours, signer)
            assert (report.content, signers(report), report.unknown) == (TEXT, [signer.fingerprint], ())


def test_text_mode_and_a_long_document_in_parts_too(post: Post) -> None:
    """A signature over lines, as --textmode makes it; packets whose length comes in parts (A23)."""
    report = opened(post.write("--textmode"), post.ours, post.signer)
    assert signers(report) == [post.signer.fingerprint]
    assert report.content.replace(b"\r\n", b"\n") == TEXT
    for data in (os.urandom(1 << 20), bytes(3 << 20), b""):
        report = opened(post.write(data=data), post.ours, post.signer)
        assert (report.content == data, signers(report)) == (True, [post.signer.fingerprint])


def test_what_sq_signs_and_encrypts_by_default_is_checked(sq: Sq) -> None:
    """It pads, in a packet that looks compressed; and each other way that Sequoia reads (A23)."""
    secret, public, _ = sq.new_key("Sven nested")
    (signer,) = Certificate.read(public)
    by = ("--signer-key", sq.file("nested.key", secret))
    for profile in (DEFAULT, COMPAT):
        ours = openpgp.generate("Reader of sq", profile)
        to = ("encrypt", "--recipient-cert", sq.file("reader", ours.certificate.binary()))
        for how in ((), *(("--compression", each) for each in ("none", "pad", "zip", "zlib"))):
            report = opened(sq.out(*to, *by, *how, data=TEXT), ours, signer)
            assert (report.content, signers(report)) == (TEXT, [signer.fingerprint])


def test_each_of_several_recipients_reads_it_hidden_or_not(gnupg: GnuPG, post: Post) -> None:
    """Named beside others, before and behind them, and not named at all (A23, A28)."""
    bob = openpgp.generate("Bob nested")
    gnupg.out("--import", data=bob.certificate.binary())
    names = [post.signer.fingerprint, bob.certificate.fingerprint, post.ours.certificate.fingerprint]
    for option in ("-r", "-R"):
        to = itertools.chain.from_iterable((option, each) for each in names)
        message = gnupg.out(*to, "-u", post.signer.fingerprint, "--sign", "--encrypt", data=TEXT)
        for key in (bob, post.ours):
            assert signers(opened(message, key, post.signer)) == [post.signer.fingerprint]
        with pytest.raises(CannotDecrypt):
            opened(message, openpgp.generate("Nobody"), post.signer)


@pytest.mark.parametrize("kind", ["rsa2048", "rsa3072", "nistp256", "nistp384", "nistp521", "cv25519"])
def test_an_imported_key_of_each_kind_opens_it(gnupg: GnuPG, post: Post, kind: str) -> None:
    """A secret key that gpg made and that became ours; and under the enclave's lock too (A1, A23)."""
    primary = kind if kind[0] == "r" else "ed25519"
    fingerprint = gnupg.new_key(f"Imported {kind}", primary, "cert,sign")
    gnupg.out("--quick-add-key", fingerprint, kind, "encr", "0")
    secret = SecretKey(gnupg.out("--export-secret-keys", fingerprint))
    ours = Signing(secret, certificate(gnupg, fingerprint))
    message = b""
    for option in ("-r", "-R"):
        message = gnupg.out(option, fingerprint, "-u", post.signer.fingerprint, "--sign", "--encrypt", data=TEXT)
        assert (packets.parse(message)[0].body[1:9] == bytes(8)) == (option == "-R")
        report = opened(message, ours, post.signer)
        assert (report.content, signers(report)) == (TEXT, [post.signer.fingerprint])
    assert confined(Role.ENCLAVE, lambda: signers(opened(message, ours, post.signer))) == Done(
        str([post.signer.fingerprint])
    )


def test_two_signers_are_both_reported(post: Post, gnupg: GnuPG) -> None:
    """And of a stranger beside them it is said that his certificate is missing (A31)."""
    second = certificate(gnupg, gnupg.new_key("Second nested"))
    message = post.write("-u", second.fingerprint)
    report = opened(message, post.ours, post.signer, second)
    assert sorted(signers(report)) == sorted([post.signer.fingerprint, second.fingerprint])
    for known, other in ((post.signer, second), (second, post.signer)):
        report = opened(message, post.ours, known)
        assert (report.content, signers(report)) == (TEXT, [known.fingerprint])
        assert [each in other.handles for each in report.unknown] == [True]


def test_a_stranger_s_message_is_read_and_said_to_be_so(post: Post) -> None:
    """As of a message that is not compressed: the content, no signer, and whose certificate to look for (A31)."""
    assert [(each.content, each.valid, set(each.unknown) <= post.signer.handles) for each in (
        opened(post.write(*how), post.ours) for how in ((), ("-z", "0"))
    )] == [(TEXT, (), True)] * 2  # fmt: skip


def test_a_vault_s_key_opens_it_under_its_password_and_its_constraints(records: Records, gnupg: GnuPG) -> None:
    """The secret is protected, by the vault and then by a password of its own; one message is one use (A23, K1)."""
    gate = Gate(records, lambda: Caller("console", "ui"))
    store = Keystore(records, gate)
    key = store.generate("Vera nested").fingerprint
    gnupg.out("--import", data=store.export_public(key, armored=False))
    signer = certificate(gnupg, gnupg.new_key("Signer for Vera"))
    store.import_public(signer.binary())
    message = gnupg.out("-r", key, "-u", signer.fingerprint, "--sign", "--encrypt", data=TEXT)

    def read() -> None:
        found = store.decrypt(message)
        assert (found.plaintext, [each.fingerprint for each in found.signers]) == (TEXT, [signer.fingerprint])
        assert (found.recipient, found.unknown) == (key, ())

    read()
    own = new_protection("its own")
    store.set_key_password(key, own)
    read()
    again = Keystore(records, gate)
    with pytest.raises(KeyLocked):
        again.decrypt(message)
    gate.constrain(f"key:{key}", Constraints(per_hour=2), lambda: None)
    for _ in range(2):
        read()
    with pytest.raises(NotAllowed):
        read()


# What is not right


def test_a_changed_signature_or_content_withholds_it(post: Post) -> None:
    """Put together with a right integrity code; the control is the same, unchanged (A31)."""
    first, literal, signature = post.signed()
    assert signers(opened(post.wrap(first, literal, signature), post.ours, post.signer)) == [post.signer.fingerprint]
    changed = [
        (first, literal[:-1] + bytes([literal[-1] ^ 1]), signature),
        (first, literal, signature[:-1] + bytes([signature[-1] ^ 1])),
        (first, literal, post.signed(TEXT + b"!")[2]),
    ]
    for parts in changed:
        with pytest.raises(BadSignature, match="1 of 1"):
            opened(post.wrap(*parts), post.ours, post.signer)


def test_one_bad_signature_of_two_withholds_it(post: Post, gnupg: GnuPG) -> None:
    """Whichever of the two it is (A31)."""
    second = certificate(gnupg, gnupg.new_key("Third nested"))
    inner, outer = post.signed(), post.signed(by=second)
    other = post.signed(b"something else", by=second)
    known = (post.signer, second)
    first = outer[0][:-1] + b"\0"  # another one-pass signature follows
    assert len(signers(opened(post.wrap(first, *inner, outer[2]), post.ours, *known))) == 2
    with pytest.raises(BadSignature, match="1 of 2"):
        opened(post.wrap(first, *inner, other[2]), post.ours, *known)


def test_a_revoked_signer_s_signature_is_not_valid(gnupg: GnuPG) -> None:
    """A key of ours that gpg signs with; before it is revoked it is good (A31)."""
    ours, theirs = openpgp.generate("Reader", COMPAT), openpgp.generate("Revoked nested", COMPAT)
    gnupg.out("--import", data=ours.certificate.binary())
    gnupg.out("--import", data=theirs.secret.binary())
    message = Post(gnupg, ours, theirs.certificate).write()
    assert signers(opened(message, ours, theirs.certificate)) == [theirs.certificate.fingerprint]
    revoked = key_editing.revoked(theirs.certificate, key_editing.revocation(theirs))
    assert revoked.revoked
    with pytest.raises(BadSignature, match="1 of 1"):
        opened(message, ours, revoked)


def test_an_altered_message_is_never_opened(post: Post) -> None:
    """Each byte of it, in two ways; and cut off at each, or longer (A30, A46).

    All but the highest bit of the sender's point, which does not count on Curve25519 (RFC 7748, section 5): it is the
    same message.
    """
    message = post.write(data=b"x")
    right = opened(message, post.ours, post.signer)
    assert (right.content, signers(right)) == (b"x", [post.signer.fingerprint])
    passed: list[tuple[int, int]] = []
    for at, change in itertools.product(range(len(message)), (0x01, 0x80)):
        wrong = message[:at] + bytes([message[at] ^ change]) + message[at + 1 :]
        try:
            assert opened(wrong, post.ours, post.signer) == right
        except REFUSED:
            continue
        passed.append((at, change))
    header_and_id = 2 + 1 + 8 + 1
    assert passed == [(header_and_id + 2 + 33 - 1, 0x80)]
    for wrong in [*(message[:at] for at in range(len(message))), message + b"\0", message * 2]:
        with pytest.raises(REFUSED):
            opened(wrong, post.ours, post.signer)


def test_nothing_is_parsed_before_the_integrity_code_is_found_right(post: Post) -> None:
    """Here Sequoia is not asked first: each byte of the protected data, and of its end, decides (A30, A46)."""
    message = post.write(data=b"x")
    assert nested.signed_inside(message, post.ours.secret) is not None
    start = len(message) - len(packets.parse(message)[-1].body)
    for at in range(start, len(message)):
        wrong = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
        assert nested.signed_inside(wrong, post.ours.secret) is None
        assert nested.signed_inside(message[:at], post.ours.secret) is None


def built_strangely(post: Post) -> Iterator[tuple[str, bytes]]:
    """Yield messages whose encryption and signatures are right, and whose packets are not those of gpg and sq."""
    first, literal, signature = post.signed()
    whole = first + literal + signature
    squeezed = packets.framed(COMPRESSED, b"\2" + zlib.compress(whole))
    yield "compressed twice", post.wrap(squeezed)
    yield "a marker before what is compressed", post.wrap(packets.framed(MARKER, b"PGP"), squeezed, compress=False)
    yield "a marker in it", post.wrap(packets.framed(MARKER, b"PGP"), whole)
    yield "the signature first, as PGP 2 did", post.wrap(signature, literal)
    inner = packets.framed(COMPRESSED, b"\2" + zlib.compress(literal))
    yield "what is signed is compressed", post.wrap(first, inner, signature, compress=False)
    yield "both", post.wrap(first, inner, signature)
    yield "cut off", post.wrap(packets.framed(COMPRESSED, b"\2" + zlib.compress(whole)[:-4]), compress=False)
    yield "no signature", post.wrap(first, literal)
    yield "no content", post.wrap(first, signature)
    yield "two contents", post.wrap(first, literal, literal, signature)
    yield "a signed message in a signed message's place", post.wrap(whole, whole)
    yield "one after the other", post.wrap(squeezed, squeezed, compress=False)


def test_what_is_built_strangely_is_refused(post: Post) -> None:
    """Known signer, right signature: still no plaintext, as nobody has said what such a signature covers (A31)."""
    wrong: list[str] = []
    for what, message in built_strangely(post):
        try:
            opened(message, post.ours, post.signer)
        except REFUSED:
            continue
        wrong.append(what)
    assert wrong == []
    unasked = {what: nested.signed_inside(message, post.ours.secret) for what, message in built_strangely(post)}
    unasked.pop("cut off")  # only its checksum is missing, which Sequoia has looked at
    assert unasked == dict.fromkeys(unasked)
    with pytest.raises(BadSignature, match=ELSEWHERE):
        opened(next(built_strangely(post))[1], post.ours, post.signer)


def test_what_would_become_too_large_is_not_unpacked(post: Post) -> None:
    """Signed and encrypted by a known signer: 130 KB that would be 128 MiB (A46, P3)."""
    message = post.write(data=bytes(128 << 20))
    assert len(message) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(NotOpenPGP, match="MiB"):
            nested.signed_inside(message, post.ours.secret)
        assert tracemalloc.get_traced_memory()[1] < outline.MAX_CONTENT * 5 // 4
    finally:
        tracemalloc.stop()
    with pytest.raises(NotOpenPGP, match="MiB"):
        opened(message, post.ours, post.signer)


def test_what_pysequoia_does_not_unpack_stays_closed(post: Post) -> None:
    """It is built without bzip2, which gpg uses only when it is told to; signed or not, in one sentence (A23)."""
    assert nested.signed_inside(post.write("--compress-algo", "bzip2"), post.ours.secret) is not None
    with pytest.raises(CannotDecrypt):
        opened(post.write("--compress-algo", "bzip2"), post.ours, post.signer)


def test_other_messages_are_left_alone(post: Post) -> None:
    """Not compressed, of version 2, to a key of version 6, and to somebody else: nothing comes out (A30)."""
    nobody = openpgp.generate("Nobody").secret
    found = [nested.signed_inside(post.write("-z", "0"), post.ours.secret), nested.signed_inside(post.write(), nobody)]
    for profile in (DEFAULT, V6):
        key = openpgp.generate("Other", profile)
        message = openpgp.encrypt(TEXT, [key.certificate], key, armored=False)
        assert signers(opened(message, key, key.certificate)) == [key.certificate.fingerprint]
        found.append(nested.signed_inside(message, key.secret))
    assert found == [None] * 4
