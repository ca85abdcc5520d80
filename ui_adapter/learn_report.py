"""What learn mode has found, as lines that can be pasted into a declaration.

May import: our actors and messages, `learn_proposal`. Invariant: what is printed as a `Sandbox(…)` or a `Child(…)` can
be evaluated as it stands; nothing that a member wrote or sent is shown, and no value of a setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import Role
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.app import Child
    from trollbridge.messages.sandbox import Sandbox
    from trollbridge.ui_adapter.learn_proposal import Proposal

BANNER: Final = (
    "trollbridge: LEARN MODE, for development only: the kernel confines no process of this application but the broker, "
    "other processes of yours can look into them, and its UI and extensions may call every handler but the core UI's "
    "own. Use data that nobody would miss, and type no real password: a "
    "vault is locked as ever, but is a new and empty one, in a temporary folder.\n"
)
OVER: Final = "trollbridge: learn mode is over; nothing of this run was confined. Run it again without --learn.\n"
HEAD: Final = "# Proposed for each member. It covers only what this run exercised; what is declared already stays."
LOCKED: Final = "it was locked as ever, on empty files in a temporary folder; its Sandbox comes with it"
NOT_STARTED: Final = "it had not started when the run ended"
SHIPPED: Final = "its Sandbox comes with what declares it"
_HOSTS: Final = "trollbridge.actors.hosts."


def declaration(sandbox: Sandbox) -> list[str]:
    """Return the lines of `Sandbox(…)`."""
    parts = [
        f"    {name}=[{', '.join(map(repr, entries))}],"
        for name in ("read", "write", "exec", "network")
        if (entries := getattr(sandbox, name))
    ]
    parts += ["    threads=True,"] if sandbox.threads else []
    return ["Sandbox(", *parts, ")"] if parts else ["Sandbox()"]


def _of_child(child: Child, sandbox: Sandbox) -> list[str]:
    """Return the lines of `Child(…)`, for a member whose class is not asked."""
    named = child.member != child.actor.name.lower()
    first, *rest = declaration(sandbox)
    lines = [f'"{child.actor}",', f'name="{child.member}",' if named else "", f"sandbox={first}", *rest]
    lines[-1] += ","
    lines += [f'least="{child.least.value}",'] if child.least is not None else []
    lines += [f"# settings={{…}} as before: {', '.join(name for name, _ in child.settings)}"] if child.settings else []
    return ["Child(", *(f"    {each}" for each in lines if each), ")"]


def lines(child: Child, role: Role, proposal: Proposal | None) -> Iterator[str]:
    """Yield what is said of one member; without a proposal, that it was locked, or was not there."""
    yield f"{child.member} ({role.value}, {child.actor})"
    if proposal is None:
        yield f"  {LOCKED if role is Role.ENCLAVE else NOT_STARTED}"
        return
    if child.actor.module.startswith(_HOSTS):
        yield f"  {SHIPPED}"
        return
    if role is Role.EXTENSION or child.sandbox is not None:
        found = _of_child(child, proposal.sandbox)
    else:
        first, *rest = declaration(proposal.sandbox)
        found = [f"sandbox = {first}", *rest]
    yield from (f"    {each}" for each in found)  # as deep as in the body of its class
    if proposal.remarks:
        yield "  not proposed, and to be looked at:"
        yield from (f"    - {printable(each)}" for each in proposal.remarks)
