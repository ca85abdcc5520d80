"""Every key derivation, frozen as a vector and computed again by another implementation of BLAKE2b."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages.blake2b_reference import blake2b
from trollbridge.messages import labels
from trollbridge.messages.envelope import associated, context, prologue
from trollbridge.messages.ids import Epoch, MemberId, Role
from trollbridge.messages.ring_key import RingKey

VECTORS: Final = json.loads((Path(__file__).parents[1] / "vectors" / "derivations.json").read_text("utf-8"))
KEY: Final = bytes.fromhex(VECTORS["key"])
SEED: Final = bytes.fromhex(VECTORS["seed"])
SALT: Final = bytes.fromhex(VECTORS["salt"])
EPOCH: Final = Epoch(VECTORS["epoch"])
UI: Final = MemberId("console")
VAULT: Final = MemberId("vault")
UID: Final = bytes(range(16))
KEYS = st.binary(min_size=32, max_size=32)


def bound(*parts: bytes) -> bytes:
    """Return the parts, each behind its length in 8 bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def derived(label: bytes, key: bytes, *parts: bytes) -> bytes:
    """Compute a derivation the slow way."""
    return blake2b(bound(*parts), key=key, person=label, size=32)


def test_the_reference_gives_the_answer_of_the_rfc() -> None:
    """A46: RFC 7693, appendix A; a keyed answer from the BLAKE2 test vectors (KAT, input of one byte)."""
    assert blake2b(b"abc").hex() == (
        "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
        "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
    )
    assert blake2b(b"\0", key=bytes(range(64))).hex() == (
        "961f6dd1e4dd30f63901690c512e78e4b45e4742ed197c3c5e45c549fd25f2e4"
        "187b0bc9fe30492b16b0d0bc4ef9b0f34c7003fac09a5ef1532e69430234cebd"
    )


def test_a_chain_step_gives_the_frozen_keys() -> None:
    """A8: 64 bytes of keyed BLAKE2b under the label `tb1 chain step`, cut in two."""
    both = blake2b(b"", key=KEY, person=b"tb1 chain step")
    assert labels.step(KEY) == (both[:32], both[32:])
    assert {"next": both[:32].hex(), "message_key": both[32:].hex()} == VECTORS["chain_step"]


def test_a_ratchet_step_gives_the_frozen_seed_and_address() -> None:
    """A6: 48 bytes of keyed BLAKE2b under the label `tb1 address`, cut in two."""
    both = blake2b(b"", key=SEED, person=b"tb1 address")
    assert labels.ratchet(SEED) == (both[:32], both[32:48])
    assert {"next": both[:32].hex(), "address": both[32:48].hex()} == VECTORS["ratchet"]


def test_a_session_chain_and_a_ring_reply_key_are_the_frozen_ones() -> None:
    """A8: one derivation for each purpose, bound to all that it is for."""
    words = int(EPOCH).to_bytes(8, "big") + b"vault.secret"
    assert labels.derive(labels.SESSION, KEY) == derived(b"tb1 session", KEY)
    assert labels.derive(labels.SESSION, KEY).hex() == VECTORS["session_chain"]
    assert labels.derive(labels.RING_REPLY, KEY, SALT, words) == derived(b"tb1 ring reply", KEY, SALT, words)
    assert labels.derive(labels.RING_REPLY, KEY, SALT, words).hex() == VECTORS["ring_reply_key"]


def test_a_fingerprint_is_the_frozen_one_and_names_the_epoch() -> None:
    """A34: 8 bytes that tell ring keys apart and give none away."""
    expected = derived(b"tb1 ring print", KEY, (7).to_bytes(8, "big"))[:8]
    assert (RingKey(KEY, EPOCH).fingerprint, expected.hex()) == (expected, VECTORS["ring_fingerprint"])
    assert RingKey(KEY, Epoch(8)).fingerprint != expected


