"""How a command ends: an exit code, at most one line for a person, and an output that is known to have arrived.

May import: `click`, our actors' exits, our errors. Invariant: whatever a command raises, there is no traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn

import click

from trollbridge.actors import exits
from trollbridge.messages.errors import AlreadyRunning, BootFailed, DeclarationError, NotIsolated, TrollbridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BOOTS: Final[Mapping[type[TrollbridgeError], int]] = MappingProxyType(
    {NotIsolated: exits.NOT_ISOLATED, AlreadyRunning: exits.RUNNING}
)


def _open_standard_descriptors() -> None:
    """Have 0, 1 and 2 open, on /dev/null if need be: else the next socket would become somebody's output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, so this one
            os.set_inheritable(descriptor, True)  # noqa: FBT003  # the standard library's signature
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def _leave(code: int) -> NoReturn:
    """End with `code`, or with `OUTPUT_CLOSED` if what was written last does not arrive."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or (exits.OUTPUT_CLOSED if descriptor == 1 else 0)  # a log that is lost stops nothing
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)  # the interpreter would try again, and complain
    sys.exit(code)


def finish(act: Callable[[], object]) -> NoReturn:
    """Run a command's work and exit: with the code of its `SystemExit`, with 0, or with that of its error."""
    _open_standard_descriptors()
    _leave(_run(act))


def _run(act: Callable[[], object]) -> int:
    output = sys.stdout
    try:
        act()
    except click.UsageError as error:
        error.show()
        return 2
    except (
        SystemExit
    ) as leaving:  # with another output, click has found that nobody reads, and its own code for it is 1
        code = leaving.code if isinstance(leaving.code, int) else 1
        return code if sys.stdout is output else exits.OUTPUT_CLOSED
    except (KeyboardInterrupt, click.Abort):
        return 128 + signal.SIGINT
    except (TrollbridgeError, OSError) as error:
        return _complain(error)
    return 0


def _complain(error: TrollbridgeError | OSError) -> int:
    """Tell a person in one line; return the exit code. An `OSError` here says that standard output takes nothing."""
    with contextlib.suppress(OSError):
        click.echo(f"trollbridge: {error.strerror if isinstance(error, OSError) else error}", err=True)
    if isinstance(error, OSError):
        return exits.OUTPUT_CLOSED
    if isinstance(error, BootFailed):
        return _BOOTS.get(type(error), exits.BOOT_FAILED)
    return exits.DECLARATION if isinstance(error, DeclarationError) else 1
