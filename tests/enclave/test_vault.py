"""The vault's manifest: what can be called, by which types, and what is sealed to the core UI. No process runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.actors.handlers import exported
from trollbridge.enclave.vault import Vault
from trollbridge.enclave.vault_part import DOCUMENT, MESSAGE
from trollbridge.messages import vault as vocabulary
from trollbridge.messages.signature import StructOf, describe, realise, sentence
from trollbridge.messages.vault_documents import PIECE

if TYPE_CHECKING:
    from trollbridge.messages.signature import TypeSpec

EXPECTED = {
    "add_user_id": "(key: str, user_id: str) -> KeyInfo",
    "approvals": "() -> tuple[Approval, ...]",
    "approve": "(ticket: bytes) -> None",
    "bearer": "(name: str) -> str",
    "begin": "(job: Job) -> int",
    "cancel": "(job: int) -> None",
    "challenge": "() -> Challenge",
    "change_mode": "(proof: Proof | None, mode: str, verifier: Verifier | None) -> None",
    "change_password": "(proof: Proof, verifier: Verifier) -> None",
    "check": "() -> CheckReport",
    "constrain": "(subject: str, constraints: Constraints, proof: Proof | None) -> None",
    "constraints": "(subject: str) -> Constraints",
    "create": "(mode: str, verifier: Verifier | None) -> VaultStatus",
    "decrypt": "(message: bytes) -> Decrypted",
    "delete_key": "(key: str) -> None",
    "delete_secret": "(name: str) -> None",
    "encrypt": "(recipients: tuple[str, ...], data: bytes, signer: str | None, armored: bool) -> bytes",
    "export_public": "(key: str, armored: bool) -> bytes",
    "export_recovery": "(proof: Proof | None, verifier: Verifier) -> bytes",
    "export_secret": "(key: str, proof: Proof | None, protection: Protection) -> bytes",
    "feed": "(job: int, at: int, data: bytes) -> Piece",
    "feed_plain": "(job: int, at: int, data: bytes) -> Piece",
    "finish": "(job: int) -> Piece",
    "finish_plain": "(job: int) -> Piece",
    "generate": "(user_id: str, profile: str, lifetime: int | None) -> KeyInfo",
    "get_secret": "(name: str) -> bytes",
    "hmac_secret": "(name: str, data: bytes, algorithm: str) -> bytes",
    "import_public": "(data: bytes) -> tuple[KeyInfo, ...]",
    "import_secret": "(data: bytes, keys: tuple[bytes, ...]) -> tuple[KeyInfo, ...]",
    "key_locks": "(key: str) -> tuple[S2K, ...]",
    "list_keys": "() -> tuple[KeyInfo, ...]",
    "list_secrets": "() -> tuple[SecretInfo, ...]",
    "lock": "() -> None",
    "recover": "(data: bytes, recovery: Proof) -> None",
    "recovery_challenge": "(data: bytes) -> Challenge",
    "refuse": "(ticket: bytes) -> None",
    "rename_secret": "(old: str, new: str) -> SecretInfo",
    "revocation_certificate": "(key: str) -> bytes",
    "revoke_key": "(key: str) -> KeyInfo",
    "revoke_user_id": "(key: str, user_id: str) -> KeyInfo",
    "rotate_root": "(proof: Proof | None) -> None",
    "secret_locks": "(data: bytes) -> tuple[S2K, ...]",
    "set_expiry": "(key: str, expires: int | None) -> KeyInfo",
    "set_key_password": "(key: str, proof: Proof | None, protection: Protection | None) -> KeyInfo",
    "set_secret": "(name: str, value: bytes, options: SecretOptions) -> SecretInfo",
    "set_trust": "(key: str, trusted: bool) -> KeyInfo",
    "show_key": "(key: str) -> KeyInfo",
    "sign": "(key: str, data: bytes, mode: str, armored: bool) -> bytes",
    "sign_request": "(name: str, request: HttpRequest) -> HttpSignature",
    "status": "() -> VaultStatus",
    "totp": "(name: str, at: int | None) -> TotpCode",
    "unlock": "(mode: str, proof: Proof | None) -> bytes",
    "unlock_key": "(key: str, keys: tuple[bytes, ...]) -> None",
    "verify": "(data: bytes, signature: bytes | None) -> Verified",
}


def test_the_manifest_is_this_and_nothing_else() -> None:
    """Each handler with its types; none gives an unprotected secret key out (A17, A24, A26)."""
    found = {
        name: f"({', '.join(f'{p.name}: {sentence(p.kind)}' for p in each.parameters)}) -> {sentence(each.result)}"
        for name, each in exported(Vault).items()
    }
    assert found == EXPECTED


def test_what_was_decrypted_is_for_the_core_ui_alone() -> None:
    """Whoever asks (A41); and only questions are sent again after a crash (A58)."""
    marks = {name: each.mark for name, each in exported(Vault).items()}
    sensitive = [name for name, mark in marks.items() if mark.sensitive]
    assert sorted(sensitive) == ["bearer", "decrypt", "feed_plain", "finish_plain", "get_secret"]
    assert sorted(name for name, mark in marks.items() if mark.idempotent) == ["challenge", "check", "status"]


def test_whoever_is_not_the_core_ui_can_be_granted_uses_only() -> None:
    """What makes, opens, changes, deletes or approves anything needs the core; others are granted uses (A41, A48)."""
    anybodys = {name for name, each in exported(Vault).items() if not each.mark.core}
    assert anybodys == {
        *("sign", "verify", "encrypt", "decrypt", "hmac_secret", "sign_request", "bearer", "totp", "get_secret"),
        *("begin", "feed", "feed_plain", "finish", "finish_plain", "cancel"),
        *("list_keys", "show_key", "export_public", "key_locks", "secret_locks", "list_secrets", "constraints"),
        *("status", "check", "lock"),
    }


def test_a_whole_document_fits_and_a_flood_does_not() -> None:
    """Whole documents and lists have room for 64 MiB in armor, streams for a piece, the others the default (P3)."""
    limits = {name: each.mark.max_bytes for name, each in exported(Vault).items()}
    large = {name for name, limit in limits.items() if limit == MESSAGE}
    assert large == {"sign", "verify", "encrypt", "decrypt", "list_keys", "hmac_secret", "list_secrets"}
    pieces = {name for name in limits if name.startswith(("feed", "finish"))}
    assert PIECE < max(limits[name] for name in pieces) < 2 * PIECE
    assert {limit for name, limit in limits.items() if name not in large | pieces} == {1 << 20}
    assert DOCUMENT * 65 // 64 * 4 // 3 < MESSAGE, "lines of 64 characters, four for three bytes"


def test_every_type_that_travels_is_in_the_vocabulary() -> None:
    """So a client gets the very classes, whose reprs show nothing, and not look-alikes."""
    known = {each.__name__: each for each in vocabulary.VOCABULARY}
    named: set[str] = set()

    def collect(spec: TypeSpec) -> None:
        if isinstance(spec, StructOf):
            named.add(spec.name)
            assert realise(spec, known) is known[spec.name]
            for field in spec.fields:
                collect(field.kind)
        for part in (getattr(spec, "item", None), *getattr(spec, "options", ())):
            if part is not None:
                collect(part)

    for each in exported(Vault).values():
        for kind in (each.result, *(parameter.kind for parameter in each.parameters)):
            collect(kind)
    assert named == set(known)
    for each_type in vocabulary.VOCABULARY:
        describe(each_type)
