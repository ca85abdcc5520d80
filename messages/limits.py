"""Sizes that both ends of a socket must agree on before anything else is loaded.

May import: nothing. Invariant: numbers only.
"""

from __future__ import annotations

from typing import Final

LARGEST_RECORD: Final = 192 * 1024
"""Bytes of one record; a longer packet is malformed."""
FIRST_CREDIT: Final = 32
"""Items of a stream that its server may send before it is asked for more, and the most that it may have leave for."""
LARGEST_MAX_BYTES: Final = 1 << 30
"""The largest `max_bytes` of a handler; a manifest that says more is malformed."""
FARTHEST: Final = 100_000_000
"""Seconds that a deadline may lie ahead: three years. A call with a later one is malformed."""
LONGEST_WAIT: Final = 3600.0
"""Seconds of one wait, after which its loop looks again whether it is over: no kernel takes every number."""
