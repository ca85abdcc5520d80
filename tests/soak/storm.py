"""The storm: an application under load, one accident after the other, and a look at everything after each.

Imports the harness, and of trollbridge the log's type. It owns one rule: after each accident the application works
again, and `storm_truth` holds for every call; the log's chain is whole; no process and no descriptor is left over.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.conftest import REPOSITORY
from tests.harness import proc
from tests.harness.running import Running
from tests.soak.soaking import MOST_GROWTH_KIB, memory_kib
from tests.soak.storm_supervisor import LOG
from tests.soak.storm_truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

MEMBERS: Final = ("broker", "keeper", "porter", "console", "caller")
PATIENCE: Final = 60.0
SETTLED: Final = 20
"""Accidents after which caches are warm, and from which on the supervisor's memory is compared."""
COMMAND: Final = str(Path(sys.executable).with_name("trollbridge"))
INTACT, OPEN = 0, 3
"""Exit codes of `trollbridge log verify`."""
HOUR: Final = 3600.0
PAUSE: Final = 0.7
"""Seconds: less than the supervisor needs to find a stopped process, which takes two beats of its heart."""


@dataclass(slots=True)
class Weather:
    """What a storm has found."""

    accidents: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    small_disk: bool = False
    memory_kib: list[int] = field(default_factory=list)
    """Of the supervisor, after each accident."""


class Storm:
    """One application, and what happens to it."""

    def __init__(self, running: Running, folder: Path, disk: int, weather: Weather) -> None:
        """Take an application that has just been started, and the folder that its log lies in."""
        self.running = running
        self._folder = folder
        self._disk = disk
        self._weather = weather
        self._truth = Truth(folder)
        self._held: int | None = None
        self._start = 0
        running.wait_for("ring.sealed", seconds=PATIENCE)
        running.wait_for("extension.joined", seconds=PATIENCE)

    # Accidents.

    def kill(self, member: str, number: int = signal.SIGKILL) -> None:
        """Send a member's process a signal, and wait until all is as before, with another process in its place."""
        start = self._now()
        pid = self.running.kill(member, number)
        self.running.wait_for("process.ended", member=member, pid=pid, start=start, seconds=PATIENCE)
        self._whole_again(member, start)

    def _whole_again(self, member: str, start: int) -> None:
        """Wait for whoever must come back after a member's end: all for the ring's, else the member alone."""
        if member in ("porter", "caller"):
            event = "member.joined" if member == "porter" else "extension.joined"
            self.running.wait_for(event, member=member, start=start, seconds=PATIENCE)
        else:
            self._next_ring(start)

    def _next_ring(self, start: int) -> None:
        self.running.wait_for("ring.sealed", start=start, seconds=PATIENCE)
        self.running.wait_for("extension.joined", start=start, seconds=PATIENCE)

    def rekey(self) -> None:
        """Have the keys changed."""
        start = self._now()
        self.running.interrupt(signal.SIGHUP)
        self._next_ring(start)

    def slow(self, member: str) -> None:
        """Stop a member for less than it takes to be given up, and let it go on."""
        pid = self.running.pid(member)
        os.kill(pid, signal.SIGSTOP)
        threading.Event().wait(PAUSE)
        os.kill(pid, signal.SIGCONT)

    def unread(self) -> None:
        """Have an operator that asks much, follows the log and reads nothing, while the keys are changed."""
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self._folder)}
        command = [sys.executable, "-m", "tests.soak.lazy_operator", "storm"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=REPOSITORY
        ) as operator:
            try:
                assert operator.stdout is not None
                assert operator.stdout.readline() == b"asked\n"
                self.rekey()
            finally:
                operator.kill()

    def full_disk(self) -> None:
        """Fill the disk of the log; the enclave dies meanwhile; then there is room again, and the log says so."""
        start = self._now()
        with self._filled():
            self.kill("keeper")
        if self._weather.small_disk:
            self.kill("keeper")
            self.running.wait_for("log.resumed", start=start, seconds=PATIENCE)

    @contextmanager
    def _filled(self) -> Generator[None]:
        path = f"/proc/self/fd/{self._disk}/filler"
        if not self._weather.small_disk:
            yield
            return
        with suppress(OSError), open(path, "wb", buffering=0) as file:  # noqa: PTH123  # until there is no room
            while file.write(bytes(1 << 16)):
                pass
        with suppress(OSError), open(path, "ab", buffering=0) as file:  # noqa: PTH123
            while file.write(b"0"):
                pass
        try:
            yield
        finally:
            os.unlink(path)  # noqa: PTH108  # of a folder that only a descriptor leads to

    def jump(self) -> None:
        """Have the clock of the day jump a day ahead, or behind; a ring falls meanwhile."""
        for hours in (24, -24, 0):
            (self._folder / "clock").write_bytes(struct.pack("d", hours * HOUR))
            self.kill("porter")

    def closed(self) -> None:
        """Have the extension close every descriptor that it has."""
        self.kill("caller", signal.SIGUSR1)

    # After each.

    def check(self) -> None:
        """Have all calls end, and compare."""
        start = len(self.running.output.items)
        self._say(b"c")
        said = self.running.output.wait(lambda line: line.startswith("drained "), PATIENCE, start=start)
        _, console, made = said.split()
        self._truth.check(console, int(made))
        self._say(b"g")
        self._weather.ends, self._weather.slowest = self._truth.ends, self._truth.slowest
        assert self.verify() == OPEN
        self._look()

    def _say(self, command: bytes) -> None:
        self.running.stdin.write(command)
        self.running.stdin.flush()

    def verify(self) -> int:
        """Verify the log; return the command's exit code."""
        command = [COMMAND, "log", "verify", f"/proc/self/fd/{self._disk}/{LOG}"]
        done = subprocess.run(command, pass_fds=(self._disk,), capture_output=True, text=True, check=False)
        assert done.returncode in (INTACT, OPEN), done.stdout + done.stderr
        return done.returncode

    def _look(self) -> None:
        """Count processes, and what the supervisor holds."""
        names = [each.name for each in self.running.processes()]
        assert len(names) == 1 + len(MEMBERS), names
        held = proc.descriptors(self.running.supervisor)
        if held is not None:
            self._held = self._held or len(held)
            assert proc.descriptors_at_rest(self.running.supervisor, self._held) == self._held, held
        self._weather.memory_kib.append(memory_kib(self.running.supervisor))

    def _now(self) -> int:
        return len(self.running.log.items)


