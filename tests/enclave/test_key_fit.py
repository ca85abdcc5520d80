"""Secrets whose public half is another one: no such pair is kept, of whatever kind and place, and however old."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import pysequoia
import pytest

from tests.enclave import keys
from tests.enclave.gnupg import YEARS_AGO
from trollbridge.enclave import key_fit, openpgp, packets, protection
from trollbridge.messages.errors import KeyUnusable
from trollbridge.messages.vault import DETACHED, PROFILES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pysequoia.packet import Packet

    from tests.enclave.gnupg import GnuPG
    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.storage import Records

SUITES: Final = {
    "rsa": pysequoia.CipherSuite.RSA2k,
    "P-256": pysequoia.CipherSuite.P256,
    "P-384": pysequoia.CipherSuite.P384,
    "P-521": pysequoia.CipherSuite.P521,
    "Curve448": pysequoia.CipherSuite.Cv448,
    "ML-DSA-87": pysequoia.CipherSuite.MLDSA87_Ed448,
}
V6_ONLY: Final = {"Curve448", "ML-DSA-87"}
KINDS: Final = (*PROFILES, *SUITES, "rsa, version 6")


@functools.cache
def made(kind: str, number: int) -> bytes:
    """Return one of several keys of a kind, unprotected."""
    del number
    if kind in PROFILES:
        return openpgp.generate("Vic", kind).secret.binary()
    suite = SUITES[kind.partition(",")[0]]
    profile = pysequoia.Profile.RFC9580 if kind in V6_ONLY or "6" in kind[-1] else pysequoia.Profile.RFC4880
    return bytes(pysequoia.Tsk.generate("Vic", profile=profile, cipher_suite=suite))


def secrets(found: Sequence[Packet]) -> list[Packet]:
    """Return the secret packets."""
    return [each for each in found if each.tag in packets.SECRET]


def grafted(public: Packet, secret: Packet) -> bytes:
    """Return a packet with the public half of one key and the secret of another."""
    body = public.body[: packets.public_size(public)] + secret.body[packets.public_size(secret) :]
    return packets.framed(packets.number_of(public.tag), body)


@pytest.fixture
def store(records: Records) -> Keystore:
    """Return an empty keystore."""
    return keys.opened(records)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_public_half_is_what_the_secret_makes(kind: str) -> None:
    """A24: of each kind, and of no other key of the same kind."""
    mine, theirs = (secrets(packets.parse(made(kind, number))) for number in range(2))
    assert len(mine) == len(theirs) >= 2
    for one, other in zip(mine, theirs, strict=True):
        secret = protection.revealed(one, {})
        assert key_fit.fits(one, secret)
        assert not key_fit.fits(one, protection.revealed(other, {}))
        assert not key_fit.fits(one, secret[:-1])
        assert not key_fit.fits(one, bytearray(len(secret)))


@pytest.mark.parametrize("kind", KINDS)
def test_no_misfit_comes_into_the_vault(store: Keystore, kind: str) -> None:
    """A24: an attacker's key with one of the victim's secrets in it, for each packet; the honest key comes in."""
    victim, attacker = (packets.parse(made(kind, number)) for number in range(2))
    for place, (mine, theirs) in enumerate(zip(victim, attacker, strict=True)):
        if mine.tag not in packets.SECRET:
            continue
        parts = [bytes(each) for each in attacker]
        parts[place] = grafted(theirs, mine)
        with pytest.raises(KeyUnusable, match="does not fit"):
            store.import_secret(b"".join(parts), ())
    assert store.list_keys() == ()
    (info,) = store.import_secret(made(kind, 0), ())
    assert store.sign(info.fingerprint, b"data", DETACHED, armored=True)
    assert store.revoke_key(info.fingerprint).revoked


def test_a_misfit_that_could_not_be_used_yet_is_refused_too(store: Keystore, gnupg: GnuPG) -> None:
    """Its subkeys expired years ago: nothing can be tried with them, and `set_expiry` would have revived them."""
    found: list[list[Packet]] = []
    for number in range(2):
        name = gnupg.new_key(f"Old {number}", "ed25519", "cert,sign", *YEARS_AGO)
        for algorithm, usage in (("cv25519", "encr"), ("ed25519", "sign"), ("nistp256", "encr")):
            gnupg.out(*YEARS_AGO, "--quick-add-key", name, algorithm, usage, "1y")
        found.append(packets.parse(gnupg.out("--export-secret-keys", name)))
    mine, theirs = found
    for place, packet in enumerate(theirs):
        if packet.tag in packets.SECRET:
            parts = [bytes(each) for each in theirs]
            parts[place] = grafted(packet, mine[place])
            with pytest.raises(KeyUnusable, match="does not fit"):
                store.import_secret(b"".join(parts), ())
    assert store.import_secret(b"".join(map(bytes, theirs)), ())


@pytest.mark.parametrize("algorithm", ["dsa2048", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"])
def test_kinds_that_only_gpg_makes_are_known(gnupg: GnuPG, algorithm: str) -> None:
    """A23: DSA with ElGamal, and the curves of Brainpool."""
    found: list[list[Packet]] = []
    for number in range(2):
        name = gnupg.new_key(f"{algorithm} {number}", algorithm, "cert,sign")
        gnupg.out("--quick-add-key", name, "elg2048" if algorithm == "dsa2048" else algorithm, "encr", "0")
        found.append(secrets(packets.parse(gnupg.out("--export-secret-keys", name))))
    for one, other in zip(*found, strict=True):
        assert key_fit.fits(one, protection.revealed(one, {}))
        assert not key_fit.fits(one, protection.revealed(other, {}))


def _number(value: int) -> bytes:
    return value.bit_length().to_bytes(2, "big") + value.to_bytes((value.bit_length() + 7) // 8, "big")


def test_numbers_that_are_no_key_do_not_fit() -> None:
    """P2, P3: of RSA any of them changed, too few, or so large that to try them would take minutes."""
    first = packets.parse(made("rsa", 0))[0]
    right = [*packets.numbers(protection.revealed(first, {}))]
    for place in range(4):
        for wrong in (0, 1, right[place] + 2, 1 << 9000):
            changed = [*right[:place], wrong, *right[place + 1 :]]
            assert not key_fit.fits(first, bytearray(b"".join(map(_number, changed))))
    assert not key_fit.fits(first, bytearray(b"".join(map(_number, [right[0], right[2], right[1], right[3]]))))
    assert key_fit.fits(first, bytearray(b"".join(map(_number, right))))
