"""Calls of others that wait for the core UI's approval: reads the lists of every server, and decides.

May import: `actors`, `messages`. Invariants: a decision goes to the server that was asked, under the ticket that it
gave; a server speaks for itself alone, in words that can be shown; one that fails hides nobody else's calls.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from trollbridge.actors.calling.proxies import HandlerProxy
from trollbridge.messages.codec import BUILTIN
from trollbridge.messages.errors import NoSuchHandler, UsageError
from trollbridge.messages.grants import DECIDING, MOST_SHOWN, MOST_WAITING, CallApproval, Shown, fit
from trollbridge.messages.ids import HandlerName

if TYPE_CHECKING:
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.actors.calling.proxies import Calls

_LIST, _APPROVE, _REFUSE = DECIDING
PATIENCE: Final = 10.0
"""Seconds within which all servers answer."""


def waiting(client: Calls, timeout: float = PATIENCE) -> tuple[CallApproval, ...]:
    """Return what waits anywhere, the oldest first; nothing to whoever is not the core UI.

    A server that fails, or tells what is no list of calls, is left out; if all do, raises what the first one failed by.
    """
    until = time.monotonic() + timeout
    servers = [name.partition(".")[0] for name in client.routes() if name.partition(".")[2] == _LIST]
    asked: dict[str, Promise[object]] = {}
    found: list[CallApproval] = []
    errors: list[Exception] = []
    for server in servers:
        try:
            asked[server] = HandlerProxy(client, HandlerName(f"{server}.{_LIST}"))()
        except Exception as error:  # noqa: BLE001  # what is called here is what the server says that it is
            errors.append(error)
    for server, promise in asked.items():
        try:
            found += _told(server, promise.get(timeout=max(0.0, until - time.monotonic())))
        except Exception as error:  # noqa: BLE001  # whatever a server answers
            promise.cancel()
            errors.append(error)
    if errors and len(errors) == len(servers):
        raise errors[0]
    return tuple(sorted(found, key=lambda each: each.asked))


def _told(server: str, told: object) -> list[CallApproval]:
    """Return the calls that a server tells of, as it may tell of them: see `approving` for what an honest one does."""
    found = msgspec.convert(told, tuple[CallApproval, ...], builtin_types=BUILTIN, from_attributes=True)
    now = int(time.time())
    return [
        structs.replace(
            each,
            server=server,
            handler=fit(each.handler),
            caller=fit(each.caller),
            arguments=tuple(Shown(fit(one.name), fit(one.text)) for one in each.arguments[: MOST_SHOWN + 1]),
            asked=min(max(each.asked, 0), now),
        )
        for each in found[:MOST_WAITING]
    ]


def decide(client: Calls, approval: CallApproval, *, approve: bool) -> Promise[None]:
    """Let a call pass once, or refuse it and its like; return the promise of that."""
    given: object = approval
    if type(given) is not CallApproval:
        msg = f"approve and refuse take one of what bridge.approvals() returns, not a {type(given).__name__}"
        raise UsageError(msg)
    name = HandlerName(f"{approval.server}.{_APPROVE if approve else _REFUSE}")
    if name not in client.routes():
        raise NoSuchHandler
    promise: Promise[None] = HandlerProxy(client, name)(approval.ticket)
    return promise
