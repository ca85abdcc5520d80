"""Secret keys on their way in and out: gpg's and sq's, under passwords, and what is not taken."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import termios
from typing import TYPE_CHECKING, Final

import pysequoia
import pytest

from tests.enclave import keys
from tests.enclave.gnupg import YEARS_AGO, good_signers
from trollbridge.enclave import openpgp, packets, protection
from trollbridge.enclave.gate import Content
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Put
from trollbridge.messages import s2k
from trollbridge.messages.errors import (
    CannotDecrypt,
    KeyExists,
    KeyLocked,
    KeyUnusable,
    NotAllowed,
    NotOpenPGP,
    StorageFailed,
    VaultCorrupt,
    WrongPassword,
)
from trollbridge.messages.s2k import new_protection
from trollbridge.messages.vault import COMPAT, DEFAULT, DETACHED, PROFILES, S2K, Protection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.enclave.gnupg import GnuPG
    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.storage import Records

ALICE: Final = "Alice <alice@example.org>"
TEXT: Final = b"text"
PASSWORD: Final = "Geheimnis für die Reise"


@pytest.fixture
def store(records: Records) -> Keystore:
    """Return an empty keystore."""
    return keys.opened(records)[0]


def works(store: Keystore, name: str) -> None:
    """Assert that a key signs and decrypts."""
    found = store.decrypt(store.encrypt([name], TEXT, name, armored=True))
    assert (found.plaintext, [each.trust for each in found.signers]) == (TEXT, ["own"])


def sq(*arguments: str, data: bytes, password: str, prompts: int) -> bytes:
    """Run sq with a terminal of its own, on which it asks for a password so many times; return what it writes."""
    near, far = pty.openpty()
    os.write(near, f"{password}\n".encode() * prompts)
    done = subprocess.run(
        ["sq", *arguments],  # noqa: S607  # from PATH
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(far, termios.TIOCSCTTY, 0),
        pass_fds=(far,),
    )
    os.close(near)
    os.close(far)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.mark.parametrize("profile", PROFILES)
def test_what_goes_out_is_protected_and_comes_back(store: Keystore, records: Records, profile: str) -> None:
    """With today's user ids and expiry, under the password that the user interface stretched (A24)."""
    store.generate(ALICE, profile)
    info = store.add_user_id(ALICE, "Alice at work")
    message = store.encrypt([ALICE], TEXT, ALICE, armored=True)
    exported = store.export_secret(ALICE, keys.protection(PASSWORD))
    assert exported.startswith(b"-----BEGIN PGP PRIVATE KEY BLOCK-----")
    binary = b"".join(map(bytes, packets.parse(exported)))
    secret = store._secrets.get(info.fingerprint)  # pyright: ignore[reportPrivateUsage]
    for packet in packets.parse(secret.binary()):
        if packet.tag in packets.SECRET:
            assert bytes(protection.revealed(packet, secret.keys()))[-16:] not in binary
    assert records.key_password(info.fingerprint).encode() not in binary
    store.delete_key(ALICE)
    (lock,) = store.secret_locks(exported)
    with pytest.raises(WrongPassword):
        store.import_secret(exported, keys.stretched("another", [lock]))
    assert store.list_keys() == ()
    assert store.import_secret(exported, keys.stretched(PASSWORD, [lock])) == (info,)
    assert store.decrypt(message).plaintext == TEXT
    works(store, ALICE)


def test_gpg_takes_what_goes_out(store: Keystore, gnupg: GnuPG) -> None:
    """A23: under the real cost of a password, and signs and decrypts with it."""
    info = store.generate("Goes to gpg", COMPAT)
    exported = store.export_secret(info.fingerprint, new_protection(PASSWORD))
    with_password = ("--passphrase", PASSWORD)
    gnupg.out("--import", data=exported)
    sign = ("-u", info.fingerprint, "--detach-sign")
    assert gnupg.run("--passphrase", "wrong", *sign, data=TEXT).returncode != 0
    signature = gnupg.out(*with_password, *sign, data=TEXT)
    assert store.verify(TEXT, signature).signers[0].fingerprint == info.fingerprint
    message = store.encrypt([info.fingerprint], TEXT, info.fingerprint, armored=True)
    done = gnupg.run(*with_password, "--decrypt", data=message)
    assert (done.stdout, good_signers(done)) == (TEXT, [info.fingerprint])