def test_contexts_and_prologues_are_the_frozen_ones() -> None:
    """I2, F9: version, direction, epoch and both names; the prologue also both roles."""
    epoch = (7).to_bytes(8, "big")
    forward = derived(b"tb1 context", b"", b"\x01\x01", epoch, b"console", b"vault")
    back = derived(b"tb1 context", b"", b"\x01\x00", epoch, b"vault", b"console")
    words = derived(b"tb1 prologue", b"", b"\x01", epoch, b"console", b"ui", b"vault", b"enclave")
    assert context(EPOCH, UI, VAULT, forward=True) == forward
    assert context(EPOCH, VAULT, UI, forward=False) == back
    assert prologue(EPOCH, UI, Role.UI, VAULT, Role.ENCLAVE) == words
    frozen = [VECTORS[name] for name in ("context_forward", "context_back", "prologue")]
    assert [forward.hex(), back.hex(), words.hex()] == frozen


def test_associated_data_is_laid_out_as_frozen() -> None:
    """I2: context (32), kind (1), sequence (8), deadline (8), UID (16)."""
    forward = bytes.fromhex(VECTORS["context_forward"])
    expected = forward + b"\x03" + (5).to_bytes(8, "big") + (1_234_567).to_bytes(8, "big") + UID
    assert associated(forward, 3, UID, 5, 1_234_567) == expected
    assert (len(expected), expected.hex()) == (65, VECTORS["associated"])


def test_a_digest_under_one_label_is_none_under_another() -> None:
    """A34: the name of a handler on a page is no context of a direction."""
    words = (b"vault.sign", b"\x90")
    assert labels.digest(labels.PAGE, *words) == derived(b"tb1 page name", b"", *words)
    assert labels.digest(labels.PAGE, *words) != labels.digest(labels.CONTEXT, *words)


@given(key=KEYS, parts=st.lists(st.binary(max_size=200), max_size=4))
def test_every_derivation_agrees_with_the_reference(key: bytes, parts: list[bytes]) -> None:
    """A46: not only for the frozen values."""
    assert labels.derive(labels.SESSION, key, *parts) == derived(labels.SESSION, key, *parts)
    assert labels.digest(labels.CONTEXT, *parts) == derived(labels.CONTEXT, b"", *parts)
    both = blake2b(b"", key=key, person=labels.CHAIN)
    assert labels.step(key) == (both[:32], both[32:])


def test_no_two_purposes_share_a_label() -> None:
    """A34: every label is its own, starts with the version and fits BLAKE2b's personalisation."""
    found = {name: value for name, value in vars(labels).items() if name.isupper() and isinstance(value, bytes)}
    assert len(found) >= 13
    assert len(set(found.values())) == len(found)
    ours = {name: value for name, value in found.items() if name != "OPENPGP_X25519"}  # that one is RFC 9580's
    assert [name for name, value in ours.items() if not value.startswith(b"tb1 ") or len(value) > 16] == []


@given(key=KEYS)
def test_purposes_give_unrelated_keys(key: bytes) -> None:
    """A34: one key used for two purposes gives two keys."""
    found = {value for name, value in vars(labels).items() if name.isupper() and isinstance(value, bytes)}
    assert len({labels.derive(label, key) for label in found}) == len(found)


@pytest.mark.parametrize("parts", [(b"ab", b"c"), (b"a", b"bc"), (b"abc",), (b"abc", b""), (b"", b"abc"), ()])
def test_where_one_part_ends_is_bound(parts: tuple[bytes, ...]) -> None:
    """I4: names that run together (`ui` and `x`, `u` and `ix`) cannot be taken for each other."""
    everyone = [(b"ab", b"c"), (b"a", b"bc"), (b"abc",), (b"abc", b""), (b"", b"abc"), ()]
    assert sum(labels.digest(labels.CONTEXT, *parts) == labels.digest(labels.CONTEXT, *each) for each in everyone) == 1
