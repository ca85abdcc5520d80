"""What a puppet does while its hosts come and go."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from trollbridge.messages import control
from trollbridge.messages.control import SessionTicket
from trollbridge.messages.errors import CallError, ProtocolError, ServerLost
from trollbridge.messages.ids import HandlerName, MemberId, Role

if TYPE_CHECKING:
    from tests.harness.puppet import Strings
    from trollbridge.actors.calling.membership import Membership
    from trollbridge.actors.calling.renewing import Word

PATIENCE = 30.0
_PAUSE = 0.005


def _membership(strings: Strings) -> Membership:
    membership = strings.client._membership
    if membership is None:
        raise ConnectionError
    return membership


def knows(strings: Strings, host: str, *, here: bool) -> bool:
    """Wait, without reading the link, until this client knows that a host is there, or that it is not."""
    until = time.monotonic() + PATIENCE
    pause = threading.Event()
    while _membership(strings).renewing._here(MemberId(host)) is not here:
        if time.monotonic() > until:
            return False
        pause.wait(_PAUSE)
    return True


def mixed(strings: Strings, handler: str, calls: int, threads: int) -> dict[str, int]:
    """Call a handler from several threads, one call after the other; return how often it ended how."""
    ends: dict[str, int] = {}
    lock = threading.Lock()

    def work() -> None:
        for _ in range(calls):
            try:
                strings.client.call(HandlerName(handler), (b"x",), {}).get(timeout=PATIENCE)
                end = "value"
            except ServerLost as error:
                end = error.outcome.value
            except CallError as error:
                end = type(error).__name__
            with lock:
                ends[end] = ends.get(end, 0) + 1

    working = [threading.Thread(target=work) for _ in range(threads)]
    for each in working:
        each.start()
    for each in working:
        each.join(PATIENCE)
    return ends


def secrets_of(strings: Strings, host: str, handler: str) -> list[Any]:
    """Return what must be another with each process of a host: the session code of a handler, and its UIDs."""
    membership = _membership(strings)
    name = HandlerName(handler)
    held = membership.leases.get(name)
    return [membership.routes[name]._replicas[MemberId(host)], sorted(held or ())]


def forged(strings: Strings, word: str, member: str, role: str) -> str:
    """Take a word about a member as if the supervisor had said it; return the error that comes of it."""
    ticket = SessionTicket("puppet", Role.UI, member, role, os.urandom(32), ())
    words: dict[str, Word] = {
        "away": control.Away(member),
        "withdrawn": control.Withdrawn(member),
        "renew": control.Renew(ticket),
    }
    try:
        strings.client.host_changed(words[word])
    except ProtocolError as error:
        return type(error).__name__
    return ""
