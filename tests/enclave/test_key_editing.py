"""Changes to one's own keys: what correspondents see of them, and what a change must not undo."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pysequoia
import pytest

from tests.enclave import keys
from tests.enclave.gnupg import YEARS_AGO
from trollbridge.enclave import openpgp, packets
from trollbridge.enclave import self_signature as by_hand
from trollbridge.enclave.certificate import Certificate
from trollbridge.messages.errors import (
    BadSignature,
    InvalidArguments,
    InvalidName,
    KeyExists,
    KeyUnusable,
    NoSuchKey,
    StorageFailed,
)
from trollbridge.messages.vault import COMPAT, DEFAULT, DETACHED, POST_QUANTUM, PROFILES, REVOKED, V6, standing

if TYPE_CHECKING:
    from tests.enclave.gnupg import GnuPG
    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.storage import Records

ALICE: Final = "Alice <alice@example.org>"
WORK: Final = "Alice <alice@work.example>"
DAY: Final = 86_400


@pytest.fixture
def store(records: Records) -> Keystore:
    """Return an empty keystore."""
    return keys.opened(records)[0]


def seen_by_gpg(gnupg: GnuPG, certificate: bytes, fingerprint: str) -> list[list[str]]:
    """Import a certificate and return how gpg lists it, as fields."""
    gnupg.out("--import", data=certificate)
    listing = gnupg.out("--with-colons", "--fixed-list-mode", "-k", fingerprint).decode()
    return [line.split(":") for line in listing.splitlines()]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_user_id_comes_and_goes(store: Keystore, profile: str) -> None:
    """Both names work, then the revoked one does not; it does not come back, and the expiry stays (A23, A24)."""
    before = store.generate(ALICE, profile, 30 * DAY)
    after = store.add_user_id(ALICE, WORK)
    assert sorted(after.user_ids) == sorted([ALICE, WORK])
    assert (after.fingerprint, after.expires, after.subkeys) == (before.fingerprint, before.expires, before.subkeys)
    assert (
        store.decrypt(store.encrypt([WORK], b"data", WORK, armored=True)).signers[0].fingerprint == before.fingerprint
    )
    for again in (ALICE, WORK):
        with pytest.raises(InvalidName):
            store.add_user_id(ALICE, again)
    assert store.revoke_user_id(ALICE, WORK).user_ids == (ALICE,)
    with pytest.raises(NoSuchKey):
        store.show_key(WORK)
    with pytest.raises(InvalidName, match="had"):
        store.add_user_id(ALICE, WORK)
    with pytest.raises(InvalidName):
        store.revoke_user_id(ALICE, WORK)
    with pytest.raises(KeyUnusable, match="only user id"):
        store.revoke_user_id(ALICE, ALICE)
    for evil in ("", "a\n", "0" * 40, "x" * 257):
        with pytest.raises(InvalidName):
            store.add_user_id(ALICE, evil)


def test_gpg_sees_what_was_changed(store: Keystore, gnupg: GnuPG) -> None:
    """A23: the new name, the revoked one, the expiry of key and subkeys, none again, and the revocation."""
    info = store.generate(ALICE, COMPAT)
    store.add_user_id(ALICE, WORK)
    fields = seen_by_gpg(gnupg, store.export_public(ALICE), info.fingerprint)
    assert {each[9] for each in fields if each[0] == "uid"} == {ALICE, WORK}
    end = int(time.time()) + 10 * DAY
    assert store.set_expiry(ALICE, end).expires == end
    store.revoke_user_id(ALICE, WORK)
    fields = seen_by_gpg(gnupg, store.export_public(ALICE), info.fingerprint)
    assert [each[6] for each in fields if each[0] == "pub"] == [str(end)]
    assert [each[9] for each in fields if each[0] == "uid" and each[1] == "r"] == [WORK]
    assert store.set_expiry(ALICE, None).expires is None
    fields = seen_by_gpg(gnupg, store.export_public(ALICE), info.fingerprint)
    assert [each[6] for each in fields if each[0] == "pub"] == [""]
    assert [each[9] for each in fields if each[0] == "uid" and each[1] == "r"] == [WORK], "a renewal revives nothing"
    message = store.encrypt([ALICE], b"data", None, armored=False)
    (certificate,) = Certificate.read(store.export_public(ALICE))
    assert message[:1]
    assert openpgp.encrypt(b"data", [certificate])
    gnupg.out("--trust-model", "pgp", "--check-trustdb")  # makes one: gpg fails, after all is done, if there is none
    fields = seen_by_gpg(gnupg, store.revocation_certificate(ALICE), info.fingerprint)
    assert [each[1] for each in fields if each[0] == "pub"] == ["r"]


@pytest.mark.parametrize("profile", PROFILES)
def test_an_expired_key_lives_again_when_it_is_renewed(store: Keystore, profile: str) -> None:
    """What it could not do for a while it does again; a post-quantum key gets the latest end instead of none (A24)."""
    info = store.generate(ALICE, profile, -10)
    assert info.expires is not None
    with pytest.raises(KeyUnusable, match="expired"):
        store.sign(ALICE, b"data", DETACHED, armored=True)
    with pytest.raises(KeyUnusable, match="expired"):
        store.encrypt([ALICE], b"data", None, armored=True)
    if profile == POST_QUANTUM:
        after = openpgp.generate(ALICE, profile).certificate
        assert after.expires is None
        return
    assert store.set_expiry(ALICE, None).expires is None
    assert store.decrypt(store.encrypt([ALICE], b"data", ALICE, armored=True)).signers[0].standing == "valid"


def test_an_end_that_is_none_is_refused(store: Keystore) -> None:
    """Before the beginning, and later than a key can say."""
    info = store.generate(ALICE)
    for end in (0, info.created, info.created + 2**32, -1):
        with pytest.raises(InvalidArguments):
            store.set_expiry(ALICE, end)
    assert store.show_key(ALICE) == info


def test_a_post_quantum_key_takes_the_latest_end_for_none(store: Keystore) -> None:
    """Sequoia's own call cannot take an end away."""
    info = store.generate(ALICE, POST_QUANTUM)
    after = store.set_expiry(ALICE, None)
    assert after.expires == info.created + 2**32 - 1
    assert store.sign(ALICE, b"data", DETACHED, armored=True)


