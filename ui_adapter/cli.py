"""The command `trollbridge`: runs an application as its supervisor, and the demonstration.

May import: `click`, our actors and messages. Invariant: whatever is wrong with an application, its module or the
terminal, a person reads one line and the process ends with a code of `exits`; never a traceback.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from trollbridge.actors import exits
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.operator import application_name
from trollbridge.ui_adapter.attack.command import attack
from trollbridge.ui_adapter.booting import booting
from trollbridge.ui_adapter.control_commands import rekey, restart, stop
from trollbridge.ui_adapter.explain_command import explain
from trollbridge.ui_adapter.finishing import finish
from trollbridge.ui_adapter.lint_command import lint
from trollbridge.ui_adapter.loading import demand_linux, import_from_here, load
from trollbridge.ui_adapter.log_command import log as log_group
from trollbridge.ui_adapter.log_places import Place, log_to, place_options
from trollbridge.ui_adapter.logs_command import logs
from trollbridge.ui_adapter.status_command import status
from trollbridge.ui_adapter.stubs_command import stubs
from trollbridge.ui_adapter.top_command import top
from trollbridge.ui_adapter.vault.completion import completion
from trollbridge.ui_adapter.vault.document_commands import COMMANDS
from trollbridge.ui_adapter.vault.key_commands import key
from trollbridge.ui_adapter.vault.secret_commands import secret
from trollbridge.ui_adapter.vault.vault_commands import vault

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.operations.metrics import Publish

EXIT_CODES: Final = (
    ("0", "The UI ended well. A UI that returns another code ends the application with that code."),
    ("1", "The UI ended by an error that it did not handle; the line on standard error says which."),
    ("2", "The command line is wrong."),
    (str(exits.RING_LOST), "The ring fell more often than the restart intensity allows."),
    (str(exits.UI_CRASHED), "The UI ended by an exception."),
    (str(exits.BOOT_FAILED), "The ring could not be formed; nothing was left running."),
    (str(exits.OUTPUT_CLOSED), "Standard output was closed while something was written to it."),
    (str(exits.RUNNING), "The application runs already, under another supervisor; nothing was started."),
    (str(exits.NOT_ISOLATED), "The kernel isolates a process less well than the application asks for."),
    (str(exits.DECLARATION), "The declaration is wrong, or a module cannot be loaded; nothing was left running."),
    ("128+n", "Signal n ended it: 129 closed terminal, 130 Ctrl-C, 143 SIGTERM."),
)
"""What a code means; the README has the same table."""
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<7}{meaning}" for code, meaning in EXIT_CODES)
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=_SETTINGS, epilog=_EPILOG)
@click.version_option(package_name="trollbridge", message="trollbridge %(version)s")
def cli() -> None:
    """Run applications whose user interface, broker and enclaves are processes of their own, and use the vault.

    They exchange only sealed, immutable envelopes. The process of this command is the supervisor: it starts the
    others, forms the trust ring, dismantles it when a member dies and forms the next; it holds no message key.
    """


@cli.command(epilog=_EPILOG)
@click.argument("reference", metavar="MODULE:APP")
@click.option("--log", metavar="FILE", help="Append the log to FILE, or to the system's journal if it is `journal`.")
@place_options
@click.option("--quiet", "-q", is_flag=True, help="Write no log to standard error; what fails is still told.")
@click.option("--name", metavar="NAME", help="What operators call it, instead of a name made of MODULE:APP and folder.")
@click.option("--no-operator", is_flag=True, help="Have no operator's socket, and let it run more than once.")
@click.option("--metrics", metavar="FILE", help="Write figures for Prometheus to FILE, every 15 seconds.")
@click.option("--learn", is_flag=True, help="Development only: confine nothing; propose Sandboxes and grants.")
def run(  # noqa: PLR0913  # click's way
    reference: str,
    *,
    log: str | None,
    log_size: int | None,
    log_keep: int | None,
    log_key: str | None,
    quiet: bool,
    name: str | None,
    no_operator: bool,
    metrics: str | None,
    learn: bool,
) -> None:
    """Run the application APP of MODULE until its user interface ends.

    MODULE is imported from the current folder, or from where Python is installed; APP is an App(...) at its top.

    \b
    Examples:
      trollbridge run notary:app
      trollbridge run notary:app --log notary.log
      trollbridge run notary:app --log notary.log --log-size 10000000 --log-keep 9 --log-key notary.key

    The log has one JSON line for each transition: who, what, why, what next. The lines are chained, so that
    `trollbridge log verify` finds whatever was changed or removed; see there for --log-key.

    While it runs, `trollbridge status`, `logs`, `top`, `restart`, `rekey` and `stop` reach it, as the same user only.
    It runs once at a time in a folder; a second one needs another --name.

    --metrics writes for Prometheus's node exporter, which reads files that end with .prom from one folder; it needs
    trollbridge[metrics]. A service manager that has started it, such as systemd with Type=notify, is told how it is.

    With --learn the kernel stops no process, and the UI and extensions may call what they have no grant for; what each
    one reaches and calls is recorded, and at the end the Sandbox and the grants are printed that would have let it. Use
    it with data that nobody would miss. The vault stays locked, and gets an empty file in a temporary folder instead of
    its own.

    \b
    Signals:
      SIGTERM, SIGINT  stop in order: extensions, UI, hosts, enclaves, broker; a second SIGINT kills
      SIGHUP           new keys: let calls end, then form the ring anew; stop if the terminal was closed
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    demand_linux()
    import_from_here()
    app = load(reference)
    called = "" if no_operator else _called(reference, name or app.name)
    place = log_to(Place(log, log_size, log_keep, log_key), quiet=quiet)
    publish = None if metrics is None else _publish_to(metrics)
    sys.exit(_learn(app, place) if learn else _supervise(app, place, called, publish))


