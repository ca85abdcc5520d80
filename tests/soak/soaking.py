"""The soak: very many calls and very many rings under the lock, and a look at everything after each.

Imports the harness, and of trollbridge the log's type. It owns one rule: after each fall the next ring is sealed, calls
are answered in it, nobody was killed but by the soak, and no process is left over; else it raises `AssertionError`.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.harness import proc
from tests.harness.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.operations.log import Line

APPLICATION: Final = "tests.soak.patient:app"
ENCLAVE, UI = "keeper", "console"
PROCESSES: Final = 4
"""Supervisor, broker, enclave, user interface."""
SETTLED: Final = 10
"""Falls after which caches are warm, and from which on memory is compared."""
MOST_GROWTH_KIB: Final = 8192
PATIENCE: Final = 60.0
TELL_EVERY: Final = 50


@dataclass(frozen=True, slots=True)
class Held:
    """What a process that stays holds at one moment; descriptors are None where the kernel does not tell."""

    descriptors: int | None
    memory_kib: int


@dataclass(slots=True)
class Soaked:
    """What a soak has found."""

    calls: int = 0
    rekeyed: int = 0
    killed: int = 0
    seconds: float = 0.0
    held: dict[str, list[Held]] = field(default_factory=dict)
    """Of supervisor and user interface, after each fall."""
    levels: set[str] = field(default_factory=set)
    """How well broker and enclaves were kept."""

    @property
    def falls(self) -> int:
        """How often the ring fell, and was formed again."""
        return self.rekeyed + self.killed


def memory_kib(pid: int) -> int:
    """Return the resident set of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise LookupError


def hold(pid: int) -> Held:
    """Look at what a process holds."""
    found = proc.descriptors(pid)
    return Held(None if found is None else len(found), memory_kib(pid))


class Soak:
    """One application, from its first ring to its last."""

    def __init__(self, running: Running) -> None:
        """Take an application that has just been started."""
        self.running = running
        self.soaked = Soaked()
        self._seen = 0
        self._enclave = 0
        self._sent = 0
        """Signal that the soak has sent the enclave of this epoch."""
        self._ui = running.wait_for("process.started", member=UI).pid
        self._epoch = 0

    def next_ring(self) -> None:
        """Wait until the next ring is sealed; judge every line of the log that came meanwhile."""
        self._epoch += 1
        self.running.wait_for("ring.sealed", epoch=self._epoch, start=self._seen, seconds=PATIENCE)
        items = self.running.log.items
        for line in items[self._seen :]:
            assert not isinstance(line, str), line
            self._judge(line)
        self._seen = len(items)

    def _judge(self, line: Line) -> None:
        if line.event == "process.started" and line.member == ENCLAVE:
            self._enclave = line.pid
        elif line.event == "process.locked" and line.member != UI:
            self.soaked.levels.add(line.level)
        elif line.event == "process.ended":
            wanted = signal.Signals(self._sent).name if line.member == ENCLAVE and self._sent else ""
            assert line.signal == wanted, line
            if line.member == ENCLAVE:
                self._sent = 0
        assert line.event not in ("process.hung", "process.killed", "process.refused", "process.failed"), line

    def calls(self, count: int) -> None:
        """Have the user interface make so many calls in this ring; every one is answered."""
        start = len(self.running.output.items)
        self.running.stdin.write(f"{count}\n".encode())
        self.running.stdin.flush()
        said = self.running.output.wait(bool, PATIENCE, start=start)
        assert said == f"{count} {self._epoch}"
        self.soaked.calls += count

    def look(self) -> None:
        """Count the processes, and what those hold that stay."""
        assert len(self.running.processes()) == PROCESSES
        for name, pid in (("supervisor", self.running.supervisor), (UI, self._ui)):
            before = self.soaked.held.setdefault(name, [])
            if before and before[0].descriptors is not None:
                proc.descriptors_at_rest(pid, before[0].descriptors)
            before.append(hold(pid))

    def fall(self, number: int) -> None:
        """Have the ring fall: by new keys and by the enclave's death, alternately."""
        if number % 2:
            self._sent = signal.SIGKILL
            os.kill(self._enclave, self._sent)
            self.soaked.killed += 1
        else:
            self.running.interrupt(signal.SIGHUP)
            self.soaked.rekeyed += 1


def check_stable(soaked: Soaked) -> None:
    """Compare what was held after each fall: as many descriptors each time, and no more memory once caches are warm."""
    for name, held in soaked.held.items():
        counts = {each.descriptors for each in held}
        assert len(counts) == 1, f"{name}: descriptors {counts}"
        warm, last = held[min(SETTLED, len(held) - 1)], held[-1]
        assert last.memory_kib - warm.memory_kib <= MOST_GROWTH_KIB, f"{name}: {warm} → {last}"


def soak(calls: int, falls: int, tell: Callable[[str], None]) -> Soaked:
    """Make `calls` calls in `falls + 1` rings; return what was found. Raises AssertionError."""
    began = time.monotonic()
    with Running(APPLICATION) as running:
        one = Soak(running)
        for number in range(falls + 1):
            if number:
                one.fall(number)
            one.next_ring()
            one.calls(calls * (number + 1) // (falls + 1) - calls * number // (falls + 1))
            one.look()
            if number % TELL_EVERY == 0:
                tell(f"{one.soaked.calls:,} calls, {one.soaked.falls} falls, {time.monotonic() - began:.0f} s")
        running.stdin.close()
        assert running.finish() == 0
        for line in running.lines():
            assert line.signal in ("", "SIGKILL"), line
        assert not running.said()
    one.soaked.seconds = time.monotonic() - began
    check_stable(one.soaked)
    return one.soaked
