"""A UI that carries documents to the vault and back as it is told, line by line.

Each line of input is JSON: [function of `documents`, arguments, keyword arguments]; strings that begin with `/` are
paths, and a named pipe is opened, for writing if its name begins with `out`. Each line of output is JSON too: what is
known of the document, or the error, its text, and the seconds that it took.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trollbridge.actors.app import App, Child
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.messages.vault import PASSWORD_ONLY, VOCABULARY
from trollbridge.messages.vault_documents import Report
from trollbridge.messages.vault_secrets import Constraints
from trollbridge.ui_adapter import documents, unlocking
from trollbridge.ui_adapter.bridge import UiActor

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge, MemberProxy

PASSWORD: Final = "a password for the courier"
PATIENCE: Final = 60.0
HANDLERS: Final = (
    "create challenge unlock lock status generate export_public import_public encrypt decrypt sign verify "
    "begin feed feed_plain finish finish_plain cancel constrain approvals approve refuse import_secret"
)


class Courier(UiActor):
    """Does what it is told."""

    vocabulary = VOCABULARY

    def main(self, bridge: Bridge) -> int:
        """Make the vault, then carry."""
        vault = bridge.vault
        unlocking.create(vault, PASSWORD, PASSWORD_ONLY)
        with contextlib.suppress(PermissionError):  # an ordinary user may not; the 64 MiB of the hash count then, too
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): the peak is counted from here on
        _answer({"ready": os.getpid()})
        for line in sys.stdin:
            name, arguments, named = json.loads(line)
            started = time.monotonic()
            try:
                answer = _do(vault, name, arguments, named)
            except TrollbridgeError as error:
                answer = {"error": type(error).__name__, "text": str(error)}
            _answer({**answer, "seconds": time.monotonic() - started})
        return 0


def _answer(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _do(vault: MemberProxy, name: str, arguments: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    match name:
        case "approving":  # as `documents` does it, with a person who says yes or no
            function, yes = arguments.pop(0), arguments.pop(0)
            asked: list[str] = []

            def approve() -> None:
                (waiting,) = vault.approvals().get(timeout=PATIENCE)
                asked.append(f"{waiting.operation} {waiting.size} {waiting.head[:20]}")
                (vault.approve if yes else vault.refuse)(waiting.ticket).get(timeout=PATIENCE)

            return {**_document(vault, function, arguments, {**named, "approve": approve}), "asked": asked}
        case "constrain":
            vault.constrain(arguments[0], Constraints(approval=True), None).get(timeout=PATIENCE)
            return {}
        case "handler":
            found = getattr(vault, arguments[0])(*map(_value, arguments[1:])).get(timeout=PATIENCE)
            return {"value": getattr(found, "fingerprint", str(found))}
        case "median":  # milliseconds of a handler's call
            handler, given = getattr(vault, arguments[1]), tuple(map(_value, arguments[2:]))
            taken: list[float] = []
            for _ in range(arguments[0]):
                before = time.monotonic()
                handler(*given).get(timeout=PATIENCE)
                taken.append(time.monotonic() - before)
            return {"milliseconds": 1000 * statistics.median(taken)}
        case _:
            return _document(vault, name, arguments, named)


def _value(given: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(given, list):
        return tuple(map(_value, given))  # pyright: ignore[reportUnknownArgumentType]  # JSON
    return Path(given).read_bytes() if isinstance(given, str) and given.startswith("/") else given


def _place(given: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(given, str) and given.startswith("/"):
        path = Path(given)
        return path.open("wb" if path.name.startswith("out") else "rb") if path.is_fifo() else path
    return given


def _document(vault: MemberProxy, name: str, arguments: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    told: list[tuple[int, int | None]] = []

    def tell(done: int, total: int | None) -> None:
        told.append((done, total))

    places = [_place(each) for each in arguments]
    try:
        report = getattr(documents, name)(vault, *places, report=tell, **named)
    finally:
        for place in places:
            if hasattr(place, "close"):
                place.close()
    found: dict[str, Any] = {"told": told[-1:]}
    if isinstance(report, Report):
        found["signers"] = [each.user_id for each in report.signers]
        found["unknown"] = list(report.unknown)
    return found


def application(place: str) -> App:
    """Return a courier and its vault."""
    return App(
        ui=Child("tests.ui_adapter.courier:Courier"),
        enclaves=[Child("trollbridge.enclave.vault:Vault", name="vault", settings={"path": f"{place}/vault/a.vault"})],
        grants={"courier": [f"vault.{each}" for each in HANDLERS.split()]},
    )
