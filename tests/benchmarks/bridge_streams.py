"""A long file through the hosts, beside pipes: megabytes a second, the memory of each process, and the cost of a call.

Start it with `python tests/benchmarks/bridge_streams.py [--mebibytes N] [--json FILE]`; `make bench` runs it too. All
ways take turns in one run, and the best of the rounds is shown; the file lies in the page cache, nothing is pinned.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.report import figure, show
from trollbridge.actors import App, Child, Files, Program, Programs
from trollbridge.actors.hosts.files import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

MIB: Final = 1 << 20
ROUNDS: Final = 3
CALLS: Final = 1000
BESIDE: Final = {"read": "pipe", "program": "pipe", "upload": "copy"}
"""Our ways, and which plain way does the same as each."""
TITLES: Final = {
    "read": "Files: read, as a stream",
    "program": "Programs: cat of the file, as a stream",
    "upload": "Files: upload, synchronised",
    "pipe": "cat file | cat > /dev/null",
    "relay": "multiprocessing.Pipe through a relay",
    "copy": "cat file > copy, synchronised",
}
CALL_TITLES: Final = {
    "bridge": "a call of the bridge and its reply, 64 B",
    "generated function": "the same by a generated Python function",
    "session's name": "the same by a session's name, as pages call",
    "address": "of it, the address's next step at both ends",
    "stubs made": "the Python stubs made, once a session",
    "stubs loaded": "and loaded",
}
_SPAWN: Final = multiprocessing.get_context("spawn")


class Streams(NamedTuple):
    """What a run came to: MB/s of each way, MiB at the peak of each process, microseconds by each way to call."""

    size: int
    speed: dict[str, float]
    peaks: dict[str, float]
    calls: dict[str, float]


def app(folder: str, calls: str) -> App:
    """Return an application with both hosts before a folder, and a user interface that measures."""
    source = f"{folder}/in/file"
    cat = Program("/bin/cat", args=[(source,)], read=[source], seconds=3600.0, output=1 << 40)
    called = "files.read files.begin files.put files.commit files.abandon programs.run target.echo"
    return App(
        ui=Child("tests.benchmarks.stream_console:StreamConsole", settings={"source": source, "calls": calls}),
        enclaves=["tests.benchmarks.flood_enclave:Target"],
        hosts=[Files(read={"in": f"{folder}/in"}, write={"out": f"{folder}/out/"}), Programs({"cat": cat})],
        grants={"streamconsole": called.split()},
    )


class Ours:
    """The application, which runs until it is told to end."""

    def __init__(self, folder: Path, calls: int) -> None:
        """Start it."""
        asked = json.dumps([str(folder), str(calls)])
        self._process: Final = subprocess.Popen(
            [sys.executable, __file__, "--run", asked],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, what: str) -> dict[str, Any]:
        """Have one thing measured."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n".encode())
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def peaks(self) -> dict[str, float]:
        """Return the most memory that each member has had so far, in MiB."""
        members = self.ask("members") | {"supervisor": self._process.pid}
        return {member: _peak(pid) for member, pid in members.items()}

    def end(self) -> None:
        """End it, and wait until nothing of it is left."""
        self._process.communicate(timeout=30)


def _peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _timed(act: Callable[[], object]) -> float:
    before = time.perf_counter()
    act()
    return time.perf_counter() - before


# The plain ways.


def _pipe(source: Path, _: Path) -> float:
    return _timed(lambda: subprocess.run(["/bin/sh", "-c", 'cat "$0" | cat > /dev/null', str(source)], check=True))


def _copy(source: Path, target: Path) -> float:
    def copy() -> None:
        with target.open("wb") as sink:
            subprocess.run(["/bin/cat", str(source)], check=True, stdout=sink)
            os.fsync(sink.fileno())

    return _timed(copy)


def _read_out(path: str, into: Connection) -> None:
    """Be the host: send a file piece by piece."""
    with Path(path).open("rb", buffering=0) as source:
        while piece := source.read(PIECE):
            into.send_bytes(piece)
    into.send_bytes(b"")


def _pass_on(out: Connection, into: Connection) -> None:
    """Be the broker: pass every piece on, to the end."""
    while piece := out.recv_bytes():
        into.send_bytes(piece)
    into.send_bytes(b"")


def relay(source: str) -> float:
    """Be the user interface: take everything, and return the seconds from the first piece to the end."""
    mine, theirs = _SPAWN.Pipe(duplex=False)
    out, into = _SPAWN.Pipe(duplex=False)
    processes = [
        _SPAWN.Process(target=_read_out, args=(source, into)),
        _SPAWN.Process(target=_pass_on, args=(out, theirs)),
    ]
    for each in processes:
        each.start()
    for given_away in (theirs, out, into):
        given_away.close()
    mine.recv_bytes()  # they have started

    def take() -> None:
        while mine.recv_bytes():
            pass

    seconds = _timed(take)
    for each in processes:
        each.join()
    return seconds


def _relay(source: Path, _: Path) -> float:
    """Relay in a program of its own, from which the others can be spawned."""
    command = [sys.executable, __file__, "--relay", str(source)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


PLAIN: Final[dict[str, Callable[[Path, Path], float]]] = {"pipe": _pipe, "relay": _relay, "copy": _copy}


def run_streams(size: int, tell: Callable[[str], None], rounds: int = ROUNDS, calls: int = CALLS) -> Streams:
    """Measure a file of `size` bytes by every way, in turns; `tell` shows progress."""
    seconds: dict[str, list[float]] = {way: [] for way in TITLES}
    with tempfile.TemporaryDirectory(prefix="bs") as name:
        folder = Path(name).resolve()
        (folder / "in").mkdir()
        source = folder / "in" / "file"
        with source.open("wb") as file:
            while file.tell() < size:
                file.write(os.urandom(min(MIB, size - file.tell())))
        ours = Ours(folder, calls)
        try:
            found = ours.ask("calls")
            for number in range(1, rounds + 1):
                tell(f"streams: round {number} of {rounds}")
                for way in BESIDE:
                    measured = ours.ask(way)
                    assert measured["size"] == size, f"{way} carried {measured['size']} of {size} bytes"
                    seconds[way].append(measured["seconds"])
                for way, act in PLAIN.items():
                    seconds[way].append(act(source, folder / "copy"))
            peaks = ours.peaks()
        finally:
            ours.end()
    return Streams(size, {way: size / min(each) / 1e6 for way, each in seconds.items()}, peaks, found)


def show_streams(found: Streams) -> None:
    """Print the tables."""
    rows = [["", "MB/s", "of the plain way's"]]
    for way, title in TITLES.items():
        ratio = f"{found.speed[way] / found.speed[BESIDE[way]]:.2f}" if way in BESIDE else ""
        rows.append([title, figure(found.speed[way]), ratio])
    show(f"{found.size // MIB} MiB, the best of the rounds", rows)
    show(
        "Memory of each process at its peak, MiB",
        [["", "MiB"], *([member, figure(peak)] for member, peak in found.peaks.items())],
    )
    show(
        "Cost of a call, medians, µs",
        [["", "µs"], *([CALL_TITLES[way], figure(each)] for way, each in found.calls.items())],
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--relay", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        return app(*json.loads(options.run)).run()
    if options.relay:
        print(relay(options.relay))
        return 0
    found = run_streams(options.mebibytes * MIB, lambda text: print(text, file=sys.stderr, flush=True))
    show_streams(found)
    if options.json is not None:
        options.json.write_text(json.dumps(found._asdict(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
