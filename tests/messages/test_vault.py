"""The vault's vocabulary: every type can be sent, none shows a secret, and text is made safe to print."""

from __future__ import annotations

import pytest

from trollbridge.messages.signature import describe, realise
from trollbridge.messages.vault import (
    EXPIRED,
    OWN,
    REVOKED,
    VALID,
    VOCABULARY,
    Decrypted,
    KeyInfo,
    PasswordParameters,
    Proof,
    Verifier,
    printable,
    standing,
)


@pytest.mark.parametrize("kind", VOCABULARY, ids=lambda kind: str(kind.__name__))
def test_every_type_of_the_vocabulary_can_be_sent(kind: type) -> None:
    """A17: frozen, by position, closed; a client that knows the vocabulary gets the very class."""
    spec = describe(kind)
    known = {each.__name__: each for each in VOCABULARY}
    assert realise(spec, known) is kind


def test_no_repr_shows_what_it_carries() -> None:
    """I6, A25: proofs, verifiers and plaintexts."""
    shown = [
        repr(each)
        for each in (
            Verifier(b"salt", PasswordParameters(1, 1, 1), b"canary", b"canary"),
            Proof(b"nonce", b"client", b"canary"),
            Decrypted(b"canary", (), (), "AB"),
        )
    ]
    assert shown == ["Verifier(…)", "Proof(…)", "Decrypted(<6 bytes>, (), (), 'AB')"]


@pytest.mark.parametrize(
    ("expires", "revoked", "now", "expected"),
    [
        (None, False, 10, VALID),
        (11, False, 10, VALID),
        (10, False, 10, EXPIRED),
        (9, False, 10, EXPIRED),
        (None, True, 10, REVOKED),
        (9, True, 10, REVOKED),
    ],
)
def test_a_key_stands_as_its_certificate_says(expires: int | None, *, revoked: bool, now: int, expected: str) -> None:
    """A23: at the second of its expiry a key is expired; revoked is worse than expired."""
    key = KeyInfo(
        "AB", ("a <a@b>",), secret=True, created=1, expires=expires, revoked=revoked, version=4, algorithm="EdDSA",
        trust=OWN, subkeys=(), own_password=False,
    )  # fmt: skip
    assert standing(key, now) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Alice <a@b.c>", "Alice <a@b.c>"),
        ("Zoë ☃", "Zoë ☃"),
        ("a\nb", "a\ufffdb"),
        ("\x1b[2Jgone", "\ufffd[2Jgone"),
        ("a\u202eb", "a\ufffdb"),
        ("\ud800", "\ufffd"),
        ("", ""),
    ],
)
def test_what_could_steer_a_terminal_is_replaced(text: str, expected: str) -> None:
    """I6: a user id comes from strangers."""
    assert printable(text) == expected
