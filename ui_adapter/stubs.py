"""A session's generated client code: `bridge.stubs.python()`, `.javascript()`, `.typescript()`, and who its names mean.

May import: `actors`, our messages, the table of stubs and what writes texts of it. Invariants: a name stands for a
handler in one session only, is derived from that session's code and does not lead back to it; whatever is not granted
has none; the same session gives the same bytes however often it is asked.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trollbridge.actors.calling.proxies import HandlerProxy
from trollbridge.messages.errors import NoSuchHandler
from trollbridge.messages.grants import DECIDING
from trollbridge.messages.ids import HandlerName
from trollbridge.ui_adapter import stubs_javascript, stubs_python
from trollbridge.ui_adapter.stubs_table import stub_of, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trollbridge.actors.calling.client import Client
    from trollbridge.actors.calling.route import Route
    from trollbridge.ui_adapter.stubs_table import Stub, Table


class Stubs:
    """The stubs of one session, for whoever may not have the bridge itself: a page, a script, another interpreter.

    They grant nothing: a call under one of these names is a call of the bridge, under the same grants.
    """

    def __init__(self, client: Client, routes: Mapping[HandlerName, Route], *, core: bool) -> None:
        """Name what may be called in this session; raises nothing, whatever a manifest holds."""
        self._client: Final = client
        self._routes: Final = routes
        self._core: Final = core
        self.epoch: Final = client.epoch or 0
        """The session's epoch; 0 if there is no ring, and then there are no stubs."""
        self.table: Final[Table] = table_of(
            stub_of(name.partition(".")[0], route.entry, core=core)
            for name, route in routes.items()
            if route.entry.name not in DECIDING  # whoever has a stub decides on nobody's calls
        )
        """What the texts are made of."""
        self._stubs: Final = {each.name: each for each in self.table.stubs}
        self.names: Final[Mapping[str, str]] = MappingProxyType(
            {each.full_name: each.name for each in self.table.stubs}
        )
        """Each handler's name in this session: `{"notary.sign": "h_…"}`."""

    def stub(self, name: str) -> Stub:
        """Return the stub of a session's name; raises `NoSuchHandler` for any other text."""
        found = self._stubs.get(name)
        if found is None:
            raise NoSuchHandler
        return found

    def handler(self, name: str) -> HandlerProxy:
        """Return the handler of a session's name, ready to call; raises `NoSuchHandler` for any other text."""
        return HandlerProxy(self._client, HandlerName(self.stub(name).full_name))

    def python(self) -> str:
        """Return a module of typed functions, each with the bridge as its first parameter, and their table `NAMES`."""
        return stubs_python.module(self.table, self.epoch)

    def javascript(self) -> str:
        """Return an ES module; its `connect(send)` gives an object of functions for each member (see `page_calls`)."""
        return stubs_javascript.module(self.table, self.epoch)

    def typescript(self) -> str:
        """Return the types of that module, a `.d.ts`: the same in each session."""
        return stubs_javascript.declarations(self.table)

    def of(self, routes: Mapping[HandlerName, Route], *, core: bool) -> bool:
        """Return whether these are the stubs of these routes."""
        return self._routes is routes and self._core is core

    def __repr__(self) -> str:
        """Show how many, and no name."""
        return f"<Stubs of epoch {self.epoch}: {len(self._stubs)}>"


def stubs_of(client: Client, before: Stubs | None) -> Stubs:
    """Return the stubs of the session that the client has now, `before` if it still has that."""
    routes = client.routes()
    core = client.close_window is not None and not client.foreign
    return before if before is not None and before.of(routes, core=core) else Stubs(client, routes, core=core)