def test_sq_takes_what_goes_out(store: Keystore, tmp_path: Path) -> None:
    """A23: it asks for the password on its terminal, and signs."""
    info = store.generate("Goes to sq", DEFAULT)
    key = tmp_path / "key"
    key.write_bytes(store.export_secret(info.fingerprint, new_protection(PASSWORD)))
    arguments = ("sign", "--detached", "--signer-key", str(key))
    signature = sq(*arguments, data=TEXT, password=PASSWORD, prompts=1)
    assert store.verify(TEXT, signature).signers[0].fingerprint == info.fingerprint


@pytest.mark.parametrize(
    ("algorithm", "protected"),
    [("future-default", True), ("future-default", False), ("rsa2048", True), ("nistp256", False)],
)
def test_what_gpg_gives_out_is_taken(store: Keystore, gnupg: GnuPG, algorithm: str, *, protected: bool) -> None:
    """A23: with a password and without, over Curve25519, RSA and NIST's curves; wrong passwords keep it out."""
    user_id = f"From gpg, {algorithm}, {protected}"
    password = PASSWORD if protected else ""
    usage = "default" if algorithm == "future-default" else "cert,sign"
    gnupg.out("--passphrase", password, "--quick-gen-key", user_id, algorithm, usage, "0")
    fingerprint = gnupg.fingerprint(user_id)
    if algorithm != "future-default":
        gnupg.out("--passphrase", password, "--quick-add-key", fingerprint, algorithm, "encr", "0")
    exported = gnupg.out("--passphrase", password, "--armor", "--export-secret-keys", fingerprint)
    locks = store.secret_locks(exported)
    assert len(locks) == 2 * protected, "a salt of its own for each secret"
    right = keys.stretched(password, locks)
    for wrong in ((*right, b""), right[::-1], right[:1], tuple(bytes(len(each)) for each in right)):
        if wrong != right:
            with pytest.raises(WrongPassword):
                store.import_secret(exported, wrong)
    (info,) = store.import_secret(exported, right)
    assert (info.fingerprint, info.secret, info.trust, info.own_password) == (fingerprint, True, "own", False)
    works(store, user_id)
    for_us = gnupg.out("-r", fingerprint, "--encrypt", data=TEXT)
    assert store.decrypt(for_us).plaintext == TEXT
    assert store.revoke_key(user_id).revoked


@pytest.mark.parametrize("protected", [False, True])
def test_what_sq_gives_out_is_taken(store: Keystore, tmp_path: Path, *, protected: bool) -> None:
    """A23: with a password and without."""
    key = tmp_path / "key"
    arguments = ["key", "generate", "--userid", ALICE, "--export", str(key), *["--with-password"] * protected]
    sq(*arguments, data=b"", password=PASSWORD, prompts=2 * protected)
    exported = key.read_bytes()
    locks = store.secret_locks(exported)
    assert bool(locks) == protected
    (info,) = store.import_secret(exported, keys.stretched(PASSWORD, locks))
    works(store, info.fingerprint)


def test_a_key_whose_primary_secret_is_elsewhere_works_as_far_as_it_goes(store: Keystore, gnupg: GnuPG) -> None:
    """As people keep it who have the primary key on another machine: it cannot be changed here (A23)."""
    fingerprint = gnupg.new_key("Offline", "ed25519", "cert")
    for algorithm, usage in (("ed25519", "sign"), ("cv25519", "encr")):
        gnupg.out("--quick-add-key", fingerprint, algorithm, usage, "0")
    (info,) = store.import_secret(gnupg.out("--export-secret-subkeys", fingerprint), ())
    assert (info.secret, len(info.subkeys)) == (True, 2)
    works(store, fingerprint)
    with pytest.raises(KeyUnusable):
        store.add_user_id(fingerprint, ALICE)
    with pytest.raises(KeyUnusable):
        store.set_expiry(fingerprint, None)
    with pytest.raises(KeyUnusable):
        store.revoke_key(fingerprint)


