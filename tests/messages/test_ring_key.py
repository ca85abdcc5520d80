"""The ring key: one object, not shown, not copied; what it seals opens in its own epoch, for what was asked for."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Final

import msgspec
import pytest

from trollbridge.messages import aead, labels
from trollbridge.messages.errors import AuthenticationFailed, Malformed, UsageError
from trollbridge.messages.ids import Epoch
from trollbridge.messages.ring_key import ASKED_SIZE, SEALED, RingKey, Sealed, asked
from trollbridge.messages.secret import Secret

VECTORS: Final = json.loads((Path(__file__).parents[1] / "vectors" / "derivations.json").read_text("utf-8"))
KEY: Final = bytes(range(32))
EPOCH: Final = Epoch(7)
SIZES: Final = (0, 1, 92, 93, 1000, 100_000)
MAIL: Final = asked(b"\x91\xa4mail")
BANK: Final = asked(b"\x91\xa4bank")


def ring_key() -> RingKey:
    """Return a ring key for each use."""
    return RingKey(KEY, EPOCH)


def test_the_frozen_result_opens_and_ours_differs_by_its_salt_only() -> None:
    """A46: salt, key and ciphertext as another implementation computed them."""
    frozen = VECTORS["sealed_result"]
    value, ciphertext, what = (bytes.fromhex(frozen[each]) for each in ("value", "ciphertext", "asked"))
    assert (asked(bytes.fromhex(frozen["arguments"])), len(what)) == (what, ASKED_SIZE)
    assert ring_key().open(Sealed(7, "vault.secret", bytes.fromhex(VECTORS["salt"]), ciphertext), what) == value
    ours = ring_key().seal("vault.secret", value, what)
    assert (ours.epoch, ours.handler, len(ours.salt), len(ours.ciphertext)) == (7, "vault.secret", 32, len(ciphertext))


@pytest.mark.parametrize("size", SIZES)
def test_a_result_of_any_length_opens_to_itself(size: int) -> None:
    """A41: for whoever holds the key of the epoch."""
    value = bytes(range(256)) * (size // 256 + 1)
    sealed = ring_key().seal("vault.secret", value[:size], MAIL)
    assert ring_key().open(sealed) == ring_key().open(sealed, MAIL) == value[:size]


def test_equal_results_of_one_size_class_show_equal_lengths_and_nothing_else() -> None:
    """R2, A19: two sealed replies with one known plaintext share no byte that tells anything, or what it is for."""
    first, second = (ring_key().seal("vault.secret", b"known", MAIL) for _ in range(2))
    assert MAIL not in SEALED.encode(first)
    assert first.salt != second.salt
    assert len(first.ciphertext) == len(second.ciphertext) == 128 + 16
    combined = bytes(a ^ b for a, b in zip(first.ciphertext, second.ciphertext, strict=True))
    assert combined.count(0) < 16


def test_a_changed_field_opens_nothing() -> None:
    """A46, F3: epoch, handler, salt and ciphertext are all bound."""
    sealed = ring_key().seal("vault.secret", b"value", MAIL)
    changed = [
        msgspec.structs.replace(sealed, epoch=8),
        msgspec.structs.replace(sealed, handler="vault.secre"),
        msgspec.structs.replace(sealed, handler="vault.secret2"),
        msgspec.structs.replace(sealed, salt=bytes(32)),
        msgspec.structs.replace(sealed, ciphertext=sealed.ciphertext[:-1]),
        msgspec.structs.replace(sealed, ciphertext=b""),
    ]
    for each in changed:
        with pytest.raises(AuthenticationFailed):
            ring_key().open(each)


def test_a_result_opens_for_what_was_asked_for_only() -> None:
    """A41, F3: whoever offers the value of one entry for another's is refused; so is what no arguments are bound to."""
    mail, bank = (ring_key().seal("vault.secret", b"value", each) for each in (MAIL, BANK))
    assert (ring_key().open(mail, MAIL), ring_key().open(bank, BANK)) == (b"value", b"value")
    mixed = msgspec.structs.replace(mail, ciphertext=bank.ciphertext)
    others = [bytes(ASKED_SIZE), b"", MAIL[:-1], bytes([MAIL[0] ^ 1]) + MAIL[1:]]
    for sealed, what in [(mail, BANK), (bank, MAIL), (mixed, MAIL), (mixed, BANK), *((mail, each) for each in others)]:
        with pytest.raises(AuthenticationFailed):
            ring_key().open(sealed, what)


