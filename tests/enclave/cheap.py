"""A password hash that costs nothing, for tests of everything but its cost."""

from __future__ import annotations

from typing import Final

from trollbridge.messages.vault import PasswordParameters

CHEAP: Final = PasswordParameters(memory_kib=8, passes=1, lanes=1)
