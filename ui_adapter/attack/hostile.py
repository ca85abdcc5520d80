"""The hostile members: a UI that takes its orders from its input, and an extension that gets them by letter.

May import: `actors`, `messages`, our bridge, the hostile acts. Invariant: they do what the suite orders and nothing
else, and end by themselves when nobody orders any more.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, ClassVar, Final

from trollbridge.actors.entry.caller import CallerActor
from trollbridge.messages.errors import CallError, RingDismantled
from trollbridge.messages.ids import HandlerName
from trollbridge.messages.vault import VOCABULARY
from trollbridge.ui_adapter.attack import hostile_acts as acts
from trollbridge.ui_adapter.attack import hostile_keys as keys
from trollbridge.ui_adapter.attack.hostile_orders import Answer, Order, encode, line_of, order_of
from trollbridge.ui_adapter.attack.hostile_reach import PATIENCE, Reach

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from trollbridge.actors.calling.client import Client

TARGET_SETTING: Final = "attack_target"
"""The setting that names the target; a member's own settings stay beside it, since its sandbox may use them."""
NAME_SETTING: Final = "attack_name"
GLANCE: Final = 0.004
"""Seconds between two looks of an extension for a letter."""


ACTS: Final[dict[str, Callable[..., object]]] = {
    each.__name__: each
    for each in (
        *(acts.epoch, acts.echo, acts.count, acts.attempt, acts.post, acts.collect),
        *(acts.take, acts.lease, acts.request, acts.flood, acts.call_under, acts.race, acts.packet, acts.packets),
        *(acts.throw, acts.throw_sealed, acts.again, acts.twist, acts.flip, acts.overtake, acts.reflect, acts.claim),
        *(acts.given_up, acts.twins, acts.open_ended),
        *(keys.arguments, keys.contents, keys.functions, keys.secret, keys.unseal, keys.unseal_by_force, keys.hunt),
        *(keys.offer, keys.greet, keys.publish, keys.hello, keys.control, keys.half_close, keys.fork, keys.inherit),
        *(keys.routes, keys.withheld, keys.elsewhere, keys.send_elsewhere),
    )
}


def perform(reach: Reach, order: Order) -> Answer:
    """Do what is ordered; whatever it raises is the answer."""
    try:
        return Answer(order.number, ACTS[order.act](reach, **order.arguments))
    except Exception as error:  # noqa: BLE001  # what an attack meets is what it reports
        return Answer(order.number, error=type(error).__name__, text=str(error))


class _Hostile(CallerActor):
    """What both have: the settings of the member whose place they take."""

    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = VOCABULARY

    def __init__(self, **settings: str) -> None:
        """Take any settings."""
        super().__init__()
        self._target = settings[TARGET_SETTING]
        self._name = settings[NAME_SETTING]

    def _reach(self, client: Client) -> Reach:
        return Reach(client, self._name, self._target)


class HostileUi(_Hostile):
    """A user interface whose code belongs to somebody else."""

    def run(self, client: Client) -> int:
        """Do what each line of standard input orders, and answer on standard output, until the input ends."""
        reach = self._reach(client)
        waiting = b""
        while data := os.read(0, 65536):
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                order = order_of(bytes.fromhex(line.decode()))
                text = line_of(perform(reach, order))
                while text:
                    text = text[os.write(1, text) :]
        return 0


class HostileExtension(_Hostile):
    """An extension that looks in its letter box at the target for orders."""

    def run(self, client: Client) -> int:
        """Do what each letter orders, until there is no ring any more."""
        reach = self._reach(client)
        pause = threading.Event()
        while True:
            try:
                letter = self._call(client, "collect", f"{self._name} orders")
                if letter:
                    answer = perform(reach, order_of(letter))
                    self._call(client, "post", f"{self._name} answers", encode(answer))
                else:
                    pause.wait(GLANCE)
            except (RingDismantled, CallError):
                if not client.wait_sealed(0.0):
                    return 0
                pause.wait(GLANCE)

    def _call(self, client: Client, method: str, *arguments: object) -> bytes:
        return bytes(client.call(HandlerName(f"{self._target}.{method}"), arguments, {}).get(timeout=PATIENCE) or b"")