@cli.command(epilog=_EPILOG)
def demo() -> None:
    """Show the main job on real files: no display, no keychain, no question, under 20 seconds.

    Starts the processes, makes a vault in a temporary place, signs, encrypts, decrypts and verifies files (with gpg
    too, if it is installed), replays messages, kills the enclave, and shows what the supervisor makes of it. Ends with
    0 only if all of that went as it should.
    """
    from trollbridge.ui_adapter.demo import run as run_demo  # noqa: PLC0415  # `run` need not wait for it

    demand_linux()
    with booting():
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


for _command in (
    *(attack, stubs, lint, explain, status, logs, log_group, top, restart, rekey, stop),
    *(vault, key, *COMMANDS, secret, completion),
):
    cli.add_command(_command)


def _called(reference: str, name: str) -> str:
    """Return by which name an application runs; raises `click.BadParameter` for one that is none."""
    from trollbridge.ui_adapter.operator_places import default_name  # noqa: PLC0415  # a wrong command line need not wait

    try:
        return application_name(name or default_name(reference))
    except DeclarationError as error:
        raise click.BadParameter(str(error), param_hint="--name") from None


def _publish_to(path: str) -> Publish:
    from trollbridge.ui_adapter.metrics_file import metrics_to  # noqa: PLC0415  # an extra, for whoever asks for it

    return metrics_to(path)


def _supervise(app: App, log: Log, name: str, publish: Publish | None) -> int:
    from trollbridge.actors.supervision.supervisor import Supervisor  # noqa: PLC0415  # a wrong command line need not wait for it

    with booting():
        return Supervisor(app, log, name=name, publish=publish).run()


def _learn(app: App, log: Log) -> int:
    from trollbridge.ui_adapter import learn_command  # noqa: PLC0415  # never loaded where it was not asked for

    with booting():
        return learn_command.run(app, log)


def main() -> NoReturn:
    """Run the command and exit."""
    finish(lambda: cli.main(prog_name="trollbridge", standalone_mode=False))
