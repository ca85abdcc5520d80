"""What an extension's process may use up of the machine: memory, descriptors, the size of files, processor time.

May import: our messages. Invariant: each limit is laid on before any code of the extension is loaded, soft and hard
alike; none can be raised again, since its process has no capability and may set no limit.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from trollbridge.messages.ids import MemberId

MIB: Final = 1 << 20
MEMORY: Final = 512 * MIB
"""Bytes of address space of an extension that declares nothing else: code, data, the stacks of its threads."""
LEAST_MEMORY: Final = 128 * MIB
"""An interpreter with what the link needs takes a third of this."""
DESCRIPTORS: Final = 64
LARGEST_FILE: Final = 256 * MIB
"""Bytes; beyond them a write fails, as on a full disk."""
NICE: Final = 10
"""Whoever calls an enclave as fast as it can takes a ninth of the processor that a member takes that waits for it."""
_AUTOGROUP: Final = "/proc/self/autogroup"


def check_memory(memory: int | None, member: MemberId) -> int:
    """Return the limit in bytes that is declared, or the usual one; raises `DeclarationError`."""
    if memory is None:
        return MEMORY
    if type(memory) is not int or not LEAST_MEMORY <= memory < 1 << 47:
        msg = f"{member}: memory is a number of bytes, at least {LEAST_MEMORY}"
        raise DeclarationError(msg)
    return memory


def limit(memory: int) -> None:
    """Limit this process for good, and let all others go first."""
    import resource  # noqa: PLC0415  # a declaration, which asks for the limits here, is read on other systems too

    limits = (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
    )
    for kind, wanted in limits:
        hard = resource.getrlimit(kind)[1]
        least = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)  # never above the present one
        resource.setrlimit(kind, (least, least))
    with contextlib.suppress(PermissionError):  # started at idle priority, which is less already
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # it takes no processor from others by waking up
    os.nice(NICE)
    with contextlib.suppress(OSError), open(_AUTOGROUP, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(str(NICE))  # where sessions are groups of their own, the kernel compares these, not processes
