"""What learn mode has found, as lines that can be pasted into a declaration.

May import: our actors and messages, `learn_proposal`. Invariant: what is printed as a `Sandbox(…)` is one that can be
made; nothing that a member wrote or sent is shown.
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
    "and other processes of yours can look into them. Use data that nobody would miss, and type no real password: a "
    "vault is locked as ever, but is a new and empty one, in a temporary folder.\n"
)
OVER: Final = "trollbridge: learn mode is over; nothing of this run was confined. Run it again without --learn.\n"
LOCKED: Final = "it was locked as ever, on empty files in a temporary folder; its Sandbox comes with it"


def declaration(sandbox: Sandbox) -> list[str]:
    """Return the lines of `Sandbox(…)`."""
    parts = [
        f"    {name}=[{', '.join(map(repr, entries))}],"
        for name in ("read", "write", "exec", "network")
        if (entries := getattr(sandbox, name))
    ]
    parts += ["    threads=True,"] if sandbox.threads else []
    return ["Sandbox(", *parts, ")"] if parts else ["Sandbox()"]


def lines(child: Child, role: Role, proposal: Proposal | None) -> Iterator[str]:
    """Yield what is said of one member; without a proposal, that it was locked."""
    yield f"{child.member} ({role.value}, {child.actor})"
    if proposal is None:
        yield f"  {LOCKED}"
        return
    first, *rest = declaration(proposal.sandbox)
    if role is Role.EXTENSION:  # its class is not asked
        yield f'  Child("{child.actor}", sandbox={first}'
        yield from (f"  {each}" for each in rest)
        yield "  , …)  # beside what the Child(…) has" if rest else ""
    else:
        yield f"  sandbox = {first}"
        yield from (f"  {each}" for each in rest)
    if proposal.remarks:
        yield "  not proposed, and to be looked at:"
        yield from (f"    - {printable(each)}" for each in proposal.remarks)
