"""A real ring with both hosts, a puppet and an extension, which a module's tests share."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.harness.ordinary import ordinary
from tests.harness.puppeteer import Backstage, Hand, Puppeteer
from tests.hosts import stream_acts

if TYPE_CHECKING:
    from collections.abc import Generator

APP: Final = "tests.hosts.host_app:host_app"


class Scene(NamedTuple):
    """What a test is given."""

    ui: Puppeteer
    plugin: Hand
    folder: Path

    @property
    def notes(self) -> Path:
        """The folder that may be read."""
        return self.folder / "notes"

    @property
    def out(self) -> Path:
        """The folder that may be written."""
        return self.folder / "out"


@contextmanager
def scene(*, as_ordinary: bool) -> Generator[Scene]:
    """Form the ring, in a folder of its own; as an ordinary user, or as whoever runs the tests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o777)
        (folder / "home").mkdir()
        (folder / "notes").mkdir()
        (folder / "notes").chmod(0o777)
        (folder / "secret").write_bytes(b"the secret outside")
        with Backstage(folder) as back:
            Path(back.path).chmod(0o777)
            settings = {"folder": str(folder), "backstage": back.path}
            launch = [sys.executable, "-m", "tests.harness.launch", APP, json.dumps(settings)]
            command = tuple(ordinary(launch, folder / "home")) if as_ordinary else ()
            with Puppeteer(APP, settings, command=command) as ui:
                ui.await_epoch(1)
                yield Scene(ui, back.next_hand(), folder)


def ask(hand: Hand, handler: str, *positional: object) -> Any:  # noqa: ANN401  # whatever the handler returns
    """Call a handler; return its result. Raises `Told`."""
    return hand.act(stream_acts.ask, handler=handler, positional=list(positional))


def take(hand: Hand, handler: str, *positional: object) -> tuple[list[Any], Any]:
    """Call a handler that streams; return all of its items, and its result. Raises `Told`."""
    found = hand.act(stream_acts.take, handler=handler, positional=list(positional))
    return found["items"], found["result"]
