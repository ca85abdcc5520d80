"""OpenPGP (RFC 9580) through pysequoia, made strict. Whole messages, in memory.

May import: `pysequoia`, our enclave's certificate, packets, trial and what these are made of, our messages; the modules
that a test names are all that import pysequoia. Invariants, each the answer to something that pysequoia lets pass:

- it encrypts to expired and revoked certificates, and to expired subkeys: here each recipient must have a living key,
  by Sequoia's own policy;
- its signer ignores the revocation of the certificate: here the certificate as it is today decides, not the secret
  key's own copy;
- its `decrypt` returns what was never encrypted: here a message that opens without any key is refused;
- without certificates it reports a signed message as unsigned, and one valid signature hides any number of invalid
  ones: here each signer whom the message names is accounted for as valid, unknown or invalid, and one invalid
  signature withholds everything;
- it cannot check a signature inside a compressed packet, where gpg and sq put it: here that is taken out
  (`nested.py`);
- an expired, revoked or rotated key does not decrypt: here each subkey is tried that the message may be for
  (`carrier.py`);
- its errors carry a backtrace, and a panic is no `Exception`: here nothing leaves but our errors, with none of its
  text.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import pysequoia
from pysequoia.packet import Tag

from trollbridge.enclave import key_editing, outline, packets
from trollbridge.enclave.certificate import Certificate, SecretKey, strict
from trollbridge.enclave.compat import without_seipd2
from trollbridge.enclave.nested import signed_inside
from trollbridge.enclave.recipients import named
from trollbridge.enclave.trial import opens
from trollbridge.messages.errors import BadSignature, CannotDecrypt, InvalidArguments, KeyUnusable, NotOpenPGP
from trollbridge.messages.vault import CLEAR, COMPAT, DEFAULT, DETACHED, INLINE, POST_QUANTUM, PROFILES, V6

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Find: TypeAlias = "Callable[[str], Iterable[Certificate]]"
"""Which certificates have a key of this fingerprint or key id (lower-case hexadecimal)."""

Admit: TypeAlias = "Callable[[], object]"
"""Called right before a secret key is used, after all that could refuse the use; it may raise."""

Key: TypeAlias = "tuple[str, SecretKey, Callable[[], bool] | None]"
"""What a message is tried with: a key, by its fingerprint, and what is asked once it is known that the key opens it.

On a no nothing of the message is looked at. Without it the use is admitted already.
"""

MAX_SIGNATURES: Final = 16
"""Detached signatures in one file: each is computed over all of the data."""
_MODES: Final = {
    DETACHED: pysequoia.SignatureMode.DETACHED,
    INLINE: pysequoia.SignatureMode.INLINE,
    CLEAR: pysequoia.SignatureMode.CLEAR,
}
_NESTED: Final = "Unexpected message structure"


class ValidSignature(NamedTuple):
    """Whose: the certificate's fingerprint and the signing key's."""

    certificate: str
    signing_key: str


class Report(NamedTuple):
    """What was signed or encrypted, whose signatures on it are valid, and which signers have no certificate here."""

    content: bytes
    valid: tuple[ValidSignature, ...]
    unknown: tuple[str, ...]

    def __repr__(self) -> str:
        """Show who signed, not what was written."""
        return f"Report(<{len(self.content)} bytes>, {self.valid!r}, {self.unknown!r})"


def _admit() -> None:
    """Let every use happen."""


class Signing(NamedTuple):
    """A secret key and its certificate as it is today."""

    secret: SecretKey
    certificate: Certificate


class _Witnesses:
    """What pysequoia asks for certificates, and the memory of which signers it asked for."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self.asked: tuple[str, ...] | None = None

    def __call__(self, handles: list[str]) -> list[pysequoia.Cert]:
        self.asked = tuple(dict.fromkeys([*(self.asked or ()), *(handle.lower() for handle in handles)]))
        found = {each.fingerprint: each for handle in self.asked for each in self._find(handle)}
        return [each.witness() for each in found.values()]

    def report(self, content: bytes, signatures: Iterable[ValidSignature]) -> Report:
        """Account for every signer that was asked for; raises `BadSignature` for an invalid one."""
        valid = tuple(dict.fromkeys(signatures))
        signed = {each.certificate for each in valid}
        unknown: list[str] = []
        invalid: list[Certificate] = []
        for handle in self.asked or ():
            known = {each.fingerprint: each for each in self._find(handle)}
            if not known:
                unknown.append(handle)
            elif signed.isdisjoint(known):
                invalid += list(known.values())[:1]
        if invalid:
            raise BadSignature(_invalid(invalid, len(self.asked or ())))
        return Report(content, valid, tuple(unknown))


def _invalid(signers: Sequence[Certificate], total: int) -> str:
    """Return the sentence on invalid signatures; what is known of the first signer's key comes before guesses."""
    first = signers[0]
    if first.revoked:
        why = f"the key {first.fingerprint} is revoked."
    elif first.expires is not None and first.expires <= time.time():
        why = f"the key {first.fingerprint} is expired, and was when it signed, unless the content was changed."
    else:
        why = "the content was changed, or the signer's key was expired, revoked or too weak when it signed."
    return f"{len(signers)} of {total} signers' signatures are invalid: {why}"


