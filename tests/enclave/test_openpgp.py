"""The strict module: each trap of pysequoia with both halves, what it lets pass and what ours does instead."""

from __future__ import annotations

import ast
import copy
import functools
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia.packet import Packet, Tag

from trollbridge.enclave import certificate, openpgp, packets
from trollbridge.enclave.certificate import Certificate, SecretKey, strict
from trollbridge.enclave.openpgp import Find, Opener, Signing, ValidSignature
from trollbridge.messages.errors import (
    BadSignature,
    CannotDecrypt,
    DeclaredError,
    InvalidArguments,
    KeyUnusable,
    NotOpenPGP,
)
from trollbridge.messages.vault import CLEAR, COMPAT, DEFAULT, DETACHED, INLINE, PROFILES, SIGNATURE_MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DATA = st.binary(max_size=300)
TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=100)
SUITES: Final = {
    "v4": {},
    "v6": {"profile": pysequoia.Profile.RFC9580},
    "nist": {"cipher_suite": pysequoia.CipherSuite.P256},
    "rsa": {"cipher_suite": pysequoia.CipherSuite.RSA2k},
    "post-quantum": {
        "profile": pysequoia.Profile.RFC9580,
        "cipher_suite": pysequoia.CipherSuite.MLDSA65_Ed25519,
    },
}


@functools.cache
def someone(name: str) -> Signing:
    """Return a key that the tests of a run share."""
    return openpgp.generate(f"{name} <{name.lower()}@example.org>")


@functools.cache
def opener() -> Opener:
    """Return the one that the tests share."""
    return Opener()


def knowing(*known: Signing | Certificate) -> Find:
    """Return the lookup of somebody who has these certificates."""
    certificates = [each.certificate if isinstance(each, Signing) else each for each in known]
    return lambda handle: [each for each in certificates if handle in each.handles]


def revoked(key: Signing) -> Signing:
    """Return the key with its certificate revoked."""
    cert = key.certificate.witness()
    certifier = pysequoia.Tsk.from_bytes(key.secret.binary()).certifier()
    joined = bytes(cert) + bytes(cert.revoke(certifier))
    return Signing(key.secret, Certificate(pysequoia.Cert.from_bytes(joined)))


@functools.cache
def unusable(how: str) -> Signing:
    """Return a key whose certificate is expired or revoked."""
    return revoked(someone("Revoked")) if how == "revoked" else openpgp.generate("Expired", lifetime=-10)


def opened(message: bytes, key: Signing, find: Find) -> openpgp.Report:
    """Decrypt with one key."""
    return opener().decrypt(message, [(key.certificate.fingerprint, key.secret, None)], find)[1]


def altered(data: bytes, place: int, change: int) -> bytes:
    """Return `data` with one byte changed."""
    place %= len(data)
    return data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]


def signature_of(key: Signing, data: bytes) -> ValidSignature:
    """Return how a valid signature of `key` is reported, from a detached one."""
    (found,) = openpgp.verify(data, openpgp.sign(key, data, DETACHED), knowing(key)).valid
    assert found.certificate == key.certificate.fingerprint
    return found


# Keys


def test_a_new_key_is_of_curve25519_with_a_subkey_for_each_use() -> None:
    """Version 4, a certifying primary, one subkey to sign and one to decrypt, no expiry (A24, A28)."""
    key = openpgp.generate("Alice <alice@example.org>")
    found = packets.parse(key.certificate.binary())
    assert [str(each.tag) for each in found if each.fingerprint] == ["Tag.PublicKey", *["Tag.PublicSubkey"] * 2]
    assert [str(each.key_algorithm).rpartition(".")[2] for each in found if each.key_algorithm] == [
        "EdDSA", "EdDSA", "ECDH",
    ]  # fmt: skip
    assert key.certificate.user_ids == ("Alice <alice@example.org>",)
    assert (key.certificate.expires, key.certificate.revoked) == (None, False)
    assert key.certificate.fingerprint in key.certificate.handles
    assert len(key.certificate.handles) == 6


def test_the_public_half_holds_no_secret() -> None:
    """In neither form, and a secret key shows and gives nothing of itself (A24)."""
    key = someone("Alice")
    for form in (key.certificate.binary(), key.certificate.armored()):
        assert not packets.has_secret(packets.parse(form))
        with pytest.raises(NotOpenPGP):
            SecretKey(form)
    assert packets.has_secret(packets.parse(key.secret.binary()))
    assert repr(key.secret) == "<SecretKey>"
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(key.secret)


