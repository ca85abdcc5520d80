"""The interpreter for members that a test spawns by itself: made once for a run, as a supervisor makes it once."""

from __future__ import annotations

import functools

from trollbridge.actors.isolation.interpreter import Interpreter


@functools.cache
def interpreter() -> Interpreter:
    """Return it; it lasts as long as the run."""
    return Interpreter.prepare()
