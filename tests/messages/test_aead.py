# pyright: reportPrivateUsage=false
"""The AEAD against published vectors, and the two rules about nonces: counters only, forward only."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Final

import pytest

from trollbridge.messages import aead
from trollbridge.messages.aead import CounterCipher, open_once, open_once_into, open_sealed, seal, seal_once
from trollbridge.messages.errors import AuthenticationFailed, UsageError

VECTORS: Final = json.loads((Path(__file__).parents[1] / "vectors" / "aes_256_gcm.json").read_text("utf-8"))["cases"]
KEY: Final = bytes(range(32))
OTHER: Final = bytes(range(1, 33))


def test_there_are_eight_published_vectors() -> None:
    """A46: the corpus is whole: with and without plaintext, with and without associated data."""
    shapes = {(bool(case["plaintext"]), bool(case["associated"])) for case in VECTORS}
    assert (len(VECTORS), len(shapes)) == (8, 4)


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_a_published_vector_comes_out_in_both_directions(case: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A46: AES-256-GCM, by its published answers; only the test can choose a nonce, by replacing the counter's."""
    key, nonce, plaintext, associated, sealed = (
        bytes.fromhex(case[name]) for name in ("key", "nonce", "plaintext", "associated", "sealed")
    )

    def chosen(_counter: int) -> bytes:
        return nonce

    monkeypatch.setattr(aead, "_nonce", chosen)
    monkeypatch.setattr(aead, "_ZERO", nonce)
    assert (seal(key, 0, associated, plaintext), seal_once(key, associated, plaintext)) == (sealed, sealed)
    assert (open_sealed(key, 0, associated, sealed), open_once(key, associated, sealed)) == (plaintext, plaintext)
    target = bytearray(len(plaintext))
    open_once_into(key, associated, sealed, target)
    assert target == plaintext


def test_a_nonce_is_four_zero_bytes_and_a_big_endian_counter() -> None:
    """A34: the layout of Noise, section 12.3; the last counter of all is reserved."""
    assert [aead._nonce(counter).hex() for counter in (0, 1, 258, 2**64 - 2)] == [
        "000000000000000000000000",
        "000000000000000000000001",
        "000000000000000000000102",
        "00000000fffffffffffffffe",
    ]


@pytest.mark.parametrize("counter", [2**64 - 1, 2**64])
def test_a_counter_that_is_used_up_seals_nothing(counter: int) -> None:
    """A34: no counter wraps around."""
    with pytest.raises(UsageError) as refusal:
        seal(KEY, counter, b"", b"x")
    assert str(refusal.value) == "the message counter is used up; a new key is needed"


def test_no_function_takes_the_bytes_of_a_nonce() -> None:
    """A34: callers name a counter or nothing at all."""
    functions = (
        seal,
        open_sealed,
        seal_once,
        open_once,
        open_once_into,
        CounterCipher,
        CounterCipher.seal,
        CounterCipher.open,
    )
    assert [list(inspect.signature(each).parameters) for each in functions] == [
        ["key", "nonce", "associated", "plaintext"],
        ["key", "nonce", "associated", "ciphertext"],
        ["key", "associated", "plaintext"],
        ["key", "associated", "ciphertext"],
        ["key", "associated", "ciphertext", "target"],
        ["key"],
        ["self", "plaintext"],
        ["self", "ciphertext"],
    ]
    assert inspect.signature(seal).parameters["nonce"].annotation == "int"


def test_a_counter_cipher_uses_each_counter_once_and_in_order() -> None:
    """A34: what it seals opens under counters 0, 1, 2 and under no other."""
    cipher = CounterCipher(KEY)
    sealed = [cipher.seal(b"same") for _ in range(3)]
    assert len(set(sealed)) == 3
    assert [open_sealed(KEY, counter, b"", each) for counter, each in enumerate(sealed)] == [b"same"] * 3
    for counter, each in ((1, sealed[0]), (0, sealed[1]), (3, sealed[2])):
        with pytest.raises(AuthenticationFailed):
            open_sealed(KEY, counter, b"", each)


def test_what_fails_to_open_leaves_a_counter_cipher_where_it_was() -> None:
    """F9: a repeated, reordered or forged message is refused, and the next true one still opens."""
    sender, receiver = CounterCipher(KEY), CounterCipher(KEY)
    first, second, third = (sender.seal(text) for text in (b"one", b"two", b"three"))
    assert receiver.open(first) == b"one"
    for wrong in (first, third, b"", second[:-1], second + b"\0", bytes(len(second))):
        with pytest.raises(AuthenticationFailed):
            receiver.open(wrong)
    assert (receiver.open(second), receiver.open(third)) == (b"two", b"three")


@pytest.mark.parametrize("wrong", [b"", b"x", bytes(15), bytes(16), bytes(64)])
def test_what_is_too_short_or_forged_is_one_opaque_error(wrong: bytes) -> None:
    """F4, R12: neither the class nor the text tells a short message from a forged one, and no cause is kept."""
    with pytest.raises(AuthenticationFailed) as once:
        open_once(KEY, b"", wrong)
    with pytest.raises(AuthenticationFailed) as counted:
        open_sealed(KEY, 0, b"", wrong)
    sentence = "A sealed message was forged, altered, replayed or meant for somebody else."
    assert [str(each.value) for each in (once, counted)] == [sentence, sentence]
    assert [each.value.__suppress_context__ for each in (once, counted)] == [True, True]


@pytest.mark.parametrize("change", ["key", "associated", "tag", "text", "short", "length"])
def test_what_fails_to_open_into_a_buffer_leaves_zeros_there(change: str) -> None:
    """I6, F4: the same opaque error, and nothing that nobody has authenticated, nor what was there before."""
    sealed = seal_once(KEY, b"header", b"a key of some bytes")
    target = bytearray(b"x" * (18 if change == "length" else 19))
    altered = {"tag": sealed[:-1] + bytes([sealed[-1] ^ 1]), "text": bytes([sealed[0] ^ 1]) + sealed[1:], "short": b""}
    with pytest.raises(AuthenticationFailed) as refused:
        open_once_into(
            OTHER if change == "key" else KEY,
            b"" if change == "associated" else b"header",
            altered.get(change, sealed),
            target,
        )
    assert str(refused.value) == "A sealed message was forged, altered, replayed or meant for somebody else."
    assert refused.value.__suppress_context__
    assert target == bytes(len(target))


def test_key_and_associated_data_are_both_bound() -> None:
    """A46: another key or another word beside the plaintext opens nothing."""
    sealed = seal_once(KEY, b"header", b"text")
    for key, associated in ((OTHER, b"header"), (KEY, b"header "), (KEY, b"")):
        with pytest.raises(AuthenticationFailed):
            open_once(key, associated, sealed)
    assert open_once(KEY, b"header", sealed) == b"text"


def test_every_aead_call_stands_in_one_module_of_under_a_hundred_lines() -> None:
    """A46: one place for cryptography; who else imports a cipher of `cryptography`, does so for one reason each."""
    path = Path(inspect.getfile(aead)).resolve()
    assert len(path.read_text("utf-8").splitlines()) < 100
    users = [
        each.relative_to(path.parents[1]).as_posix()
        for folder in ("messages", "actors", "ui_adapter")
        for each in sorted((path.parents[1] / folder).rglob("*.py"))
        if re.search(r"primitives[\w. ]* ciphers|\.ciphers\b", each.read_text("utf-8"))
    ]
    assert users == ["messages/aead.py"]
