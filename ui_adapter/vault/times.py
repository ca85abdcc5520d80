"""Points in time as people write and read them.

May import: the standard library. Invariant: what is written without a zone is UTC, and so is what is shown.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

NEVER: Final = "never"
_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([mhdwy])", re.ASCII)
LAST: Final = 2**32 - 1
"""The last second that OpenPGP can name (RFC 9580, section 3.5): in 2106."""


def moment(text: str, now: int) -> int:
    """Return the seconds since 1970 that `2y`, `90d`, `2027-12-31` or `2027-12-31T12:00` stand for; 0 for `never`.

    A date alone is its first second. Raises `ValueError` with a sentence for anything else and for what is past.
    """
    if text == NEVER:
        return 0
    span = _SPAN.fullmatch(text)
    if span is not None:
        found = now + int(span[1]) * _UNITS[span[2]]
    else:
        try:
            when = dt.datetime.fromisoformat(text)
        except ValueError:
            msg = f"{text!r} is no time: write 2y, 12w, 90d, 12h, 30m, a date such as 2027-12-31, or never"
            raise ValueError(msg) from None
        found = int((when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp())
    if not now < found <= LAST:
        msg = f"{text!r} is not between now and the year 2106"
        raise ValueError(msg)
    return found


def span(text: str) -> int:
    """Return the seconds that `30d` stands for; raises `ValueError` with a sentence."""
    found = _SPAN.fullmatch(text)
    if found is None:
        msg = f"{text!r} is no length of time: write 2y, 12w, 90d, 12h or 30m"
        raise ValueError(msg)
    return int(found[1]) * _UNITS[found[2]]


def shown(moment: int | None) -> str:
    """Return a point in time as a person reads it: `2027-12-31`, with the minute if it is not midnight; or `never`."""
    if not moment:
        return NEVER
    try:
        when = dt.datetime.fromtimestamp(moment, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return str(moment)
    return f"{when:%Y-%m-%d}" if (when.hour, when.minute) == (0, 0) else f"{when:%Y-%m-%d %H:%M} UTC"
