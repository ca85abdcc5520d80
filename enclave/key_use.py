"""What is done with the keys of an unlocked vault: sign, verify, encrypt, decrypt; and what a scribe gets for it.

May import: our enclave's openpgp, trial, key_list, gate and what they are made of, our messages. Invariant: each use of
a secret key is admitted by the gate, after everything is checked that could refuse it anyway, and before it happens; of
a decryption that is whether the key opens the message, so it is tried first: of that the caller learns nothing before
the use is admitted, and a message to somebody else costs no use.
"""

from __future__ import annotations

import functools
import secrets
from typing import TYPE_CHECKING, NamedTuple

from trollbridge.enclave import openpgp, outline, packets
from trollbridge.enclave.certificate import strict
from trollbridge.enclave.constraints import NONE
from trollbridge.enclave.gate import Content
from trollbridge.enclave.key_list import KeyList
from trollbridge.enclave.protection import vault_protection
from trollbridge.enclave.self_description import signing_times
from trollbridge.enclave.trial import is_for
from trollbridge.messages.errors import (
    ApprovalNeeded,
    ApprovalRefused,
    CannotDecrypt,
    DeclaredError,
    KeyLocked,
    NotAllowed,
    NotOpenPGP,
)
from trollbridge.messages.vault import Decrypted, Signer, Verified
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trollbridge.messages.vault_secrets import Constraints

SIGN = "sign"
DECRYPT = "decrypt"
"""Operations, as constraints and approvals know them."""
_ONE_TIME = 32
_REFUSALS = (KeyLocked, NotAllowed, ApprovalNeeded, ApprovalRefused)


class Parts(NamedTuple):
    """What another process gets of a key for one task: the key under a password that is used once, and the public half.

    `secret` is a transferable secret key in binary, `certificate` its certificate as it is today.
    """

    secret: bytes
    password: str
    certificate: bytes

    def __repr__(self) -> str:
        """Show nothing."""
        return "Parts(…)"


