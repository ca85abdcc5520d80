"""Where the command begins: a supervisor is started again, execute-only, before it has learnt anything.

May import: our actors' isolation; the command only once that is done. Invariant: what holds an application together is
never a process that others of its user could have looked into from its start.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn, cast

if TYPE_CHECKING:
    from types import ModuleType

SUPERVISING: Final = frozenset(
    {"run", "demo", "vault", "key", "sign", "verify", "encrypt", "decrypt", "file", "secret"}
)
"""The commands whose own process supervises an application with secrets."""


def main() -> NoReturn:
    """Run the command and exit."""
    _load_msgspec()
    if SUPERVISING & set(sys.argv[1:2]):
        _start_over()
    from trollbridge.ui_adapter.cli import main as command  # noqa: PLC0415  # after that

    command()


def gpg() -> NoReturn:
    """Run the command that git calls as its `gpg.program`, and exit."""
    _load_msgspec()
    _start_over()
    from trollbridge.ui_adapter.vault.gpg_shim import main as shim  # noqa: PLC0415  # after that

    shim()


def _load_msgspec() -> None:
    """Load msgspec without typing_extensions, which it can do without and which costs 14 ms (as `spawn` does)."""
    if "typing_extensions" not in sys.modules:
        sys.modules["typing_extensions"] = cast("ModuleType", None)
        import msgspec  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]

        del sys.modules["typing_extensions"]


def _start_over() -> None:
    if sys.platform == "linux":
        from trollbridge.actors.isolation.interpreter import start_over  # noqa: PLC0415  # other commands need not wait

        start_over()