ACCIDENTS: Final[dict[str, Callable[[Storm], object]]] = {
    **{f"SIGKILL of {name}": partial(Storm.kill, member=name) for name in MEMBERS},
    **{f"SIGSTOP of {name}": partial(Storm.kill, member=name, number=signal.SIGSTOP) for name in MEMBERS[:3]},
    "new keys": Storm.rekey,
    "full disk": Storm.full_disk,
    "clock jumps": Storm.jump,
    "closed descriptors": Storm.closed,
    "slow keeper": lambda storm: storm.slow("keeper"),
    "slow broker": lambda storm: storm.slow("broker"),
    "slow console": lambda storm: storm.slow("console"),
    "operator that reads nothing": Storm.unread,
}


@contextmanager
def _begun(folder: Path, pace: float, weather: Weather) -> Generator[Storm]:
    """Start the application; take what leads to its disk."""
    for name in ("keeper.journal", "porter.journal", "report"):
        (folder / name).touch()
    (folder / "disk").mkdir()
    (folder / "clock").write_bytes(bytes(8))
    command = (sys.executable, "-m", "tests.soak.storm_supervisor", str(folder), str(pace))
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(str(folder / "place"))
        place.listen(1)
        place.settimeout(PATIENCE)
        with Running("", command=command, environment={"XDG_RUNTIME_DIR": str(folder)}) as running:
            end, _ = place.accept()
            with end:
                said, [disk], _, _ = socket.recv_fds(end, 64, 1)
            weather.small_disk = b"true" in said
            try:
                storm = Storm(running, folder, disk, weather)
                yield storm
                assert running.stop() == 128 + signal.SIGTERM
                assert storm.verify() == INTACT
            finally:
                os.close(disk)


def rage(accidents: Sequence[str], tell: Callable[[str], None], pace: float = 0.0) -> Weather:
    """Have these accidents happen, one after the other; return what was found. Raises AssertionError.

    `pace`: the seconds between two calls of each caller.
    """
    weather, began = Weather(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trollbridge-storm-") as name, _begun(Path(name), pace, weather) as storm:
        storm.check()
        for accident in accidents:
            try:
                ACCIDENTS[accident](storm)
                storm.check()
            except BaseException as error:
                error.add_note(f"after: {accident}")
                raise
            weather.accidents[accident] += 1
            tell(f"{weather.accidents.total():>4} {accident}: {weather.ends.total():,} calls so far")
    weather.seconds = time.monotonic() - began
    memory = weather.memory_kib
    assert memory[-1] - memory[min(SETTLED, len(memory) - 1)] <= MOST_GROWTH_KIB, memory
    return weather


def season(number: int, seed: int) -> list[str]:
    """Return so many accidents: each kind in turn, in an order that changes."""
    chance, found = random.Random(seed), list[str]()
    while len(found) < number:
        kinds = list(ACCIDENTS)
        chance.shuffle(kinds)
        found += kinds
    return found[:number]
