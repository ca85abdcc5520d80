"""Exit codes of an application, after sysexits(3). A UI that ends by itself ends the application with its own code.

May import: nothing. Invariant: a code means one thing; the README's table is this file.
"""

from __future__ import annotations

from typing import Final

RING_LOST: Final = 69
"""The ring fell more often than the restart intensity allows."""
UI_CRASHED: Final = 70
"""The UI ended by an exception."""
BOOT_FAILED: Final = 71
"""The ring could not be formed."""
OUTPUT_CLOSED: Final = 74
"""The UI's output was closed while it wrote."""
RUNNING: Final = 75
"""The application runs already, under another supervisor."""
NOT_ISOLATED: Final = 77
"""The kernel isolates a process less well than the application asks for."""
DECLARATION: Final = 78
"""The application's declaration is wrong, or an actor cannot be loaded."""
