"""A supervisor's view of a server's ledger, from SPEC section 13: the page, and what it says of a client's calls.

No code of ours. The page is memory that this process made and that the server maps; it is read once the server is gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
from typing import Final, NamedTuple

CLIENTS: Final = 256
SLOTS: Final = 2048
BEGUN: Final = 1
DONE: Final = 2
_CLIENT: Final = struct.Struct("=QQ32s")
_CALL: Final = struct.Struct("=QHB5s")
_RUNNING: Final = struct.Struct("=H6sQQ16s64sQ")
_AT_CLIENTS: Final = 128
_AT_CALLS: Final = 12_416
_SIZE: Final = -(-(_AT_CALLS + SLOTS * _CALL.size) // mmap.PAGESIZE) * mmap.PAGESIZE


class Running(NamedTuple):
    """The call whose handler's code ran last."""

    runs: bool
    client: str
    since: int
    deadline: int
    digest: bytes
    method: str
    sequence: int


class Account(NamedTuple):
    """What a `Verdict` says of one client's calls: the sequences begun and done, and from where on all are known."""

    begun: list[int]
    done: list[int]
    known: int


def digest(key: bytes, method: str, arguments: bytes) -> bytes:
    """Return by what a call is known in quarantine; `arguments` of up to 65536 bytes."""
    data = method.encode() + b"\0" + arguments
    return hashlib.blake2b(data, digest_size=16, key=key, person=b"tb1 quarantine").digest()


class Ledger:
    """One server's page."""

    def __init__(self) -> None:
        """Make the memory, and seal its size."""
        self.descriptor: Final = os.memfd_create("ledger", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, _SIZE)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)

    def close(self) -> None:
        """Let go of the memory."""
        os.close(self.descriptor)

    def _page(self) -> bytes:
        return os.pread(self.descriptor, _SIZE, 0)

    def count(self) -> int:
        """Return how many calls were ever begun."""
        return int.from_bytes(self._page()[:8], "little")

    def running(self) -> Running:
        """Return what stands there of the call that runs, or ran last."""
        page = self._page()
        runs = struct.unpack_from("=Q", page, 8)[0]
        client, zeros, since, deadline, found, method, sequence = _RUNNING.unpack_from(page, 16)
        assert (runs in {0, 1}, zeros) == (True, bytes(6))
        return Running(
            runs == 1, self.clients()[client], since, deadline, found, method.rstrip(b"\0").decode(), sequence
        )

    def clients(self) -> list[str]:
        """Return who has founded a session."""
        page = self._page()
        rows = [_CLIENT.unpack_from(page, _AT_CLIENTS + number * _CLIENT.size) for number in range(CLIENTS)]
        return [name.rstrip(b"\0").decode() for _, _, name in rows if name.strip(b"\0")]

    def account(self, client: str) -> Account:
        """Return what is known of the calls of a client's present session."""
        page, place = self._page(), self.clients().index(client)
        first, known, _ = _CLIENT.unpack_from(page, _AT_CLIENTS + place * _CLIENT.size)
        count = struct.unpack_from("=Q", page)[0]
        account = Account([], [], known)
        for number in range(max(first, count - SLOTS), count):
            sequence, whose, state, zeros = _CALL.unpack_from(page, _AT_CALLS + number % SLOTS * _CALL.size)
            assert zeros == bytes(5)
            if whose == place:
                {BEGUN: account.begun, DONE: account.done}[state].append(sequence)
        return account
