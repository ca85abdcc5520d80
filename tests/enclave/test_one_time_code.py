"""One-time codes by the vectors of RFC 6238; what is no key for them is refused, and nothing is guessed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Final

import pytest

from trollbridge.enclave import one_time_code
from trollbridge.enclave.one_time_code import Totp
from trollbridge.messages.errors import InvalidArguments

VECTORS: Final = json.loads(Path(__file__).parents[1].joinpath("vectors/one_time_codes.json").read_text("utf-8"))
SIZES: Final = {"SHA1": 20, "SHA256": 32, "SHA512": 64}
PLAIN: Final = "JBSWY3DPEHPK3PXP"
KEY: Final = base64.b32decode(PLAIN)
URI: Final = f"otpauth://totp/Example:alice?secret={PLAIN}"


def test_the_codes_are_those_of_the_rfc() -> None:
    """Eighteen of them, by three hash functions; each is another one a period earlier and later."""
    assert len(VECTORS["codes"]) == 18
    for at, algorithm, code in VECTORS["codes"]:
        key = (VECTORS["digits"] * 7)[: SIZES[algorithm]].encode()
        secret = base64.b32encode(key).decode().rstrip("=")
        uri = f"otpauth://totp/rfc?secret={secret}&algorithm={algorithm}&digits=8&period=30"
        totp = one_time_code.parse(uri.encode())
        assert totp == Totp(key, algorithm.lower(), 8, 30)
        assert one_time_code.code(totp, at) == code
        assert code not in {one_time_code.code(totp, at - 30), one_time_code.code(totp, at + 30)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN, Totp(KEY)),
        (PLAIN.lower(), Totp(KEY)),
        ("jbsw y3dp ehpk 3pxp\n", Totp(KEY)),
        ("GEZDGNBVGY3TQOJQGEZA====", Totp(b"123456789012")),
        (URI, Totp(KEY)),
        (f"{URI}&issuer=Example&algorithm=SHA512&digits=7&period=60", Totp(KEY, "sha512", 7, 60)),
        (f"OTPAUTH://TOTP/?algorithm=sha256&secret={PLAIN}", Totp(KEY, "sha256")),
    ],
)
def test_a_key_comes_as_base32_or_as_a_uri(text: str, expected: Totp) -> None:
    """As applications show it: in groups, in lower case, with padding or without, and as the text of a QR code."""
    assert one_time_code.parse(text.encode()) == expected
    assert str(KEY) not in repr(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "JBSWY3DPEHPK3PX1",
        "JBSWY3DP",
        f"{PLAIN}=",
        f"{PLAIN}\u00e9",
        f"{PLAIN[:8]}\n{PLAIN[8:]}",
        "GEZDGNBVGY3TQOJQGEZB",
        f"otpauth://hotp/a?secret={PLAIN}&counter=1",
        f"https://totp/a?secret={PLAIN}",
        "otpauth://totp/a",
        "otpauth://totp/a?issuer=b",
        "otpauth://totp/a?secret=",
        f"{URI}#",
        f"{URI}&secret={PLAIN}",
        f"{URI}&counter=1",
        f"{URI}&algorithm=MD5",
        f"{URI}&digits=5",
        f"{URI}&digits=9",
        f"{URI}&digits=06",
        f"{URI}&digits=%D9%A7",
        f"{URI}&period=0",
        f"{URI}&period=9",
        f"{URI}&period=301",
        f"{URI}&period=-30",
        f"{URI}&period=",
        f"{URI}&&",
        f"{URI}&issuer=%ff",
    ],
)
def test_what_is_no_such_key_is_refused(text: str) -> None:
    """Neither corrected nor cut: too short, of another kind, twice, unknown, out of range; nor is it shown."""
    with pytest.raises(InvalidArguments) as refusal:
        one_time_code.parse(text.encode())
    assert PLAIN not in str(refusal.value)


@pytest.mark.parametrize("at", [-1, 1 << 40, 1 << 63])
def test_a_time_that_is_none_has_no_code(at: int) -> None:
    """Before 1970, or in a number that is no time."""
    with pytest.raises(InvalidArguments):
        one_time_code.code(Totp(KEY), at)


def test_a_code_has_all_its_digits() -> None:
    """A number with zeros before it keeps them."""
    codes = [one_time_code.code(Totp(KEY), 30 * step) for step in range(200)]
    assert {len(each) for each in codes} == {6}
    assert any(each.startswith("0") for each in codes)