def _signatures(result: pysequoia.Decrypted) -> tuple[ValidSignature, ...]:
    return tuple(ValidSignature(each.certificate, each.signing_key) for each in result.valid_sigs)


def generate(user_id: str, profile: str = DEFAULT, lifetime: int | None = None) -> Signing:
    """Return a new key, unprotected: a certifying primary, one subkey to sign and one to decrypt.

    `profile`: version 4 over Curve25519; the same for correspondents with GnuPG 2.2 (`compat.py`); RFC 9580, version 6;
    or post-quantum, version 6 with ML-DSA-65+Ed25519 and ML-KEM-768+X25519. `lifetime` in seconds limits the
    certificate. Raises `InvalidArguments` for a profile that is none, `KeyUnusable` if the key cannot be made.
    """
    if profile not in PROFILES:
        msg = f"There is no such profile; choose one of: {', '.join(PROFILES)}."
        raise InvalidArguments(msg)
    rules = pysequoia.Profile.RFC9580 if profile in {V6, POST_QUANTUM} else pysequoia.Profile.RFC4880
    suites = pysequoia.CipherSuite
    with strict(KeyUnusable):
        suite = suites.MLDSA65_Ed25519 if profile == POST_QUANTUM else suites.Cv25519
        made = pysequoia.Tsk.generate(user_id, profile=rules, cipher_suite=suite)
        if profile == COMPAT:
            made = pysequoia.Tsk.from_bytes(without_seipd2(bytes(made)))
        key = Signing(SecretKey(bytes(made)), Certificate(made.extract_certificate()))
    if lifetime is None:
        return key
    # Not by Sequoia's own validity: it would end the subkeys too, which nothing can renew for a post-quantum key.
    return Signing(key.secret, key_editing.expiring(key, int(time.time()) + lifetime))


def sign(key: Signing, data: bytes, mode: str, *, armored: bool = True, admit: Admit = _admit) -> bytes:
    """Return the signature of `data`, or `data` with it, as `mode` says; clear-signed is always text.

    Clear-signing covers lines, not the white space at their ends. Raises `KeyUnusable` for an expired or revoked key,
    and as `check_mode`.
    """
    check_mode(mode, data)
    signer = key.certificate.signer(key.secret)
    admit()
    with strict(KeyUnusable):
        return pysequoia.sign(signer, data, mode=_MODES[mode], armor=armored)


def check_mode(mode: str, data: bytes) -> None:
    """Raise `InvalidArguments` for a mode that is none, and for data that is not UTF-8 text in clear mode."""
    if mode not in _MODES:
        msg = f"There is no such signature mode; choose one of: {', '.join(_MODES)}."
        raise InvalidArguments(msg)
    if mode == CLEAR:
        try:
            data.decode()
        except UnicodeDecodeError:
            msg = "Only UTF-8 text can be signed in clear; choose another mode."
            raise InvalidArguments(msg) from None


def armored_secret(binary: bytes) -> bytes:
    """Return a transferable secret key, ASCII-armored."""
    return pysequoia.armor(binary, pysequoia.ArmorKind.SecretKey).encode()


def joined(secret: SecretKey, certificate: Certificate) -> SecretKey:
    """Return a secret key whose user ids and signatures are those of its certificate as it is today."""
    return SecretKey(b"".join(map(bytes, secret.rejoined(certificate))), secret.password)


def verify(data: bytes, signature: bytes | None, find: Find) -> Report:
    """Check a signed message, or `data` against a detached `signature`, and return what was signed and by whom.

    Raises `BadSignature` unless at least one signature is valid and none is invalid; `NotOpenPGP` for what is no
    signature. Only the returned content was signed, whatever else the data holds.
    """
    report = _inline(data, find) if signature is None else _detached(data, signature, find)
    if report.valid:
        return report
    if not report.unknown:
        msg = "This is not signed."
        raise BadSignature(msg)
    msg = (
        f"The signer's certificate is not in this vault; import it to check the signature: {', '.join(report.unknown)}"
    )
    raise BadSignature(msg)


def _inline(data: bytes, find: Find) -> Report:
    witnesses = _Witnesses(find)
    content = b""
    signatures: tuple[ValidSignature, ...] = ()
    with strict(NotOpenPGP):
        if not outline.is_clear_signed(data):
            data = outline.binary(data)
            outline.check_content(data)
        try:
            result = pysequoia.verify(data, store=witnesses)
            content, signatures = result.bytes or b"", _signatures(result)
        except (RuntimeError, OSError):
            if witnesses.asked is None:
                raise
    return witnesses.report(content, signatures)


