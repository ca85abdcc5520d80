"""Attacks on another process of the same user, made from inside an enclave, from an extension and without any lock.

May import: the tables of attacks. Invariant: all of them aim at the ground's victim.
"""

from __future__ import annotations

from typing import Final

from trollbridge.ui_adapter.attack.on_life import SCHEDULING, SIGNALS
from trollbridge.ui_adapter.attack.on_memory import MEMORY
from trollbridge.ui_adapter.attack.on_proc import PROC

ON_PROCESS: Final = (*SIGNALS, *MEMORY, *SCHEDULING, *PROC)