def test_an_expired_key_of_gpg_opens_what_it_has(store: Keystore, gnupg: GnuPG) -> None:
    """Its own signatures say that it ended years ago; data at rest does not depend on that (A30)."""
    fingerprint = gnupg.new_key("Long gone", "rsa2048", "cert,sign", *YEARS_AGO)
    gnupg.out(*YEARS_AGO, "--quick-add-key", fingerprint, "rsa2048", "encr", "1y")
    gnupg.out("--faked-system-time", "20220102T000000!", "--quick-set-expire", fingerprint, "1m")
    old = gnupg.out("--faked-system-time", "20220103T000000!", "-r", fingerprint, "--encrypt", data=TEXT)
    (info,) = store.import_secret(gnupg.out("--export-secret-keys", fingerprint), ())
    assert info.expires is not None
    assert store.decrypt(old).plaintext == TEXT


def test_several_keys_come_all_or_not_at_all(store: Keystore) -> None:
    """One of them has another password, is here already, or cannot be written."""
    others = [openpgp.generate(f"Number {number}") for number in range(2)]
    both = b"".join(each.secret.protected(keys.protection(PASSWORD), {}) for each in others)
    locks = store.secret_locks(both)
    first, _ = keys.stretched(PASSWORD, locks)
    with pytest.raises(WrongPassword):
        store.import_secret(both, (first, first))
    assert store.list_keys() == ()
    assert len(store.import_secret(both, keys.stretched(PASSWORD, locks))) == 2
    store.delete_key("Number 1")
    with pytest.raises(KeyExists):
        store.import_secret(both, keys.stretched(PASSWORD, locks))
    assert len(store.list_keys()) == 1


def test_a_known_certificate_becomes_an_own_key(store: Keystore) -> None:
    """What was known of it stays: a revocation is not undone by importing the key without it (A24)."""
    key = openpgp.generate(ALICE)
    cert = key.certificate.witness()
    revoked = bytes(cert) + bytes(cert.revoke(key.secret.as_made().certifier()))
    store.import_public(revoked)
    (info,) = store.import_secret(key.secret.binary(), ())
    assert (info.secret, info.revoked) == (True, True)


def test_a_secret_that_does_not_fit_its_public_half_is_refused(store: Keystore) -> None:
    """Used once, such a pair could give the secret away."""
    mine, theirs = openpgp.generate(ALICE), openpgp.generate(ALICE)
    parts: list[bytes] = []
    for one, other in zip(packets.parse(mine.secret.binary()), packets.parse(theirs.secret.binary()), strict=True):
        if one.tag not in packets.SECRET:
            parts.append(bytes(one))
            continue
        size = packets.public_size(one)
        parts.append(packets.framed(packets.number_of(one.tag), one.body[:size] + other.body[size:]))
    with pytest.raises(KeyUnusable):
        store.import_secret(b"".join(parts), ())
    assert store.list_keys() == ()


def test_what_is_no_secret_key_is_not_taken_for_one(store: Keystore, gnupg: GnuPG) -> None:
    """Certificates, messages, junk, cut-off keys and what would not end (P2, P3)."""
    key = openpgp.generate(ALICE)
    secret = key.secret.binary()
    message = gnupg.out("--passphrase", "p", "--symmetric", data=TEXT)
    for junk in (b"", b"junk", key.certificate.binary(), key.certificate.armored(), message, secret[:40], secret[5:]):
        with pytest.raises(NotOpenPGP):
            store.secret_locks(junk)
        with pytest.raises(NotOpenPGP):
            store.import_secret(junk, ())
    with pytest.raises(NotOpenPGP, match="without its secret half"):
        store.import_secret(secret + openpgp.generate("Bob").certificate.binary(), ())