class KeyUse(KeyList):
    """The second part of `Keystore`."""

    __slots__ = ()

    def sign(self, key: str, data: bytes, mode: str, *, armored: bool) -> bytes:
        """Sign as `openpgp.sign`; raises `NoSuchKey` also for a key whose secret half is not here, and as the gate."""
        signing = self._own(key)
        return openpgp.sign(signing, data, mode, armored=armored, admit=self._admission(signing, data))

    def _admission(self, signing: openpgp.Signing, data: bytes) -> openpgp.Admit:
        return lambda: self._admit(signing.certificate.fingerprint, SIGN, Content.of(data))

    def verify(self, data: bytes, signature: bytes | None) -> Verified:
        """Check as `openpgp.verify`; raises `BadSignature` or `NotOpenPGP`."""
        report = openpgp.verify(data, signature, self._find)
        times = _times(data if signature is None else signature)
        valid = ((each.certificate, each.signing_key, times.get(each.signing_key)) for each in report.valid)
        return Verified(report.content if signature is None else None, self.signers(valid), report.unknown)

    def encrypt(self, recipients: Sequence[str], data: bytes, signer: str | None, *, armored: bool) -> bytes:
        """Encrypt as `openpgp.encrypt`; raises `NoSuchKey`, `KeyUnusable` or `InvalidName`, and as the gate."""
        to = [self._named(each) for each in recipients]
        if signer is None:
            return openpgp.encrypt(data, to, armored=armored)
        signing = self._own(signer)
        return openpgp.encrypt(data, to, signing, armored=armored, admit=self._admission(signing, data))

    def decrypt(self, message: bytes) -> Decrypted:
        """Open with whichever own key fits, as `openpgp.Opener`; raises as the gate if only a refused key could."""
        message = outline.binary(message)
        refusals: list[DeclaredError] = []
        keys = self._candidates(openpgp.recipients(message), Content.of(message), refusals)
        try:
            recipient, report = self._opener.decrypt(message, keys, self._find)
        except CannotDecrypt:
            if refusals:
                raise refusals[0] from None
            raise
        signers = self.signers((each.certificate, each.signing_key, None) for each in report.valid)
        return Decrypted(report.content, signers, report.unknown, recipient)

    def _candidates(
        self, handles: frozenset[str], content: Content, refusals: list[DeclaredError]
    ) -> Iterator[openpgp.Key]:
        """Yield the own keys that a message names, all for hidden recipients, and what admits the use of each.

        Those without constraints come first: nobody is asked about a key while another will do. A key that is named
        and waits for approvals is admitted before it is tried at all. What stands in the way of a key is added to
        `refusals`.
        """
        named = {each.fingerprint: each for handle in sorted(handles) for each in self._find(handle)}
        own = [each for each in (named if handles else self._certificates) if each in self._secrets]

        def admit(fingerprint: str) -> bool:
            try:
                self._admit(fingerprint, DECRYPT, content)
            except _REFUSALS as refusal:
                refusals.append(refusal)
                return False
            return True

        for fingerprint in sorted(own, key=self._is_constrained):
            try:
                key = self._secrets.get(fingerprint)
                self._gate.check(SUBJECT_OF_KEYS + fingerprint)
            except _REFUSALS as refusal:
                refusals.append(refusal)
                continue
            if not self._is_constrained(fingerprint):
                yield fingerprint, key, None
            elif not (handles and self._constraints(fingerprint).approval):
                yield fingerprint, key, functools.partial(admit, fingerprint)
            elif admit(fingerprint):
                yield fingerprint, key, None

    def _constraints(self, fingerprint: str) -> Constraints:
        return self._gate.constraints(SUBJECT_OF_KEYS + fingerprint)

    def _is_constrained(self, fingerprint: str) -> bool:
        return self._constraints(fingerprint) != NONE

    # For a scribe

    def signing_parts(self, name: str, operation: str, content: Content | None) -> Parts:
        """Return a key to sign one document with; raises as `sign`. Without a content who calls admits the use."""
        signing = self._own(name)
        signing.certificate.check_signs()
        parts = _parts(signing)
        if content is not None:
            self._admit(signing.certificate.fingerprint, operation, content)
        return parts

    def decrypting_parts(self, handles: Iterable[str], content: Content, beginning: bytes) -> tuple[Parts, ...]:
        """Return the own key that opens a message for these recipients, one of them empty if somebody is hidden.

        Whoever says so may have been deceived, or broken into: the key must fit the `beginning` of the message, in
        binary or armored, too. Raises `CannotDecrypt` if none does, and as the gate if none is admitted.
        """
        named = frozenset(handles)
        refusals: list[DeclaredError] = []
        for fingerprint, key, admit in self._candidates(frozenset() if "" in named else named, content, refusals):
            if is_for(beginning, key) and (admit is None or admit()):
                return (_parts(openpgp.Signing(key, self._certificates[fingerprint])),)
        raise refusals[0] if refusals else CannotDecrypt

    def recipient_certs(self, names: Iterable[str]) -> tuple[bytes, ...]:
        """Return whom a document may be encrypted to, each once; raises `NoSuchKey`, `InvalidName`, `KeyUnusable`."""
        to = [self._named(each) for each in names]
        openpgp.check_recipients(to)
        return tuple({each.fingerprint: each.binary() for each in to}.values())

    def witnesses(self, handles: Iterable[str]) -> tuple[bytes, ...]:
        """Return the certificates that have a key of one of these fingerprints or key ids, each once."""
        found = {each.fingerprint: each for handle in handles for each in self._find(handle.lower())}
        return tuple(each.binary() for each in found.values())

    def is_signer(self, certificate: str, signing_key: str) -> bool:
        """Return whether a certificate of this fingerprint is here, and has that key."""
        found = self._certificates.get(certificate)
        return found is not None and signing_key in found.handles

    def signers(self, valid: Iterable[tuple[str, str, int | None]]) -> tuple[Signer, ...]:
        """Return who made valid signatures: by certificate, signing key, and when, where that is known."""
        return tuple(self._signer(*each) for each in valid)


def _parts(key: openpgp.Signing) -> Parts:
    password = secrets.token_hex(_ONE_TIME)
    return Parts(key.secret.protected(vault_protection(password)), password, key.certificate.binary())


def _times(signed: bytes) -> dict[str, int | None]:
    """Return when each key signed what was just found valid; what lies in a compressed packet is seen too."""
    with strict(NotOpenPGP):
        return signing_times(packets.parse(signed))
