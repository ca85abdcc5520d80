"""Acts of a user interface that loads foreign code into its own process, and of that code."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import gc
import os
import sys
import types
from typing import TYPE_CHECKING, Any

from trollbridge.messages.errors import AuthenticationFailed
from trollbridge.messages.ring_key import SEALED, RingKey, Sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.puppet import Strings


def load(strings: Strings, reference: str) -> list[str]:
    """Load a plugin over the bridge; return its module's name and what it found while it was imported."""
    module: Any = strings.bridge.load_plugin(reference)
    return [module.__name__, *getattr(module, "FOUND", ())]


def loaded(_strings: Strings, name: str) -> bool:
    """Return whether a module was imported."""
    return name in sys.modules


def keep_sealed(strings: Strings, promise: str) -> str:
    """Wait for a result that comes sealed and keep it; return its `repr`."""
    value = strings.promises[promise].get(timeout=20.0)
    if not isinstance(value, Sealed):
        raise TypeError
    strings.kept["sealed"] = value
    return repr(value)


def carry(strings: Strings, promise: str) -> bytes:
    """Wait for a result that comes sealed; return its bytes, as an extension would send them to the core."""
    value = strings.promises[promise].get(timeout=20.0)
    return SEALED.encode(value)


def open_kept(strings: Strings) -> object:
    """Open over the bridge what `keep_sealed` has kept."""
    return strings.bridge.open(strings.kept["sealed"])


def open_carried(strings: Strings, sealed: bytes) -> object:
    """Open over the bridge what another process carried here."""
    return strings.bridge.open(SEALED.decode(sealed))


def keep(strings: Strings, value: bytes) -> None:
    """Keep some bytes."""
    strings.kept["value"] = value


def keep_key(strings: Strings) -> None:
    """Keep a reference to the ring key, as code that was there before might have."""
    membership = strings.client._membership
    if membership is None:
        raise ConnectionError
    strings.kept["key"] = membership.ring_key


def write_key(strings: Strings, path: str) -> None:
    """Write the ring key into a file, straight from where it lies: this process makes no copy of it for that."""
    membership = strings.client._membership
    if membership is None or membership.ring_key is None or membership.ring_key._key is None:
        raise ConnectionError
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123  # nothing of it may lie in a buffer
        os.write(file.fileno(), membership.ring_key._key.view)


def use_kept_key(strings: Strings) -> str:
    """Open what was kept with the kept key itself; return what came of it."""
    key: RingKey = strings.kept["key"]
    try:
        key.open(strings.kept["sealed"])
        key.reveal()
    except AuthenticationFailed as error:
        return type(error).__name__
    return "opened"


def hunt(_strings: Strings, key: bytes) -> list[str]:
    """Look for a ring key through everything that Python's collector, frames, closures and modules lead to."""
    return sorted(set(_hunt(key)))


def _hunt(key: bytes) -> Iterator[str]:
    seen: set[int] = set()
    waiting: list[object] = [*gc.get_objects(), *sys.modules.values(), *sys._current_frames().values()]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or each is key:
            continue
        seen.add(id(each))
        if type(each) is RingKey:
            if each._key is not None:
                yield "a ring key that works"
        elif isinstance(each, bytes | bytearray | memoryview):
            text = bytes(each)  # pyright: ignore[reportUnknownArgumentType]  # a view of whatever items
            if key in text and key != text:  # the question itself came here as such bytes
                yield f"the key's bytes in a {type(text).__name__}"
        elif isinstance(each, types.CellType):
            waiting += [each.cell_contents] if _filled(each) else []
        else:
            waiting += [found for found in gc.get_referents(each) if not isinstance(found, type(sys))]


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # an empty one raises
    except ValueError:
        return False
    return True
