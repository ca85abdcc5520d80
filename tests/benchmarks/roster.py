"""Who takes part in the benchmark: one table, with the version of each third-party peer pinned here and nowhere else.

Imports the standard library only. A peer without a requirement runs in the project's own environment.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One contender: its name, what people call it, its driver and what pip installs for it."""

    name: str
    title: str
    driver: str
    requirement: str | None = None
    version: str | None = None
    is_framework: bool = False
    every: int = 1
    """Takes part in every n-th round; the slow ones would otherwise use up the time."""
    block_seconds: float = 3.0
    """How long one block is expected to take, until it has been measured."""
    arguments: tuple[str, ...] = ()
    """What the driver is started with."""


OURS = "trollbridge"

ROSTER: tuple[Entry, ...] = (
    Entry(OURS, "trollbridge, every layer on", "ours.py"),
    Entry("pipe", "multiprocessing.Pipe relay, plain", "pipe_relay.py"),
    Entry("pyzmq", "pyzmq, Python broker, plain", "peers/zmq_broker.py", "pyzmq", "27.3.0"),
    Entry("managers", "multiprocessing managers", "proxy_relay.py"),
    Entry("thespian", "Thespian, UDP base", "peers/thespian_udp.py", "thespian", "4.0.1", is_framework=True),
    Entry("xoscar", "xoscar", "peers/xoscar_pool.py", "xoscar", "0.12.2", is_framework=True, block_seconds=5.0),
    Entry("ray", "Ray", "peers/ray_cluster.py", "ray", "2.60.0", is_framework=True, every=2, block_seconds=10.0),
)

FRAMEWORKS: tuple[str, ...] = tuple(entry.name for entry in ROSTER if entry.is_framework)
