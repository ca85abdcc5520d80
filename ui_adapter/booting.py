"""What the system refuses while an application starts, as the error of a boot.

May import: our errors. Invariant: a person reads a sentence, whatever the system lacked.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trollbridge.messages.errors import BootFailed

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def booting() -> Generator[None]:
    """Raise `BootFailed` for what the system refuses: another process, a descriptor, a temporary folder."""
    try:
        yield
    except OSError as error:
        msg = f"the system refused what the application needs: {error.strerror or error}"
        raise BootFailed(msg) from None
