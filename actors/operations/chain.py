"""The log's hash chain: each line's value binds everything before it, and with a key nobody can make it anew later.

May import: our messages. Pure. The value of a line is

    D("tb1 log chain", key, value of the line before, the line's bytes without its chain field)

with D as in SPEC section 2. Without a key anybody can compute it: it finds accidents and careless edits. With one, each
line has a key of its own, and the next is D("tb1 log key", key), which leads back to none before it (Bellare, Yee:
Forward-Security in Private-Key Cryptography, 2003; systemd seals its journal so). So who takes over the machine can
forge what comes, and not what was. The head (sequence number and value of the last line) is marked under the same key,
which is gone with the next line: a log that was cut shorter has no head that fits. A run's first line proves that it
has found the mark, by D("tb1 log end", mark), which leads back to no mark: so a cut shows as well once the next run has
gone on from it, and the line makes no head for a log that is cut off before it.

What no key shows: what whoever holds the key of a line, or of the run that comes, does from then on, such as to let go
of older files as --log-keep may; and that a log, its head and its key file were put back together as they once were.

Invariant: a line is stamped once, in the order in which it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.messages import labels

if TYPE_CHECKING:
    from collections.abc import Callable

BEGINNING: Final = bytes(32)
"""Stands for the value before the first line of all."""
UNMARKED: Final = "-" * 64
"""The mark of a head without a key."""
_FIELD: Final = b',"chain":"'
_TAIL: Final = len(_FIELD) + 64 + len(b'"}')


class Head(NamedTuple):
    """The end of a log."""

    seq: int
    """The last line's number within its run; 0: there is none yet."""
    chain: str
    """Its value, in hex."""
    mark: str = UNMARKED
    """With a key: what proves that the log was as long as this."""


class LineKey:
    """The key of the next line."""

    __slots__ = ("_key",)

    def __init__(self, run_key: bytes) -> None:
        """Take the key of a run's first line; empty: the log has none."""
        self._key = run_key

    def __bool__(self) -> bool:
        """Return whether there is one."""
        return bool(self._key)

    def value(self, before: bytes, body: bytes) -> bytes:
        """Return the chain value of a line whose bytes without the chain field are `body`."""
        return labels.derive(labels.LOG_CHAIN, self._key, before, body)

    def mark(self, seq: int, chain: bytes) -> str:
        """Return the mark of a head that ends with this line."""
        if not self._key:
            return UNMARKED
        return labels.derive(labels.LOG_HEAD, self._key, seq.to_bytes(8, "big"), chain).hex()

    def step(self) -> None:
        """Go on to the next line's key, and forget this one."""
        if self._key:
            self._key = next_key(self._key)


def proof(mark: str) -> str:
    """Return what the first line of a run holds that has found a head with this mark; all in hex."""
    return labels.derive(labels.LOG_END, bytes.fromhex(mark)).hex()


def next_key(key: bytes) -> bytes:
    """Return the key that follows: of a line, or of a run. It does not lead back."""
    return labels.derive(labels.LOG_KEY, key)


def run_key(key: bytes) -> bytes:
    """Return the key of the first line of the run whose key this is."""
    return labels.derive(labels.LOG_RUN, key)


class Chain:
    """The chain of one run of an application, as it is written."""

    def __init__(self, after: str = "", mark: str = "", take: Callable[[], tuple[int, bytes]] | None = None) -> None:
        """Take the value that the log ends with so far (hex; empty: it is new), and the mark of its head, if any.

        `take`: with a key, how the run's number and key are got, once the first line is written.
        """
        self._value = bytes.fromhex(after) if after else BEGINNING
        self._new = not after
        self._mark = mark
        self._take = take
        self._run = 0
        self._key = LineKey(b"")
        self.head = Head(0, after)

    def begin(self) -> None:
        """Take the key, if there is one and it is not taken yet; raises what taking it raises."""
        if self._take is not None:
            self._run, key = self._take()
            self._key, self._take = LineKey(key), None

    def stamp(self, bare: bytes, *, first: bool) -> bytes:
        """Return a line (a JSON object without a line's end) with its number and its value as its last fields.

        The `first` line of a run and of a file names the value before it, and which run's key it is under; that of a
        run also proves the mark of the head before it.
        """
        self.begin()
        seq = self.head.seq + 1
        opening = b""
        if first:
            opening += b"" if self._new else b',"after":"%s"' % self._value.hex().encode()
            opening += b',"run":%d' % self._run if self._key else b""
            opening += b',"proof":"%s"' % proof(self._mark).encode() if self._key and self._mark and seq == 1 else b""
        body = b'%s%s,"seq":%d}' % (bare[:-1], opening, seq)
        value = self._key.value(self._value, body)
        self.head = Head(seq, value.hex(), self._key.mark(seq, value))
        self._key.step()
        self._value, self._new = value, False
        return b'%s%s%s"}' % (body[:-1], _FIELD, self.head.chain.encode())


def split(line: bytes) -> tuple[bytes, str]:
    """Return (the line's bytes without its chain field, the field's value in hex, empty if it has none)."""
    at = len(line) - _TAIL
    value = line[-66:-2]
    if at < 1 or line[at : at + len(_FIELD)] != _FIELD or line[-2:] != b'"}' or not _hex(value):
        return line, ""
    return line[:at] + b"}", value.decode()


def _hex(text: bytes) -> bool:
    return len(text) == 64 and all(each in b"0123456789abcdef" for each in text)  # noqa: PLR2004  # two for each byte