def test_a_secret_key_is_not_taken_for_a_certificate() -> None:
    """Binary, armored, and behind a certificate: refused with a sentence of its own (A24)."""
    key = pysequoia.Tsk.from_bytes(someone("Alice").secret.binary())
    for data in (bytes(key), str(key).encode(), someone("Bob").certificate.binary() + bytes(key)):
        with pytest.raises(NotOpenPGP, match="secret"):
            Certificate.read(data)


def test_a_compat_key_promises_only_what_gnupg_2_2_reads() -> None:
    """The same kind of key, but what is encrypted to it is of version 1; the default gets version 2 (A23)."""
    for profile, version in ((COMPAT, 1), (DEFAULT, 2)):
        key = openpgp.generate("Alice <alice@example.org>", profile, lifetime=3600)
        assert key.certificate.user_ids == ("Alice <alice@example.org>",)
        message = openpgp.encrypt(b"data", [key.certificate], key)
        (container,) = (each for each in packets.parse(message) if each.tag == Tag.SEIP)
        assert container.body[0] == version
        assert opened(message, key, knowing(key)).valid == (signature_of(key, b""),)


# Encrypting and signing


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_nothing_is_encrypted_to_an_expired_or_revoked_certificate(how: str) -> None:
    """What pysequoia does, ours refuses, alone and among others (A23, A31)."""
    key = unusable(how)
    assert pysequoia.encrypt(b"data", recipients=[key.certificate.witness()])
    for recipients in ([key.certificate], [someone("Alice").certificate, key.certificate]):
        with pytest.raises(KeyUnusable, match=how):
            openpgp.encrypt(b"data", recipients)


@pytest.mark.parametrize("suite", SUITES)
def test_only_a_living_encryption_key_is_encrypted_to(suite: str) -> None:
    """Of every kind of key: the living one is taken, the same one expired is not, whoever asks (A23)."""
    made = pysequoia.Tsk.generate("Somebody", **SUITES[suite])  # type: ignore[arg-type]
    living = Certificate(made.extract_certificate())
    assert openpgp.encrypt(b"data", [living])
    key = Signing(SecretKey(bytes(made)), living)
    assert opened(openpgp.encrypt(b"data", [living], key), key, knowing(living)).content == b"data"
    signing_only = [each for each in _blocks(living) if not _encrypts(each)]
    lame = Certificate(pysequoia.Cert.from_packets([packet for block in signing_only for packet in block]))
    with pytest.raises(KeyUnusable, match="no living subkey"):
        openpgp.encrypt(b"data", [lame])


def _blocks(cert: Certificate) -> list[list[Packet]]:
    """Return the packets of a certificate, in one list for the primary and one for each subkey."""
    blocks: list[list[Packet]] = []
    for packet in packets.parse(cert.binary()):
        if packet.fingerprint:
            blocks.append([])
        blocks[-1].append(packet)
    return blocks


def _encrypts(block: list[Packet]) -> bool:
    return any(each.key_flags is not None and each.key_flags.transport_encryption for each in block)


def test_a_message_needs_a_recipient() -> None:
    """An empty list is no way to send in clear."""
    with pytest.raises(KeyUnusable):
        openpgp.encrypt(b"data", [])


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_an_expired_or_revoked_key_does_not_sign(how: str) -> None:
    """The signer of pysequoia does; ours goes by the certificate as it is today, in every mode (A24)."""
    key = unusable(how)
    tsk = pysequoia.Tsk.from_bytes(key.secret.binary())
    assert pysequoia.sign(tsk.signer(), b"data")
    for mode in SIGNATURE_MODES:
        with pytest.raises(KeyUnusable, match=how):
            openpgp.sign(key, b"data", mode)
    with pytest.raises(KeyUnusable, match=how):
        openpgp.encrypt(b"data", [someone("Alice").certificate], key)


def test_a_signing_subkey_that_is_gone_does_not_sign() -> None:
    """The secret half alone decides nothing."""
    key = someone("Alice")
    trunk = [block for block in _blocks(key.certificate) if not any(e.tag == Tag.PublicSubkey for e in block)]
    bare = Certificate(pysequoia.Cert.from_packets([packet for block in trunk for packet in block]))
    with pytest.raises(KeyUnusable):
        openpgp.sign(Signing(key.secret, bare), b"data", DETACHED)


