"""The top level of what comes from outside: small input stays small, and armor is read as it was written."""

from __future__ import annotations

import bz2
import os
import resource
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.enclave.children import in_child
from trollbridge.enclave import openpgp, outline, packets, recipients
from trollbridge.enclave.certificate import Certificate
from trollbridge.enclave.openpgp import Opener
from trollbridge.messages.errors import BadSignature, CannotDecrypt, DeclaredError, NotOpenPGP
from trollbridge.messages.vault import CLEAR, DETACHED, INLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.enclave.gnupg import GnuPG

LITERAL: Final = 11
COMPRESSED: Final = 8
HUGE: Final = 200 << 20
BEGIN: Final = b"-----BEGIN PGP MESSAGE-----\n"


@pytest.fixture
def opener() -> Opener:
    """Return what decrypts."""
    return Opener()


def literal(data: bytes) -> bytes:
    """Return a literal data packet."""
    return packets.framed(LITERAL, b"b\0" + bytes(4) + data)


def deflated(data: bytes) -> bytes:
    """Return data as ZIP has it, without a header."""
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    return made.compress(data) + made.flush()


def bomb(size: int) -> bytes:
    """Return a compressed packet out of which a literal packet of so many zeros comes."""
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [made.compress(bytes([0xC0 | LITERAL, 0xFF]) + (6 + size).to_bytes(4, "big") + b"b\0" + bytes(4))]
    parts += [made.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return packets.framed(COMPRESSED, b"\1" + b"".join(parts) + made.flush())


METHODS: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"\0": bytes,
    b"\1": deflated,
    b"\2": zlib.compress,
    b"\3": bz2.compress,
}


