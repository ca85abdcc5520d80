"""Two attacks of a hostile UI, from where it hurts most: its own membership, with its own keys, over its own link.

May import: `actors`, `messages`, our bridge. Invariant: it sends only what this member may seal anyway, so whatever
refuses it is the broker's rule and not a broken message.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import RingDismantled
from trollbridge.messages.ids import HandlerName, HandlerUID, Microseconds
from trollbridge.messages.record import Item, Routed, route

if TYPE_CHECKING:
    from collections.abc import Generator
    from threading import Lock

    from trollbridge.actors.calling.client import Client
    from trollbridge.actors.calling.membership import Membership
    from trollbridge.actors.processes.endpoint import Endpoint
    from trollbridge.ui_adapter.bridge import Bridge


class _Recorder:
    """Stands in for the endpoint and keeps a copy of what is put into it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.kept: list[tuple[Routed, bytes]] = []

    def put(self, item: Item, body: bytes = b"") -> None:
        if isinstance(item, Routed) and item.kind == Kind.CALL:
            self.kept.append((item, bytes(body)))
        self._endpoint.put(item, body)

    def __getattr__(self, name: str) -> object:
        return getattr(self._endpoint, name)


class Attacker:
    """What code that runs inside the UI can do with everything that the UI has."""

    def __init__(self, bridge: Bridge) -> None:
        """Take the bridge whose client is reached into."""
        self._client: Final[Client] = vars(bridge)["_client"]  # an attacker does not ask
        self._lock: Final[Lock] = vars(self._client)["_lock"]
        self.captured: list[tuple[Routed, bytes]] = []

    def _membership(self) -> Membership:
        membership: Membership | None = vars(self._client)["_membership"]
        if membership is None:
            raise RingDismantled
        return membership

    @contextmanager
    def capturing(self) -> Generator[None]:
        """Keep a copy of every call's envelope that leaves meanwhile, as it stands on the link."""
        membership = self._membership()
        endpoint = membership.endpoint
        recorder = _Recorder(endpoint)
        vars(membership)["endpoint"] = recorder
        try:
            yield
        finally:
            vars(membership)["endpoint"] = endpoint
            self.captured += recorder.kept

    def replay(self) -> None:
        """Send the first captured envelope once more, to the bit as it was."""
        item, body = self.captured[0]
        self._send(item, body)

    def use_again(self, name: str, *arguments: object) -> None:
        """Send a fresh call of `name`, sealed properly, under the UID of the first captured one."""
        membership = self._membership()
        found = membership.routes[HandlerName(name)]
        uid = HandlerUID(self.captured[0][0].uid)
        with self._lock:
            session = membership.peers[found.peer].session
            envelope = session.seal(Kind.CALL, uid, Microseconds(0), found.content(arguments, {}))
        self._send(route(envelope, b""), envelope.body)

    def _send(self, item: Routed, body: bytes) -> None:
        endpoint = self._membership().endpoint
        with self._lock:
            endpoint.put(item, body)
        self._client.flush()