def test_subkeys_that_expire_are_renewed_with_their_key(store: Keystore, gnupg: GnuPG) -> None:
    """The trap: pysequoia renews no expired key, and no subkey at all (A23)."""
    fingerprint = gnupg.new_key("Rosa <rosa@example.org>", "ed25519", "cert", *YEARS_AGO)
    for usage, algorithm in (("encr", "cv25519"), ("sign", "ed25519"), ("auth", "ed25519")):
        gnupg.out(*YEARS_AGO, "--quick-add-key", fingerprint, algorithm, usage, "1y")
    gnupg.out("--faked-system-time", "20220102T000000!", "--quick-set-expire", fingerprint, "1y")
    secret = gnupg.out("--export-secret-keys", fingerprint)
    (info,) = store.import_secret(secret, ())
    assert info.expires is not None
    assert all(each.expires is not None and each.expires <= info.expires for each in info.subkeys)
    with pytest.raises(RuntimeError):
        pysequoia.Tsk.from_bytes(secret).certifier()
    end = int(time.time()) + DAY
    after = store.set_expiry(fingerprint, end)
    assert {each.expires for each in after.subkeys} == {end}
    assert store.decrypt(store.encrypt([fingerprint], b"data", fingerprint, armored=True)).signers
    assert store.set_expiry(fingerprint, None).expires is None
    assert {each.expires for each in store.show_key(fingerprint).subkeys} == {None}
    fields = seen_by_gpg(gnupg, store.export_public(fingerprint), fingerprint)
    assert {each[6] for each in fields if each[0] in {"pub", "sub"}} == {""}