@pytest.mark.parametrize("how", ["expired", "revoked"])
@given(data=DATA)
def test_what_was_encrypted_to_a_key_opens_whatever_became_of_it(how: str, data: bytes) -> None:
    """Data at rest does not depend on an expiry; the control: pysequoia with the certificate's view fails (A30)."""
    key = unusable(how)
    message = pysequoia.encrypt(data, recipients=[key.certificate.witness()])
    assert opened(message, key, knowing()).content == data
    if how == "expired":
        with pytest.raises(RuntimeError):
            key.secret.under(key.certificate).decryptor()


# Verifying


@given(data=DATA, text=TEXT)
def test_what_was_signed_is_verified_and_returned(data: bytes, text: str) -> None:
    """In each mode, armored or not; for an inline message what was signed is what comes back (A28)."""
    key = someone("Alice")
    find = knowing(key, someone("Bob"))
    expected = (signature_of(key, b""),)
    for armored in (True, False):
        inline = openpgp.sign(key, data, INLINE, armored=armored)
        assert openpgp.verify(inline, None, find) == (data, expected, ())
        detached = openpgp.sign(key, data, DETACHED, armored=armored)
        assert openpgp.verify(data, detached, find) == (data, expected, ())
    clear = openpgp.sign(key, text.encode(), CLEAR)
    assert text.encode() in clear or text.startswith(("-", "From "))
    assert openpgp.verify(clear, None, find) == (text.encode(), expected, ())


@given(data=DATA, place=st.integers(0, 10**6), change=st.integers(1, 255))
def test_a_changed_message_or_signature_never_verifies_as_something_else(data: bytes, place: int, change: int) -> None:
    """Any byte of either changed: an error of ours, or the very same content by the same signer (A31)."""
    key = someone("Alice")
    find = knowing(key)
    inline, detached = openpgp.sign(key, data, INLINE, armored=False), openpgp.sign(key, data, DETACHED, armored=False)
    attempts: list[Callable[[], openpgp.Report]] = [
        lambda: openpgp.verify(altered(inline, place, change), None, find),
        lambda: openpgp.verify(data, altered(detached, place, change), find),
    ]
    for attempt in attempts:
        try:
            report = attempt()
        except (BadSignature, NotOpenPGP):
            continue
        assert (report.content, report.valid[0].certificate) == (data, key.certificate.fingerprint)
    with pytest.raises(BadSignature):
        openpgp.verify(altered(data + b"x", place, change), detached, find)


def _two_signatures(data: bytes, first: Signing, second: Signing, *, change: bool) -> bytes:
    """Return an inline message that both signed; with `change`, the second signature is over something else."""
    one = packets.parse(openpgp.sign(first, data, INLINE))
    other = packets.parse(openpgp.sign(second, data + b"!" if change else data, INLINE))
    outer = bytes(one[0])
    nested = outer[:-1] + b"\0"  # more signatures follow
    return nested + bytes(other[0]) + bytes(one[1]) + bytes(other[2]) + bytes(one[2])


@given(data=DATA)
def test_one_valid_signature_hides_no_invalid_one(data: bytes) -> None:
    """The pair passes pysequoia; ours refuses it in each form, and passes two that are valid (A31)."""
    alice, bob = someone("Alice"), someone("Bob")
    find = knowing(alice, bob)
    both = {signature_of(alice, b""), signature_of(bob, b"")}
    right, wrong = (_two_signatures(data, alice, bob, change=change) for change in (False, True))

    def witnesses(_: list[str]) -> list[pysequoia.Cert]:
        return [each.certificate.witness() for each in (alice, bob)]

    assert len(pysequoia.verify(wrong, store=witnesses).valid_sigs) == 1
    assert set(openpgp.verify(right, None, find).valid) == both
    with pytest.raises(BadSignature, match="1 of 2"):
        openpgp.verify(wrong, None, find)

    mine, theirs, false = (
        openpgp.sign(key, signed, DETACHED, armored=False)
        for key, signed in ((alice, data), (bob, data), (bob, data + b"!"))
    )
    assert set(openpgp.verify(data, mine + theirs, find).valid) == both
    for pair in (mine + false, false + mine):
        with pytest.raises(BadSignature, match="1 of 2"):
            openpgp.verify(data, pair, find)


