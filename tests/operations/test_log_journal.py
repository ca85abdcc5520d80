"""The journal as the log's place: what it takes, by an independent parser of its protocol and by its own daemon."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import REPOSITORY
from trollbridge.actors.operations.journal import Journal
from trollbridge.actors.operations.log import AGAIN, Log
from trollbridge.actors.operations.verifying import Verifier

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE: Final = 20.0
JOURNALD: Final = "/lib/systemd/systemd-journald"
HOSTILE: Final = "two\nlines\nPRIORITY=0\nTROLLBRIDGE_EVENT=ring.sealed"
SCRIPT: Final = f"""
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal
{JOURNALD} 2>/dev/null & daemon=$!
until journalctl --sync 2>/dev/null; do kill -0 $daemon || exit; done
"$@" &&
journalctl --sync &&
journalctl --directory /run/log/journal --identifier trollbridge --output json --all
kill $daemon
wait $daemon
"""
"""In a mount namespace of its own: a /run that is empty, its own daemon, `"$@"`, and what has arrived."""


def write() -> None:
    """Write some lines to the journal of this machine."""
    log = Log(Journal())
    log.line("application.started", 0, member="supervisor", pid=7)
    log.line("process.ended", 1, member="vault", role="enclave", pid=9, signal="SIGKILL", expected=False, why=HOSTILE)
    for number in range(300):
        log.line("handler.failed", number, member="vault", detail="x" * 900)
    log.close(PATIENCE)


def fields(datagram: bytes) -> dict[str, str]:
    """Parse a datagram as the protocol's description has it."""
    found: dict[str, str] = {}
    while datagram:
        name, _, rest = datagram.partition(b"\n")
        if b"=" in name:
            key, _, value = name.partition(b"=")
        else:
            key, length = name, int.from_bytes(rest[:8], "little")
            value, end = rest[8 : 8 + length], rest[8 + length :]
            assert end[:1] == b"\n"
            rest = end[1:]
        assert key.decode() not in found
        assert set(key) <= set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
        found[key.decode()], datagram = value.decode(), rest
    return found


def test_a_line_is_a_datagram_of_fields(tmp_path: Path) -> None:
    """A55: for people, for machines, and the line itself; a line break stays in its value (I6)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "socket"))
        log = Log(Journal(str(tmp_path / "socket")))
        log.line("process.ended", 3, member="vault", role="enclave", pid=9, exit_code=0, expected=False, why=HOSTILE)
        found = fields(end.recv(1 << 16))
        log.close()
    line = json.loads(found.pop("TROLLBRIDGE_LINE"))
    assert found == {
        "MESSAGE": f"process.ended: vault (9); exit code 0; {HOSTILE}",
        "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": "trollbridge",
        **{
            f"TROLLBRIDGE_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in line.items()
        },
    }
    assert (line["event"], line["why"], line["seq"], line["expected"]) == ("process.ended", HOSTILE, 1, False)


def test_a_journal_that_is_slow_or_away_is_waited_for_by_nobody(tmp_path: Path) -> None:
    """A55, A59: what it does not take at once comes later; one that was started again has a new socket."""
    path = str(tmp_path / "socket")
    with pytest.raises(OSError, match="No such file"):
        Journal(path)
    received: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(path)
        end.settimeout(0)
        log = Log(Journal(path))
        count = 0
        while log.waiting < 100:  # behind more than a socket holds
            log.line("process.ended", count, member="vault")
            count += 1
        assert log.head[0] < count
        while len(received) < count:
            received.append(fields(end.recv(1 << 16))["TROLLBRIDGE_EPOCH"])
            log.tick(time.monotonic() + AGAIN)
    assert received == [str(number) for number in range(count)]
    os.unlink(path)  # noqa: PTH108
    log.line("ring.forming", count)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(path)
        log.line("ring.sealed", count + 1)
        events = [fields(end.recv(1 << 16))["TROLLBRIDGE_EVENT"] for _ in range(3)]
        assert events == ["ring.forming", "log.resumed", "ring.sealed"]
    log.close()


def test_systemds_own_daemon_has_each_line_as_it_was_written() -> None:
    """A55: with every field under its name, and with the chain whole."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    act = "from tests.operations.test_log_journal import write; write()"
    ended = subprocess.run(
        ["/usr/bin/unshare", *user, "--mount", "/bin/sh", "-c", SCRIPT, "sh", sys.executable, "-c", act],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        timeout=60,
    )
    entries = [json.loads(each) for each in ended.stdout.splitlines()]
    assert len(entries) == 302, ended.stderr.decode()
    verifier = Verifier()
    for number, entry in enumerate(entries):
        verifier.take(entry["TROLLBRIDGE_LINE"].encode(), str(number))
    assert verifier.end("end").flaws == ()
    killed = entries[1]
    assert [killed[f"TROLLBRIDGE_{name}"] for name in ("EVENT", "MEMBER", "PID", "SIGNAL", "EXPECTED", "WHY")] == [
        *("process.ended", "vault", "9", "SIGKILL", "false", HOSTILE),
    ]
    assert (killed["PRIORITY"], entries[2]["PRIORITY"]) == ("5", "3")
    assert killed["MESSAGE"] == f"process.ended: vault (9); SIGKILL; {HOSTILE}"