def test_a_rotated_subkey_that_expired_stays_so(store: Keystore, gnupg: GnuPG) -> None:
    """Of two for one use, the newer is renewed."""
    fingerprint = gnupg.new_key("Rolf the Second", "rsa2048", "cert", *YEARS_AGO)
    gnupg.out(*YEARS_AGO, "--quick-add-key", fingerprint, "rsa2048", "encr", "1y")
    gnupg.out("--faked-system-time", "20230601T000000!", "--quick-add-key", fingerprint, "rsa2048", "encr", "1y")
    (info,) = store.import_secret(gnupg.out("--export-secret-keys", fingerprint), ())
    end = int(time.time()) + DAY
    after = store.set_expiry(fingerprint, end)
    old, new = sorted(after.subkeys, key=lambda each: each.created)
    assert (old, new.expires) == (min(info.subkeys, key=lambda each: each.created), end)
    assert store.decrypt(store.encrypt([fingerprint], b"data", None, armored=True)).recipient == fingerprint


@pytest.mark.parametrize("profile", PROFILES)
def test_a_key_is_revoked_by_what_was_made_with_it(store: Keystore, profile: str) -> None:
    """It then does nothing but open what it has; nobody is encrypted to, nothing verifies (A24, A30)."""
    info = store.generate(ALICE, profile)
    signature = store.sign(ALICE, b"data", DETACHED, armored=True)
    message = store.encrypt([ALICE], b"data", None, armored=True)
    signed = store.encrypt([ALICE], b"data", ALICE, armored=True)
    certificate = store.revocation_certificate(ALICE)
    assert b"Comment: revokes the key " + info.fingerprint.encode() in certificate
    after = store.revoke_key(ALICE)
    assert (after.revoked, standing(after, 0)) == (True, REVOKED)
    assert store.decrypt(message).plaintext == b"data"
    with pytest.raises(BadSignature, match=f"{info.fingerprint} is revoked"):
        store.verify(b"data", signature)
    with pytest.raises(BadSignature, match="is revoked"):
        store.decrypt(signed)
    for attempt in (
        lambda: store.sign(ALICE, b"data", DETACHED, armored=True),
        lambda: store.encrypt([ALICE], b"data", None, armored=True),
        lambda: store.set_expiry(ALICE, None),
    ):
        with pytest.raises(KeyUnusable, match="revoked"):
            attempt()
    assert store.revocation_certificate(ALICE) == certificate


def test_a_revocation_works_wherever_it_is_imported(store: Keystore) -> None:
    """Behind the certificate that it revokes, as anybody would publish it; and with the key gone from here (A24)."""
    info = store.generate(ALICE)
    other = openpgp.generate(ALICE)
    revocation = store.revocation_certificate(info.fingerprint)
    public = store.export_public(info.fingerprint)
    store.delete_key(info.fingerprint)
    (signature,) = packets.parse(revocation)
    (after,) = store.import_public(store_and(public, bytes(signature)))
    assert (after.revoked, after.secret) == (True, False)
    (untouched,) = store.import_public(store_and(other.certificate.armored(), bytes(signature)))
    assert not untouched.revoked, "it revokes one key and no other"


def store_and(public: bytes, signature: bytes) -> bytes:
    """Return a certificate with a signature behind its primary key."""
    first, *rest = map(bytes, packets.parse(public))
    return b"".join([first, signature, *rest])


def forged(key: openpgp.Signing, kind: int, *more: bytes) -> bytes:
    """Return the certificate with somebody else's signature on its last subkey that names the key as its issuer."""
    found = packets.parse(key.certificate.binary())
    somebody = openpgp.generate("Mallory", V6 if key.certificate.version == 6 else DEFAULT).secret.primary()
    assert somebody is not None
    issuer = bytes([key.certificate.version]) + bytes.fromhex(key.certificate.fingerprint)
    created = by_hand.subpacket(by_hand.CREATED, int(time.time()).to_bytes(4, "big"))
    hashed = b"".join([created, by_hand.subpacket(by_hand.ISSUER_FINGERPRINT, issuer), *more])
    covered = packets.covered(next(each for each in reversed(found) if each.tag in packets.PUBLIC).body)
    return key.certificate.binary() + somebody.signature(kind, covered, hashed)