@given(data=DATA)
def test_signers_without_a_certificate_are_named(data: bytes) -> None:
    """Missing ones are listed beside a valid one, and alone they verify nothing (A31)."""
    alice, bob = someone("Alice"), someone("Bob")
    hers, his = signature_of(alice, b""), signature_of(bob, b"")
    message = _two_signatures(data, alice, bob, change=False)
    assert openpgp.verify(message, None, knowing(alice)) == (data, (hers,), (his.signing_key,))
    detached = b"".join(openpgp.sign(each, data, DETACHED, armored=False) for each in (alice, bob))
    assert openpgp.verify(data, detached, knowing(bob)) == (data, (his,), (hers.signing_key,))
    for signed, signature in ((message, None), (data, detached)):
        with pytest.raises(BadSignature, match=his.signing_key):
            openpgp.verify(signed, signature, knowing())


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_a_signature_made_by_an_expired_or_revoked_key_is_invalid(how: str) -> None:
    """Whoever made it with other software (A31)."""
    key = unusable(how)
    signer = pysequoia.Tsk.from_bytes(key.secret.binary()).signer()
    for mode in (pysequoia.SignatureMode.INLINE, pysequoia.SignatureMode.CLEAR):
        with pytest.raises(BadSignature):
            openpgp.verify(pysequoia.sign(signer, b"data", mode=mode), None, knowing(key))
    detached = pysequoia.sign(signer, b"data", mode=pysequoia.SignatureMode.DETACHED)
    with pytest.raises(BadSignature):
        openpgp.verify(b"data", detached, knowing(key))
    message = pysequoia.encrypt(b"data", recipients=[someone("Alice").certificate.witness()], signer=signer)
    with pytest.raises(BadSignature):
        opened(message, someone("Alice"), knowing(key))


def test_text_around_a_clear_signed_message_is_not_returned() -> None:
    """Only what was signed comes back, whatever was put before and after it (A31)."""
    key = someone("Alice")
    clear = openpgp.sign(key, b"signed", CLEAR)
    assert openpgp.verify(b"before\n" + clear + b"after\n", None, knowing(key)).content == b"signed"


def test_an_unsigned_message_does_not_verify() -> None:
    """Plain data packets, an encrypted message, a certificate, text: each refused (A31)."""
    key = someone("Alice")
    literal = packets.parse(openpgp.sign(key, b"data", INLINE))[1]
    with pytest.raises(BadSignature, match="not signed"):
        openpgp.verify(bytes(literal), None, knowing(key))
    for data in (openpgp.encrypt(b"data", [key.certificate], key), key.certificate.binary(), b"text", b""):
        with pytest.raises(NotOpenPGP):
            openpgp.verify(data, None, knowing(key))


def test_what_is_no_detached_signature_is_refused() -> None:
    """Certificates, whole messages, too many signatures at once (P3)."""
    key = someone("Alice")
    signature = openpgp.sign(key, b"data", DETACHED, armored=False)
    most = signature * openpgp.MAX_SIGNATURES
    assert openpgp.verify(b"data", most, knowing(key)).valid == (signature_of(key, b""),)
    for bad in (key.certificate.binary(), openpgp.sign(key, b"data", INLINE), most + signature, b"", b"junk"):
        with pytest.raises(NotOpenPGP):
            openpgp.verify(b"data", bad, knowing(key))


def test_a_mode_that_is_none_and_text_that_is_none_are_refused() -> None:
    """Before anything is signed."""
    key = someone("Alice")
    with pytest.raises(InvalidArguments, match="detached"):
        openpgp.sign(key, b"data", "DETACHED")
    with pytest.raises(InvalidArguments, match="text"):
        openpgp.sign(key, b"\xff", CLEAR)


# Decrypting


@given(data=DATA)
def test_three_recipients_each_decrypt_and_a_fourth_cannot(data: bytes) -> None:
    """Signed by a fifth, whom each of them sees; the fourth learns nothing more than that it cannot (A30, A31)."""
    three = [someone(name) for name in ("Alice", "Bob", "Carol")]
    sender, fourth = someone("Dave"), someone("Eve")
    for armored in (True, False):
        message = openpgp.encrypt(data, [each.certificate for each in three], sender, armored=armored)
        for each in three:
            assert opened(message, each, knowing(sender)) == (data, (signature_of(sender, b""),), ())
        with pytest.raises(CannotDecrypt) as refusal:
            opened(message, fourth, knowing(sender))
        assert str(refusal.value) == CannotDecrypt.__doc__


