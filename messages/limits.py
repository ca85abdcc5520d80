"""Sizes that both ends of a socket must agree on before anything else is loaded.

May import: nothing. Invariant: numbers only.
"""

from __future__ import annotations

from typing import Final

LARGEST_RECORD: Final = 192 * 1024
"""Bytes of one record; a longer packet is malformed."""
