"""HTTP message signatures: the RFC's own vectors, each derived component, and what must not become part of a base."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.enclave import http_signature, request_key
from trollbridge.messages.errors import InvalidArguments
from trollbridge.messages.vault_secrets import ECDSA_P256, ED25519, HMAC, HttpRequest, HttpSignature

VECTORS: Final = json.loads(Path(__file__).parents[1].joinpath("vectors/http_signatures.json").read_text("utf-8"))
HEADERS: Final[tuple[tuple[str, str], ...]] = tuple((name, value) for name, value in VECTORS["headers"])
PLAIN: Final = HttpRequest("GET", "https://example.com/a?b=c", (("X-One", "1"),), ("@method",))


def of_rfc(components: tuple[str, ...], **parameters: Any) -> HttpRequest:  # noqa: ANN401  # fields of several types
    """Return the test request of the RFC, covered like that."""
    return HttpRequest(VECTORS["method"], VECTORS["target"], HEADERS, components, **parameters)


def changed(**fields: Any) -> HttpRequest:  # noqa: ANN401  # fields of several types
    """Return the plain request with other fields."""
    return msgspec.structs.replace(PLAIN, **fields)


def value(component: str, request: HttpRequest) -> str:
    """Return the one line of the base that stands for a component, without its name."""
    base = http_signature.base(msgspec.structs.replace(request, components=(component,)))
    first, last = base.octets.decode().split("\n")
    name, _, rest = first.partition(": ")
    assert last == f'"@signature-params": ({name})'
    assert base.parameters == f"({name})"
    return rest


def test_the_signatures_are_those_of_the_rfc() -> None:
    """Appendix B.2.5 and B.2.6, both deterministic; a changed request has another signature."""
    assert [each["kind"] for each in VECTORS["signatures"]] == [HMAC, ED25519]
    for each in VECTORS["signatures"]:
        request = of_rfc(
            tuple(each["components"]), created=VECTORS["created"], keyid=each["keyid"], label=each["label"]
        )
        sign, key = request_key.SIGNERS[each["kind"]], bytes.fromhex(each["key"])
        base = http_signature.base(request)
        signature = sign(key, base.octets)
        assert base64.b64encode(signature).decode() == each["signature"]
        assert base.headers(signature) == HttpSignature(
            f"{each['label']}={each['input']}", f"{each['label']}=:{each['signature']}:"
        )
        for other in (
            msgspec.structs.replace(request, target="https://example.org/foo"),
            msgspec.structs.replace(request, created=VECTORS["created"] + 1),
            msgspec.structs.replace(request, components=request.components[::-1]),
        ):
            assert sign(key, http_signature.base(other).octets) != signature


def test_a_base_is_what_the_rfc_shows() -> None:
    """Section 2.5, to the byte; no line ends the last one."""
    covered = ("@method", "@authority", "@path", "content-digest", "content-length", "content-type")
    base = http_signature.base(of_rfc(covered, created=1618884473, keyid="test-key-rsa-pss"))
    assert base.octets.decode() == (
        '"@method": POST\n'
        '"@authority": example.com\n'
        '"@path": /foo\n'
        f'"content-digest": {dict(HEADERS)["Content-Digest"]}\n'
        '"content-length": 18\n'
        '"content-type": application/json\n'
        '"@signature-params": ("@method" "@authority" "@path" "content-digest" "content-length" "content-type")'
        ';created=1618884473;keyid="test-key-rsa-pss"'
    )


@pytest.mark.parametrize(
    ("component", "target", "expected"),
    [
        ("@target-uri", "https://www.example.com/path?param=value", "https://www.example.com/path?param=value"),
        ("@authority", "https://WWW.Example.com/", "www.example.com"),
        ("@authority", "https://example.com:443/", "example.com"),
        ("@authority", "http://example.com:80", "example.com"),
        ("@authority", "http://example.com:443", "example.com:443"),
        ("@authority", "https://example.com:08443/", "example.com:8443"),
        ("@authority", "https://example.com:/", "example.com"),
        ("@authority", "https://[2001:DB8::1]:8443/", "[2001:db8::1]:8443"),
        ("@scheme", "HTTP://example.com/", "http"),
        ("@request-target", "https://example.com/path?param=value", "/path?param=value"),
        ("@request-target", "https://example.com", "/"),
        ("@path", "https://example.com", "/"),
        ("@path", "https://example.com?a=b", "/"),
        ("@path", "https://example.com/p%61th/?x", "/p%61th/"),
        ("@query", "https://example.com/path?param=value&foo=bar&baz=bat%2Dman", "?param=value&foo=bar&baz=bat%2Dman"),
        ("@query", "https://example.com/path?queryString", "?queryString"),
        ("@query", "https://example.com/path?", "?"),
        ("@query", "https://example.com/path", "?"),
    ],
)
def test_each_derived_component_is_what_the_rfc_says(component: str, target: str, expected: str) -> None:
    """Section 2.2, with its examples."""
    assert value(component, changed(target=target)) == expected


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("baz", "param=value&foo=bar&baz=batman&qux=", "batman"),
        ("qux", "param=value&foo=bar&baz=batman&qux=", ""),
        ("param", "param=value&foo=bar&baz=batman&qux=", "value"),
        ("var", "var=this%20is%20a%20big%0Amultiline%20value&b=1", "this%20is%20a%20big%0Amultiline%20value"),
        ("bar", "bar=with+plus+whitespace", "with%20plus%20whitespace"),
        ("fa%C3%A7ade%22%3A%20", "fa%C3%A7ade%22%3A%20=something", "something"),
        ("a", "a=%7e~*-._%2f", "%7E%7E*-._%2F"),
        ("a", "&&a=1=2&", "1%3D2"),
        ("", "=x", "x"),
    ],
)
def test_a_parameter_of_the_query_is_decoded_and_encoded_again(name: str, query: str, expected: str) -> None:
    """Section 2.2.8, with its examples: whatever way it was written, it has one value."""
    component = f'@query-param;name="{name}"'
    base = http_signature.base(changed(target=f"https://example.com/?{query}", components=(component,)))
    assert base.octets.decode().split("\n")[0] == f'"@query-param";name="{name}": {expected}'


def test_the_values_of_a_field_are_trimmed_and_joined() -> None:
    """Section 2.1, with its examples: in order, whatever the case of their names; an empty one stays."""
    request = changed(
        headers=(
            ("X-OWS-Header", "   Leading and trailing whitespace.  \t"),
            ("Cache-Control", "max-age=60"),
            ("X-Empty", ""),
            ("cache-control", "    must-revalidate"),
        )
    )
    assert value("x-ows-header", request) == "Leading and trailing whitespace."
    assert value("cache-control", request) == "max-age=60, must-revalidate"
    assert value("x-empty", request) == ""


def test_every_parameter_stands_in_the_signed_line() -> None:
    """Those that are None do not; quotes and backslashes are escaped."""
    base = http_signature.base(
        changed(created=1, expires=2, keyid='a"\\b', nonce="n", tag="app", label="*x1"),
    )
    assert base.parameters == '("@method");created=1;expires=2;keyid="a\\"\\\\b";nonce="n";tag="app"'
    assert base.octets.endswith(f'"@signature-params": {base.parameters}'.encode())
    assert base.headers(b"\0") == HttpSignature(f"*x1={base.parameters}", "*x1=:AA==:")


@pytest.mark.parametrize(
    "fields",
    [
        {"method": ""},
        {"method": "GET\n"},
        {"method": "G T"},
        {"target": ""},
        {"target": "/only/a/path"},
        {"target": "ftp://example.com/"},
        {"target": "https:///path"},
        {"target": "https://user@example.com/"},
        {"target": "https://user:secret@example.com/"},
        {"target": "https://example.com:65536/"},
        {"target": "https://example.com:x/"},
        {"target": "https://example.com/#fragment"},
        {"target": "https://example.com/?a#b"},
        {"target": "https://example.com/a b"},
        {"target": "https://example.com/a\nb"},
        {"target": "https://example.com/\u00e9"},
        {"target": "https://ex\u00e4mple.com/"},
        {"target": "https://example.com\\@evil.org/"},
        {"headers": (("X-One", "a\r\nX-Two: b"),)},
        {"headers": (("X-One", "a\n b"),)},
        {"headers": (("X-One", "a\x00"),)},
        {"headers": (("X-One", "\u00e9"),)},
        {"headers": (("X One", "a"),)},
        {"headers": (("", "a"),)},
        {"headers": (("X-One:", "a"),)},
        {"headers": (("X", "1"),) * 257},
        {"components": ()},
        {"components": ("@method",) * 65},
        {"components": ("@method", "@method")},
        {"components": ("x-one", "x-one")},
        {"components": ('@query-param;name="b"', '@query-param;name="b"')},
        {"components": ("x-missing",)},
        {"components": ("X-One",)},
        {"components": ("x-one;sf",)},
        {"components": ('"x-one"',)},
        {"components": ("@status",)},
        {"components": ("@signature-params",)},
        {"components": ("@query-param",)},
        {"components": ("@method;req",)},
        {"components": ("@METHOD",)},
        {"components": ('@query-param;name="missing"',)},
        {"components": ('@query-param;name="%62"',)},
        {"components": ('@query-param;name="b";req',)},
        {"components": ('@query-param;name="b\n"',)},
        {"components": ('@query-param;name="b"',), "target": "https://example.com/?b=1&b=2"},
        {"components": ('@query-param;name="b"',), "target": "https://example.com/?b=1&%62=2"},
        {"components": ('@query-param;name="b"',), "target": "https://example.com/?b=%ff"},
        {"components": ("",)},
        {"label": ""},
        {"label": "Sig"},
        {"label": "a=b"},
        {"label": "a\nb"},
        {"created": -1},
        {"created": 10**15},
        {"expires": -1},
        {"keyid": "a\nb"},
        {"keyid": "\u00e9"},
        {"nonce": "\x7f"},
        {"tag": "\ud800"},
    ],
)
def test_what_is_ambiguous_foreign_or_injected_is_refused(fields: dict[str, Any]) -> None:
    """No second line, no folding, no character beyond ASCII, nothing twice, nothing missing, nothing left out (P2)."""
    assert http_signature.base(PLAIN)
    with pytest.raises(InvalidArguments):
        http_signature.base(changed(**fields))


TEXT: Final = st.text(max_size=12)


@given(
    method=TEXT,
    target=TEXT.map("https://example.com/".__add__),
    name=TEXT,
    content=TEXT,
    component=TEXT,
    keyid=TEXT,
    label=TEXT,
)
def test_a_base_has_a_line_for_each_component_and_no_other(  # noqa: PLR0913  # each of them is a way in
    *, method: str, target: str, name: str, content: str, component: str, keyid: str, label: str
) -> None:
    """Whatever comes in by any field: refused, or one printable line for each component (P2)."""
    for request in (
        HttpRequest(method, target, ((name, content),), (name.lower(),), keyid=keyid, label=label),
        changed(method=method, components=("@method", component)),
        changed(target=target, components=("@target-uri", "@path", "@query")),
        changed(headers=(("x-one", content),), components=("x-one",), keyid=keyid),
    ):
        try:
            base = http_signature.base(request)
        except InvalidArguments:
            continue
        lines = base.octets.decode("ascii").split("\n")
        assert len(lines) == len(request.components) + 1
        assert all(each.replace("\t", " ").isprintable() for each in lines)


def test_a_p256_signature_is_two_numbers_that_verify() -> None:
    """Section 3.3.4: 64 octets, of a key in PEM and of the same as a number."""
    key = ec.generate_private_key(ec.SECP256R1())
    raw = key.private_numbers().private_value.to_bytes(32, "big")
    for form in (pem(key), raw):
        signature = request_key.SIGNERS[ECDSA_P256](form, b"base")
        assert len(signature) == 64
        numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        encoded = utils.encode_dss_signature(*numbers)
        key.public_key().verify(encoded, b"base", ec.ECDSA(hashes.SHA256()))
        with pytest.raises(InvalidSignature):
            key.public_key().verify(encoded, b"bass", ec.ECDSA(hashes.SHA256()))


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    """Return a private key in PEM."""
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def test_a_key_in_pem_is_the_same_as_its_octets() -> None:
    """For Ed25519."""
    key = ed25519.Ed25519PrivateKey.generate()
    sign = request_key.SIGNERS[ED25519]
    assert sign(pem(key), b"base") == sign(key.private_bytes_raw(), b"base") == key.sign(b"base")


def test_what_is_no_key_of_its_kind_is_refused() -> None:
    """Another curve, a password, a public key, zero, junk, nothing; no error shows any of it."""
    curve, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    public = edwards.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    wrong: dict[str, list[bytes]] = {
        HMAC: [b""],
        ED25519: [b"", b"x", bytes(31), bytes(64), pem(curve), pem(edwards, b"password"), public, pem(edwards)[:60]],
        ECDSA_P256: [b"", bytes(32), b"\xff" * 32, pem(edwards), pem(ec.generate_private_key(ec.SECP384R1())), public],
    }
    for kind, values in wrong.items():
        for each in values:
            with pytest.raises(InvalidArguments):
                request_key.CHECKS[kind](each)
            with pytest.raises(InvalidArguments):
                request_key.SIGNERS[kind](each, b"base")
    assert wrong.keys() == request_key.CHECKS.keys() == request_key.SIGNERS.keys()
