"""What git asks for: a signature, or a verdict, told in the lines that GnuPG writes on its status descriptor.

May import: our desk, our orders, `messages`. Invariants: `GOODSIG` stands for a signature that the vault has found
valid, by a key that is valid now, and for nothing else; the exit code is 0 exactly then.

The lines are those of GnuPG's doc/DETAILS, as far as git reads them.
"""

from __future__ import annotations

import os
import time
import typing
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import BadSignature, NotOpenPGP, TrollbridgeError
from trollbridge.messages.vault import DETACHED, EXPIRED, OWN, REVOKED, TRUSTED, VALID, Verified, standing
from trollbridge.ui_adapter import documents
from trollbridge.ui_adapter.vault import inputs, naming, outputs, signature_facts
from trollbridge.ui_adapter.vault.desk import PATIENCE
from trollbridge.ui_adapter.vault.places import PASSWORD_VARIABLE
from trollbridge.ui_adapter.vault.refusals import NotFound, NoWayToAsk
from trollbridge.ui_adapter.vault.reports import tell
from trollbridge.ui_adapter.vault.signature_facts import Facts
from trollbridge.ui_adapter.vault.work_orders import GitOrder, GitSign, GitVerify

if TYPE_CHECKING:
    from trollbridge.messages.vault import KeyInfo, Signer
    from trollbridge.ui_adapter.vault.desk import Desk

INVALID: Final = 1
OTHERWISE: Final = 2
"""gpg's exit codes, which git knows."""
_NO_KEY: Final = 9
"""The reason of ERRSIG that says that the signer's certificate is missing."""
_OTHER_REASON: Final = 4
_WORDS: Final = {VALID: "GOODSIG", EXPIRED: "EXPKEYSIG", REVOKED: "REVKEYSIG"}
_TRUST: Final = {OWN: "TRUST_ULTIMATE", TRUSTED: "TRUST_FULLY"}


class _Status:
    """Git's descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def line(self, *words: object) -> None:
        """Write one line."""
        text = " ".join(map(str, words))
        os.write(self._descriptor, f"[GNUPG:] {text}\n".encode())


def carry_out(desk: Desk, order: GitOrder) -> int:
    """Do it; return gpg's exit code."""
    status = _Status(order.status)
    try:
        match order:
            case GitSign():
                return _sign(desk, order, status)
            case GitVerify():
                return _verify(desk, order, status)
            case _:
                typing.assert_never(order)
    except TrollbridgeError as error:
        text = _nobody_to_ask(desk) if isinstance(error, NoWayToAsk) else str(error)
        tell(text, error.listed if isinstance(error, NotFound) else ())
        status.line("FAILURE", "sign" if isinstance(order, GitSign) else "verify", 1)
        return OTHERWISE


def _nobody_to_ask(desk: Desk) -> str:
    """Return what to do without a terminal: git gives no options."""
    if desk.password is None:
        return f"there is no terminal to ask for the password on; name a file that holds it in {PASSWORD_VARIABLE}"
    return "the key has a password of its own, and there is no terminal to ask for it on"


def _sign(desk: Desk, order: GitSign, status: _Status) -> int:
    data = inputs.whole(inputs.STANDARD, documents.LARGEST)
    desk.open()
    key = naming.signing(desk.all_keys(), order.key, int(time.time()))
    vault, fingerprint = desk.vault, key.fingerprint
    signature: bytes = desk.using(lambda: vault.sign(fingerprint, data, DETACHED).get(timeout=PATIENCE), fingerprint)
    facts = signature_facts.of(signature) or Facts(0, 0, 0, 0, 0, 0, "")
    status.line("KEY_CONSIDERED", fingerprint.upper(), 0)
    status.line("BEGIN_SIGNING", f"H{facts.hash}")
    outputs.write(outputs.TO_STANDARD, signature)
    issuer = (facts.issuer or fingerprint).upper()
    status.line("SIG_CREATED", "D", facts.algorithm, facts.hash, f"{facts.kind:02X}", facts.created, issuer)
    return 0


def _issuer(keys: tuple[KeyInfo, ...], issuer: str) -> KeyInfo | None:
    """Return the key that a signature names as its maker, by the fingerprint or key id of any of its parts."""
    for key in keys:
        for each in (key.fingerprint, *(subkey.fingerprint for subkey in key.subkeys)):
            if issuer and issuer in {each, naming.key_id(each)}:
                return key
    return None


def _verify(desk: Desk, order: GitVerify, status: _Status) -> int:
    signature = inputs.whole(order.signature, documents.LARGEST)
    data = inputs.whole(order.file, documents.LARGEST)
    facts = signature_facts.of(signature) or Facts(0, 0, 0, 0, 0, 0, "")
    desk.open()
    maker = _issuer(desk.all_keys(), facts.issuer)
    status.line("NEWSIG")
    if maker is None:
        return _unchecked(facts, status, _NO_KEY)
    try:
        verified: Verified = desk.vault.verify(data, signature).get(timeout=PATIENCE)
    except NotOpenPGP as error:
        tell(str(error))
        return _unchecked(facts, status, _OTHER_REASON)
    except BadSignature as error:
        tell(str(error))
        if standing(maker, int(time.time())) != VALID:  # then nothing was said about the document
            return _unchecked(facts, status, _OTHER_REASON)
        user_id = maker.user_ids[0] if maker.user_ids else ""
        status.line("BADSIG", naming.key_id(facts.issuer).upper(), user_id)
        tell(f"BAD signature from {user_id or maker.fingerprint}")
        return INVALID
    return max(_good(each, facts, status) for each in verified.signers)


def _unchecked(facts: Facts, status: _Status, reason: int) -> int:
    """Tell that a signature could not be checked."""
    short = naming.key_id(facts.issuer).upper() or "0" * 16
    kind = f"{facts.kind:02X}"
    whole = facts.issuer.upper() or "-"
    status.line("ERRSIG", short, facts.algorithm, facts.hash, kind, facts.created, reason, whole)
    if reason == _NO_KEY:
        status.line("NO_PUBKEY", short)
        tell(f"the signature cannot be checked: the vault has no certificate of {facts.issuer or 'its maker'}")
    return OTHERWISE


def _good(signer: Signer, facts: Facts, status: _Status) -> int:
    """Tell of one valid signature; return 0 if its key is valid, too."""
    word = _WORDS[signer.standing]
    made = facts.created if signer.created is None else signer.created
    day = time.strftime("%Y-%m-%d", time.gmtime(made))
    ends = made + facts.lifetime if facts.lifetime else 0
    status.line(word, naming.key_id(signer.signing_key).upper(), signer.user_id)
    numbers = (facts.version, 0, facts.algorithm, facts.hash, f"{facts.kind:02X}")
    whole, primary = signer.signing_key.upper(), signer.fingerprint.upper()
    status.line("VALIDSIG", whole, day, made, ends, *numbers, primary)
    status.line(_TRUST.get(signer.trust, "TRUST_UNDEFINED"), 0, "pgp")
    said = "Good signature" if word == "GOODSIG" else f"Good signature by a key that is {signer.standing}"
    tell(f"{said} from {signer.user_id or signer.fingerprint}, made {day}; trust: {signer.trust}")
    return 0 if word == "GOODSIG" else INVALID
