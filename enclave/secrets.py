"""The API keys of an unlocked vault, and what is done with them, by name.

May import: `msgspec`, our enclave's gate, http_signature, one_time_code, request_key, sealing and storage, our
messages. Invariants: no method returns a use-only key, and none makes one that can be shown of it; the kind of a key
decides what it can be used for; every use passes the gate first.

    record API_KEY      <name>   the value, as it was given
    record API_KEY_INFO <name>   MessagePack [kind, created, changed, expires, use only, size, note]

Two records, so that a list opens no value. Both are written together, with what the gate keeps about the key.

Kinds are kept apart: an HMAC over a message of the caller's choice, under a key for one-time codes, would be any code
of any time; so each kind has its own uses, and a key keeps its kind until it is deleted. HMAC and HTTP signatures by
`hmac-sha256` share a kind: who may ask for the one can have the other.
"""

from __future__ import annotations

import hmac
import re
import time
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.enclave import http_signature, one_time_code, request_key
from trollbridge.enclave.gate import Content
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Delete, Put
from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import (
    InvalidArguments,
    InvalidName,
    KeyUnusable,
    Malformed,
    NoSuchSecret,
    SecretExists,
    TooLarge,
    UseOnly,
    VaultCorrupt,
)
from trollbridge.messages.vault_secrets import (
    HMAC,
    LARGEST_SECRET,
    LONGEST_NAME,
    LONGEST_NOTE,
    SECRET_KINDS,
    SUBJECT_OF_SECRETS,
    TOKEN,
    TOTP,
    HttpSignature,
    SecretInfo,
    SecretOptions,
    TotpCode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.gate import Gate
    from trollbridge.enclave.storage import Records
    from trollbridge.messages.vault_secrets import HttpRequest

HASHES: Final = ("sha256", "sha384", "sha512")
_BEARER: Final = re.compile(rb"[0-9A-Za-z._~+/-]+=*")  # RFC 6750, section 2.1
_CHECKS: Final = {TOTP: one_time_code.parse, **request_key.CHECKS}
_INFO: Final[Codec[tuple[str, int, int, int | None, bool, int, str]]] = Codec(
    tuple[str, int, int, int | None, bool, int, str]
)


def check_name(name: str) -> None:
    """Raise `InvalidName` unless this can name an API key: 1 to 128 printable characters, no space at its ends."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InvalidName


def _check_options(options: SecretOptions) -> None:
    if options.kind not in SECRET_KINDS:
        msg = f"An API key is of one of these kinds: {', '.join(SECRET_KINDS)}."
        raise InvalidArguments(msg)
    if len(options.note) > LONGEST_NOTE or not options.note.isprintable():
        msg = f"A note has at most {LONGEST_NOTE} characters, all printable."
        raise InvalidArguments(msg)
    if options.expires is not None and not 0 < options.expires < http_signature.LATEST:
        msg = "The time at which an API key expires is in seconds since 1970."
        raise InvalidArguments(msg)


def _subject(name: str) -> str:
    return SUBJECT_OF_SECRETS + name


class Secrets:
    """API keys. Nothing of them stays in memory between calls."""

    __slots__ = ("_clock", "_gate", "_records")

    def __init__(self, records: Records, gate: Gate, *, clock: Callable[[], float] = time.time) -> None:
        """Take where they are kept, what decides on their use, and the clock, in seconds since 1970."""
        self._records: Final = records
        self._gate: Final = gate
        self._clock: Final = clock

    # Keeping.

    def _info(self, name: str, body: bytes | None) -> SecretInfo:
        if body is None:
            raise NoSuchSecret
        try:
            return SecretInfo(name, *_INFO.decode(body))
        except Malformed:
            raise VaultCorrupt from None

    def show(self, name: str) -> SecretInfo:
        """Return what is known of one key; raises `NoSuchSecret`."""
        return self._info(name, self._records.get(Kind.API_KEY_INFO, name))

    def list_all(self) -> tuple[SecretInfo, ...]:
        """Return what is known of all keys, by name; no value is opened for it."""
        found = (self._info(name, body) for name, body in self._records.items(Kind.API_KEY_INFO))
        return tuple(sorted(found, key=lambda each: each.name))

    @staticmethod
    def _puts(info: SecretInfo, value: bytes) -> tuple[Put, Put]:
        body = (info.kind, info.created, info.changed, info.expires, info.use_only, info.size, info.note)
        return Put(Kind.API_KEY, info.name, value), Put(Kind.API_KEY_INFO, info.name, _INFO.encode(body))

    def store(self, name: str, value: bytes, options: SecretOptions) -> SecretInfo:
        """Keep a key, up to 64 KiB; an empty one is a key too. Return what is known of it.

        Replacing one loosens nothing: it keeps its constraints, and stays use-only if it was. Raises `InvalidName`,
        `SecretExists`, `TooLarge`, `InvalidArguments`, `NotAllowed` unless the core UI asks, or `StorageFailed` with
        nothing changed.
        """
        self._gate.check_core()
        check_name(name)
        _check_options(options)
        if len(value) > LARGEST_SECRET:
            raise TooLarge
        now = int(self._clock())
        created, use_only = now, options.use_only
        if self._records.has(Kind.API_KEY_INFO, name):
            if not options.replace:
                raise SecretExists
            known = self.show(name)
            if known.kind != options.kind:
                msg = f"The vault holds an API key of that name, of the kind {known.kind}; delete it first."
                raise SecretExists(msg)
            created, use_only = known.created, known.use_only or use_only
        if options.kind in _CHECKS:
            _CHECKS[options.kind](value)
        info = SecretInfo(name, options.kind, created, now, options.expires, use_only, len(value), options.note)
        self._records.write(*self._puts(info, value))
        return info

    def rename(self, old: str, new: str) -> SecretInfo:
        """Give a key another name; all that is known of it goes along, its constraints and counts too.

        Raises `NoSuchSecret`, `SecretExists`, `InvalidName`, `NotAllowed` unless the core UI asks.
        """
        self._gate.check_core()
        info, value = self.show(old), self._value(old)
        check_name(new)
        if self._records.has(Kind.API_KEY_INFO, new):
            raise SecretExists
        renamed = msgspec.structs.replace(info, name=new)
        self._records.write(
            Delete(Kind.API_KEY, old),
            Delete(Kind.API_KEY_INFO, old),
            *self._puts(renamed, value),
            *self._gate.renaming(_subject(old), _subject(new)),
        )
        self._gate.renamed(_subject(old), _subject(new))
        return renamed

    def delete(self, name: str) -> None:
        """Forget a key and its constraints; raises `NoSuchSecret`, `NotAllowed` unless the core UI asks."""
        self._gate.check_core()
        self.show(name)
        self._records.write(
            Delete(Kind.API_KEY, name), Delete(Kind.API_KEY_INFO, name), *self._gate.forgetting(_subject(name))
        )
        self._gate.forgotten(_subject(name))

    # Using.

    def _value(self, name: str) -> bytes:
        value = self._records.get(Kind.API_KEY, name)
        if value is None:
            raise VaultCorrupt  # there is a record about it
        return value

    def _fitting(self, name: str, *kinds: str) -> tuple[str, bytes]:
        """Return kind and value of a key of one of these kinds; raises `NoSuchSecret`, `KeyUnusable`."""
        info = self.show(name)
        if info.kind not in kinds:
            msg = f"The API key is of the kind {info.kind}, which cannot do this."
            raise KeyUnusable(msg)
        return info.kind, self._value(name)

    def _admit(self, name: str, operation: str, content: bytes) -> None:
        self._gate.admit(_subject(name), operation, Content.of(content))

    def get(self, name: str) -> bytes:
        """Return a key itself, of whatever kind; raises `NoSuchSecret`, `UseOnly`, and as the gate does."""
        if self.show(name).use_only:
            raise UseOnly
        self._admit(name, "get", b"")
        return self._value(name)

    def bearer(self, name: str) -> str:
        """Return the value of an `Authorization` header for one request (RFC 6750).

        The header holds the key, so a use-only key has none: whoever sends the header could keep it. Raises
        `KeyUnusable` for what cannot stand in a header, and as `get` does.
        """
        if self.show(name).use_only:
            msg = "The API key can be used and never be shown; a bearer header would show it."
            raise UseOnly(msg)
        _, value = self._fitting(name, TOKEN)
        if not _BEARER.fullmatch(value):
            msg = "The API key cannot stand in a bearer header: it is empty, or has other characters than these may be."
            raise KeyUnusable(msg)
        self._admit(name, "bearer", b"")
        return f"Bearer {value.decode('ascii')}"

    def mac(self, name: str, data: bytes, algorithm: str) -> bytes:
        """Return the HMAC of `data` under a key of kind `hmac`; by `sha256`, `sha384` or `sha512`."""
        if algorithm not in HASHES:
            msg = f"An HMAC is made by one of these: {', '.join(HASHES)}."
            raise InvalidArguments(msg)
        _, value = self._fitting(name, HMAC)
        self._admit(name, f"hmac-{algorithm}", data)
        return hmac.digest(value, data, algorithm)

    def sign_request(self, name: str, request: HttpRequest) -> HttpSignature:
        """Sign an HTTP request (RFC 9421) as the key's kind does; what is approved is the signature base."""
        base = http_signature.base(request)
        kind, value = self._fitting(name, *request_key.SIGNERS)
        self._admit(name, "http-signature", base.octets)
        return base.headers(request_key.SIGNERS[kind](value, base.octets))

    def totp(self, name: str, at: int | None) -> TotpCode:
        """Return the one-time code of now, or of another second (RFC 6238).

        Codes beyond the next period are refused: they would outlast whatever limits the key, and the grant.
        """
        now = int(self._clock())
        second = now if at is None else at
        totp = one_time_code.parse(self._fitting(name, TOTP)[1])
        if second > now + totp.period:
            msg = "One-time codes of the future are not given out."
            raise InvalidArguments(msg)
        code = one_time_code.code(totp, second)
        self._admit(name, "totp", b"" if at is None else b"%d" % at)
        return TotpCode(code, totp.period - second % totp.period)

    def drop(self) -> None:
        """Forget everything."""