@given(data=st.binary(max_size=5000), method=st.sampled_from(sorted(METHODS)))
def test_what_was_compressed_comes_out(data: bytes, method: bytes) -> None:
    """By each of the four methods; cut off, it is the beginning of it or an error of ours."""
    body = method + METHODS[method](data)
    assert outline.decompressed(body) == data
    try:
        assert data.startswith(outline.decompressed(body[: len(body) // 2]))
    except NotOpenPGP:
        assert len(body) < 3


@pytest.mark.parametrize("method", [b"\1", b"\2", b"\3"])
def test_more_than_there_is_room_for_does_not_come_out(method: bytes) -> None:
    """And no method that there is none of (P3)."""
    body = method + METHODS[method](bytes(3 << 20))
    assert len(outline.decompressed(body, 3 << 20)) == 3 << 20
    for wrong, most in ((body, (3 << 20) - 1), (b"\4" + body[1:], 1 << 30), (method + b"\xff" * 9, 1 << 30), (b"", 1)):
        with pytest.raises(NotOpenPGP):
            outline.decompressed(wrong, most)


def test_a_bomb_is_refused_before_it_bursts() -> None:
    """P3: 200 KB that would be 200 MiB, for each thing that takes input, in less memory than it would take."""
    data = bomb(HUGE)
    assert len(data) < HUGE // 900
    armored = pysequoia.armor(data, pysequoia.ArmorKind.Message).encode()
    twice = packets.framed(COMPRESSED, b"\1" + deflated(bomb(1 << 20)))

    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData:"))

    def refused() -> str:
        room = held + HUGE  # what it would become does not fit beside what is here
        resource.setrlimit(resource.RLIMIT_DATA, (room, room))
        opener = Opener()
        count = 0
        for each in (data, armored, twice):
            for attempt in (
                lambda: openpgp.verify(each, None, lambda _: []),  # noqa: B023  # called at once
                lambda: openpgp.verify(b"data", each, lambda _: []),  # noqa: B023
                lambda: Certificate.read(each),  # noqa: B023
                lambda: opener.decrypt(each, [], lambda _: []),  # noqa: B023
            ):
                try:
                    attempt()
                except NotOpenPGP:
                    count += 1
        return str(count)

    assert in_child(refused) == "12"
    with pytest.raises(NotOpenPGP):
        outline.check_content(literal(b"x") + data)


def test_a_message_within_bounds_is_read() -> None:
    """The other half: compressed once, as gpg does it, whatever the armor."""
    key = openpgp.generate("Alice")
    signed = openpgp.sign(key, bytes(2 << 20), INLINE, armored=False)
    message = packets.framed(COMPRESSED, b"\2" + zlib.compress(signed))
    armored = pysequoia.armor(message, pysequoia.ArmorKind.Message).encode()
    for form in (message, armored, armored.replace(b"\n", b"\r\n"), b"Dear Bob,\n" + armored + b"\nAlice\n"):
        assert openpgp.verify(form, None, lambda _: [key.certificate]).content == bytes(2 << 20)


def test_armor_is_read_whole(gnupg: GnuPG) -> None:
    """Several blocks are several keys; blocks of two kinds are nothing."""
    made = [openpgp.generate(f"Number {number}") for number in range(2)]
    theirs = gnupg.out("--armor", "--comment", "a: b", "--export", gnupg.new_key("Number 2"))
    both = b"".join([*(each.certificate.armored() for each in made), theirs])
    assert [each.user_ids for each in Certificate.read(both)] == [(f"Number {number}",) for number in range(3)]
    signature = openpgp.sign(made[0], b"data", DETACHED)
    for wrong in (both + signature, both.replace(b"END", b"AND"), b"-----BEGIN PGP MESSAGE-----\n\n", b"-----"):
        with pytest.raises(NotOpenPGP):
            outline.binary(wrong)
    clear = openpgp.sign(made[0], b"data", CLEAR)
    assert [outline.is_clear_signed(each) for each in (clear, b"x\n" + clear, signature, both, b"", b"\xc0")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


@given(junk=st.binary(max_size=300))
def test_junk_has_an_outline_or_is_refused(junk: bytes) -> None:
    """P2: packet by packet, with an end; never another error."""
    try:
        found = list(outline.top(b"\xcb" + junk))
    except NotOpenPGP:
        return
    assert sum(len(part) for _, body in found for part in body) <= len(junk)
    assert all(0 <= tag < 64 for tag, _ in found)


def test_a_packet_that_claims_to_be_giant_is_as_large_as_it_is() -> None:
    """P3: four gigabytes announced, and a part of one that never ends; nothing is set aside for them."""
    key = openpgp.generate("Alice")
    opener = Opener()
    for tag in (1, 2, 4, 6, 8, 11, 18):
        for length in (b"\xff\xff\xff\xff\xff", b"\xfe", b"\xfe" * 3):
            data = bytes([0xC0 | tag]) + length + b"\3" + bytes(100)
            for attempt in (
                lambda: openpgp.verify(data, None, lambda _: []),  # noqa: B023  # called at once
                lambda: openpgp.verify(b"data", data, lambda _: []),  # noqa: B023
                lambda: Certificate.read(data),  # noqa: B023
                lambda: opener.decrypt(data, [("", key.secret, None)], lambda _: []),  # noqa: B023
            ):
                with pytest.raises(DeclaredError):
                    attempt()


HOSTILE: Final[dict[str, Callable[[int], bytes]]] = {
    "headers that end nowhere": lambda size: BEGIN + b"a:b:c:d:e:\n" * (size // 11) + b"x\n",
    "one header without end": lambda size: BEGIN + b"a:" * (size // 2),
    "colons and blanks": lambda size: BEGIN + (b": \t" * 300 + b"\n") * (size // 901),
    "beginnings alone": lambda size: BEGIN * (size // len(BEGIN)),
    "beginnings with headers": lambda size: (BEGIN + b"a:b\n" * 20) * (size // (len(BEGIN) + 80)),
    "beginnings that end in blanks": lambda size: (BEGIN[:-1] + b" " * 1000) * (size // 1000),
    "blocks without content": lambda size: (BEGIN + b"\n-----END PGP MESSAGE-----\n") * (size // 55),
    "blocks that do not end": lambda size: (BEGIN + b"\nx\n") * (size // 30),
    "carriage returns": lambda size: BEGIN + b"\r" * size,
}
"""Armor that is none, of about so many octets: what made a search with a way back take hours."""


def test_hostile_armor_is_refused_in_linear_work(opener: Opener) -> None:
    """P3: a mebibyte of each, for each thing that takes input, in seconds that would not do for a thousandth of it."""

    def refused() -> str:
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        wrong = [
            name
            for name, make in HOSTILE.items()
            for attempt in _attempts(make(1 << 20), opener)
            if not _refuses(attempt)
        ]
        return repr(wrong)

    assert in_child(refused) == "[]"


def _attempts(data: bytes, opener: Opener) -> tuple[Callable[[], object], ...]:
    return (
        lambda: openpgp.verify(data, None, lambda _: []),
        lambda: openpgp.verify(b"data", data, lambda _: []),
        lambda: Certificate.read(data),
        lambda: opener.decrypt(data, [], lambda _: []),
        lambda: recipients.named(data),
    )


def _refuses(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except NotOpenPGP:
        return True
    return False


def test_many_headers_are_read_and_too_many_are_not() -> None:
    """The honest path: a line for each user id, as sq writes them; and text that only looks like armor before it."""
    key = openpgp.generate("Alice").certificate
    begin, *rest = key.armored().splitlines(keepends=True)
    text = rest[rest.index(b"\n") + 1 :]
    headers = b"".join(b"Comment: user id: %d\n" % number for number in range(1000))
    for between in (b"\n", b" \t\r\n", headers + b"\n", headers.replace(b"\n", b"\r\n") + b"\r\n"):
        (found,) = Certificate.read(BEGIN + b"no header\n" + begin + between + b"".join(text))
        assert found.fingerprint == key.fingerprint
    with pytest.raises(NotOpenPGP):
        outline.binary(begin + b"Comment: x\n" * (outline.MOST_HEADERS // 11 + 1) + b"\n" + b"".join(text))


def test_a_body_in_tiny_parts_takes_no_memory() -> None:
    """P3: a hundred times what comes in, with parts of one octet each; the first of 512 at least, and most of them."""
    first = b"\xe9" + bytes(512)
    for wrong in (
        b"\xd2" + b"\xe0x" * (2 << 20),
        b"\xd2" + first + b"\xe0x" * (2 << 20),
        b"\xd2\xe8" + bytes(256) + b"\0",
    ):
        with pytest.raises(NotOpenPGP):
            list(outline.top(wrong))
    for tag in (1, 2, 4, 6, 13):  # what is no data does not come in parts
        with pytest.raises(NotOpenPGP):
            list(outline.top(bytes([0xC0 | tag]) + first + b"\0"))
    ((tag, parts),) = outline.top(b"\xd2" + first * 5000 + b"\xe0x" * 30 + b"\0")
    assert (tag, len(parts), sum(map(len, parts))) == (18, 5031, 5000 * 512 + 30)


def test_tiny_packets_take_no_memory(gnupg: GnuPG) -> None:
    """P3: of each that is parsed 300 octets are kept; a key with a hundred user ids is no such thing."""
    for wrong in (b"\xcd\0" * 100_000, b"\xca\3PGP" * 100_000, b"\xb4\0" * 100_000):
        with pytest.raises(NotOpenPGP):
            list(outline.top(wrong))
    name = gnupg.new_key("0", "ed25519", "cert")
    for number in range(1, 20):
        gnupg.out("--quick-add-uid", name, str(number))
    (found,) = Certificate.read(gnupg.certificate(name))
    assert len(found.user_ids) == 20


def test_headers_of_every_form_are_read() -> None:
    """RFC 9580, section 4.2: the current and the old format, lengths of each size, bodies in parts, and without one."""
    body = os.urandom(300)
    large = os.urandom(1200)
    forms = {
        "one octet": b"\xcb\x64" + body[:100],
        "two octets": b"\xcb\xc0\x6c" + body,
        "five octets": packets.framed(LITERAL, body),
        "in parts": b"\xcb\xe9" + large[:512] + b"\xe9" + large[512:1024] + b"\xb0" + large[1024:],
        "old, one octet": b"\xac\x64" + body[:100],
        "old, two octets": b"\xad\x01\x2c" + body,
        "old, four octets": b"\xae\x00\x00\x01\x2c" + body,
    }
    for name, form in forms.items():
        (first, second) = outline.top(form + b"\xcb\x01x")
        expected = large if "parts" in name else body[:100] if "one" in name else body
        assert (name, first[0], b"".join(first[1])) == (name, LITERAL, expected)
        assert (second[0], b"".join(second[1])) == (LITERAL, b"x")
    ((tag, rest),) = outline.top(b"\xaf" + body)
    assert (tag, b"".join(rest)) == (LITERAL, body)


def test_a_message_cut_off_anywhere_is_refused(gnupg: GnuPG) -> None:
    """At each byte: an error of ours, and no content (A46)."""
    key = openpgp.generate("Alice")
    gnupg.out("--import", data=key.certificate.binary())
    signed = openpgp.sign(key, b"some data", INLINE, armored=False)
    detached = openpgp.sign(key, b"some data", DETACHED, armored=False)
    encrypted = openpgp.encrypt(b"some data", [key.certificate], key, armored=False)
    theirs = gnupg.out("-r", key.certificate.fingerprint, "--encrypt", data=b"some data")
    opener = Opener()
    for cut in range(len(signed)):
        with pytest.raises((BadSignature, NotOpenPGP)):
            openpgp.verify(signed[:cut], None, lambda _: [key.certificate])
    for cut in range(len(detached)):
        with pytest.raises((BadSignature, NotOpenPGP)):
            openpgp.verify(b"some data", detached[:cut], lambda _: [key.certificate])
    for message in (encrypted, theirs):
        for cut in range(len(message)):
            with pytest.raises((CannotDecrypt, NotOpenPGP)):
                opener.decrypt(message[:cut], [("", key.secret, None)], lambda _: [key.certificate])
