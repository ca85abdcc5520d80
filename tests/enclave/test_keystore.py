"""The keys of an open vault by name: whose they are, what a name may stand for, what is kept, what never comes out."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pysequoia
import pytest

from tests.enclave.gnupg import YEARS_AGO
from trollbridge.enclave import key_editing, openpgp, packets
from trollbridge.enclave.database import Database
from trollbridge.enclave.gate import Caller, Gate
from trollbridge.enclave.keystore import Keystore
from trollbridge.enclave.sealing import Kind, VaultKey
from trollbridge.enclave.storage import Put, Records, first_index
from trollbridge.messages.errors import (
    BadSignature,
    CannotDecrypt,
    InvalidArguments,
    InvalidName,
    KeyUnusable,
    NoSuchKey,
    NotOpenPGP,
    StorageFailed,
    UsageError,
    VaultCorrupt,
)
from trollbridge.messages.vault import (
    CLEAR,
    DETACHED,
    EXPIRED,
    INLINE,
    OWN,
    PROFILES,
    TRUSTED,
    UNKNOWN,
    VALID,
    KeyInfo,
    Signer,
    printable,
    standing,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.enclave.gnupg import GnuPG

ALICE = "Alice <alice@example.org>"
BOB = "Bob <bob@example.org>"
MALLORY = "Mallory <mallory@example.org>"


def opened_keys(records: Records) -> Keystore:
    """Return the keys of these records, for whoever asks."""
    return Keystore(records, Gate(records, lambda: Caller("console", "ui")))


@pytest.fixture
def store(records: Records) -> Keystore:
    """Return an empty keystore."""
    return opened_keys(records)


def revocation(key: openpgp.Signing) -> bytes:
    """Return the certificate of a key with its revocation."""
    cert = key.certificate.witness()
    return bytes(cert) + bytes(
        cert.revoke(pysequoia.Tsk.from_bytes(key.secret.binary()).certifier(key.secret.password()))
    )


def test_what_a_generated_key_tells_is_public(store: Keystore) -> None:
    """Fingerprint, user id, dates: and no byte of the secret half in anything that comes out (A24, A28)."""
    info = store.generate(ALICE)
    assert info == KeyInfo(
        info.fingerprint, (ALICE,), secret=True, created=info.created, expires=None, revoked=False, version=4,
        algorithm="EdDSA", trust=OWN, subkeys=info.subkeys, own_password=False,
    )  # fmt: skip
    assert [(each.algorithm, each.expires, each.revoked, each.uses) for each in info.subkeys] == [
        ("EdDSA", None, False, ("sign",)),
        ("ECDH", None, False, ("encrypt",)),
    ]
    assert store.list_keys() == (info,)
    secret = store._secrets.get(info.fingerprint).binary()
    exported = store.export_public(ALICE)
    public = pysequoia.Cert.from_bytes(exported)
    assert public.fingerprint == info.fingerprint
    secrets = [packet.body[-34:-2] for packet in packets.parse(secret) if packet.tag in packets.SECRET]
    assert len(secrets) == 3
    signed = store.sign(ALICE, b"data", INLINE, armored=False)
    for canary in secrets:
        for out in (bytes(public), signed, msgspec.msgpack.encode(info)):
            assert canary not in out


def test_keys_are_named_by_fingerprint_or_exact_user_id(store: Keystore) -> None:
    """No part of a name, no other case, no e-mail address alone, no short key id (I4)."""
    info = store.generate(ALICE)
    for name in (ALICE, info.fingerprint, info.fingerprint.upper()):
        assert store.export_public(name) == store.export_public(ALICE)
    for name in ("", "Alice", ALICE.upper(), f"{ALICE} ", "alice@example.org", info.fingerprint[-16:], "0" * 40):
        with pytest.raises(NoSuchKey):
            store.export_public(name)


@pytest.mark.parametrize("user_id", ["", " a", "a ", "a\n", "a\x1b[2J", "\u202eevil", "x" * 257, "0" * 40, "aB" * 32])
def test_a_user_id_that_could_be_taken_for_something_else_is_refused(store: Keystore, user_id: str) -> None:
    """Empty, spaced, controlling, reordering, too long, or in the form of a fingerprint (I4)."""
    with pytest.raises(InvalidName):
        store.generate(user_id)
    assert store.list_keys() == ()


def test_a_user_id_of_several_keys_means_the_one_that_is_trusted_most(store: Keystore) -> None:
    """Own before trusted before unknown; of two that are trusted alike none, be one of them revoked (I4, A31)."""
    real, other = (openpgp.generate(ALICE) for _ in range(2))
    store.import_public(real.certificate.binary())
    assert store.show_key(ALICE).fingerprint == real.certificate.fingerprint
    store.import_public(other.certificate.binary())
    for known in (other.certificate.binary(), revocation(other), revocation(real)):
        store.import_public(known)
        for attempt in (
            lambda: store.encrypt([ALICE], b"data", None, armored=True),
            lambda: store.set_trust(ALICE, trusted=True),
            lambda: store.delete_key(ALICE),
        ):
            with pytest.raises(InvalidName, match="fingerprint"):
                attempt()
    store.set_trust(real.certificate.fingerprint, trusted=True)
    with pytest.raises(KeyUnusable, match="revoked"):
        store.encrypt([ALICE], b"data", None, armored=True)
    mine = store.generate(ALICE)
    assert store.sign(ALICE, b"data", DETACHED, armored=True)
    assert store.decrypt(store.encrypt([ALICE], b"data", None, armored=True)).recipient == mine.fingerprint


def test_a_certificate_that_lives_longer_takes_nobodys_name(store: Keystore) -> None:
    """A31: whose certificate has expired is not encrypted to by a stranger's; what was renewed is (honest path)."""
    expired, hostile = openpgp.generate(ALICE, lifetime=-10), openpgp.generate(ALICE)
    store.import_public(expired.certificate.binary())
    store.set_trust(ALICE, trusted=True)
    store.import_public(hostile.certificate.binary())
    with pytest.raises(KeyUnusable, match="expired"):
        store.encrypt([ALICE], b"for Alice", None, armored=True)
    renewed = key_editing.expiring(expired, None)
    store.import_public(renewed.binary())
    message = store.encrypt([ALICE], b"for Alice", None, armored=True)
    assert openpgp.Opener().decrypt(message, [("", expired.secret, None)], lambda _: [])[1].content == b"for Alice"


