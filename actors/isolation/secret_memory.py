"""Secret memory: pages that the kernel takes out of its own address space, for keys that live long.

May import: `messages`, `kernel`. Invariants: the pages are made once, before the lock, which forbids to map others; no
descriptor leads to them; a slot holds zeros when it is taken and when it is given back, and a forked process never has
the content.

Source: memfd_secret(2), mlock(2), madvise(2), getrandom(2).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os
import weakref
from typing import Final

from trollbridge.actors.isolation import kernel
from trollbridge.messages.errors import UsageError
from trollbridge.messages.posture import Evidence, Mechanism, State
from trollbridge.messages.secret import Secret

_UNIT: Final = 32
"""Bytes: the grain in which memory is handed out."""
_PAGES: Final = 2
"""Pages of a process's arena: far below the limit of 64 KiB that some systems set for locked memory."""
_MADV_WIPEONFORK: Final = 18
_MAP_FIXED: Final = 0x10
_MAP_FIXED_NOREPLACE: Final = 0x100000
_MOST_RANDOM: Final = 256
"""Bytes that getrandom(2) gives whole, whatever signals arrive."""
_LIMIT: Final = "raise the limit for locked memory (ulimit -l, LimitMEMLOCK= in systemd) to at least {size} KiB"
_NO_SECRET: Final = {
    errno.ENOSYS: "secret memory needs Linux 6.5, or 5.14 started with secretmem.enable=1",
    errno.EPERM: "a filter around this process refuses memfd_secret",
}


class SecretMemory:
    """An arena of a few pages, out of which keys get their places."""

    def __init__(self, pages: int = 1) -> None:
        """Map it, in the best way that this system allows; `evidence` says which that is."""
        self._size: Final = pages * mmap.PAGESIZE
        # A private mapping first, then the secret pages over it: so the object unmaps them, and keeps no descriptor.
        self._map: Final = mmap.mmap(-1, self._size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._whole: Final = memoryview(self._map)
        self._window: Final = (ctypes.c_char * self._size).from_buffer(self._map)
        self._evidence: Final = self._lay()
        self._whole[:] = bytes(self._size)  # each page exists from here on: none can be refused later
        self._free: Final = [True] * (self._size // _UNIT)
        self._taken: Final[list[tuple[memoryview, int, int]]] = []

    def evidence(self) -> Evidence:
        """Return what kind of pages these are."""
        return self._evidence

    def take(self, size: int = 32) -> memoryview:
        """Return `size` writable zero bytes that nobody else has; raises `MemoryError` if there is no room.

        They stay taken until `give_back`. A slice of the view does not keep the place.
        """
        if size < 1:
            msg = f"a place for a key has at least one byte, not {size}"
            raise UsageError(msg)
        count = -(-size // _UNIT)
        for first in range(len(self._free) - count + 1):
            if all(self._free[first : first + count]):
                self._free[first : first + count] = [False] * count
                view = self._whole[first * _UNIT : first * _UNIT + size]
                self._taken.append((view, first, count))
                return view
        msg = f"the {self._size} bytes of secret memory are taken; {size} more were asked for"
        raise MemoryError(msg)

    def give_back(self, view: memoryview | bytearray) -> None:
        """Wipe what `take` returned and free its place; the view cannot be used any more.

        Raises `UsageError` for a view that is not one of these.
        """
        for index, (taken, first, count) in enumerate(self._taken):
            if taken is view:
                wipe(taken)
                del self._taken[index]
                taken.release()
                self._free[first : first + count] = [True] * count
                return
        msg = "only what was taken from this memory can be given back, once"
        raise UsageError(msg)

    def _lay(self) -> Evidence:
        """Lay secret pages over the mapping, or lock it as it is; return what was done."""
        limit = _LIMIT.format(size=self._size // 1024)
        try:
            self._lay_secret()
        except OSError as error:
            told = _NO_SECRET.get(error.errno or 0, f"memfd_secret was refused: {error.strerror}")
            refused = limit if error.errno == errno.EAGAIN else told
        else:
            text = f"memfd_secret, {self._size} bytes: in no core file, not readable by /proc/PID/mem, not even by root"
            return Evidence(Mechanism.SECRET_MEMORY, State.IN_FORCE, text)
        self._map.madvise(mmap.MADV_DONTDUMP)
        self._map.madvise(_MADV_WIPEONFORK)
        try:
            kernel.syscall("mlock", ctypes.addressof(self._window), self._size)
        except OSError as error:
            text = f"{self._size} bytes of ordinary memory, which may be swapped out (mlock: {error.strerror})"
            return Evidence(Mechanism.SECRET_MEMORY, State.MISSING, text, limit)
        text = f"{self._size} bytes locked by mlock: in no core file, never swapped out; root can read them"
        return Evidence(Mechanism.SECRET_MEMORY, State.WEAKER, text, refused)

    def _lay_secret(self) -> None:
        descriptor = kernel.syscall("memfd_secret", os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, self._size)
            self._map_over(mmap.MAP_SHARED | _MAP_FIXED, descriptor)
        except OSError:
            self._map_over(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED, -1)  # the refusal has left a hole
            raise
        finally:
            os.close(descriptor)
        self._map.madvise(mmap.MADV_DONTDUMP)
        self._map.madvise(mmap.MADV_DONTFORK)
        _left_out_of_forks.add(self)

    def _map_over(self, how: int, descriptor: int) -> None:
        access, address = mmap.PROT_READ | mmap.PROT_WRITE, ctypes.addressof(self._window)
        kernel.syscall("mmap", address, self._size, access, how, descriptor, 0)

    def fill_gap(self) -> None:
        """Put zeros where a fork has left the pages out, so that nothing else is mapped there and taken for them."""
        self._map_over(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED_NOREPLACE, -1)


_left_out_of_forks: Final[weakref.WeakSet[SecretMemory]] = weakref.WeakSet()


def _fill_gaps() -> None:
    for each in _left_out_of_forks:
        each.fill_gap()


os.register_at_fork(after_in_child=_fill_gaps)


class _Placed(Secret):
    """A secret whose place is wiped and free again when it is dropped, or forgotten."""

    __slots__ = ()

    def __del__(self) -> None:
        self.drop()


@functools.cache
def arena() -> SecretMemory:
    """Return the one arena of this process; the first call maps it."""
    return SecretMemory(_PAGES)


def prepare() -> None:
    """Map the arena, which after the lock cannot be done any more."""
    arena()


def secret(size: int) -> Secret:
    """Return a secret of `size` zero bytes in this process's arena; raises `MemoryError` if there is no room."""
    return _Placed(arena().take(size), arena().give_back)


def wipe(view: memoryview | bytearray) -> None:
    """Fill it with zeros where it lies."""
    view[:] = bytes(len(view))


def fill_random(view: memoryview | bytearray) -> None:
    """Fill it with random bytes straight from the kernel, so that no copy is left elsewhere; raises `OSError`."""
    for first in range(0, len(view), _MOST_RANDOM):
        size = min(_MOST_RANDOM, len(view) - first)
        place = (ctypes.c_char * size).from_buffer(view, first)
        if kernel.syscall("getrandom", place, size, 0) != size:
            msg = "getrandom gave fewer bytes than it promises"
            raise OSError(errno.EIO, msg)
