"""The scribe: a process of its own that works on one document, between two pipes, and ends. It reaches nothing else.

May import: our enclave's certificate, glimpse, outline, packets, protection, recipients and scribe_words, our
messages, `pysequoia`. Invariants: it holds the keys of one task, and no file; what it parses, however hostile, is
parsed with nothing else to steal and no later task to harm; of a message whose signatures it checks, it gives no report
unless each is valid or its signer unknown.

pysequoia streams between files only, and named ones: here they are the two pipes, under their names in /proc. It holds
back the last 25 MiB of what it decrypts until the signatures are checked, and gives the rest before. So whoever gets
the output must not use it before the report.

It asks for certificates when it has read everything, and gives the rest of an unsigned message to nobody who asked
for signatures to be checked. So `glimpse` looks first who has signed; where it cannot see that, a message that turns
out to be unsigned, or signed by strangers only, is done `again`, unchecked.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import pysequoia
from pysequoia.packet import Tag

from trollbridge.enclave import outline, packets, recipients
from trollbridge.enclave.certificate import Certificate, SecretKey, strict
from trollbridge.enclave.glimpse import glimpse
from trollbridge.enclave.protection import vault_protection
from trollbridge.enclave.scribe_words import (
    FROM_SCRIBE,
    LARGEST_SAID,
    MOST_ASKS,
    MOST_HANDLES,
    MOST_SIGNERS,
    UNNAMED,
    Ask,
    Check,
    Decrypt,
    Done,
    Encrypt,
    Failed,
    FromScribe,
    Key,
    Look,
    Read,
    Seen,
    Sighted,
    Sign,
    Valid,
    Witnesses,
    framed,
    receive,
)
from trollbridge.messages.errors import (
    BadSignature,
    CannotDecrypt,
    DeclaredError,
    InvalidArguments,
    KeyUnusable,
    Malformed,
    NotOpenPGP,
)
from trollbridge.messages.sandbox import Sandbox
from trollbridge.messages.vault import CLEAR, DETACHED, INLINE

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

SANDBOX: Final = Sandbox()
_MODES: Final = {
    DETACHED: pysequoia.SignatureMode.DETACHED,
    INLINE: pysequoia.SignatureMode.INLINE,
    CLEAR: pysequoia.SignatureMode.CLEAR,
}
_NOBODY_S: Final = "a password of nobody's"
_NESTED: Final = "Unexpected message structure"
_ANOTHERS: Final = "No key to decrypt message"
"""How pysequoia words that a key does not fit. With the beginning of a message, one that fits fails otherwise."""


class _Place(NamedTuple):
    """Where the document comes from, and where it goes, as names that can be opened."""

    source: str
    target: str


class _Signers:
    """What pysequoia asks for certificates, and the account of which signers it asked for."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._asks = 0
        self._told: dict[str, dict[str, pysequoia.Cert]] = {}
        self.known: dict[str, dict[str, pysequoia.Cert]] | None = None
        """The certificates that the vault has for each handle that pysequoia asked for; None until it has asked."""

    def tell(self, word: FromScribe) -> None:
        """Tell the vault."""
        _say(self._end, word)

    def store(self, handles: list[str]) -> list[pysequoia.Cert]:
        """Return the certificates of signers, to pysequoia, which has read everything now."""
        self.known = (self.known or {}) | self.look_up(each.lower() for each in handles)
        return list({name: each for found in self.known.values() for name, each in found.items()}.values())

    def look_up(self, handles: Iterable[str]) -> dict[str, dict[str, pysequoia.Cert]]:
        """Return the certificates for each handle; ask the vault for those that it was not asked for before."""
        wanted = tuple(dict.fromkeys(handles))
        asked = [each for each in wanted if each not in self._told]
        for at in range(0, len(asked), MOST_HANDLES):
            self._ask(tuple(asked[at : at + MOST_HANDLES]))
        return {each: self._told[each] for each in wanted}

    def _ask(self, handles: tuple[str, ...]) -> None:
        self._asks += 1
        if self._asks > MOST_ASKS:
            msg = f"The message names more signers than are looked up: {MOST_SIGNERS}."
            raise InvalidArguments(msg)
        _say(self._end, Ask(handles))
        answer = receive(self._end)
        if not isinstance(answer, Witnesses) or len(answer.certificates) != len(handles):
            raise Malformed
        for handle, found in zip(handles, answer.certificates, strict=True):
            parsed = [Certificate.stored(each) for each in found]
            self._told[handle] = {each.fingerprint: each.witness() for each in parsed}

    @property
    def unknown(self) -> tuple[str, ...]:
        """The handles without a certificate."""
        return tuple(handle for handle, found in (self.known or {}).items() if not found)

    @property
    def strangers(self) -> bool:
        """Whether pysequoia has asked for certificates, and there was none."""
        return self.known is not None and not any(self.known.values())

    def account(self, valid: tuple[Valid, ...]) -> Done:
        """Account for every signer; raises `BadSignature` for an invalid signature."""
        signed = {each.certificate for each in valid}
        known = self.known or {}
        invalid = sum(bool(found) and not signed & set(found) for found in known.values())
        if invalid:
            raise BadSignature(_invalid(invalid, len(known)))
        return Done(valid, self.unknown, 0, again=False)