def test_of_ones_own_keys_the_living_one_is_meant(store: Keystore) -> None:
    """It has taken the dead one's place by its owner's doing; two that live are not guessed between."""
    dead = store.generate(ALICE)
    store.revoke_key(ALICE)
    with pytest.raises(KeyUnusable, match="revoked"):
        store.sign(ALICE, b"data", DETACHED, armored=True)
    living = store.generate(ALICE)
    assert store.show_key(ALICE).fingerprint == living.fingerprint != dead.fingerprint
    store.generate(ALICE)
    with pytest.raises(InvalidName):
        store.sign(ALICE, b"data", DETACHED, armored=True)


def test_trust_is_in_user_ids_and_not_in_what_is_added_to_them(store: Keystore) -> None:
    """A31: Mallory was vouched for as Mallory, and not by the name that an update adds, which anybody may import."""
    mallory = openpgp.generate(MALLORY)
    fingerprint = mallory.certificate.fingerprint
    store.import_public(mallory.certificate.binary())
    store.set_trust(MALLORY, trusted=True)
    also_alice = mallory._replace(certificate=key_editing.with_user_id(mallory, ALICE))
    (info,) = store.import_public(also_alice.certificate.binary())
    assert (info.user_ids, info.unvouched, info.trust) == ((MALLORY,), (ALICE,), TRUSTED)
    signature = openpgp.sign(mallory, b"data", DETACHED)
    (signer,) = store.verify(b"data", signature).signers
    assert (signer.user_id, signer.trust) == (MALLORY, TRUSTED)
    by_name = store.show_key(ALICE)
    assert (by_name.fingerprint, by_name.trust, by_name.unvouched) == (fingerprint, UNKNOWN, ())

    real = openpgp.generate(ALICE)
    store.import_public(real.certificate.binary())
    with pytest.raises(InvalidName):
        store.encrypt([ALICE], b"data", None, armored=True)
    store.set_trust(real.certificate.fingerprint, trusted=True)
    assert store.show_key(ALICE).fingerprint == real.certificate.fingerprint

    only_alice = key_editing.without_user_id(also_alice, MALLORY)
    (info,) = store.import_public(only_alice.binary())
    assert (info.user_ids, info.unvouched, info.trust) == ((ALICE,), (), UNKNOWN)
    (signer,) = store.verify(b"data", signature).signers
    assert (signer.user_id, signer.trust) == (ALICE, UNKNOWN)
    assert store.show_key(ALICE).fingerprint == real.certificate.fingerprint
    assert store.set_trust(fingerprint, trusted=True).trust == TRUSTED, "whoever says so again, says it of this name"


