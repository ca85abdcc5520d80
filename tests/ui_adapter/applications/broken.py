"""A module whose import fails in the middle."""

from __future__ import annotations

raise RuntimeError("two lines\nof reasons")  # noqa: EM101, TRY003  # nothing but this is wanted here
