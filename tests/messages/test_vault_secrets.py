"""The vocabulary of API keys: nothing of it shows what it may carry, and a body's digest is the RFC's."""

from __future__ import annotations

import base64

from trollbridge.messages.vault_secrets import (
    SECRET_KINDS,
    Approval,
    HttpRequest,
    SecretOptions,
    TotpCode,
    content_digest,
)


def test_no_repr_shows_a_code_a_header_or_a_content() -> None:
    """I6: one-time codes, credentials in headers and URIs, what is to be signed."""
    shown = [
        repr(each)
        for each in (
            TotpCode("canary", 5),
            HttpRequest("GET", "https://canary", (("cookie", "canary"),), ("@method",)),
            Approval(b"canary", "secret:a", "get", b"canary", 6, "canary", "console", 1),
        )
    ]
    assert shown == [
        "TotpCode(…, 5)",
        "HttpRequest('GET', …, ('@method',))",
        "Approval('console', 'get', 'secret:a', <6 bytes>)",
    ]


def test_without_options_a_key_is_a_token_and_nothing_is_replaced() -> None:
    """The defaults harm nobody."""
    assert SecretOptions() == SecretOptions("token", use_only=False, expires=None, note="", replace=False)
    assert SECRET_KINDS == ("token", "hmac", "totp", "ed25519", "ecdsa-p256")


def test_a_bodys_digest_is_that_of_the_standard() -> None:
    """RFC 9530: SHA-256, in base64 between colons; of the RFCs' own body, and of none."""
    for body, digest in (
        (b'{"hello": "world"}', "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="),
        (b"", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ):
        assert content_digest(body) == f"sha-256=:{digest}:"
        assert len(base64.b64decode(digest)) == 32