@pytest.mark.parametrize("profile", [DEFAULT, COMPAT, V6])
def test_what_others_signed_in_a_keys_name_is_not_signed_again(store: Keystore, profile: str) -> None:
    """A24: anybody can publish a certificate with such a signature, and Sequoia keeps it; a change passes it over."""
    info = store.generate(ALICE, profile)
    key = openpgp.Signing(store._secrets.get(info.fingerprint), store._named(ALICE))
    authenticate = by_hand.subpacket(by_hand.KEY_FLAGS, b"\x20")
    ends = by_hand.subpacket(by_hand.KEY_EXPIRY, (10 * DAY).to_bytes(4, "big"))
    for evil in (forged(key, 0x28), forged(key, 0x18, authenticate, ends)):
        (after,) = store.import_public(evil)
        assert after.subkeys == info.subkeys, "nor is it shown"
        changed = store.set_expiry(ALICE, (after.expires or int(time.time())) + DAY)
        assert changed.subkeys == info.subkeys
    store.add_user_id(ALICE, WORK)
    assert store.decrypt(store.encrypt([WORK], b"data", ALICE, armored=True)).signers


@pytest.mark.parametrize("version", [4, 6])
def test_a_key_over_rsa_of_either_version_is_changed(store: Keystore, version: int) -> None:
    """Version 6 has its numbers at another place (A23)."""
    profile = pysequoia.Profile.RFC9580 if version == 6 else pysequoia.Profile.RFC4880
    made = pysequoia.Tsk.generate(ALICE, profile=profile, cipher_suite=pysequoia.CipherSuite.RSA2k)
    (info,) = store.import_secret(bytes(made), ())
    assert info.version == version
    assert store.set_expiry(ALICE, info.created + DAY).expires == info.created + DAY
    assert store.set_expiry(ALICE, None).expires is None
    store.add_user_id(ALICE, WORK)
    assert store.revoke_user_id(ALICE, ALICE).user_ids == (WORK,)
    assert store.decrypt(store.encrypt([WORK], b"data", WORK, armored=True)).signers


def test_a_change_that_cannot_be_written_is_none(store: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A58: the key stays as it was, on disk and here."""
    before = store.generate(ALICE)
    public = store.export_public(ALICE)

    def refuse(*_: object) -> None:
        raise StorageFailed

    with monkeypatch.context() as patched:
        patched.setattr("trollbridge.enclave.storage.Records.write", refuse)
        for attempt in (
            lambda: store.add_user_id(ALICE, WORK),
            lambda: store.set_expiry(ALICE, before.created + DAY),
            lambda: store.revoke_key(ALICE),
            lambda: store.delete_key(ALICE),
            lambda: store.set_trust(ALICE, trusted=True),
            lambda: store.set_key_password(ALICE, keys.protection("own")),
        ):
            with pytest.raises(StorageFailed):
                attempt()
    assert store.show_key(ALICE) == before
    assert store.export_public(ALICE) == public
    assert store.sign(ALICE, b"data", DETACHED, armored=True)


def test_a_deleted_key_is_gone(store: Keystore, records: Records) -> None:
    """With its secret half, its revocation and whatever was kept of it; it can come back from a copy (A24)."""
    info = store.generate(ALICE)
    copy = store.export_secret(ALICE, keys.protection("password"))
    locked = keys.stretched("password", store.secret_locks(copy))
    with pytest.raises(KeyExists):
        store.import_secret(copy, locked)
    store.delete_key(ALICE)
    assert (store.list_keys(), len(records)) == ((), 0)
    for attempt in (lambda: store.show_key(ALICE), lambda: store.delete_key(info.fingerprint)):
        with pytest.raises(NoSuchKey):
            attempt()
    assert store.import_secret(copy, locked) == (info,)
