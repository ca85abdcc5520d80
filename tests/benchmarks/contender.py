"""The interface that every contender implements, and the loop that serves it over JSON lines.

Runs inside the contender's own interpreter, so it imports the standard library only. It owns one invariant: every
contender is asked the same questions, timed by the same clock and in the same loop, so that only the path differs.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from time import monotonic_ns, perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SMALL = b"\x5a" * 64
LARGE = b"\xa5" * (1 << 20)

Promise = TypeVar("Promise")


class Limit(NamedTuple):
    """When a measure ends: after `calls` calls or `seconds` seconds, whichever comes first."""

    calls: int
    seconds: float


class Rate(NamedTuple):
    """How many calls were answered in how many seconds, with how many outstanding at a time."""

    calls: int
    seconds: float
    in_flight: int = 1


class CannotMeasureError(Exception):
    """The contender cannot do what this measure asks for; the message says why."""


class DoesNotRestartError(CannotMeasureError):
    """Nothing starts a new enclave when the old one was killed."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("does not restart")


class Contender(Protocol):
    """Three processes, UI → broker → enclave, that echo bytes; the caller of these methods is the UI."""

    def start(self) -> None:
        """Start the other processes; return when a call can be made."""
        ...

    def roles(self) -> dict[str, int]:
        """Name the process ids of `ui`, `broker` and `enclave`."""
        ...

    def latency(self, limit: Limit) -> list[int]:
        """Echo 64 bytes, one call after the other; nanoseconds of each call."""
        ...

    def pipelined(self, limit: Limit, in_flight: int) -> Rate:
        """Echo 64 bytes with `in_flight` calls outstanding."""
        ...

    def bulk(self, limit: Limit) -> Rate:
        """Echo 1 MiB, one call after the other. Raises CannotMeasureError where the path cannot carry it."""
        ...

    def recover(self, killed: Callable[[], None]) -> None:
        """Kill the enclave with SIGKILL, call `killed`, return once a new enclave has answered a call.

        Raises DoesNotRestartError where nothing does that.
        """
        ...

    def stop(self) -> None:
        """End every process that `start` made."""
        ...


def unrecorded(limit: Limit) -> int:
    """Say how many calls a measure of latency makes before those that it records."""
    return max(3, limit.calls // 10)


def one_by_one(call: Callable[[], object], limit: Limit) -> list[int]:
    """Time `call` again and again, after a tenth as many unrecorded calls; nanoseconds of each."""
    for _ in range(unrecorded(limit)):
        call()
    samples: list[int] = []
    before = perf_counter_ns()
    until = before + int(limit.seconds * 1e9)
    while len(samples) < limit.calls and before < until:
        call()
        after = perf_counter_ns()
        samples.append(after - before)
        before = after
    return samples


def in_sequence(call: Callable[[], object], limit: Limit) -> Rate:
    """Repeat `call`, after three unrecorded calls, and say how often it ran in how long."""
    for _ in range(3):
        call()
    calls = 0
    began = now = perf_counter()
    until = began + limit.seconds
    while calls < limit.calls and now < until:
        call()
        calls += 1
        now = perf_counter()
    return Rate(calls, now - began)


def windowed(send: Callable[[], object], receive: Callable[[], object], limit: Limit, in_flight: int) -> Rate:
    """Keep `in_flight` calls outstanding: one more is sent for each reply that was received."""
    began = perf_counter()
    until = began + limit.seconds
    sent = 0
    while sent < min(in_flight, limit.calls):
        send()
        sent += 1
    received = 0
    while received < sent:
        receive()
        received += 1
        if sent < limit.calls and perf_counter() < until:
            send()
            sent += 1
    return Rate(received, perf_counter() - began, in_flight)


def windowed_promises(
    call: Callable[[], Promise], wait: Callable[[Promise], object], limit: Limit, in_flight: int
) -> Rate:
    """Do as `windowed` for a contender whose calls give promises; the oldest is awaited first."""
    outstanding: deque[Promise] = deque()
    return windowed(lambda: outstanding.append(call()), lambda: wait(outstanding.popleft()), limit, in_flight)


def say(**fields: object) -> None:
    """Write one JSON line to standard output."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def answer(contender: Contender, ask: str, limit: Limit, in_flight: int) -> Mapping[str, object]:
    """Run one measure and give the fields of its reply. Raises KeyError for an unknown measure."""

    def killed() -> None:
        say(event="killed", at=monotonic_ns())

    if ask == "latency":
        return {"samples": contender.latency(limit)}
    if ask == "pipelined":
        return contender.pipelined(limit, in_flight)._asdict()
    if ask == "bulk":
        return contender.bulk(limit)._asdict()
    if ask == "roles":
        return {"roles": contender.roles()}
    if ask == "recover":
        contender.recover(killed)
        return {"at": monotonic_ns()}
    raise KeyError(ask)


def serve_requests(contender: Contender) -> None:
    """Answer the requests on standard input until its end or until `stop` is asked."""
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        ask = request["ask"]
        if ask == "stop":
            return
        limit = Limit(request.get("calls", 1), request.get("seconds", 1.0))
        try:
            fields = answer(contender, ask, limit, request.get("in_flight", 1))
        except CannotMeasureError as gap:
            say(event="cannot", ask=ask, why=str(gap))
        else:
            say(event="measured", ask=ask, **fields)


def serve(contender: Contender) -> None:
    """Start the contender, announce its first reply, answer requests, stop it."""
    contender.start()
    try:
        say(event="answered", at=monotonic_ns(), pid=os.getpid())
        serve_requests(contender)
    finally:
        contender.stop()
