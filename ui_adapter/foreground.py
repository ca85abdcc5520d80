"""Standard input of a terminal UI: lines, and Ctrl-C for this process alone instead of the whole application.

May import: the standard library. Invariant: the terminal's foreground belongs to this process between enter and exit,
and goes back to whom it belonged before.

The supervisor stands in the same process group as the UI, so the kernel would send Ctrl-C to both, and the supervisor
takes it as the order to stop. As shells do with their jobs, the UI moves into a group of its own and makes that the
terminal's foreground.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType


class Foreground:
    """Standard input, with the terminal's signals for us while it is one. Use it in the main thread, with `with`."""

    def __init__(self) -> None:
        """Look whether standard input is a terminal."""
        self.interactive = sys.stdin is not None and sys.stdin.isatty()
        self.interrupted = False
        """Whether Ctrl-C has come since the last line was read."""
        self._reading = False
        self._group: int | None = None

    def __enter__(self) -> Self:
        """Take the terminal, if it is one."""
        reconfigure = getattr(sys.stdin, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
        if self.interactive:
            signal.signal(signal.SIGINT, self._on_interrupt)
            with contextlib.suppress(ImportError):  # to be imported is all it takes: input() edits lines then
                import readline  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]
            self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        if self._group is not None:
            with contextlib.suppress(OSError):
                os.tcsetpgrp(0, self._group)

    def _take(self) -> None:
        """Become the foreground group; raises nothing: without it Ctrl-C stops the application, as elsewhere."""
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else giving the terminal back would stop us
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # a stopped member is a hung one
        with contextlib.suppress(OSError):
            before = os.tcgetpgrp(0)
            if before == os.getpgrp():
                os.setpgid(0, 0)
                os.tcsetpgrp(0, os.getpgrp())
                self._group = before

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._reading:
            raise KeyboardInterrupt
        self.interrupted = True

    def read(self, prompt: str) -> str | None:
        """Return the next line, without a prompt if nobody types; None at the end of input.

        Ctrl-C drops the line begun and asks again.
        """
        if not self.interactive:
            line = sys.stdin.readline() if sys.stdin is not None else ""
            return line.rstrip("\n") if line else None
        while True:
            try:
                self.interrupted, self._reading = False, True
                return input(prompt)
            except KeyboardInterrupt:
                print()  # noqa: T201  # the cursor stands behind ^C
            except (EOFError, OSError):
                with contextlib.suppress(OSError):
                    print()  # noqa: T201  # the shell's prompt comes next
                return None
            finally:
                self._reading = False

    def read_secret(self, prompt: str) -> str | None:
        """Return a line that is not shown while it is typed; None at the end of input and on Ctrl-C."""
        if not self.interactive:
            return self.read("")
        from getpass import getpass  # noqa: PLC0415  # only where a password is asked for

        try:
            self._reading = True
            return getpass(prompt)
        except KeyboardInterrupt:
            print()  # noqa: T201
            return None
        except (EOFError, OSError):
            return None
        finally:
            self._reading = False
