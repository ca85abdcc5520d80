"""One-time codes by time (RFC 6238), as functions of values; no clock.

May import: our messages. Invariant: what `parse` accepts means one key, one algorithm, one length and one period; it
guesses nothing.
"""

from __future__ import annotations

import base64
import hmac
import re
import urllib.parse
from typing import Final, NamedTuple, NoReturn

from trollbridge.messages.errors import InvalidArguments

ALGORITHMS: Final = {"SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
SHORTEST_KEY: Final = 10
"""Bytes. RFC 4226 asks for 16; keys of 10 are in wide use."""
DIGITS: Final = range(6, 9)
PERIODS: Final = range(10, 301)
LATEST: Final = 1 << 40
_KNOWN: Final = {"secret", "issuer", "algorithm", "digits", "period", "image"}
_BASE32: Final = re.compile(r"([A-Z2-7]{8})*([A-Z2-7]{2}|[A-Z2-7]{4}|[A-Z2-7]{5}|[A-Z2-7]{7})?", re.ASCII)


class Totp(NamedTuple):
    """A key for one-time codes, and how they are made of it."""

    key: bytes
    algorithm: str = "sha1"
    digits: int = 6
    period: int = 30

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return f"Totp(…, {self.algorithm!r}, {self.digits}, {self.period})"


def _refuse(why: str) -> NoReturn:
    msg = f"This is no key for one-time codes: {why}."
    raise InvalidArguments(msg)


def _base32(text: str) -> bytes:
    """Return what base32 stands for (RFC 4648), in either case and with or without its padding."""
    digits = text.upper().rstrip("=")
    if not _BASE32.fullmatch(digits) or (len(digits) < len(text) and len(text) % 8):
        _refuse("it is not in base32")
    key = base64.b32decode(digits + "=" * (-len(digits) % 8))
    if base64.b32encode(key).decode().rstrip("=") != digits:
        _refuse("its last digit in base32 has bits to spare that are not zero")
    if len(key) < SHORTEST_KEY:
        _refuse(f"it has fewer than {SHORTEST_KEY} bytes")
    return key


def _number(text: str, allowed: range, what: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text, re.ASCII) or int(text) not in allowed:
        _refuse(f"{what} must be {allowed[0]} to {allowed[-1]}")
    return int(text)


def _uri(text: str) -> Totp:
    label, mark, query = text.partition("?")
    if not mark or not label.lower().startswith("otpauth://totp/") or "#" in text:
        _refuse("it is no otpauth://totp/… URI")
    try:
        fields = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        _refuse("its parameters cannot be read")
    values = dict(fields)
    if len(values) < len(fields) or not values.keys() <= _KNOWN:
        _refuse("it has a parameter twice, or one that is not known")
    if "secret" not in values:
        _refuse("it has no secret")
    algorithm = ALGORITHMS.get(values.get("algorithm", "SHA1").upper())
    if algorithm is None:
        _refuse("its algorithm must be SHA1, SHA256 or SHA512")
    return Totp(
        _base32(values["secret"]),
        algorithm,
        _number(values.get("digits", "6"), DIGITS, "the digits of a code"),
        _number(values.get("period", "30"), PERIODS, "the seconds of its period"),
    )


def parse(value: bytes) -> Totp:
    """Return the key that an `otpauth://totp/…` URI or plain base32 stands for.

    Plain base32, which may be in groups with spaces between them, is for SHA-1, 6 digits and 30 seconds. White space
    at the ends is ignored. Raises `InvalidArguments`.
    """
    try:
        text = value.decode("ascii").strip()
    except UnicodeDecodeError:
        _refuse("it is not ASCII")
    if not text.isprintable():
        _refuse("it has control characters")
    return _uri(text) if ":" in text else Totp(_base32(text.replace(" ", "")))


def step(totp: Totp, at: int) -> int:
    """Return the number of the period that `at` (seconds since 1970) lies in; raises `InvalidArguments`."""
    if not 0 <= at < LATEST:
        msg = "The time of a one-time code is in seconds since 1970."
        raise InvalidArguments(msg)
    return at // totp.period


def code(totp: Totp, at: int) -> str:
    """Return the code of that second (RFC 6238, with the truncation of RFC 4226, section 5.3)."""
    mac = hmac.digest(totp.key, step(totp, at).to_bytes(8, "big"), totp.algorithm)
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**totp.digits).zfill(totp.digits)
