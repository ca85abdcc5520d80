"""Contender: supervisord over a program that answers at a socket, with restarts as quick as it can be told to.

Imports the standard library only; supervisord runs under this interpreter, in whose environment it is installed.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from time import sleep

from tests.benchmarks.crash_driver import PAUSE, serve

PROGRAM = Path(__file__).resolve().parents[1] / "echo_program.py"
PATIENCE = 1.0
CONFIGURATION = """
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid

[program:echo]
command={python} -I -S {program} {folder}/echo
autorestart=true
startsecs=0
startretries=1000000
"""


class Supervisord:
    """supervisord, and a client of the program that it keeps alive."""

    def start(self) -> None:
        """Start it and wait for a first answer."""
        folder = tempfile.mkdtemp()
        self._address = f"{folder}/echo"
        configuration = Path(folder, "supervisord.conf")
        configuration.write_text(CONFIGURATION.format(folder=folder, python=sys.executable, program=PROGRAM))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
        self._daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        while True:
            try:
                self.who()
            except OSError:
                sleep(PAUSE)
                continue
            return

    def who(self) -> int:
        """Connect and read who answers."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(self._address)
            answer = client.recv(64)
        if not answer:
            raise ConnectionResetError
        return int(answer)

    def stop(self) -> None:
        """End it and its program."""
        self._daemon.terminate()
        self._daemon.wait()


if __name__ == "__main__":
    serve(Supervisord())