def test_a_key_with_a_password_of_its_own_waits_for_it(store: Keystore, records: Records) -> None:
    """On every path; until the vault is locked, and again in the next one that opens it (A24, A25)."""
    info = store.generate(ALICE)
    message = store.encrypt([ALICE], TEXT, None, armored=True)
    assert store.key_locks(ALICE) == ()
    store.unlock_key(ALICE, ())
    assert store.set_key_password(ALICE, keys.protection("own")).own_password
    works(store, ALICE)

    again = keys.opened(records)[0]
    assert again.show_key(ALICE) == store.show_key(ALICE)
    for attempt in (
        lambda: again.sign(ALICE, TEXT, DETACHED, armored=True),
        lambda: again.encrypt([ALICE], TEXT, ALICE, armored=True),
        lambda: again.decrypt(message),
        lambda: again.export_secret(ALICE, keys.protection("x")),
        lambda: again.add_user_id(ALICE, "More"),
        lambda: again.set_expiry(ALICE, None),
        lambda: again.set_key_password(ALICE, None),
        lambda: again.signing_parts(ALICE, "sign", Content.of(TEXT)),
        lambda: again.decrypting_parts([info.subkeys[1].fingerprint[-16:]], Content.of(TEXT), message),
    ):
        with pytest.raises(KeyLocked):
            attempt()
    locks = again.key_locks(ALICE)
    for wrong in ((), keys.stretched("wrong", locks), (*keys.stretched("own", locks), b"")):
        with pytest.raises(WrongPassword):
            again.unlock_key(ALICE, wrong)
    with pytest.raises(KeyLocked):
        again.decrypt(message)
    again.unlock_key(ALICE, keys.stretched("own", locks))
    assert again.decrypt(message).plaintext == TEXT
    assert not again.set_key_password(ALICE, None).own_password
    works(keys.opened(records)[0], ALICE)
    third = keys.opened(records)[0]
    assert third.revoke_key(ALICE).revoked, "what revokes it was made with it"


def test_the_vaults_password_alone_does_not_open_such_a_record(store: Keystore, records: Records) -> None:
    """And without one of its own, a record opens under the vault's, which no other vault has (A24, A29)."""
    info = store.generate(ALICE)
    password = records.key_password(info.fingerprint)

    def opening() -> list[str | None]:
        (body,) = (body for _, body in records.items(Kind.SECRET_KEY))
        found: list[str | None] = []
        for attempt in (password, "own", None, ""):
            with contextlib.suppress(RuntimeError):
                pysequoia.Tsk.from_bytes(body[1:]).signer(attempt)
                found.append(attempt)
        return found

    assert opening() == [password]
    store.set_key_password(ALICE, new_protection("own"))
    assert opening() == ["own"]
    store.set_key_password(ALICE, None)
    assert opening() == [password]