def test_the_next_epochs_key_opens_nothing_of_this_one() -> None:
    """R1: not even if the same 32 bytes were dealt twice."""
    sealed = ring_key().seal("vault.secret", b"value", MAIL)
    for other in (RingKey(KEY, Epoch(8)), RingKey(bytes(32), EPOCH)):
        with pytest.raises(AuthenticationFailed):
            other.open(sealed)
    lying = msgspec.structs.replace(sealed, epoch=8)
    with pytest.raises(AuthenticationFailed):
        RingKey(KEY, Epoch(8)).open(lying)


@pytest.mark.parametrize(
    "plaintext",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(MAIL, id="no length"),
        pytest.param(MAIL + b"\xff\xff\xff\xff" + bytes(92), id="a giant length"),
        pytest.param(MAIL + (1).to_bytes(4, "big") + b"x", id="not padded"),
        pytest.param(MAIL + (1).to_bytes(4, "big") + b"x" + bytes(90) + b"\1", id="padding that says something"),
    ],
)
def test_a_plaintext_that_is_not_laid_out_so_is_malformed(plaintext: bytes) -> None:
    """P4: though it was sealed under the ring key."""
    salt, associated = bytes(32), int(EPOCH).to_bytes(8, "big") + b"vault.secret"
    key = labels.derive(labels.RING_REPLY, KEY, salt, associated)
    with pytest.raises(Malformed):
        ring_key().open(Sealed(EPOCH, "vault.secret", salt, aead.seal_once(key, associated, plaintext)))


def test_a_dropped_key_is_inert_for_whoever_kept_it() -> None:
    """A44: it seals nothing, opens nothing and reveals nothing."""
    key = ring_key()
    sealed = key.seal("vault.secret", b"value", MAIL)
    key.drop()
    for use in (lambda: key.open(sealed), lambda: key.seal("vault.secret", b"", MAIL), key.reveal):
        with pytest.raises(AuthenticationFailed):
            use()
    assert key._key is None


def test_a_key_stays_where_it_was_put_and_is_wiped_there() -> None:
    """A44, A49: it is used in that place; a copy of it to work with would outlive the key."""
    place = bytearray(KEY)
    key = RingKey(Secret(place), EPOCH)
    assert key._key is not None
    assert key._key.view is place
    assert ring_key().open(key.seal("vault.secret", b"value", MAIL)) == b"value"
    assert place == KEY
    key.drop()
    assert place == bytes(32)
    key.drop()


def test_a_ring_key_is_neither_copied_nor_pickled_nor_shown() -> None:
    """A35: one object in a process."""
    key = ring_key()
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(UsageError) as refusal:
            way(key)
        assert str(refusal.value) == "the ring key cannot be copied or pickled"
    assert repr(key) == str(key) == "<RingKey of epoch 7, 69e7972f350322d9>"
    assert KEY.hex() not in f"{key!r}{key}"
    assert not hasattr(key, "__dict__")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    """R7: told without the key."""
    with pytest.raises(UsageError) as refusal:
        RingKey(b"k" * size, EPOCH)
    assert str(refusal.value) == "a ring key has 32 bytes"


def test_the_repr_of_a_sealed_result_shows_where_it_comes_from() -> None:
    """A41: an extension may print it."""
    assert repr(ring_key().seal("vault.secret", b"v", MAIL)) == "<Sealed result of vault.secret, epoch 7>"


def test_a_sealed_result_survives_its_encoding() -> None:
    """A41: an extension carries it as a value; a short salt is refused where it arrives."""
    sealed = ring_key().seal("vault.secret", b"v", MAIL)
    assert SEALED.decode(SEALED.encode(sealed)) == sealed
    with pytest.raises(Malformed):
        SEALED.decode(SEALED.encode(msgspec.structs.replace(sealed, salt=bytes(31))))
