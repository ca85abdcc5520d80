"""A child process that writes down, before it is locked, which modules it has; only `import_app` starts such children.

It imports nothing that a child would not import anyway, so that the record is the child's own.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from trollbridge.actors.entry import child
from trollbridge.actors.isolation.lock import lock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from trollbridge.messages.ids import Role
    from trollbridge.messages.posture import Evidence
    from trollbridge.messages.sandbox import Sandbox


WHOLE: Final = ("broker", "enclave")
"""Who imports nothing after the lock; the others can be asked."""


def write(folder: str, name: str) -> None:
    """Write down every module of this process."""
    with open(f"{folder}/{name}", "w", encoding="utf-8") as record:  # noqa: PTH123  # no module more than needed
        record.write("\n".join(sorted(sys.modules)))


def run(folder: str, repository: str) -> NoReturn:
    """Run one child process; a broker or an enclave leaves its record when nothing can be imported any more."""
    sys.path.remove(repository)

    def locking(
        role: Role, sandbox: Sandbox, readable: Sequence[str] = (), *, errands: bool = False
    ) -> tuple[Evidence, ...]:
        if role.value in WHOLE:
            write(folder, role.value)
        return lock(role, sandbox, readable, errands=errands)

    child.__dict__["lock"] = locking  # where the child looks it up
    child.main()
