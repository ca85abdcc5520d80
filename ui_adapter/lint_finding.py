"""What the linter finds: one value for each finding, under a code that never changes.

May import: the standard library, `msgspec`. Invariant: a finding is one line, and says where, what, and what to change.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec


class Code(enum.StrEnum):
    """The rules of the linter; scripts search for these names."""

    HANDLER_UNCALLABLE = "handler-uncallable"
    """Nobody may call a handler."""
    GRANT_UNKNOWN = "grant-unknown"
    """A grant names a handler that is not exported, or a parameter that the handler does not have."""
    GRANT_NEVER_FITS = "grant-never-fits"
    """No call can meet the conditions of a grant."""
    GRANT_CORE = "grant-core-only"
    """A handler that only the core UI may call is granted to somebody else."""
    GRANT_SHADOWED = "grant-shadowed"
    """An earlier grant decides on every call that this one fits."""
    GRANT_UNUSED = "grant-unused"
    """A run in learn mode has not used a grant."""
    GRANT_UNMENTIONED = "grant-unmentioned"
    """The caller's code does not mention the handler. A guess: code can call by a name that it puts together."""
    GRANT_MISSING = "grant-missing"
    """An enclave's or a host's code calls a peer's handler that it is not granted."""
    GRANT_OPEN = "grant-open"
    """An extension may call something powerful with any arguments, as often as it likes."""
    SCOPE_SECRET = "scope-holds-secret"  # noqa: S105  # the name of a rule
    """A process may reach a place where secrets are kept that are not its own."""
    SCOPE_CODE = "scope-holds-code"
    """A process may change what runs at the next start."""
    SCOPE_WIDE = "scope-wide"
    """A process may reach a folder that everybody's things lie in."""
    ENCLAVE_IMPORTED = "enclave-imported"
    """A caller's process loads the code of an enclave."""
    PROGRAM_OPEN = "program-open"
    """A program may be given any argument."""


FORMAT: Final = 1
"""The number of the JSON's form; a program that reads it can refuse another."""


class Finding(msgspec.Struct, frozen=True):
    """One thing to change; as JSON, the names are the keys."""

    code: Code
    where: str
    """A member, a handler, or a caller's rule."""
    what: str
    change: str

    def line(self) -> str:
        """Return it for people."""
        return f"{self.code}: {self.where}: {self.what}; {self.change}"


class Findings(msgspec.Struct, frozen=True):
    """Everything that was found; as JSON, the names are the keys."""

    format: int
    findings: tuple[Finding, ...]
