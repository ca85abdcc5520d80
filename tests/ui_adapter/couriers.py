"""Applications that carry documents (`courier.py`), as a test or a measurement drives them, and the memory they take.

Invariant: as for `Running`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.harness.ordinary import ordinary
from tests.harness.running import Running
from tests.ui_adapter.courier import PATIENCE

if TYPE_CHECKING:
    from types import TracebackType

_LOOK: Final = 0.02
"""Seconds between two looks at how much memory there is: of a process that ends, the last one counts."""


class Courier(Running):
    """An application that carries documents (`courier.py`)."""

    def __init__(self, place: Path, patience: float = PATIENCE, *, of_an_ordinary_user: bool = False) -> None:
        """Start it, with a vault in `place`; `patience`: seconds that one document may take."""
        name, settings = "tests.ui_adapter.courier:application", {"place": str(place)}
        launch = (sys.executable, "-m", "tests.harness.launch", name, json.dumps(settings))
        super().__init__(name, settings, command=tuple(ordinary(launch, place)) if of_an_ordinary_user else ())
        self._heard = 0
        self._patience: Final = patience

    def ready(self) -> int:
        """Wait until its vault is open, and make the keys of Ada and Bob; return the UI's PID."""
        pid: int = self.hear()["ready"]
        for name in ("ada", "bob"):
            self.ask("handler", "generate", name)
        return pid

    def hear(self) -> dict[str, Any]:
        """Return the next answer."""
        self._heard += 1
        self.output.wait(lambda _: len(self.output.items) >= self._heard, self._patience)
        answer: dict[str, Any] = json.loads(self.output.items[self._heard - 1])
        return answer

    def tell(self, name: str, *arguments: object, **named: object) -> None:
        """Say what it is to do."""
        given = [str(each) if isinstance(each, Path) else each for each in arguments]
        self.stdin.write(json.dumps([name, given, named]).encode() + b"\n")
        self.stdin.flush()

    def ask(self, name: str, *arguments: object, **named: object) -> dict[str, Any]:
        """Have something done; return the answer."""
        self.tell(name, *arguments, **named)
        return self.hear()

    def done(self, name: str, *arguments: object, **named: object) -> dict[str, Any]:
        """Have something done that must succeed."""
        answer = self.ask(name, *arguments, **named)
        assert "error" not in answer, answer
        return answer

    def error(self, name: str, *arguments: object, **named: object) -> str:
        """Have something done that must fail; return the error's name."""
        error: str = self.ask(name, *arguments, **named)["error"]
        return error


def _peak(pid: int) -> int:
    """Return the most memory that a process has had, in KiB; 0 once it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


class Watch:
    """Notes the peak memory of every process of an application while the block runs."""

    def __init__(self, running: Running) -> None:
        """Take the application."""
        self._running = running
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peaks: dict[str, int] = {}

    def _watch(self) -> None:
        while not self._over.wait(_LOOK):
            for process in self._running.processes():
                if process.name.startswith("troll-"):
                    self.peaks[process.name] = max(self.peaks.get(process.name, 0), _peak(process.pid))

    def __enter__(self) -> dict[str, int]:
        """Return the peaks, in KiB, by the names of the processes; complete when the block is left."""
        self._thread.start()
        return self.peaks

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop looking."""
        self._over.set()
        self._thread.join(PATIENCE)