@given(data=DATA)
def test_signatures_inside_are_reported_truthfully(data: bytes) -> None:
    """Valid, missing or none at all; pysequoia without certificates calls the signed message unsigned (A31)."""
    alice, bob = someone("Alice"), someone("Bob")
    signed = openpgp.encrypt(data, [alice.certificate], bob)
    assert not pysequoia.decrypt(signed, decryptor=next(alice.secret.decryptors())).valid_sigs
    his = signature_of(bob, b"")
    assert opened(signed, alice, knowing(alice, bob)) == (data, (his,), ())
    assert opened(signed, alice, knowing(alice)) == (data, (), (his.signing_key,))
    unsigned = openpgp.encrypt(data, [alice.certificate])
    assert opened(unsigned, alice, knowing(alice, bob)) == (data, (), ())


@given(data=DATA, place=st.integers(0, 10**6), change=st.integers(1, 255), end=st.integers(1, 10**6))
def test_a_damaged_message_yields_nothing_else(data: bytes, place: int, change: int, end: int) -> None:
    """A byte changed, or the end cut off: one opaque error, or the very same plaintext; in both versions (A46)."""
    for profile in PROFILES:
        alice = _alice(profile)
        message = openpgp.encrypt(data, [alice.certificate], someone("Bob"), armored=False)
        for damaged in (altered(message, place, change), message[: -(1 + end % len(message))]):
            try:
                report = opened(damaged, alice, knowing(someone("Bob")))
            except (CannotDecrypt, NotOpenPGP):
                continue
            assert (report.content, report.valid) == (data, (signature_of(someone("Bob"), b""),))


@functools.cache
def _alice(profile: str) -> Signing:
    return openpgp.generate("Alice", profile)


@given(data=DATA)
def test_what_is_not_encrypted_is_not_decrypted(data: bytes) -> None:
    """What pysequoia hands out as if it had been, without key and integrity; ours refuses (A30)."""
    alice, bob = someone("Alice"), someone("Bob")
    signed = openpgp.sign(bob, data, INLINE)
    literal = bytes(packets.parse(signed)[1])
    for message in (signed, literal):
        assert pysequoia.decrypt(message, decryptor=next(alice.secret.decryptors())).bytes == data
        with pytest.raises(NotOpenPGP, match="not encrypted"):
            opened(message, alice, knowing(bob))


# Errors


@given(junk=st.binary(max_size=200), armor=st.sampled_from(["", "MESSAGE", "SIGNATURE", "PUBLIC KEY BLOCK"]))
def test_junk_gets_an_error_of_ours_that_says_nothing_of_the_inside(junk: bytes, armor: str) -> None:
    """Whatever the bytes: a declared error, without a backtrace, a path or pysequoia's own words (I6, P2)."""
    alice = someone("Alice")
    data = f"-----BEGIN PGP {armor}-----\n\n".encode() + junk if armor else junk
    attempts: Iterable[Callable[[], object]] = (
        lambda: Certificate.read(data),
        lambda: SecretKey(data),
        lambda: openpgp.verify(data, None, knowing(alice)),
        lambda: openpgp.verify(b"data", data, knowing(alice)),
        lambda: opened(data, alice, knowing(alice)),
    )
    for attempt in attempts:
        with pytest.raises(DeclaredError) as refusal:
            attempt()
        assert type(refusal.value).__name__ in {"NotOpenPGP", "BadSignature", "CannotDecrypt", "KeyUnusable"}
        assert refusal.value.__cause__ is None
        assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
        assert "backtrace" not in str(refusal.value)


def test_a_panic_becomes_an_error_and_an_interrupt_stays_one() -> None:
    """What Rust throws is no `Exception`, and must not end the enclave; Ctrl-C must (P2)."""
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    with pytest.raises(NotOpenPGP), strict(NotOpenPGP):
        raise panic
    for passing in (KeyboardInterrupt, MemoryError, CannotDecrypt):
        with pytest.raises(passing), strict(NotOpenPGP):
            raise passing


def test_these_modules_are_all_that_touch_pysequoia() -> None:
    """Nobody goes around the strict ones; the scribe is a process of its own (A2)."""
    folder = Path(certificate.__file__).parent
    importing = {
        path.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if "pysequoia" in {*(a.name.partition(".")[0] for a in getattr(node, "names", [])), _source(node)}
    }
    assert importing == {
        "carrier.py", "certificate.py", "compat.py", "key_editing.py", "key_fit.py", "key_import.py", "nested.py",
        "openpgp.py", "packets.py", "protection.py", "scribe.py", "self_description.py", "self_signature.py",
        "session_key.py", "trial.py",
    }  # fmt: skip


def _source(node: ast.AST) -> str:
    return (node.module or "").partition(".")[0] if isinstance(node, ast.ImportFrom) else ""
