"""The vault's manifest: what can be called, by which types, and what is sealed to the core UI. No process runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.actors.handler import exported
from trollbridge.enclave.vault import DOCUMENT, MESSAGE, Vault
from trollbridge.messages import vault as vocabulary
from trollbridge.messages.signature import StructOf, describe, realise, sentence

if TYPE_CHECKING:
    from trollbridge.messages.signature import TypeSpec

EXPECTED = {
    "challenge": "() -> Challenge",
    "create": "(verifier: Verifier) -> VaultStatus",
    "decrypt": "(message: bytes) -> Decrypted",
    "encrypt": "(recipients: tuple[str, ...], data: bytes, signer: str | None, armored: bool) -> bytes",
    "export_public": "(key: str) -> bytes",
    "generate": "(user_id: str, compat: bool) -> KeyInfo",
    "import_public": "(data: bytes) -> tuple[KeyInfo, ...]",
    "list_keys": "() -> tuple[KeyInfo, ...]",
    "lock": "() -> None",
    "sign": "(key: str, data: bytes, mode: str, armored: bool) -> bytes",
    "status": "() -> VaultStatus",
    "unlock": "(proof: Proof) -> bytes",
    "verify": "(data: bytes, signature: bytes | None) -> Verified",
}


def test_the_manifest_is_this_and_nothing_else() -> None:
    """Thirteen handlers, each with its types; nothing that exports, reads or stores a secret (A17, A24, A26)."""
    found = {
        name: f"({', '.join(f'{p.name}: {sentence(p.kind)}' for p in each.parameters)}) -> {sentence(each.result)}"
        for name, each in exported(Vault).items()
    }
    assert found == EXPECTED


def test_what_was_decrypted_is_for_the_core_ui_alone() -> None:
    """Whoever asks (A41); and only questions are sent again after a crash (A58)."""
    marks = {name: each.mark for name, each in exported(Vault).items()}
    assert [name for name, mark in marks.items() if mark.sensitive] == ["decrypt"]
    assert sorted(name for name, mark in marks.items() if mark.idempotent) == ["challenge", "status"]


def test_a_whole_document_fits_and_a_flood_does_not() -> None:
    """Handlers that take or give a document have room for 64 MiB in armor; the others keep the default (P3)."""
    limits = {name: each.mark.max_bytes for name, each in exported(Vault).items()}
    large = {name for name, limit in limits.items() if limit == MESSAGE}
    assert large == {"sign", "verify", "encrypt", "decrypt", "list_keys"}
    assert {limit for name, limit in limits.items() if name not in large} == {1 << 20}
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