def test_others_certificates_are_kept_and_cannot_sign(store: Keystore) -> None:
    """Imported, listed after own keys, encrypted to, verified with; the secret half is not here (A24)."""
    bob = openpgp.generate(BOB)
    mine = store.generate("Zoe")
    (info,) = store.import_public(bob.certificate.armored())
    assert (info.user_ids, info.secret) == ((BOB,), False)
    assert store.list_keys() == (mine, info)
    with pytest.raises(NoSuchKey):
        store.sign(BOB, b"data", DETACHED, armored=True)
    message = store.encrypt([BOB], b"data", None, armored=True)
    with pytest.raises(CannotDecrypt):
        store.decrypt(message)
    report = openpgp.Opener().decrypt(message, [("", bob.secret, None)], lambda _: [])[1]
    assert report.content == b"data"
    began = int(time.time())
    verified = store.verify(b"data", openpgp.sign(bob, b"data", DETACHED))
    (signer,) = verified.signers
    assert signer == Signer(info.fingerprint, signer.signing_key, BOB, UNKNOWN, signer.created, VALID)
    assert began - 1 <= (signer.created or 0) <= time.time()
    assert verified.content is None


def test_an_import_is_whole_or_refused(store: Keystore) -> None:
    """A secret key or junk behind a good certificate: nothing is kept (A24)."""
    bob, carol = (openpgp.generate(name) for name in (BOB, "Carol"))
    for bad in (carol.secret.binary(), b"junk"):
        with pytest.raises(NotOpenPGP):
            store.import_public(bob.certificate.binary() + bad)
    assert store.list_keys() == ()
    both = bob.certificate.binary() + carol.certificate.binary()
    assert [each.user_ids for each in store.import_public(both)] == [(BOB,), ("Carol",)]


def test_what_is_known_of_a_certificate_only_grows(store: Keystore) -> None:
    """A revocation is merged in, and an older copy does not take it away (A31)."""
    bob = openpgp.generate(BOB)
    store.import_public(bob.certificate.binary())
    assert store.encrypt([BOB], b"data", None, armored=True)
    for copy in (revocation(bob), bob.certificate.binary(), bob.certificate.binary() * 2):
        (info,) = store.import_public(copy)
        assert (info.revoked, standing(info, 0)) == (True, "revoked")
        with pytest.raises(KeyUnusable):
            store.encrypt([BOB], b"data", None, armored=True)


def test_a_revoked_key_of_ones_own_opens_what_it_has_and_does_nothing_else(store: Keystore) -> None:
    """Its revocation comes in by import too; it no longer signs, and old messages still open (A30)."""
    info = store.generate(ALICE)
    message = store.encrypt([ALICE], b"old", ALICE, armored=True)
    key = openpgp.Signing(store._secrets.get(info.fingerprint), store._named(ALICE))
    (after,) = store.import_public(revocation(key))
    assert (after.secret, after.revoked) == (True, True)
    with pytest.raises(KeyUnusable):
        store.sign(ALICE, b"data", DETACHED, armored=True)
    assert openpgp.Opener().decrypt(message, [("", key.secret, None)], lambda _: [])[1].content == b"old"
    unsigned = pysequoia.encrypt(b"late", recipients=[key.certificate.witness()])
    assert store.decrypt(unsigned).plaintext == b"late"


