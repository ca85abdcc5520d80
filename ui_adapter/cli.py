"""The command `trollbridge`: runs an application as its supervisor, and the demonstration.

May import: `click`, our actors and messages. Invariant: whatever is wrong with an application, its module or the
terminal, a person reads one line and the process ends with a code of `exits`; never a traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click
import msgspec

from trollbridge.actors import exits
from trollbridge.actors.log import Line, Log
from trollbridge.messages.errors import BootFailed, DeclarationError, NotIsolated, TrollbridgeError
from trollbridge.ui_adapter.attack.command import attack
from trollbridge.ui_adapter.loading import demand_linux, import_from_here, load

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from trollbridge.actors.app import App

EXIT_CODES: Final = (
    ("0", "The UI ended well. A UI that returns another code ends the application with that code."),
    ("1", "The UI ended by an error that it did not handle; the line on standard error says which."),
    ("2", "The command line is wrong."),
    (str(exits.RING_LOST), "The ring fell more often than the restart intensity allows."),
    (str(exits.UI_CRASHED), "The UI ended by an exception."),
    (str(exits.BOOT_FAILED), "The ring could not be formed; nothing was left running."),
    (str(exits.OUTPUT_CLOSED), "Standard output was closed while something was written to it."),
    (str(exits.NOT_ISOLATED), "The kernel isolates a process less well than the application asks for."),
    (str(exits.DECLARATION), "The declaration is wrong, or a module cannot be loaded; nothing was left running."),
    ("128+n", "Signal n ended it: 129 closed terminal, 130 Ctrl-C, 143 SIGTERM."),
)
"""What a code means; the README has the same table."""
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<7}{meaning}" for code, meaning in EXIT_CODES)
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def _append_to(path: str) -> Callable[[str], object]:
    """Return a function that appends a line to the file, created 0600; raises `click.ClickException`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise click.BadParameter(msg, param_hint="--log") from None
    return lambda line: os.write(descriptor, line.encode())


def _only_denials(line: str) -> None:
    """Write no log, but tell what a sandbox has refused: whoever is to declare it must learn of it."""
    if '"event":"sandbox.denied"' in line:
        told = msgspec.json.decode(line, type=Line)
        click.echo(f"trollbridge: {told.member}.{told.why}: {told.detail}", err=True)


def _to_stderr(line: str) -> object:
    return os.write(2, line.encode())


@click.group(context_settings=_SETTINGS, epilog=_EPILOG)
@click.version_option(package_name="trollbridge", message="trollbridge %(version)s")
def cli() -> None:
    """Run applications whose user interface, broker and enclaves are processes of their own.

    They exchange only sealed, immutable envelopes. The process of this command is the supervisor: it starts the
    others, forms the trust ring, dismantles it when a member dies and forms the next; it holds no message key.
    """


@cli.command(epilog=_EPILOG)
@click.argument("reference", metavar="MODULE:APP")
@click.option("--log", metavar="FILE", help="Append the log to FILE instead of standard error.")
@click.option("--quiet", "-q", is_flag=True, help="Write no log to standard error; what fails is still told.")
@click.option("--learn", is_flag=True, help="Development only: confine nothing, and propose each actor's Sandbox.")
def run(reference: str, log: str | None, quiet: bool, learn: bool) -> None:  # noqa: FBT001  # click's way
    """Run the application APP of MODULE until its user interface ends.

    MODULE is imported from the current folder, or from where Python is installed; APP is an App(...) at its top.

    \b
    Examples:
      trollbridge run notary:app
      trollbridge run notary:app --log notary.log

    The log has one JSON line for each transition: who, what, why, what next.

    With --learn the kernel stops no process; what each one reaches is recorded, and at the end the Sandbox is printed
    that would have let it. Use it with data that nobody would miss. The vault stays locked, and gets an empty file in a
    temporary folder instead of its own.

    \b
    Signals:
      SIGTERM, SIGINT  stop in order: the UI first, then enclaves and broker; a second SIGINT kills
      SIGHUP           dismantle the ring and form the next under new keys; stop if the terminal was closed
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    demand_linux()
    import_from_here()
    app = load(reference)
    silent = _only_denials if quiet else _to_stderr
    sys.exit((_learn if learn else _supervise)(app, Log(silent if log is None else _append_to(log))))


@cli.command(epilog=_EPILOG)
def demo() -> None:
    """Show the main job on real files: no display, no keychain, no question, under 20 seconds.

    Starts the processes, makes a vault in a temporary place, signs, encrypts, decrypts and verifies files (with gpg
    too, if it is installed), replays messages, kills the enclave, and shows what the supervisor makes of it. Ends with
    0 only if all of that went as it should.
    """
    from trollbridge.ui_adapter.demo import run as run_demo  # noqa: PLC0415  # `run` need not wait for it

    demand_linux()
    with _booting():
        code = run_demo()
    sys.exit(code)


@cli.command()
@click.argument("reference", metavar="[MODULE:APP]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object (with MODULE:APP, a list) instead.")
def doctor(reference: str | None, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Tell the truth about this machine: how well the kernel keeps an application's processes, and why not better.

    Starts a small application of its own, as `run` would, looks at each of its processes, and ends it. Then tells what
    of the machine bears on secrets: Landlock, seccomp, secret memory, swap, core files, the keychain.

    With MODULE:APP nothing is started: tells what each process of APP may reach, with settings and the home folder
    filled in, how well it must be kept, and what looks too wide. Modules are imported to be asked, extensions' not.

    \b
    Exit codes:
      0  enclaves are kept full (with MODULE:APP: every declared path is there, and nothing looks too wide)
      1  less than that; the report says what to change
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    from trollbridge.ui_adapter import doctor_command  # noqa: PLC0415  # `run` need not wait for it

    if reference is None:
        sys.exit(doctor_command.machine(as_json=as_json))
    demand_linux()
    import_from_here()
    sys.exit(doctor_command.application(load(reference), as_json=as_json))


cli.add_command(attack)


def _supervise(app: App, log: Log) -> int:
    from trollbridge.actors.supervisor import Supervisor  # noqa: PLC0415  # a wrong command line need not wait for it

    with _booting():
        return Supervisor(app, log).run()


def _learn(app: App, log: Log) -> int:
    from trollbridge.ui_adapter import learn_command  # noqa: PLC0415  # never loaded where it was not asked for

    with _booting():
        return learn_command.run(app, log)


@contextlib.contextmanager
def _booting() -> Generator[None]:
    """Raise `BootFailed` for what the system refuses: another process, a descriptor, a temporary folder."""
    try:
        yield
    except OSError as error:
        msg = f"the system refused what the application needs: {error.strerror or error}"
        raise BootFailed(msg) from None


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


def main() -> NoReturn:
    """Run the command and exit."""
    _open_standard_descriptors()
    _leave(_run())


def _run() -> int:
    output = sys.stdout
    try:
        cli.main(prog_name="trollbridge", standalone_mode=False)
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
        return exits.NOT_ISOLATED if isinstance(error, NotIsolated) else exits.BOOT_FAILED
    return exits.DECLARATION if isinstance(error, DeclarationError) else 1