def _invalid(invalid: int, total: int) -> str:
    return (
        f"{invalid} of {total} signers' signatures are invalid: the content was changed, "
        "or the signer's key was expired, revoked or too weak when it signed."
    )


_WITHIN: Final = (
    "The signature lies inside a compressed layer, as GnuPG writes it by default, and is not checked there in pieces, "
    "only in messages of up to 64 MiB; ask the sender to encrypt with gpg -z 0."
)


def _say(end: socket.socket, word: FromScribe) -> None:
    end.sendall(framed(FROM_SCRIBE.encode(word), LARGEST_SAID))


def prepare() -> None:
    """Open a message once, so that whatever is set up or imported at first use is there before the lock."""
    made = pysequoia.Tsk.generate("nobody", profile=pysequoia.Profile.RFC4880)
    message = pysequoia.encrypt(b"", recipients=[made.extract_certificate()], signer=made.signer(), armor=False)
    secret = SecretKey(bytes(made)).protected(vault_protection(_NOBODY_S))
    for beginning in (message, pysequoia.armor(message, pysequoia.ArmorKind.Message).encode()):
        fitting = _fitting((Key(secret, _NOBODY_S, b""),), ("",), beginning)
        glimpse(beginning, fitting.key)
        _signer(Key(secret, _NOBODY_S, bytes(made.extract_certificate())))


def run(end: socket.socket, descriptors: tuple[int, ...]) -> None:
    """Do one task: `descriptors` are where the document comes from and where it goes, both pipes."""
    source, target = descriptors
    place = _Place(f"/proc/self/fd/{source}", f"/proc/self/fd/{target}")
    end.settimeout(None)
    outcome: Done | Failed
    with contextlib.suppress(EOFError, OSError):  # the vault has let go of it
        try:
            outcome = _work(end, place)
        except (DeclaredError, InvalidArguments) as error:
            outcome = Failed(error.code, str(error))
        os.close(source)
        os.close(target)  # the vault sees the end of the document, then how it went
        _say(end, outcome)


def _work(end: socket.socket, place: _Place) -> Done:
    task = receive(end)
    match task:
        case Encrypt():
            return _encrypt(task, place)
        case Sign():
            return _sign(task, place)
        case Check():
            return _check(task, place, _Signers(end))
        case Read(beginning):
            return _read(beginning, place, _Signers(end))
        case Look(beginning):
            handles = recipients.named(beginning)
            _say(end, Seen(handles))
            answer = receive(end)
            if not isinstance(answer, Decrypt):
                raise Malformed
            fitting = _fitting(answer.keys, handles, beginning)
            signers = _signers_inside(fitting, beginning, _Signers(end)) if answer.check else _Strangers(())
            return _decrypt(fitting, place, signers)
        case _:
            raise Malformed


def _secret(key: Key) -> SecretKey:
    return SecretKey(key.secret, lambda: key.password)


def _signer(key: Key) -> pysequoia.PySigner:
    return Certificate.stored(key.certificate).signer(_secret(key))


def _encrypt(task: Encrypt, place: _Place) -> Done:
    signer = None if task.signer is None else _signer(task.signer)
    with strict(KeyUnusable):
        to = [pysequoia.Cert.from_bytes(each) for each in task.recipients]
        pysequoia.encrypt_file(place.source, place.target, recipients=to, signer=signer, armor=False)
    return Done((), (), 0, again=False)


def _sign(task: Sign, place: _Place) -> Done:
    signer = _signer(task.signer)
    with strict(KeyUnusable):
        pysequoia.sign_file(signer, place.source, place.target, mode=_MODES[task.mode], armor=task.armored)
    return Done((), (), 0, again=False)