def test_an_expired_key_says_so(store: Keystore) -> None:
    """In the list, and when it is asked to sign."""
    info = store.generate(ALICE, lifetime=-10)
    assert info.expires is not None
    assert standing(info, info.expires - 1) == "valid"
    assert standing(info, info.expires) == "expired"
    with pytest.raises(KeyUnusable, match="expired"):
        store.sign(ALICE, b"data", DETACHED, armored=True)


def test_three_recipients_by_name_and_a_fourth_who_cannot(store: Keystore, tmp_path: Path) -> None:
    """Each in a vault of its own; signed by a fifth who is known to all (A30, A31)."""
    stores: list[Keystore] = []
    databases: list[Database] = []
    for number in range(4):
        key = VaultKey(bytes([number]) * 32, bytes(16))
        databases.append(Database.create(str(tmp_path / f"{number}"), b"", [first_index(key)]))
        stores.append(opened_keys(Records(databases[-1], key)))
        store.import_public(_exported(stores[-1], f"Number {number}"))
    store.generate(ALICE)
    message = store.encrypt([f"Number {n}" for n in range(3)], b"data", ALICE, armored=False)
    for number in range(3):
        stores[number].import_public(store.export_public(ALICE))
        found = stores[number].decrypt(message)
        assert (found.plaintext, [each.user_id for each in found.signers], found.unknown) == (b"data", [ALICE], ())
        assert "data" not in repr(found)
    with pytest.raises(CannotDecrypt) as refusal:
        stores[3].decrypt(message)
    assert str(refusal.value) == CannotDecrypt.__doc__
    for database in databases:
        database.close()


def _exported(store: Keystore, user_id: str) -> bytes:
    store.generate(user_id)
    return store.export_public(user_id)


def test_a_changed_message_does_not_verify(store: Keystore) -> None:
    """And what comes back of an inline one is what was signed (A31)."""
    store.generate(ALICE)
    inline = store.sign(ALICE, b"data", INLINE, armored=True)
    assert store.verify(inline, None).content == b"data"
    detached = store.sign(ALICE, b"data", DETACHED, armored=True)
    with pytest.raises(BadSignature):
        store.verify(b"date", detached)


def test_keys_are_there_when_the_vault_is_opened_again(
    store: Keystore, path: str, database: Database, key: VaultKey
) -> None:
    """Own keys with their secret halves, and others' certificates (A58)."""
    store.generate(ALICE)
    store.import_public(openpgp.generate(BOB).certificate.binary())
    message = store.encrypt([ALICE], b"data", ALICE, armored=True)
    before = store.list_keys()
    database.close()
    again = Database.open(path)
    opened = opened_keys(Records(again, key))
    assert opened.list_keys() == before
    assert opened.decrypt(message).plaintext == b"data"
    assert opened.sign(ALICE, b"data", DETACHED, armored=True)
    again.close()


