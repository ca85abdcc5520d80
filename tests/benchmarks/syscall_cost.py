"""What the filter adds to one system call: `syscall_cost.py none|broker|enclave` prints nanoseconds for each, as JSON.

Imports trollbridge's actors layer. It times the same loops in a process that has a role's filter and in one that has
none; the difference is the kernel's. `measured_in_turns` starts both by turns.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NONE = "none"
FILTERED = ("broker", "enclave")
AT_ONCE = 20
"""Packets that are sent before they are taken; so many fit into the socket."""
TURNS = 400
SECONDS = 120.0

Timings = dict[str, float]


def _each(call: Callable[[], object]) -> float:
    """Time a few calls; nanoseconds of one."""
    began = perf_counter_ns()
    for _ in range(AT_ONCE):
        call()
    return (perf_counter_ns() - began) / AT_ONCE


def timings(role: str) -> Timings:
    """Lay the filter of a role, unless it is `none`, and time the calls that carry a record.

    An enclave may not call recvmsg, and is not asked to.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    packet, buffer = bytes(64), bytearray(64)
    with ours, theirs, select.epoll() as epoll:
        epoll.register(theirs, select.EPOLLOUT)
        if role != NONE:
            lay(role)
        samples: dict[str, list[float]] = {}

        def keep(name: str, call: Callable[[], object]) -> None:
            samples.setdefault(name, []).append(_each(call))

        for _ in range(TURNS):
            keep("getppid", os.getppid)
            keep("epoll_wait", lambda: epoll.poll(0))
            keep("sendto", lambda: ours.send(packet, socket.MSG_DONTWAIT))
            keep("recvfrom", lambda: theirs.recv_into(buffer, 0, socket.MSG_DONTWAIT))
            if role != "enclave":
                for _ in range(AT_ONCE):
                    ours.send(packet)
                keep("recvmsg", lambda: theirs.recvmsg_into([buffer], 64, socket.MSG_DONTWAIT))
    return {name: median(values) for name, values in samples.items()}


def lay(role: str) -> None:
    """Lay a role's filter on this process, for good."""
    from trollbridge.actors.isolation import seccomp  # noqa: PLC0415  # the other side does without
    from trollbridge.messages.ids import Role  # noqa: PLC0415
    from trollbridge.messages.sandbox import NOTHING  # noqa: PLC0415

    seccomp.install(Role(role), NOTHING)


def measured_in_turns(rounds: int, command: list[str], environment: dict[str, str]) -> dict[str, Timings]:
    """Map each role, and `none`, to the medians over the rounds. Raises SubprocessError."""
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for role in (NONE, *FILTERED):
            run = subprocess.run(
                [*command, role], check=True, capture_output=True, text=True, env=environment, timeout=SECONDS
            )
            for name, value in json.loads(run.stdout).items():
                found.setdefault(role, {}).setdefault(name, []).append(value)
    return {role: {name: median(values) for name, values in each.items()} for role, each in found.items()}


if __name__ == "__main__":
    print(json.dumps(timings(sys.argv[1])))
