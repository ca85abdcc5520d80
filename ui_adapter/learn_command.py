"""`trollbridge run --learn`: runs an application with a recorder in the place of the lock; proposes what to declare.

May import: our actors and messages, the other parts of learn mode. Invariants: this is the only place that makes a
`Recorder` or runs a declaration with widened grants, and the command line is the only way here; it is said loudly
before the first process starts; code of the application is imported here only once all of it has run, and an
extension's never.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING

from trollbridge.actors.entry.child import load
from trollbridge.actors.isolation.libraries import folders
from trollbridge.actors.operations.log import to_stderr
from trollbridge.actors.supervision.learning import Recorder
from trollbridge.actors.supervision.supervisor import Supervisor
from trollbridge.messages.errors import ActorNotLoadable, DeclarationError
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, checked
from trollbridge.ui_adapter import learn_grants
from trollbridge.ui_adapter.learn_proposal import Member, Proposal, propose
from trollbridge.ui_adapter.learn_report import BANNER, HEAD, OVER, lines

if TYPE_CHECKING:
    from trollbridge.actors.app import App, Child
    from trollbridge.actors.operations.log import Log
    from trollbridge.messages.sandbox import Sandbox


def run(app: App, log: Log) -> int:
    """Run the application to its end, print what was learnt to standard output, and return the exit code."""
    to_stderr(BANNER)
    wide = learn_grants.widened(app, learn_grants.manifests(app))
    heard = learn_grants.Heard(log, wide)
    with tempfile.TemporaryDirectory(prefix="trollbridge-learn-") as scratch:
        recorder = Recorder(wide, scratch)
        code = Supervisor(wide, log, recorder).run()
        recorder.close()
    if recorder.told:
        sys.stdout.write(f"\n{HEAD}\n")
        for child, role in app.children:
            proposal = _proposal(recorder, child, role)
            sys.stdout.write("\n".join(["", *filter(None, lines(child, role, proposal)), ""]))
        sys.stdout.write("\n".join(["", learn_grants.HEAD, "", *learn_grants.lines(app, heard), ""]))
        sys.stdout.flush()
    to_stderr(OVER)
    return code


def _proposal(recorder: Recorder, child: Child, role: Role) -> Proposal | None:
    told = recorder.told.get(child.member)
    if told is None:
        return None
    libraries = tuple(each for each in folders() if each not in _application())
    own = _own_code(child.actor.module) if role is Role.EXTENSION else ()
    home = os.path.expanduser("~")  # noqa: PTH111  # as the children are told
    try:
        declared = _declared(child, role) or NOTHING
        declared.resolved(dict(child.settings), home)
    except (ActorNotLoadable, DeclarationError):  # its own process has said so
        declared = NOTHING
    code, application = (*libraries, *own), _application()
    return propose(Member(role, dict(child.settings), home, code, application, declared), told)


def _declared(child: Child, role: Role) -> Sandbox | None:
    """Return what a member declares, which its class may say; for that, once it has run, its module is imported."""
    if child.sandbox is not None or role is Role.EXTENSION:
        return child.sandbox
    return checked(getattr(load(str(child.actor), tuple(sys.path)), "sandbox", None), str(child.actor))


def _application() -> tuple[str, ...]:
    """Return the folders of the search path that are the application's: those that neither Python nor a package has."""
    roots = tuple(os.path.realpath(each) for each in (sys.prefix, sys.base_prefix))
    found = [os.path.realpath(each) for each in sys.path if each]
    installed = [each for each in found if each.endswith("-packages") or _python(each, roots)]
    return tuple(each for each in found if each not in installed and not _linked(each))


def _python(folder: str, roots: tuple[str, ...]) -> bool:
    return any(folder.startswith(os.path.join(root, "lib")) for root in roots)  # noqa: PTH118


def _linked(folder: str) -> bool:
    """Return whether a package's own finder has put it there: a development install of ours."""
    return os.path.isdir(os.path.join(folder, "trollbridge"))  # noqa: PTH112, PTH118


def _own_code(module: str) -> tuple[str, ...]:
    """Return where an extension's top-level module or package lies: what it may read in any case."""
    top = module.partition(".")[0]
    for folder in sys.path:
        for name in (top, f"{top}.py"):
            path = os.path.join(folder, name)  # noqa: PTH118
            if os.path.exists(path):  # noqa: PTH110
                return (os.path.realpath(path),)
    return ()
