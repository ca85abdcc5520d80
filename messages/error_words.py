"""What whoever made a call is told of its end without a reply: what became of the call, and whether to call again.

May import: our error codes. Invariant: one sentence for each outcome, with the handler's name where it is known; nobody
is told to repeat a call that may have been carried out.
"""

from __future__ import annotations

from typing import Final

from trollbridge.messages.error_codes import Outcome

_SENTENCES: Final = {
    Outcome.NOT_STARTED: "{what} was not started, as {fell}: {again}.",
    Outcome.DONE: "{what} was done and its reply is lost, as {fell}: do not call it again.",
    Outcome.UNKNOWN: "{what} may have been running when {fell}, and nobody knows how far it came: "
    "look before you call it again.",
}
_QUARANTINED: Final = (
    "{} was running with these arguments at two ends of its server, so it is not run again until the application ends "
    "or an operator restarts {} (trollbridge restart)."
)
_SEALED: Final = "call it again once bridge.wait_sealed() returns"
_AWAY: Final = "the host is started again, so call it again in a moment"
_GONE: Final = "the host does not come back as long as this ring stands"
NO_RING: Final = "There is no sealed ring, and {}: {} once bridge.wait_sealed() returns."
"""Of what is not done without one, and when it can be."""
LATE: Final = "The deadline passed before the stream had ended."
"""Of a stream, at either end."""


def fallen(outcome: Outcome, handler: str) -> str:
    """Return what is said of a call that was outstanding when its ring fell; `handler`: its full name, or empty."""
    return _sentence(outcome, handler, "the trust ring was dismantled", _SEALED)


def lost(outcome: Outcome, handler: str, *, gone: bool) -> str:
    """Return what is said of a call whose host ended; `gone`: the host is not started again in this ring."""
    return _sentence(outcome, handler, "its host ended", _GONE if gone else _AWAY)


def quarantined(handler: str) -> str:
    """Return what is said of a call that is not run again, and who lifts that; empty if nobody knows the handler."""
    return _QUARANTINED.format(handler, handler.partition(".")[0]) if handler else ""


def unsent(handler: str) -> str:
    """Return what is said of a call that is made while there is no ring."""
    return NO_RING.format(f"{handler} was not sent", "call it")


def _sentence(outcome: Outcome, handler: str, fell: str, again: str) -> str:
    return _SENTENCES[outcome].format(what=handler or "The call", fell=fell, again=again)
