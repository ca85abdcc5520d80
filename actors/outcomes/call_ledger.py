"""The call ledger: a page of memory in which a server notes which calls it has begun and carried out.

May import: our messages, `invocation`, `quarantine`, `kernel`. Invariants: the page is mapped before the lock and no
descriptor leads to it afterwards; it outlives its process, however that ends, in the supervisor's hands, which reads it
by `call_account` and trusts nothing in it; a handler begins only once its call stands there. It holds names, numbers
and, while a handler runs, a keyed digest of its call; no argument and no result.

The page, in the machine's own byte order:

    0      count      u64   calls that were ever begun; call number n has slot n mod SLOTS
    8      running    u64   1 while code of a handler runs
    16     current          client u16, 6 unused, since u64, deadline u64 (both µs, monotonic), digest 16, handler 64,
                            sequence u64
    128    clients          CLIENTS times: first u64, known u64, name 32
    12416  slots            SLOTS times: sequence u64, client u16, state u8, 5 unused

`first` is the count when the client founded its session, so that what an earlier process of that name did is not taken
for its own. `known` is one more than the highest sequence of this session whose slot another call has taken since.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import struct
import time
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.actors.outcomes.quarantine import DIGEST_SIZE, NO_DIGEST, Spared

if TYPE_CHECKING:
    from collections.abc import Generator

    from trollbridge.actors.serving.invocation import Invocation, Origin
    from trollbridge.messages.ids import MemberId

SLOTS: Final = 2048
CLIENTS: Final = 256
"""Sessions that are told apart; of a client beyond these nothing is known."""
STARTED: Final = 1
DONE: Final = 2
BEGUN: Final = struct.Struct("@Q")
CURRENT: Final = struct.Struct(f"@QH6xQQ{DIGEST_SIZE}s64sQ")
CLIENT: Final = struct.Struct("@QQ32s")
SLOT: Final = struct.Struct("@QHB5x")
AT_CURRENT: Final = BEGUN.size
AT_CLIENTS: Final = 128
AT_SLOTS: Final = AT_CLIENTS + CLIENTS * CLIENT.size
SIZE: Final = -(-(AT_SLOTS + SLOTS * SLOT.size) // mmap.PAGESIZE) * mmap.PAGESIZE
"""Bytes of the page."""
NOBODY: Final = CLIENTS
"""The number of a client that no room was left for."""
_DIGEST: Final = slice(AT_CURRENT + 32, AT_CURRENT + 32 + DIGEST_SIZE)
_STATE: Final = 10
"""Where the state stands in a slot."""
_MFD_NOEXEC_SEAL: Final = 0x8
_MAP_FIXED: Final = 0x10
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def make() -> int:
    """Return a descriptor of a new page whose size is sealed: whoever gets it cannot shorten it. Raises `OSError`."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        made = os.memfd_create("ledger", flags | _MFD_NOEXEC_SEAL)
    except OSError:  # EINVAL before Linux 6.3
        made = os.memfd_create("ledger", flags)
    try:
        os.ftruncate(made, SIZE)
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(made)
        raise
    return made


def _mapped(descriptor: int | None) -> mmap.mmap:
    """Map the page, and close its descriptor; without one, memory that nobody else sees. Raises `OSError`."""
    private = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if descriptor is None:
        return private
    # The shared page takes the place of the private one: so the object unmaps it, and keeps no descriptor.
    try:
        address = ctypes.addressof((ctypes.c_char * SIZE).from_buffer(private))
        access = mmap.PROT_READ | mmap.PROT_WRITE
        kernel.syscall("mmap", address, SIZE, access, mmap.MAP_SHARED | _MAP_FIXED, descriptor, 0)
    finally:
        os.close(descriptor)
    return private


class CallLedger:
    """A server's end of its page."""

    __slots__ = ("_clients", "_head", "_known", "_map", "_number", "_offset", "_streams", "_view", "spared")

    def __init__(self, descriptor: int | None = None) -> None:
        """Take the page's descriptor, which is closed here; without one, what is noted is seen by nobody."""
        self._map = _mapped(descriptor)
        self._view = memoryview(self._map)
        self._head = self._view[: 2 * BEGUN.size].cast("Q")
        """How many calls were begun, and whether one runs."""
        self._known = self._view[AT_CLIENTS:AT_SLOTS].cast("Q")
        self._clients: dict[MemberId, int] = {}
        self._number = 0
        self._offset = AT_SLOTS
        self._streams: dict[Origin, int] = {}
        """The calls whose streams run, and their numbers."""
        self.spared = Spared()
        """Which calls are not to be run, and the digests by which they are known."""

    def founded(self, client: MemberId) -> None:
        """Note that a client has a session now: the sequences of an earlier one mean nothing any more."""
        number = self._clients.setdefault(client, len(self._clients))
        if number < CLIENTS:
            CLIENT.pack_into(self._view, AT_CLIENTS + number * CLIENT.size, self._number, 0, client.encode())

    def begin(self, invocation: Invocation) -> None:
        """Note that a handler begins."""
        self._run(invocation)
        self._take_slot(invocation.origin)

    def _run(self, invocation: Invocation) -> None:
        CURRENT.pack_into(
            self._view,
            AT_CURRENT,
            1,
            self._clients.get(invocation.origin.client, NOBODY),
            time.monotonic_ns() // 1000,
            invocation.deadline,
            invocation.digest,
            invocation.exported.name.encode(),
            invocation.origin.sequence,
        )

    def _take_slot(self, origin: Origin) -> None:
        number = self._number
        self._offset = offset = AT_SLOTS + number % SLOTS * SLOT.size
        if number >= SLOTS:
            self._let_go(offset, number - SLOTS)
        SLOT.pack_into(self._view, offset, origin.sequence, self._clients.get(origin.client, NOBODY), STARTED)
        self._number = self._head[0] = number + 1

    def _let_go(self, offset: int, number: int) -> None:
        """Remember, before a slot is taken by another call, that nothing is known of the calls up to this one."""
        sequence, client, _ = SLOT.unpack_from(self._view, offset)
        row = client * (CLIENT.size // 8)
        if client < CLIENTS and number >= self._known[row] and sequence >= self._known[row + 1]:
            self._known[row + 1] = sequence + 1

    def end(self, invocation: Invocation, *, streams: bool, failed: bool) -> None:
        """Note that a handler's code runs no more: its call is carried out, or it has `failed`, or it `streams` now."""
        if streams:
            self._streams[invocation.origin] = self._number
        elif not failed:
            self._view[self._offset + _STATE] = DONE
        self.rest()

    def rest(self) -> None:
        """Note that no handler's code runs, and forget the digest of the call that did."""
        self._head[1] = 0
        self._view[_DIGEST] = NO_DIGEST

    def step(self, invocation: Invocation) -> None:
        """Note that a stream is asked for its next item; `rest` follows."""
        self._run(invocation)

    def ended(self, origin: Origin, *, whole: bool) -> None:
        """Note that a stream runs no more; `whole`: it came to its own end."""
        number = self._streams.pop(origin, 0)
        if whole and number > self._number - SLOTS and number:
            self._view[AT_SLOTS + (number - 1) % SLOTS * SLOT.size + _STATE] = DONE

    @contextlib.contextmanager
    def aside(self, origin: Origin) -> Generator[None]:
        """Note that a call begins which may come while a handler runs, and then that it is carried out."""
        offset = self._offset
        self._take_slot(origin)
        self._offset, taken = offset, self._offset
        yield
        self._view[taken + _STATE] = DONE
