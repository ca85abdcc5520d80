"""The UI of the vault's commands: carries out one order, tells what came of it, and ends with its exit code.

May import: our bridge, our orders and acts, `messages`. Invariant: whatever fails, a person reads one line on standard
error, and the exit code is that of the table.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar

import pykka

from trollbridge.actors import exits
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.messages.vault import VOCABULARY
from trollbridge.ui_adapter.bridge import Bridge, UiActor
from trollbridge.ui_adapter.vault import exit_codes
from trollbridge.ui_adapter.vault.desk import Desk
from trollbridge.ui_adapter.vault.failures import code_of
from trollbridge.ui_adapter.vault.key_orders import KeyOrder
from trollbridge.ui_adapter.vault.orders import VaultOrder
from trollbridge.ui_adapter.vault.refusals import NotFound
from trollbridge.ui_adapter.vault.reports import tell
from trollbridge.ui_adapter.vault.request import decode
from trollbridge.ui_adapter.vault.work_orders import DocumentOrder, GitOrder

if TYPE_CHECKING:
    import msgspec


class VaultConsole(UiActor):
    """Carries out the order of its setting `request`."""

    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = VOCABULARY

    def __init__(self, request: str) -> None:
        """Take the request as `request.encode` made it."""
        super().__init__()
        self._request = decode(request)

    def main(self, bridge: Bridge) -> int:
        """Carry it out; return the exit code."""
        try:
            return _carry_out(Desk(bridge, self._request))
        except TrollbridgeError as error:
            with contextlib.suppress(OSError):
                tell(str(error), error.listed if isinstance(error, NotFound) else ())
            return code_of(error)
        except pykka.Timeout:
            tell("the vault did not answer in time")
            return exit_codes.FAILED
        except BrokenPipeError:
            return exits.OUTPUT_CLOSED
        except OSError as error:  # inputs and files have errors of their own
            with contextlib.suppress(OSError):
                tell(f"the output cannot be written: {error.strerror or error}")
            return exits.OUTPUT_CLOSED


def _carry_out(desk: Desk) -> int:
    """Do what was ordered; only what this order needs is loaded."""
    order = desk.request.order
    if isinstance(order, VaultOrder):
        from trollbridge.ui_adapter.vault import vault_acts  # noqa: PLC0415

        return vault_acts.carry_out(desk, order)
    if isinstance(order, KeyOrder):
        from trollbridge.ui_adapter.vault import key_acts  # noqa: PLC0415

        return key_acts.carry_out(desk, order)
    if isinstance(order, DocumentOrder):
        from trollbridge.ui_adapter.vault import document_acts  # noqa: PLC0415

        return document_acts.carry_out(desk, order)
    if isinstance(order, GitOrder):
        from trollbridge.ui_adapter.vault import git_acts  # noqa: PLC0415

        return git_acts.carry_out(desk, order)
    from trollbridge.ui_adapter.vault import secret_acts  # noqa: PLC0415

    return secret_acts.carry_out(desk, order)
