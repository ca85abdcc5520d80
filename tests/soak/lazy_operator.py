"""An operator that asks and reads no answer: `python -m tests.soak.lazy_operator NAME`; ends with its standard input.

Imports trollbridge's ui_adapter layer and messages.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

from trollbridge.messages import operator
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.ui_adapter.operator_client import OperatorClient

QUESTIONS: Final = 16
"""More than the answers to which a connection has room for."""

if __name__ == "__main__":
    with OperatorClient(sys.argv[1]) as client:
        client.follow(recent=operator.MOST_RECENT)
        with suppress(OSError, TrollbridgeError):  # it is cut off
            for _ in range(QUESTIONS):
                client._say(operator.Recent(operator.MOST_RECENT))  # pyright: ignore[reportPrivateUsage]
        sys.stdout.write("asked\n")
        sys.stdout.flush()
        sys.stdin.read()
