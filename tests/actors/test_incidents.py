"""What the log and the caller hear of a handler that fails, once or ten thousand times."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tests.actors.keeper import Keeper
from trollbridge.actors.handlers import exported
from trollbridge.actors.serving.incidents import Incidents
from trollbridge.actors.serving.invocation import Caller, Invocation, Origin
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.ids import HandlerUID, MemberId, Role

if TYPE_CHECKING:
    from trollbridge.messages.record import Item

VAULT: Final = MemberId("vault")
ECHO: Final = exported(Keeper)["echo"]


class Outside:
    """The log."""

    def __init__(self) -> None:
        """Start empty."""
        self.lines: Final[list[tuple[NoticeKind, str, str, str]]] = []

    def put(self, item: Item, body: bytes = b"") -> None:
        """Send nothing."""
        raise AssertionError(item, body)

    def notice(self, kind: NoticeKind, about: str, why: str, detail: str = "") -> None:
        """Keep a line."""
        self.lines.append((kind, about, why, detail))

    def now(self) -> int:
        """Return no time."""
        return 0

    def catch_up(self) -> None:
        """Hear nothing."""


def failing(kind: type[Exception], *arguments: Any) -> Exception:  # noqa: ANN401  # whatever the class takes
    """Return an exception that was raised here."""
    try:
        raise kind(*arguments)
    except kind as error:
        return error


def call(client: str) -> Invocation:
    """Return a call of this client's."""
    member = MemberId(client)
    origin = Origin(member, HandlerUID(bytes(16)), 1)
    return Invocation(origin, Caller(member, Role.EXTENSION), ECHO, (b"",), b"")


def test_many_failures_do_not_fill_the_log() -> None:
    """P3, I6: the first of a kind, the second, the fourth …; whoever is told a number finds it in the log."""
    outside = Outside()
    incidents = Incidents(VAULT, Role.ENCLAVE, outside)
    texts = [str(incidents.report(call("plugin"), failing(ValueError, "canary"))) for _ in range(10_000)]
    assert [line[3].split(", ")[1:] for line in outside.lines] == [
        [],
        *([f"{1 << power} so far"] for power in range(1, 14)),
    ]
    logged = [line[3].split()[1] for line in outside.lines]
    assert len(set(logged)) == len(logged)
    for number, text in enumerate(texts, 1):
        found = re.fullmatch(r"echo failed inside the enclave; incident (\w{8}) in the supervisor's log", text)
        assert found is not None
        assert found[1] == logged[number.bit_length() - 1]
    assert "canary" not in repr(outside.lines) + "".join(texts)


def test_each_kind_of_failure_is_logged_for_itself() -> None:
    """P3: another caller's, or one at another place, is no repetition; what a sandbox refused is as rare."""
    outside = Outside()
    incidents = Incidents(VAULT, Role.ENCLAVE, outside)
    elsewhere = ValueError("made, never raised")
    for error in (failing(ValueError), elsewhere):
        for client in ("plugin", "console"):
            for _ in range(3):
                incidents.report(call(client), error)
    assert [line[1] for line in outside.lines] == ["plugin"] * 2 + ["console"] * 2 + ["plugin"] * 2 + ["console"] * 2
    for _ in range(100):
        incidents.report(call("other"), failing(PermissionError, 13, "Permission denied", "/etc/shadow"))
    kinds = [line[0] for line in outside.lines[8:]]
    assert kinds.count(NoticeKind.INCIDENT) == 7
    assert kinds.count(NoticeKind.SANDBOX_DENIED) <= 7
