"""The process that the others' supervisors keep alive: it answers each line, or each connection, with its number.

Imports the standard library only: `echo_program.py` over its standard streams, `echo_program.py SOCKET` at a socket.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

if len(sys.argv) == 1:
    for _ in iter(sys.stdin.buffer.readline, b""):
        os.write(1, b"%d\n" % os.getpid())
else:
    with suppress(FileNotFoundError):
        Path(sys.argv[1]).unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"%d\n" % os.getpid())
