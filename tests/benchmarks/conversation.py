"""One contender at work, seen from the benchmark: a process group that is asked and answers in JSON lines.

Imports the standard library, the process tree and the contender's types. It owns one invariant: every wait has a
deadline, and whatever happens the contender's processes and temporary files are gone when `ended` returns.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from contextlib import suppress
from tempfile import TemporaryDirectory
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Self, cast

from tests.benchmarks.process_tree import confined_to, end_descendants

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tests.benchmarks.contender import Limit

Reply = dict[str, object]


class ContenderFailedError(Exception):
    """The contender crashed or gave no answer in time; its log says more."""


class CrashedError(ContenderFailedError):
    """The contender's driver is gone."""

    def __str__(self) -> str:
        """Say so."""
        return "crashed"


class SilentError(ContenderFailedError):
    """The contender did not answer by the deadline."""

    def __str__(self) -> str:
        """Say so."""
        return "no answer in time"


class Conversation:
    """A running contender; a context manager whose end kills it."""

    def __init__(self, command: list[str], *, cpus: set[int], environment: Mapping[str, str], log: Path) -> None:
        """Start `command` on `cpus`; its standard error goes to `log`. The clock starts just before.

        The contender finds a folder of its own in TMPDIR.
        """
        self._scratch = TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors, confined_to(cpus):
            self.began = monotonic_ns()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**environment, "TMPDIR": self._scratch.name},
                start_new_session=True,
            )
        self._partial = b""
        self._lines: list[bytes] = []

    @property
    def pid(self) -> int:
        """The process id of the driver."""
        return self._process.pid

    def ask(self, what: str, limit: Limit, *, in_flight: int, seconds: float) -> Reply:
        """Ask for one measure and give its reply. Raises ContenderFailedError."""
        request = {"ask": what, "calls": limit.calls, "seconds": limit.seconds, "in_flight": in_flight}
        self.tell(request)
        return self.expect({"measured", "cannot"}, seconds)

    def tell(self, request: Mapping[str, object]) -> None:
        """Send one request. Raises ContenderFailedError."""
        pipe = self._process.stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(request).encode() + b"\n")
            pipe.flush()
        except OSError as gone:
            raise CrashedError from gone

    def expect(self, events: Collection[str], seconds: float) -> Reply:
        """Give the next reply whose event is one of `events`. Raises ContenderFailedError."""
        until = monotonic() + seconds
        while True:
            reply = self._parsed(self._line(until))
            if reply.get("event") in events:
                return reply

    def ended(self) -> None:
        """Ask the contender to stop, give it two seconds, then kill whatever is left of it."""
        with suppress(ContenderFailedError):
            self.tell({"ask": "stop"})
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        end_descendants()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the contender."""
        self.ended()

    def _line(self, until: float) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        while not self._lines:
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - monotonic()))
            if not ready:
                raise SilentError
            chunk = os.read(pipe.fileno(), 1 << 16)
            if not chunk:
                raise CrashedError
            *self._lines, self._partial = (self._partial + chunk).split(b"\n")
        return self._lines.pop(0)

    @staticmethod
    def _parsed(line: bytes) -> Reply:
        """Read a reply; what a library prints beside our lines is an empty one."""
        try:
            reply = json.loads(line)
        except ValueError:
            return {}
        return cast("Reply", reply) if isinstance(reply, dict) else {}
