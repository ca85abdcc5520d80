"""Who may join the ring that is being formed, and over which socket: the places, and the broker's ends of their links.

May import: our messages, `formation`, `sockets`. Invariant: an end is handed to the broker once; what was not is closed
when the ring is sealed or falls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.actors.processes import sockets
from trollbridge.actors.trust_ring.formation import Place, caller_place, host_place, ring_places
from trollbridge.messages import control
from trollbridge.messages.ids import Epoch, MemberId, Role

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from trollbridge.actors.app import App


class Admission:
    """The places of one ring at a time."""

    def __init__(self, app: App) -> None:
        """Take the declaration."""
        self._app = app
        self._places: dict[MemberId, Place] = {}
        self._ends: dict[MemberId, socket.socket] = {}

    def form(self) -> Iterable[tuple[Place, socket.socket]]:
        """Make the places of the UI and the enclaves; return each with the member's end of its link."""
        self._places = ring_places(self._app)
        return [(place, self._link(place)) for place in self._places.values()]

    def extension(self, member: MemberId) -> socket.socket:
        """Make an extension's place; return its end of its link."""
        self._places[member] = caller_place(self._app, member, Role.EXTENSION)
        return self._link(self._places[member])

    def host(self, member: MemberId) -> socket.socket:
        """Make the place of a host that comes in the place of another; return its end of its link."""
        self._places[member] = host_place(self._app, member)
        return self._link(self._places[member])

    def _link(self, place: Place) -> socket.socket:
        ours, theirs = sockets.pair()
        sockets.demand_credentials(ours)
        self._ends[place.member] = ours
        return theirs

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that is still open."""
        return tuple(self._places.values())

    def place(self, member: MemberId) -> Place | None:
        """Return a member's place, if it has one now."""
        return self._places.get(member)

    def take_end(self, place: Place) -> socket.socket:
        """Return the broker's end of a link, for the one time that it is handed over."""
        return self._ends.pop(place.member)

    def remove(self, member: MemberId) -> None:
        """Take a place back: its holder has ended."""
        self._places.pop(member, None)
        end = self._ends.pop(member, None)
        if end is not None:
            end.close()

    def seal(self) -> None:
        """Forget every place: nobody else can join."""
        self._places = {}

    def close(self) -> None:
        """Forget everything; close the ends that nobody took."""
        self._places = {}
        for end in self._ends.values():
            end.close()
        self._ends.clear()


def open_link(epoch: Epoch, place: Place, pid: int) -> control.OpenLink:
    """Return the message that lets a member in at the broker."""
    return control.OpenLink(
        epoch, place.member, place.role, pid, place.token, place.handlers, place.peers, place.service
    )