def _detached(data: bytes, signature: bytes, find: Find) -> Report:
    with strict(NotOpenPGP):
        found = packets.read(signature)
        if not all(packet.tag == Tag.Signature for packet in found) or not 0 < len(found) <= MAX_SIGNATURES:
            raise NotOpenPGP
        parsed = [pysequoia.Sig.from_bytes(bytes(packet)) for packet in found]
    valid: list[ValidSignature] = []
    unknown: list[str] = []
    invalid: list[Certificate] = []
    for each in parsed:
        witnesses = _Witnesses(find)
        try:
            with strict(BadSignature):
                valid.extend(_signatures(pysequoia.verify(data, store=witnesses, signature=each)))
        except BadSignature:
            issuer = next((handle for handle in (each.issuer_fingerprint, each.issuer_key_id) if handle), "")
            known = list(find(issuer))[:1]
            invalid += known
            if not known:
                unknown.append(issuer or "unnamed")
    if invalid:
        raise BadSignature(_invalid(invalid, len(parsed)))
    return Report(data, tuple(dict.fromkeys(valid)), tuple(dict.fromkeys(unknown)))


def encrypt(
    data: bytes,
    recipients: Sequence[Certificate],
    signing: Signing | None = None,
    *,
    armored: bool = True,
    admit: Admit = _admit,
) -> bytes:
    """Return `data` encrypted to every recipient, signed inside if `signing` is given.

    Raises `KeyUnusable` if there is no recipient, or if one of them or the signer is expired, revoked or lacks a key
    for it.
    """
    to = check_recipients(recipients)
    signer = None if signing is None else signing.certificate.signer(signing.secret)
    if signer is not None:
        admit()
    with strict(KeyUnusable):
        return pysequoia.encrypt(data, recipients=to, signer=signer, armor=armored)


def check_recipients(recipients: Sequence[Certificate]) -> list[pysequoia.Cert]:
    """Return whom to encrypt to, each once; raises `KeyUnusable` for none, or for one who cannot be encrypted to."""
    if not recipients:
        msg = "Name at least one recipient."
        raise KeyUnusable(msg)
    return list({each.fingerprint: each.recipient() for each in recipients}.values())


def recipients(message: bytes) -> frozenset[str]:
    """Return the handles of the keys that may open a message in binary; none, if it hides one of its recipients.

    Raises `NotOpenPGP` for what is not encrypted.
    """
    found = frozenset(named(message))
    return frozenset() if "" in found else found


class Opener:
    """Decrypts. It holds a key of its own, made for nobody, that tells encrypted messages from others."""

    __slots__ = ("_nobody",)

    def __init__(self) -> None:
        """Make the key that nothing is encrypted to."""
        self._nobody: Final = pysequoia.Tsk.generate("nobody").decryptor()

    def decrypt(self, message: bytes, keys: Iterable[Key], find: Find) -> tuple[str, Report]:
        """Return the fingerprint of the key that opened the message, and what it says.

        Raises `CannotDecrypt`, one and the same for a message to somebody else, a damaged one and one without
        integrity protection; `BadSignature` if it opened and a signature is invalid, or lies where it cannot be
        checked; `NotOpenPGP` for what is not encrypted.
        """
        message = outline.binary(message)
        handles = recipients(message)
        self._check_encrypted(message)
        for fingerprint, key, admit in keys:
            for decryptor in key.decryptors(handles):
                if admit is not None:
                    if not opens(message, decryptor):
                        continue
                    if not admit():
                        break
                report = _opened(message, key, decryptor, find)
                if report is not None:
                    return fingerprint, report
        raise CannotDecrypt

    def _check_encrypted(self, message: bytes) -> None:
        try:
            with strict(CannotDecrypt):
                pysequoia.decrypt(message, decryptor=self._nobody)
        except CannotDecrypt:
            return
        msg = "The message is not encrypted."
        raise NotOpenPGP(msg)


def _opened(message: bytes, key: SecretKey, decryptor: pysequoia.PyDecryptor, find: Find) -> Report | None:
    """Return the report of a message, None if this decryptor of the key does not open it.

    pysequoia fails a message with no valid signature in the same way as one that does not open, so such a message is
    opened once more, without certificates: what then fails is damaged.
    """
    witnesses = _Witnesses(find)
    nested = False
    with strict(CannotDecrypt):
        try:
            result = pysequoia.decrypt(message, decryptor=decryptor, store=witnesses)
        except (RuntimeError, OSError) as problem:
            if witnesses.asked is None:
                return None
            nested = _NESTED in str(problem)
            signatures: tuple[ValidSignature, ...] = ()
            result = pysequoia.decrypt(message, decryptor=decryptor)
        else:
            signatures = _signatures(result)
        content = result.bytes or b""
    if nested and any(True for handle in witnesses.asked or () for _ in find(handle)):
        return _nested(message, key, content, find)
    return witnesses.report(content, signatures)


def _nested(message: bytes, key: SecretKey, content: bytes, find: Find) -> Report:
    """Return the report of a message that `key` has opened to `content`, signed inside a compressed packet."""
    with strict(BadSignature):
        inside = signed_inside(message, key)
    report = None if inside is None else _inline(inside, find)
    if report is None or report.content != content:
        msg = (
            "The signature lies inside the message in a way that cannot be checked here; "
            "ask the sender to encrypt without compression (gpg -z 0)."
        )
        raise BadSignature(msg)
    return report
