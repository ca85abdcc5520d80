"""Contender: Erlang/OTP's supervisor, over a worker that owns a program at a port, or that is the whole service itself.

Imports the standard library only; needs `erl` and `erlc`. The driver is the client, and talks to the virtual machine
over its standard streams. `erlang_supervisor.py inside` kills an Erlang process instead of a process of the system.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.crash_driver import serve

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parent / "echo_program.py"
PATIENCE = 1.0


class Erlang:
    """A virtual machine with a supervisor in it."""

    def __init__(self, mode: str) -> None:
        """Take `port` or `inside`."""
        self._mode = mode
        self._rest = b""

    def start(self) -> None:
        """Compile, start the machine, and wait for a first answer."""
        folder = tempfile.mkdtemp()
        sources = sorted(map(str, HERE.joinpath("erlang").glob("*.erl")))
        subprocess.run(["erlc", "-o", folder, *sources], check=True, stdout=sys.stderr)  # noqa: S607  # from PATH
        arguments = ", ".join(f'"{each}"' for each in (self._mode, sys.executable, PROGRAM))
        command = ["erl", "-noshell", "-pa", folder, "-eval", f"recovery_supervisor:main([{arguments}])."]
        quiet = ["-kernel", "logger_level", "none"]
        self._machine = subprocess.Popen([*command, *quiet], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        while True:
            try:
                self.who()
            except OSError:
                continue
            return

    def who(self) -> int:
        """Ask who answers."""
        answer = self._ask(b"who\n")
        if not answer.isdigit():
            raise ConnectionError(answer)
        return int(answer)

    def send(self, number: int, signal: int) -> None:
        """Send the program a signal; without one, have the worker killed inside the machine."""
        assert self._machine.stdin is not None
        if self._mode == "inside":
            os.write(self._machine.stdin.fileno(), b"kill\n")
        else:
            os.kill(number, signal)

    def stop(self) -> None:
        """End the machine."""
        self._machine.kill()
        self._machine.wait()

    def _ask(self, word: bytes) -> str:
        assert self._machine.stdin is not None
        assert self._machine.stdout is not None
        os.write(self._machine.stdin.fileno(), word)
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._machine.stdout], [], [], 2 * PATIENCE)
            if not ready:
                raise ConnectionError
            self._rest += os.read(self._machine.stdout.fileno(), 4096)
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()


if __name__ == "__main__":
    machine = Erlang(sys.argv[1])
    serve(machine, machine.send)
