"""Where the user interface and the extension meet: forms lie open here, and offers are laid beside them.

What is offered is sealed: the desk could not read it either. It keeps nothing once a form is closed.
"""

from __future__ import annotations

from collections.abc import Generator  # read at run time, as every annotation of a handler
from itertools import count

import msgspec

from trollbridge.actors import HostActor, Pause, Topic, handler
from trollbridge.messages.ring_key import Sealed


class Form(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A page that waits for a login."""

    number: int
    page: str


class Offer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What an extension would fill in, which site's login it says that is, and what else it says about it."""

    sealed: Sealed
    site: str
    words: str


class Desk(HostActor):
    """Carries forms to whoever may fill them in, and offers back."""

    def on_start(self) -> None:
        """Begin with no form."""
        self._numbers = count(1)
        self._forms: Topic[Form] = Topic()
        self._open: dict[int, tuple[Form, Topic[Offer]]] = {}

    @handler
    def ask(self, page: str) -> Generator[Offer | Pause, None, None]:
        """Lay a form open; stream what is offered for it, until the caller has had enough."""
        form, offers = Form(next(self._numbers), page), Topic[Offer]()
        self._open[form.number] = form, offers
        self._forms.publish(form)
        try:
            yield from offers.subscribe()
        finally:
            del self._open[form.number]

    @handler
    def forms(self) -> Generator[Form | Pause, None, None]:
        """Stream the forms that lie open, and each one that is laid open from now on."""
        later = self._forms.subscribe()
        yield from [form for form, _ in self._open.values()]
        yield from later

    @handler
    def offer(self, number: int, sealed: Sealed, site: str, words: str) -> None:
        """Lay an offer beside a form; of one that is closed, forget it."""
        if number in self._open:
            self._open[number][1].publish(Offer(sealed, site, words))
