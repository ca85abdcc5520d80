"""The declaration of an extension that is installed: by the name of its entry point.

May import: our messages, `app`. Invariant: what is declared so is read from metadata; its code runs in its own process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.actors.app import Child
from trollbridge.actors.reference import ENTRY
from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trollbridge.messages.sandbox import Sandbox


class Extension(Child):
    """An extension that a distribution offers in the group `trollbridge.extensions`, known by that name here too."""

    __slots__ = ()

    def __init__(  # noqa: PLR0913  # a declaration; each is given by name
        self,
        installed: str,
        *,
        name: str = "",
        settings: Mapping[str, str] | None = None,
        sandbox: Sandbox | None = None,
        least: str | None = None,
        memory: int | None = None,
        restart: str | None = None,
        shutdown: float | None = None,
    ) -> None:
        """Take the entry point's name; the rest is as of a `Child`. Raises `DeclarationError` if it is not installed.

        A hyphen or a dot in the entry point's name is an underscore in the member's.
        """
        if "/" in installed or ":" in installed:
            msg = f"Extension takes the name of an entry point; write Child({installed!r}), or the text alone"
            raise DeclarationError(msg)
        own = installed.lower().replace("-", "_").replace(".", "_")
        reference = f"{ENTRY}:{installed}"
        super().__init__(
            reference,
            name=name or own,
            settings=settings,
            sandbox=sandbox,
            least=least,
            memory=memory,
            restart=restart,
            shutdown=shutdown,
        )