def test_a_key_that_could_not_be_stored_does_not_exist(store: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither generated nor imported: nothing half-done is visible (A58)."""

    def refuse(*_: object) -> None:
        raise StorageFailed

    bob = openpgp.generate(BOB).certificate.binary()
    monkeypatch.setattr(Database, "write", refuse)
    with pytest.raises(StorageFailed):
        store.generate(ALICE)
    with pytest.raises(StorageFailed):
        store.import_public(bob)
    assert store.list_keys() == ()


def test_a_record_that_is_sealed_and_still_no_key_is_corruption(records: Records) -> None:
    """Not a traceback."""
    records.write(Put(Kind.CERTIFICATE, "name", b"junk"))
    with pytest.raises(VaultCorrupt):
        opened_keys(records)


def test_a_dropped_keystore_is_inert(store: Keystore) -> None:
    """Who kept a reference finds no key in it (A44)."""
    info = store.generate(ALICE)
    message = store.encrypt([ALICE], b"data", None, armored=True)
    store.drop()
    assert store.list_keys() == ()
    with pytest.raises(CannotDecrypt):
        store.decrypt(message)
    with pytest.raises(NoSuchKey):
        store.sign(info.fingerprint, b"data", DETACHED, armored=True)
    with pytest.raises(UsageError):
        store.generate(ALICE)


def test_names_from_outside_are_fit_to_be_shown(store: Keystore) -> None:
    """Escape sequences and characters that reorder a line reach no terminal; names match as they are (I4)."""
    evil = "Bob\x1b[2J \u202e<bob@example.org>"
    made = pysequoia.Tsk.generate(evil).extract_certificate()
    (info,) = store.import_public(bytes(made))
    assert info.user_ids == ("Bob\ufffd[2J \ufffd<bob@example.org>",) == (printable(evil),)
    assert store.export_public(evil)


def test_a_report_says_who_signed_when_and_how_far_they_are_trusted(store: Keystore) -> None:
    """In each mode, and of a message that was encrypted; the standing is that of today (A23, A31)."""
    mine = store.generate(ALICE)
    bob = openpgp.generate(BOB)
    store.import_public(bob.certificate.armored())
    began = int(time.time())
    signed = {mode: openpgp.sign(bob, b"data", mode) for mode in (INLINE, CLEAR)}
    detached = openpgp.sign(bob, b"data", DETACHED)
    reports = [store.verify(each, None) for each in signed.values()] + [store.verify(b"data", detached)]
    for report in reports:
        (signer,) = report.signers
        assert (signer.fingerprint, signer.user_id, signer.trust, signer.standing) == (
            bob.certificate.fingerprint, BOB, UNKNOWN, VALID,
        )  # fmt: skip
        assert began - 1 <= (signer.created or 0) <= time.time()
    assert store.set_trust(BOB, trusted=True).trust == TRUSTED
    assert store.verify(b"data", detached).signers[0].trust == TRUSTED
    encrypted = openpgp.encrypt(b"data", [store._named(ALICE)], bob)
    (signer,) = store.decrypt(encrypted).signers
    assert (signer.trust, signer.created) == (TRUSTED, None)
    store.set_trust(ALICE, trusted=False)
    assert store.verify(b"x", store.sign(ALICE, b"x", DETACHED, armored=True)).signers[0].trust == OWN
    assert store.set_trust(BOB, trusted=False).trust == UNKNOWN
    assert store.show_key(mine.fingerprint).trust == OWN


def test_what_was_vouched_for_is_still_when_the_vault_is_opened_again(store: Keystore, records: Records) -> None:
    """And goes with the certificate (A58)."""
    store.import_public(openpgp.generate(BOB).certificate.binary())
    store.set_trust(BOB, trusted=True)
    again = opened_keys(records)
    assert [(each.trust, each.user_ids) for each in again.list_keys()] == [(TRUSTED, (BOB,))]
    records.write(Put(Kind.TRUST, again.list_keys()[0].fingerprint, b"\xc1"))
    assert [each.trust for each in opened_keys(records).list_keys()] == [UNKNOWN], "what it does not understand"
    again.delete_key(BOB)
    assert len(records) == 0


def test_a_signer_who_expired_since_is_said_to_be_so(store: Keystore, gnupg: GnuPG) -> None:
    """What was signed in time stays valid; the report tells when that was and how the key stands now (A31)."""
    fingerprint = gnupg.new_key("Past", "rsa2048", "cert,sign", *YEARS_AGO)
    later = ("--faked-system-time", "20220102T000000!")
    gnupg.out(*later, "--quick-set-expire", fingerprint, "1m")
    signature = gnupg.out(*later, "-u", fingerprint, "--detach-sign", data=b"data")
    (info,) = store.import_public(gnupg.certificate(fingerprint))
    (signer,) = store.verify(b"data", signature).signers
    assert (signer.fingerprint, signer.created, signer.standing) == (fingerprint, 1_641_081_600, EXPIRED)
    assert info.expires is not None
    assert info.expires > 1_641_081_600


def test_a_profile_that_is_none_is_refused(store: Keystore) -> None:
    """With the names of those that there are."""
    with pytest.raises(InvalidArguments, match="compat"):
        store.generate(ALICE, "rsa")
    assert [store.generate(f"Key {each}", each).version for each in PROFILES] == [4, 4, 6, 6]
    assert {each.algorithm for each in store.list_keys()} == {"EdDSA", "Ed25519", "MLDSA65_Ed25519"}
