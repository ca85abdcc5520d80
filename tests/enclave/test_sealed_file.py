"""Sealed files: what is sealed opens, in any pieces; what was cut, moved, repeated, added to or altered does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.enclave.sealed_file import CHUNK, HEADER_SIZE, MAGIC, SEALED_CHUNK, Header, Opening, Sealing
from trollbridge.enclave.sealing import VaultKey
from trollbridge.messages import aead
from trollbridge.messages.errors import FileDamaged, NotASealedFile

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY: Final = VaultKey(bytes(range(32)), bytes(range(16)))
OTHER_KEY: Final = VaultKey(bytes(32), KEY.vault)
OTHER_VAULT: Final = VaultKey(bytes(range(32)), bytes(16))
SIZES: Final = (0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK)


def seal(content: bytes, key: VaultKey = KEY, pieces: Iterable[int] = ()) -> bytes:
    """Seal a content that comes in pieces of these sizes, and the rest of it."""
    sealing = Sealing(key.vault, key.file_key)
    return b"".join([*map(sealing.feed, _cut(content, pieces)), sealing.finish()])


def unseal(data: bytes, key: VaultKey = KEY, pieces: Iterable[int] = ()) -> bytes:
    """Open a sealed file that comes in pieces of these sizes, and the rest of it."""
    opening = Opening(key.vault, key.file_key)
    return b"".join([*map(opening.feed, _cut(data, pieces)), opening.finish()])


def _cut(content: bytes, pieces: Iterable[int]) -> Iterable[bytes]:
    at = 0
    for size in pieces:
        yield content[at : at + size]
        at += size
    yield content[at:]


def _chunks(data: bytes) -> tuple[bytes, list[bytes]]:
    body = data[HEADER_SIZE:]
    return data[:HEADER_SIZE], [body[at : at + SEALED_CHUNK] for at in range(0, len(body), SEALED_CHUNK)]


def _refused(data: bytes, key: VaultKey = KEY) -> bool:
    """Return whether it does not open, whole or in pieces."""
    refusals = 0
    for pieces in ((), [1] * 20, [SEALED_CHUNK] * 3):
        try:
            unseal(data, key, pieces)
        except (FileDamaged, NotASealedFile):
            refusals += 1
    return refusals == 3


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_opens_and_has_one_length(size: int) -> None:
    """An empty file, exact multiples of a chunk, and what lies around them (A29)."""
    content = os.urandom(size)
    data = seal(content)
    assert unseal(data) == content
    assert len(data) == HEADER_SIZE + size + 16 * max(1, -(-size // CHUNK))
    assert data != seal(content), "each file has a key of its own"


@given(
    st.binary(max_size=200), st.lists(st.integers(0, 90_000), max_size=6), st.lists(st.integers(0, 90_000), max_size=6)
)
def test_the_pieces_in_which_it_comes_do_not_matter(seed: bytes, fed: list[int], read: list[int]) -> None:
    """Neither on the way in nor on the way out."""
    content = seed * 900
    assert unseal(seal(content, pieces=fed), pieces=read) == content


def test_nothing_comes_out_before_it_is_authenticated_and_everything_before_the_end() -> None:
    """One chunk is held back, for only its nonce says that it is not the last; memory stays bounded."""
    content = os.urandom(10 * CHUNK)
    data = seal(content)
    opening = Opening(KEY.vault, KEY.file_key)
    out = b""
    for at in range(0, len(data), 1000):
        out += opening.feed(data[at : at + 1000])
        arrived = max(0, at + 1000 - HEADER_SIZE)
        assert content.startswith(out)
        assert len(out) <= arrived // SEALED_CHUNK * CHUNK
        assert len(out) + 2 * SEALED_CHUNK + 1000 > arrived - 16 * 10
    assert out + opening.finish() == content


@pytest.mark.parametrize("size", [0, 5, CHUNK, CHUNK + 5])
def test_every_flipped_bit_is_found(size: int) -> None:
    """In the header, the body and the tags: each byte near a border, and a sample of the rest (A29)."""
    data = seal(os.urandom(size))
    places = {*range(min(len(data), 200)), *range(max(0, len(data) - 40), len(data))}
    places |= {*range(HEADER_SIZE, len(data), 997), *range(max(0, len(data) - size - 40), len(data), 1231)}
    for place in sorted(places):
        altered = bytearray(data)
        altered[place] ^= 1 << place % 8
        with pytest.raises((FileDamaged, NotASealedFile)):
            unseal(bytes(altered))


@pytest.mark.parametrize("size", [0, 5, CHUNK, 2 * CHUNK, 2 * CHUNK + 5])
def test_a_file_that_was_cut_has_no_end(size: int) -> None:
    """At each border of a chunk, beside it, inside, and in the header."""
    data = seal(os.urandom(size))
    borders = range(HEADER_SIZE, len(data) + 1, SEALED_CHUNK)
    cuts = {0, 1, HEADER_SIZE - 1, len(data) - 1, len(data) - 16, *(each + by for each in borders for by in (-1, 0, 1))}
    for cut in sorted(each for each in cuts if 0 <= each < len(data)):
        assert _refused(data[:cut]), cut


def test_chunks_that_are_moved_repeated_left_out_or_added_are_found() -> None:
    """Whole chunks, with their tags as they were."""
    header, chunks = _chunks(seal(os.urandom(3 * CHUNK + 9)))
    one, two, three, last = chunks
    for order in (
        [two, one, three, last], [one, one, two, three, last], [one, three, last], [one, two, last], [two, three, last],
        [one, two, three], [one, two, three, last, last], [last], [one, two, three, last, one],
    ):  # fmt: skip
        assert _refused(b"".join([header, *order]))
    assert _refused(b"".join([header, *chunks, b"\0"]))
    other, strange = _chunks(seal(os.urandom(3 * CHUNK + 9)))
    assert _refused(b"".join([header, one, strange[1], three, last]))
    assert _refused(b"".join([other, *chunks]))


def test_a_file_cannot_be_written_in_a_second_way() -> None:
    """An empty last chunk behind a full one says the same, and is refused: one content, one form."""
    salt = bytes(32)
    header, key = Header(KEY.vault, salt).encode(), KEY.file_key(salt)
    first = aead.seal(key, 0, header, bytes(CHUNK))
    assert unseal(header + aead.seal(key, 1, header, bytes(CHUNK))) == bytes(CHUNK)
    assert _refused(header + first + aead.seal(key, 3, header, b""))


def test_only_the_vault_that_sealed_it_opens_it() -> None:
    """Another vault is told so; another key, as after a guess at one layer, opens nothing (A29)."""
    data = seal(b"ours")
    with pytest.raises(NotASealedFile, match="Another vault has sealed this file"):
        unseal(data, OTHER_VAULT)
    with pytest.raises(FileDamaged):
        unseal(data, OTHER_KEY)
    forged = data[: len(MAGIC) + 1] + OTHER_VAULT.vault + data[len(MAGIC) + 17 :]
    with pytest.raises(FileDamaged):
        unseal(forged, OTHER_VAULT)


@pytest.mark.parametrize("data", [b"", b"hello", bytes(500), MAGIC, b"x" * 100_000, MAGIC[:-1] + b"x" + bytes(60)])
def test_what_is_no_sealed_file_is_told(data: bytes) -> None:
    """Binary junk, text, nothing at all."""
    with pytest.raises(NotASealedFile, match="no file that this vault has sealed"):
        unseal(data)


def test_a_newer_format_asks_for_a_newer_program() -> None:
    """The version stands behind the magic."""
    data = bytearray(seal(b"new"))
    data[len(MAGIC)] = 2
    with pytest.raises(NotASealedFile, match="newer Trollbridge"):
        unseal(bytes(data))


def test_a_file_is_what_the_description_says() -> None:
    """Opened by hand, from the table in SPEC.md: header, key, nonces, last chunk."""
    content = os.urandom(CHUNK + 3)
    data = seal(content)
    header = data[:65]
    assert header[:33] == b"trollbridge-file\x01" + KEY.vault
    key = KEY.file_key(header[33:])
    body = data[65:]
    assert aead.open_sealed(key, 0, header, body[: CHUNK + 16]) == content[:CHUNK]
    assert aead.open_sealed(key, 3, header, body[CHUNK + 16 :]) == content[CHUNK:]
