"""The matrix, measured once for a run: as the user that we are and, if that is root, as an ordinary one too."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tests.harness.ordinary import ROOT, ordinary
from trollbridge.ui_adapter.attack import matrix

if TYPE_CHECKING:
    from trollbridge.ui_adapter.attack.attempt import Layers
    from trollbridge.ui_adapter.attack.catalogue import Position
    from trollbridge.ui_adapter.attack.matrix import Row

USERS: Final = ("root", "ordinary") if ROOT else ("ordinary",)
"""As whom attacks from inside are made here."""
_INSIDE: Final = (
    "import sys, msgspec; from trollbridge.ui_adapter.attack import matrix; "
    "sys.stdout.buffer.write(msgspec.json.encode(matrix.measure((matrix.INSIDE[0], matrix.INSIDE[-1]))))"
)


@functools.cache
def inside(user: str) -> tuple[Row, ...]:
    """Return the passes from inside, as `user`, one of `USERS`; as the second one, only without a lock and with all."""
    if user == "root" or not ROOT:
        return matrix.measure(matrix.INSIDE)
    with tempfile.TemporaryDirectory() as home:
        command = ordinary([sys.executable, "-I", "-c", _INSIDE], Path(home))
        printed = subprocess.run(command, capture_output=True, check=True, timeout=600)
    return msgspec.json.decode(printed.stdout, type=tuple[matrix.Row, ...])


@functools.cache
def outside() -> tuple[Row, ...]:
    """Return the passes from outside, as an ordinary user."""
    return matrix.measure(matrix.OUTSIDE, ordinary=True)


def row(rows: tuple[Row, ...], position: Position, layers: Layers) -> Row:
    """Return the pass of that position and those layers."""
    return next(each for each in rows if each.position is position and each.layers is layers)
