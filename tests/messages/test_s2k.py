"""Stretched passwords of OpenPGP keys: against a plain reading of RFC 9580, and what is refused before it costs."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages import s2k
from trollbridge.messages.errors import NotOpenPGP
from trollbridge.messages.password import PasswordRefused
from trollbridge.messages.vault import S2K, Protection

SALT = bytes(range(8))
ARGON2 = S2K(s2k.ARGON2, 0, bytes(range(16)), 0, 3, 4, 64, 32)


def as_the_rfc_says(password: bytes, spec: S2K) -> bytes:
    """Hash salt and password over and over, octet for octet (RFC 9580, section 3.7.1.3)."""
    data = spec.salt + password
    octets = max(spec.count, len(data)) if spec.method == s2k.ITERATED else len(data)
    stream = (data * (1 + octets // len(data)))[:octets]
    made, zeros = b"", 0
    while len(made) < spec.size:
        made += hashlib.new(s2k.HASHES[spec.hash], bytes(zeros) + stream, usedforsecurity=False).digest()
        zeros += 1
    return made[: spec.size]


@given(
    password=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    method=st.sampled_from([s2k.SIMPLE, s2k.SALTED, s2k.ITERATED]),
    number=st.sampled_from(sorted(s2k.HASHES)),
    count=st.integers(0, 300_000),
    size=st.sampled_from(s2k.KEY_SIZES),
)
def test_a_password_is_stretched_as_the_rfc_says(
    password: str, method: int, number: int, count: int, size: int
) -> None:
    """A23: every method, hash and key size, with fewer octets than the password has and with many more."""
    salt = b"" if method == s2k.SIMPLE else SALT
    spec = S2K(method, number, salt, count if method == s2k.ITERATED else 0, 0, 0, 0, size)
    assert s2k.stretch(password, spec) == as_the_rfc_says(password.encode(), spec)


def test_argon2_is_computed_with_its_own_parameters() -> None:
    """A23: each of them counts."""
    made = {
        s2k.stretch("password", S2K(s2k.ARGON2, 0, salt, 0, passes, lanes, memory, 32))
        for salt, passes, lanes, memory in [
            (bytes(16), 1, 1, 8), (bytes(15) + b"1", 1, 1, 8), (bytes(16), 2, 1, 8), (bytes(16), 1, 2, 16),
            (bytes(16), 1, 1, 16),
        ]
    }  # fmt: skip
    assert len(made) == 5
    assert {len(each) for each in made} == {32}


@pytest.mark.parametrize(
    "spec",
    [
        S2K(s2k.ITERATED, 1, SALT, 65536, 0, 0, 0, 32),
        S2K(s2k.ITERATED, s2k.SHA256, SALT[1:], 65536, 0, 0, 0, 32),
        S2K(s2k.ITERATED, s2k.SHA256, SALT, s2k.MOST_OCTETS + 1, 0, 0, 0, 32),
        S2K(s2k.ITERATED, s2k.SHA256, SALT, -1, 0, 0, 0, 32),
        S2K(s2k.SALTED, s2k.SHA256, SALT, 0, 0, 0, 0, 33),
        S2K(s2k.SIMPLE, s2k.SHA256, SALT, 0, 0, 0, 0, 32),
        S2K(2, s2k.SHA256, SALT, 0, 0, 0, 0, 32),
        S2K(s2k.ARGON2, 0, ARGON2.salt, 0, 3, 4, s2k.MOST_MEMORY_KIB + 1, 32),
        S2K(s2k.ARGON2, 0, ARGON2.salt, 0, s2k.MOST_PASSES + 1, 4, 64, 32),
        S2K(s2k.ARGON2, 0, ARGON2.salt, 0, 3, 255, 64, 32),
        S2K(s2k.ARGON2, 0, ARGON2.salt, 0, 3, 16, 64, 32),
        S2K(s2k.ARGON2, 0, SALT, 0, 3, 4, 64, 32),
    ],
)
def test_a_hostile_specifier_costs_nothing(spec: S2K) -> None:
    """P3: hours or gigabytes are asked for in vain; so are methods and hashes that nobody should use."""
    with pytest.raises(NotOpenPGP):
        s2k.stretch("password", spec)


@pytest.mark.parametrize("password", ["", "x" * 1025, "\ud800"])
def test_a_password_that_is_none_is_refused(password: str) -> None:
    """Empty, without end, or not to be written."""
    with pytest.raises(PasswordRefused):
        s2k.stretch(password, ARGON2)
    with pytest.raises(PasswordRefused):
        s2k.new_protection(password)


def test_a_new_protection_is_fresh_and_shows_nothing() -> None:
    """I6: as much hashing as can be said, a salt of its own, the key in no repr."""
    first, second = s2k.new_protection("password"), s2k.new_protection("password")
    assert first.s2k.salt != second.s2k.salt
    assert first.key != second.key
    assert (first.s2k.count, len(first.key)) == (65_011_712, 32)
    assert s2k.stretch("password", first.s2k) == first.key
    assert repr(first) == "Protection(…)" == repr(Protection(ARGON2, b"canary"))
