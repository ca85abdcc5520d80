"""`trollbridge doctor`: the report on this machine, or on what an application declares, for people or as JSON.

May import: the doctor. Invariant: the exit code says what the report says.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from trollbridge.actors.app import App


def machine(*, as_json: bool) -> int:
    """Report on this machine; return 0 if it keeps enclaves `full`, else 1."""
    from trollbridge.ui_adapter import doctor, doctor_report  # noqa: PLC0415  # the command line can do without

    report = doctor.examine()
    if as_json:
        _json(report)
    else:
        doctor_report.show(report, sys.stdout)
    return 0 if report.sound else 1


def application(app: App, *, as_json: bool) -> int:
    """Report on what an application declares; return 0 if all of it is there and nothing looks too wide, else 1."""
    from trollbridge.ui_adapter import doctor_scopes  # noqa: PLC0415

    found = doctor_scopes.scopes(app)
    if as_json:
        _json(found)
    else:
        doctor_scopes.show(found, sys.stdout)
    return 1 if any(each.faults or each.warnings for each in found) else 0


def _json(value: object) -> None:
    """Write one value on one line; raises `OSError` if nobody takes it."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()