def test_an_older_vault_is_protected_when_it_is_opened(
    store: Keystore, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schema 1 kept the keys as they are; on a disk that cannot be written they still work (A24)."""
    del store
    old = openpgp.generate(ALICE)
    fingerprint = old.certificate.fingerprint
    records.write(
        Put(Kind.SECRET_KEY, fingerprint, old.secret.binary()),
        Put(Kind.CERTIFICATE, fingerprint, old.certificate.binary()),
    )

    def refuse(*_: object) -> None:
        raise StorageFailed

    with monkeypatch.context() as patched:
        patched.setattr("trollbridge.enclave.storage.Records.write", refuse)
        works(keys.opened(records)[0], ALICE)
    assert records.get(Kind.SECRET_KEY, fingerprint) == old.secret.binary()
    works(keys.opened(records)[0], ALICE)
    body = records.get(Kind.SECRET_KEY, fingerprint)
    assert body is not None
    pysequoia.Tsk.from_bytes(body[1:]).signer(records.key_password(fingerprint))
    before = records.generation
    works(keys.opened(records)[0], ALICE)
    assert records.generation == before, "once"


def test_what_a_scribe_gets_works_once_and_elsewhere(store: Keystore) -> None:
    """A key under a password of its own, which opens nothing in the vault (A24, A30)."""
    info = store.generate(ALICE)
    message = store.encrypt([ALICE], TEXT, ALICE, armored=False)
    first, second = (store.signing_parts(ALICE, "sign", Content.of(TEXT)) for _ in range(2))
    assert first.password != second.password
    assert repr(first) == "Parts(…)"
    tsk = pysequoia.Tsk.from_bytes(first.secret)
    assert pysequoia.sign(tsk.signer(first.password), TEXT)
    with pytest.raises(RuntimeError):
        tsk.signer(second.password)
    (lent,) = store.decrypting_parts(openpgp.recipients(message), Content.of(TEXT), message)
    opened = pysequoia.decrypt(message, decryptor=pysequoia.Tsk.from_bytes(lent.secret).decryptor(lent.password))
    assert opened.bytes == TEXT
    assert store.witnesses([info.fingerprint, info.subkeys[0].fingerprint]) == (lent.certificate,)
    assert store.recipient_certs([ALICE, info.fingerprint]) == (lent.certificate,)
    (signer,) = store.signers([(info.fingerprint, info.subkeys[0].fingerprint, 7)])
    assert (signer.user_id, signer.trust, signer.created, signer.standing) == (ALICE, "own", 7, "valid")
    with pytest.raises(CannotDecrypt):
        store.decrypting_parts(["0" * 16], Content.of(TEXT), message)
    store.revoke_key(ALICE)
    with pytest.raises(KeyUnusable):
        store.signing_parts(ALICE, "sign", Content.of(TEXT))
    with pytest.raises(KeyUnusable):
        store.recipient_certs([ALICE])
    assert store.decrypting_parts([""], Content.of(TEXT), message)


WEAK: Final = [
    S2K(s2k.SALTED, s2k.SHA256, bytes(8), 0, 0, 0, 0, 32),
    S2K(s2k.ITERATED, s2k.SHA256, bytes(8), s2k.MOST_OCTETS - (1 << 21), 0, 0, 0, 32),
    S2K(s2k.ITERATED, 2, bytes(8), s2k.MOST_OCTETS, 0, 0, 0, 32),
    S2K(s2k.ITERATED, s2k.SHA256, bytes(8), 1024, 0, 0, 0, 32),
    S2K(s2k.SIMPLE, s2k.SHA256, b"", 0, 0, 0, 0, 32),
]


@pytest.mark.parametrize("spec", WEAK)
def test_a_password_that_was_hardly_stretched_is_refused(store: Keystore, records: Records, spec: S2K) -> None:
    """A24, A25: no caller can write what looks as if the vault's password protected it, nor what is worth guessing."""
    store.generate(ALICE)
    weak = Protection(spec, bytes(32))
    before = dict(records.items(Kind.SECRET_KEY))
    for attempt in (lambda: store.set_key_password(ALICE, weak), lambda: store.export_secret(ALICE, weak)):
        with pytest.raises(NotOpenPGP, match="stretched"):
            attempt()
    assert dict(records.items(Kind.SECRET_KEY)) == before
    works(keys.opened(records)[0], ALICE)


def test_whose_password_protects_a_record_is_written_on_it(records: Records) -> None:
    """And not guessed from how it was stretched; a record that says neither is of schema 1, and has none (A24)."""
    store = keys.opened(records)[0]
    info = store.generate(ALICE)

    def body() -> bytes:
        return records.get(Kind.SECRET_KEY, info.fingerprint) or b""

    assert body()[0] == 0
    store.set_key_password(ALICE, keys.protection("own"))
    assert body()[0] == 1
    records.write(Put(Kind.SECRET_KEY, info.fingerprint, body()[1:]))
    with pytest.raises(VaultCorrupt):
        keys.opened(records)


def test_secrets_come_and_go_for_the_core_ui_alone(records: Records) -> None:
    """A41: an extension that was granted the handlers may neither take a key out, nor put one in, nor vouch."""
    asking = keys.Asking()
    store, _ = keys.opened(records, asking)
    store.generate(ALICE)
    other = openpgp.generate("Bob").secret.binary()
    asking.caller = keys.CONSOLE._replace(member="plugin", role="extension")
    for attempt in (
        lambda: store.export_secret(ALICE, keys.protection("x")),
        lambda: store.import_secret(other, ()),
        lambda: store.set_key_password(ALICE, None),
        lambda: store.delete_key(ALICE),
        lambda: store.set_trust(ALICE, trusted=True),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    assert len(store.list_keys()) == 1
