"""What gpg 2.2 and the vault make of each other's keys, messages and signatures, with a real gpg on the other side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pysequoia
import pytest

from tests.enclave.gnupg import YEARS_AGO, GnuPG, good_signers
from trollbridge.enclave import openpgp, packets
from trollbridge.enclave.certificate import Certificate, SecretKey
from trollbridge.enclave.openpgp import Find, Opener, Signing
from trollbridge.messages.errors import BadSignature, CannotDecrypt, KeyUnusable
from trollbridge.messages.vault import CLEAR, COMPAT, DEFAULT, DETACHED, INLINE

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Grüße\nfrom here\n- dashed\n".encode()


@pytest.fixture(scope="module")
def alice(gnupg: GnuPG) -> Signing:
    """Make a key of ours whose certificate gpg has."""
    made = openpgp.generate("Alice <alice@example.org>")
    gnupg.out("--import", data=made.certificate.binary())
    return made


@pytest.fixture(scope="module", params=["curve25519", "rsa"])
def correspondent(request: pytest.FixtureRequest, gnupg: GnuPG) -> Certificate:
    """Return the certificate of a key that gpg made and holds."""
    if request.param == "rsa":
        fingerprint = gnupg.new_key("Rita <rita@example.org>", "rsa2048", "cert,sign")
        gnupg.out("--quick-add-key", fingerprint, "rsa2048", "encr", "0")
    else:
        fingerprint = gnupg.new_key("Gerd <gerd@example.org>")
    (found,) = Certificate.read(gnupg.certificate(fingerprint))
    assert found.fingerprint == fingerprint
    return found


def knowing(*known: Certificate) -> Find:
    """Return the lookup of somebody who has these certificates."""
    return lambda handle: [each for each in known if handle in each.handles]


def opened(message: bytes, key: Signing, find: Find) -> openpgp.Report:
    """Decrypt with one key."""
    return Opener().decrypt(message, [("", key.secret, None)], find)[1]


def test_gpg_verifies_what_we_sign(gnupg: GnuPG, alice: Signing, tmp_path: Path) -> None:
    """Detached, inline and clear, armored and not; and not what was changed (A23, A28, A31)."""
    document = tmp_path / "document"
    for armored in (True, False):
        signature = tmp_path / "signature"
        signature.write_bytes(openpgp.sign(alice, TEXT, DETACHED, armored=armored))
        document.write_bytes(TEXT)
        done = gnupg.run("--verify", str(signature), str(document))
        assert good_signers(done) == [alice.certificate.fingerprint]
        document.write_bytes(TEXT + b"!")
        assert gnupg.run("--verify", str(signature), str(document)).returncode != 0

        inline = gnupg.run("--decrypt", data=openpgp.sign(alice, TEXT, INLINE, armored=armored))
        assert (inline.stdout, good_signers(inline)) == (TEXT, [alice.certificate.fingerprint])
    clear = openpgp.sign(alice, TEXT, CLEAR)
    assert good_signers(gnupg.run("--verify", data=clear)) == [alice.certificate.fingerprint]
    assert gnupg.run("--verify", data=clear.replace(b"here", b"there")).returncode != 0


def test_we_verify_what_gpg_signs(gnupg: GnuPG, correspondent: Certificate) -> None:
    """Detached, inline (compressed, as gpg does it) and clear; and not what was changed (A23, A31)."""
    user = ("-u", correspondent.fingerprint)
    find = knowing(correspondent)
    for armor in ((), ("--armor",)):
        detached = gnupg.out(*user, *armor, "--detach-sign", data=TEXT)
        report = openpgp.verify(TEXT, detached, find)
        assert [each.certificate for each in report.valid] == [correspondent.fingerprint]
        with pytest.raises(BadSignature):
            openpgp.verify(TEXT + b"!", detached, find)
        inline = gnupg.out(*user, *armor, "--sign", data=TEXT)
        assert openpgp.verify(inline, None, find).content == TEXT
    clear = gnupg.out(*user, "--clear-sign", data=TEXT)
    assert openpgp.verify(clear, None, find).content.rstrip(b"\n") == TEXT.rstrip(b"\n")
    with pytest.raises(BadSignature):
        openpgp.verify(clear.replace(b"here", b"there"), None, find)


def test_gpg_decrypts_what_we_encrypt_to_it(gnupg: GnuPG, alice: Signing, correspondent: Certificate) -> None:
    """Alone, and as a third recipient beside two of ours; the signature inside is good (A23, A31)."""
    bob = openpgp.generate("Bob <bob@example.org>")
    message = b""
    for others in ([], [alice.certificate, bob.certificate]):
        for armored in (True, False):
            message = openpgp.encrypt(TEXT, [*others, correspondent], alice, armored=armored)
            done = gnupg.run("--decrypt", data=message)
            assert (done.stdout, good_signers(done)) == (TEXT, [alice.certificate.fingerprint])
    for key in (alice, bob):
        assert opened(message, key, knowing(alice.certificate)).content == TEXT


def test_we_decrypt_what_gpg_encrypts(gnupg: GnuPG, alice: Signing, correspondent: Certificate) -> None:
    """Compressed as gpg does it, and signed without that; what is both: `test_nested` (A23)."""
    to = ("-r", alice.certificate.fingerprint, "-u", correspondent.fingerprint)
    find = knowing(correspondent)
    assert opened(gnupg.out(*to, "--encrypt", data=TEXT), alice, find) == (TEXT, (), ())
    signed = gnupg.out(*to, "-z", "0", "--sign", "--encrypt", data=TEXT)
    report = opened(signed, alice, find)
    assert (report.content, [each.certificate for each in report.valid]) == (TEXT, [correspondent.fingerprint])
    assert opened(signed, alice, knowing()).valid == ()


def test_a_message_without_integrity_protection_is_not_opened(gnupg: GnuPG, alice: Signing) -> None:
    """The packet of 1998, which anybody can change unseen (A30, A46)."""
    weak = ("--rfc2440", "--disable-mdc", "--cipher-algo", "3DES", "-z", "0")
    message = gnupg.out(*weak, "-r", alice.certificate.fingerprint, "--encrypt", data=TEXT)
    assert [str(each.tag) for each in packets.parse(message)] == ["Tag.PKESK", "Tag.SED"]
    with pytest.raises(CannotDecrypt):
        opened(message, alice, knowing())


def test_a_message_under_a_password_is_not_opened(gnupg: GnuPG, alice: Signing) -> None:
    """Nobody is asked for it."""
    with pytest.raises(CannotDecrypt):
        opened(gnupg.out("--passphrase", "p", "--symmetric", data=TEXT), alice, knowing())


def test_one_bad_signature_inside_an_encrypted_message_withholds_it(gnupg: GnuPG, alice: Signing) -> None:
    """Two signers, one of whom signed something else, put together by hand; pysequoia passes it (A31)."""
    first, second = (Certificate.read(gnupg.certificate(gnupg.new_key(f"Signer {n}")))[0] for n in (1, 2))

    def witnesses(_: list[str]) -> list[pysequoia.Cert]:
        return [first.witness(), second.witness()]

    def signed(by: Certificate, data: bytes) -> list[bytes]:
        made = gnupg.out("-u", by.fingerprint, "-z", "0", "--sign", data=data)
        return [bytes(each) for each in packets.parse(made)]

    inner = signed(first, TEXT)
    for content, valid in ((TEXT, True), (b"something else", False)):
        outer = signed(second, content)
        pair = outer[0][:-1] + b"\0" + inner[0] + inner[1] + inner[2] + outer[2]
        encrypt = ("-z", "0", "--no-literal", "-r", alice.certificate.fingerprint, "--encrypt")
        message = gnupg.out(*encrypt, data=pair)
        decryptor = next(alice.secret.decryptors())
        passed = pysequoia.decrypt(message, decryptor=decryptor, store=witnesses)
        assert len(passed.valid_sigs) == 1 + valid
        if valid:
            assert len(opened(message, alice, knowing(first, second)).valid) == 2
            continue
        with pytest.raises(BadSignature, match="1 of 2"):
            opened(message, alice, knowing(first, second))


def test_a_certificate_whose_encryption_subkey_expired_is_not_encrypted_to(gnupg: GnuPG) -> None:
    """The certificate lives, so pysequoia falls back on the expired subkey; ours wants a living one (A23)."""
    fingerprint = gnupg.new_key("Olga <olga@example.org>", "ed25519", "cert", *YEARS_AGO)
    gnupg.out(*YEARS_AGO, "--quick-add-key", fingerprint, "cv25519", "encr", "1y")
    (olga,) = Certificate.read(gnupg.certificate(fingerprint))
    assert (olga.expires, olga.revoked) == (None, False)
    assert pysequoia.encrypt(TEXT, recipients=[olga.witness()])
    with pytest.raises(KeyUnusable, match="no living subkey"):
        openpgp.encrypt(TEXT, [olga])
    gnupg.out("--quick-add-key", fingerprint, "cv25519", "encr", "0")
    (olga,) = Certificate.read(gnupg.certificate(fingerprint))
    assert gnupg.out("--decrypt", data=openpgp.encrypt(TEXT, [olga])) == TEXT


def test_what_was_encrypted_before_a_rotation_still_opens(gnupg: GnuPG) -> None:
    """Each subkey is tried; pysequoia takes the newest only (A30)."""
    fingerprint = gnupg.new_key("Rolf <rolf@example.org>", "ed25519", "cert")
    (rolf,) = Certificate.read(gnupg.certificate(fingerprint))
    messages: list[bytes] = []
    for _ in range(2):
        before = rolf.handles
        gnupg.out("--quick-add-key", fingerprint, "cv25519", "encr", "0")
        (rolf,) = Certificate.read(gnupg.certificate(fingerprint))
        (subkey,) = (handle for handle in rolf.handles - before if len(handle) == 16)
        messages.append(gnupg.out("-z", "0", "-r", f"{subkey}!", "--encrypt", data=TEXT))
    secret = SecretKey(gnupg.out("--export-secret-keys", fingerprint))
    for message in messages:
        assert opened(message, Signing(secret, rolf), knowing()).content == TEXT
    only = pysequoia.Tsk.from_bytes(secret.binary()).decryptor()
    refused = 0
    for message in messages:
        try:
            pysequoia.decrypt(message, decryptor=only)
        except RuntimeError:
            refused += 1
    assert refused == 1


@pytest.mark.parametrize(("profile", "reads"), [(COMPAT, True), (DEFAULT, False)])
def test_gpg_as_the_holder_of_a_key_of_ours(gnupg: GnuPG, profile: str, *, reads: bool) -> None:
    """With a compat key gpg 2.2 decrypts what is sent to it; with the default it cannot (A23)."""
    key = openpgp.generate(f"Kurt {profile}", profile)
    gnupg.out("--import", data=key.secret.binary())
    message = openpgp.encrypt(TEXT, [key.certificate], key)
    done = gnupg.run("--decrypt", data=message)
    assert (done.returncode == 0, done.stdout == TEXT) == (reads, reads)
    listing = gnupg.out("--with-colons", "-k", key.certificate.fingerprint).decode()
    assert f"Kurt {profile}" in listing  # gpg accepts the self-signatures, those that were made anew too
    signature = gnupg.out("-u", key.certificate.fingerprint, "--detach-sign", data=TEXT)
    assert len(openpgp.verify(TEXT, signature, knowing(key.certificate)).valid) == 1
