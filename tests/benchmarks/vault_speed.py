"""The vault beside gpg through its agent: short documents through the whole ring, long ones, and the memory they take.

Start it with `python tests/benchmarks/vault_speed.py [--mebibytes N] [--calls N]`. Both do the same: encrypt to two and
sign, decrypt and verify; gpg as it comes and without compression. Figures depend on what else the machine does: the two
are measured by turns, and the best of several rounds is shown, of one for the longest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.enclave.gnupg import GnuPG
from tests.ui_adapter.couriers import Courier, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB: Final = 1 << 20
ROUNDS: Final = 3
SHORT: Final = 1024
LONGEST: Final = 3600.0
"""Seconds that one document may take."""


def _noise() -> Iterator[bytes]:
    while True:
        yield os.urandom(MIB)


def _text() -> Iterator[bytes]:
    files = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    while True:
        for each in files:
            yield each.read_bytes()


def _write(path: Path, pieces: Iterator[bytes], size: int) -> None:
    with path.open("wb") as file:
        while (left := size - file.tell()) > 0:
            file.write(next(pieces)[:left])


def _seconds(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


class _Gpg:
    """gpg with two keys."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self.gpg = GnuPG(home)
        self.gpg.patience = LONGEST
        self.keys = [self.gpg.new_key(name) for name in ("ada", "bob")]

    def encrypt(self, source: Path, target: Path, *more: str) -> None:
        to = [word for key in self.keys for word in ("--recipient", key)]
        self.gpg.out(
            *more, "--sign", "--local-user", self.keys[0], *to, "--output", str(target), "--encrypt", str(source)
        )

    def decrypt(self, source: Path, target: Path) -> None:
        self.gpg.out("--output", str(target), "--decrypt", str(source))

    def sign(self, source: Path, target: Path) -> None:
        self.gpg.out("--local-user", self.keys[0], "--output", str(target), "--detach-sign", str(source))


def _print(*cells: object) -> None:
    first, *others = cells
    print(f"{first!s:<44}", *(f"{each!s:>12}" for each in others))


def short(courier: Courier, gpg: _Gpg, place: Path, calls: int) -> None:
    """Print how long a document of 1 KiB takes."""
    document, message, signature, back = (place / name for name in ("short", "short.pgp", "short.sig", "short.back"))
    document.write_bytes(os.urandom(SHORT))
    courier.done("encrypt", document, message, ["ada", "bob"], "ada")
    acts: dict[str, tuple[tuple[object, ...], Callable[[], None]]] = {
        "sign": (("sign", "ada", document), lambda: gpg.sign(document, signature)),
        "encrypt to two and sign": (
            ("encrypt", ["ada", "bob"], document, "ada"),
            lambda: gpg.encrypt(document, place / "short.gpg"),
        ),
        "decrypt and verify": (("decrypt", message), lambda: gpg.decrypt(place / "short.gpg", back)),
    }
    _print("1 KiB, median", "vault, ms", "gpg, ms", "times")
    for name, (call, act) in acts.items():
        ours: float = courier.done("median", calls, *call)["milliseconds"]
        theirs = 1000 * statistics.median(_seconds(act) for _ in range(max(5, calls // 10)))
        _print(name, f"{ours:.2f}", f"{theirs:.1f}", f"{theirs / ours:.0f}")


def long(courier: Courier, gpg: _Gpg, place: Path, size: int, kind: str) -> None:
    """Print how fast a long document is, and the most memory that each process takes."""
    document, message, back = place / "document", place / "message", place / "back"
    _write(document, _noise() if kind == "incompressible" else _text(), size)
    figures: dict[str, list[float]] = {}
    memory: dict[str, int] = {}

    def note(name: str, act: Callable[[], object]) -> None:
        figures.setdefault(name, []).append(size / _seconds(act) / 1e6)

    for _ in range(ROUNDS if size <= 256 * MIB else 1):
        with Watch(courier) as peaks:
            note(
                "vault: encrypt to two and sign",
                lambda: courier.done("encrypt", document, message, ["ada", "bob"], "ada"),
            )
            note("vault: decrypt and verify", lambda: courier.done("decrypt", message, back))
        memory |= {name: max(peak, memory.get(name, 0)) for name, peak in peaks.items()}
        note("gpg: encrypt to two and sign", lambda: gpg.encrypt(document, message))
        note("gpg: decrypt and verify", lambda: gpg.decrypt(message, back))
        note("gpg -z 0: encrypt to two and sign", lambda: gpg.encrypt(document, message, "-z", "0"))
        note("gpg -z 0: decrypt and verify", lambda: gpg.decrypt(message, back))
    _print(f"{size // MIB} MiB, {kind}", "MB/s")
    for name, found in sorted(figures.items(), key=lambda each: each[0].rpartition(":")[2]):
        _print(name, f"{max(found):.0f}")
    _print(
        "most memory of each process",
        *(f"{name.removeprefix('troll-')} {peak >> 10} MiB" for name, peak in sorted(memory.items())),
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vs") as folder:
        place = Path(folder)
        gpg = _Gpg(place / "g")
        try:
            with Courier(place, LONGEST) as courier:
                courier.ready()
                short(courier, gpg, place, options.calls)
                for kind in ("incompressible", "text"):
                    long(courier, gpg, place, options.mebibytes * MIB, kind)
        finally:
            gpg.gpg.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
