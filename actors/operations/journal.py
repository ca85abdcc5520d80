"""The system's journal as the log's place, by its native protocol: one datagram of fields for each line.

May import: `msgspec`, the standard library, `events`, `sinks`. Source: systemd, "Native Journal Protocol". Invariant:
nothing is waited for: what the journal does not take at once comes again, and one that is away is looked for again.

A line arrives as MESSAGE (who, what, why, what next, for people), PRIORITY (by its event), SYSLOG_IDENTIFIER and a
field TROLLBRIDGE_… for each field that it has; TROLLBRIDGE_LINE is the line itself, whose chain can be verified.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from typing import Final

import msgspec

from trollbridge.actors.operations.events import EVENTS, Severity
from trollbridge.actors.operations.sinks import Sink

SOCKET: Final = "/run/systemd/journal/socket"
NAME: Final = "trollbridge"
_SHOWN: Final = ("exit_code", "signal", "why", "detail", "next")
"""What a message has besides the event and who."""
_FULL: Final = frozenset({errno.EAGAIN, errno.ENOBUFS})


class Journal(Sink):
    """The journal of this machine."""

    def __init__(self, path: str = SOCKET) -> None:
        """Connect to it; raises `OSError` if there is none."""
        self._path: Final = path
        self._socket: socket.socket | None = _connected(path)

    def write(self, data: bytes) -> int:
        """Send a line; it is taken whole, or not at all."""
        if self._socket is None:
            self._socket = _connected(self._path)
        try:
            self._socket.send(datagram(data))
        except OSError as error:
            if error.errno in _FULL:
                return 0
            self.close()  # it is started again with a new socket
            raise
        return len(data)

    def wait(self, seconds: float) -> bool:
        """Wait until it takes something again."""
        if self._socket is None:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connected(path: str) -> socket.socket:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        with contextlib.suppress(OSError):  # as much as the system lets us: a burst fits
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        end.connect(path)
    except OSError:
        end.close()
        raise
    return end


def datagram(line: bytes) -> bytes:
    """Return what the journal is sent for a line (JSON, with or without its end)."""
    fields = msgspec.json.decode(line, type=dict[str, str | int | float | bool | None])
    event = EVENTS.get(str(fields["event"]))
    severity = Severity.INFO if event is None else event.severity
    given = {
        "MESSAGE": _message(fields),
        "PRIORITY": str(int(severity)),
        "SYSLOG_IDENTIFIER": NAME,
        **{f"TROLLBRIDGE_{name.upper()}": _text(value) for name, value in fields.items()},
        "TROLLBRIDGE_LINE": line.decode().rstrip("\n"),
    }
    return b"".join(_field(name, value.encode()) for name, value in given.items())


def _message(fields: dict[str, str | int | float | bool | None]) -> str:
    pid = f" ({fields['pid']})" if "pid" in fields else ""
    parts = [
        f"{name.replace('_', ' ')} {fields[name]}" if name == "exit_code" else str(fields[name])
        for name in _SHOWN
        if name in fields
    ]
    return "; ".join([f"{fields['event']}: {fields.get('member', '')}{pid}", *parts])


def _text(value: str | float | bool | None) -> str:  # noqa: FBT001  # a field's value
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _field(name: str, value: bytes) -> bytes:
    """Return one field; one with a line break in it has its length in front."""
    if b"\n" not in value:
        return b"%s=%s\n" % (name.encode(), value)
    return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)
