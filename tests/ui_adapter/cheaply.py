"""The command, with a password hash that costs next to nothing: for tests of everything but its cost.

Run as a program, in the place of `trollbridge`. Every process of the command takes the least that Argon2id allows for
the cost that a new vault gets and for the least that is accepted; all else is what ships. The command itself refuses a
vault that was made so.
"""

from __future__ import annotations

import sys
from typing import Final

from trollbridge.actors.supervision import spawn
from trollbridge.ui_adapter.entry import main

_CHEAPLY: Final = (
    "from trollbridge.messages import password as p, vault as v; cheap = v.PasswordParameters(8, 1, 1); "
    "changed = [setattr(each, '__defaults__', (cheap,)) for each in "
    "(p.check_parameters, p.check_verifier, p.new_verifier, p.attempt, p.prove)]; p.STANDARD = cheap; "
)
"""What each process runs before its own code."""
_MAIN: Final = "from trollbridge.actors.entry.child import main"

if __name__ == "__main__":
    entry: str = vars(spawn)["_ENTRY"]
    if _MAIN not in entry:
        raise AssertionError(entry)
    setattr(spawn, "_ENTRY", entry.replace(_MAIN, _CHEAPLY + _MAIN))  # noqa: B010  # in this process, which is the command's
    sys.argv[0] = "trollbridge"
    main()