def _valid(result: pysequoia.Decrypted, created: int | None = None) -> tuple[Valid, ...]:
    return tuple(dict.fromkeys(Valid(each.certificate, each.signing_key, created) for each in result.valid_sigs))


def _signed(done: Done) -> Done:
    """Return it if anybody known has signed; raises `BadSignature`."""
    if done.valid:
        return done
    unknown = ", ".join(done.unknown)
    raise BadSignature(
        f"The signer's certificate is not in this vault; import it to check the signature: {unknown}"
        if unknown
        else "This is not signed."
    )


def _check(task: Check, place: _Place, signers: _Signers) -> Done:
    with strict(NotOpenPGP):
        found = packets.parse(task.signature)
        if not found or not all(packet.tag == Tag.Signature for packet in found):
            raise NotOpenPGP
        signature = pysequoia.Sig.from_bytes(bytes(found[0]))
    if len(found) > 1:
        msg = "The file holds several signatures; a document that passes in pieces is checked against one at a time."
        raise InvalidArguments(msg)
    issuer = next((each for each in (signature.issuer_fingerprint, signature.issuer_key_id) if each), UNNAMED).lower()
    if not any(signers.look_up([issuer]).values()):
        return _signed(Done((), (issuer,), 0, again=False))
    with strict(BadSignature, _invalid(1, 1)):
        result = pysequoia.verify(file=place.source, store=signers.store, signature=signature)
    made = signature.created
    return _signed(signers.account(_valid(result, None if made is None else int(made.timestamp()))))


def _read(beginning: bytes, place: _Place, signers: _Signers) -> Done:
    """Check a signed message: what pysequoia decrypts need not be encrypted, and this way it streams."""
    if outline.is_clear_signed(beginning):
        msg = "A clear-signed document is not checked in pieces; it can be up to 64 MiB long."
        raise InvalidArguments(msg)
    nobody = pysequoia.Tsk.generate("nobody").decryptor()
    with strict(NotOpenPGP):
        try:
            result = pysequoia.decrypt_file(place.source, place.target, decryptor=nobody, store=signers.store)
        except (RuntimeError, OSError):
            if signers.known is None:
                raise
            return _signed(signers.account(()))
    return _signed(signers.account(_valid(result)))


class _Fitting(NamedTuple):
    """A key that opens the message: which, and the subkey of it."""

    number: int
    key: SecretKey
    decryptor: pysequoia.PyDecryptor


def _fitting(keys: tuple[Key, ...], handles: tuple[str, ...], beginning: bytes) -> _Fitting:
    """Return the first key that the message is encrypted to; raises `CannotDecrypt`."""
    named: frozenset[str] = frozenset() if "" in handles else frozenset(handles)
    for number, each in enumerate(keys):
        key = _secret(each)
        with strict(CannotDecrypt):
            for decryptor in key.decryptors(named):
                try:
                    pysequoia.decrypt(beginning, decryptor=decryptor)
                except (RuntimeError, OSError) as problem:
                    if _ANOTHERS in str(problem):
                        continue
                return _Fitting(number, key, decryptor)
    raise CannotDecrypt


class _Strangers(NamedTuple):
    """Who has signed, none of whom is known: there is nothing to be checked."""

    handles: tuple[str, ...]


def _signers_inside(fitting: _Fitting, beginning: bytes, signers: _Signers) -> _Signers | _Strangers:
    """Return what checks the signatures, or that there is none to be checked, as far as that can be seen now."""
    seen = glimpse(beginning, fitting.key)
    if seen is None:
        return signers
    signers.tell(Sighted())
    if not any(signers.look_up(seen.signers).values()):
        return _Strangers(seen.signers)
    if seen.compressed:
        raise InvalidArguments(_WITHIN)
    return signers


def _decrypt(fitting: _Fitting, place: _Place, signers: _Signers | _Strangers) -> Done:
    number, decryptor = fitting.number, fitting.decryptor
    with strict(CannotDecrypt):
        if isinstance(signers, _Strangers):
            pysequoia.decrypt_file(place.source, place.target, decryptor=decryptor)
            return Done((), signers.handles, number, again=False)
        try:
            result = pysequoia.decrypt_file(place.source, place.target, decryptor=decryptor, store=signers.store)
        except (RuntimeError, OSError) as problem:
            if signers.known is None:
                raise
            if signers.strangers:
                return Done((), signers.unknown, number, again=True)
            if _NESTED in str(problem):
                raise InvalidArguments(_WITHIN) from None
            signers.account(())
            raise
    done = signers.account(_valid(result))
    return Done(done.valid, done.unknown, number, again=False)
