"""Applications whose protection is broken on purpose, in their broker: what the suite must find.

Importing this module has the processes that are started from here run a broker with one rule less; `NAME` in the
environment says which.
"""

from __future__ import annotations

import os
from typing import Final

from trollbridge.actors.app import App
from trollbridge.actors.supervision import spawn
from trollbridge.ui_adapter.attack import ring_trial

WEAKNESSES: Final = {
    "none": "",
    "used-uids": (
        "from trollbridge.actors.broker.uids import UidLedger as U; "
        "U.claim = lambda self, uid, member, to: self._called.setdefault(uid, self.check(uid, member, to)); "
    ),
    "grants": (
        "from trollbridge.actors.broker import routing as r; from trollbridge.actors.broker.uids import Lease as L; "
        "from trollbridge.messages import record; "
        "r.Routing._request = lambda self, port, name: self._out.send(port.member, record.Lease(name, b''.join("
        "self._ledger.issue(L(port.member, name.partition('.')[0], name))))); "
    ),
    "silence": "from trollbridge.actors.broker.process import Broker as B; B.notice = lambda self, *_: None; ",
}
"""What is run before a child's own code."""

_MAIN: Final = "from trollbridge.actors.entry.child import main"
_entry: str = vars(spawn)["_ENTRY"]
if _MAIN not in _entry:
    raise AssertionError(_entry)
setattr(spawn, "_ENTRY", _entry.replace(_MAIN, WEAKNESSES[os.environ.get("NAME", "none")] + _MAIN))  # noqa: B010  # no other module may see it

if os.environ.get("NAME") == "silence":
    setattr(ring_trial, "SILENCE", 0.5)  # noqa: B010  # a constant; its log tells nothing, however long one waits

app = App(ui="desk:Desk", enclaves=["notary:Notary"], grants={"desk": ["notary.seal"]})
