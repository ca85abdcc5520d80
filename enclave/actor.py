"""The enclave actor: what an application's own enclave subclasses.

May import: `actors`. Invariant: it runs in a process of its own, which nothing reaches but calls of its handlers
under UIDs that the broker issued.
"""

from __future__ import annotations

from trollbridge.actors.process_actor import ProcessActor


class EnclaveActor(ProcessActor):
    """An actor that keeps secrets. Mark with `@handler` what granted members may call; nothing else is reachable.

    Handlers run one at a time, in the process's main thread. `on_start` runs before the ring is sealed, `on_stop`
    before the process ends. Raise a `DeclaredError` (or a subclass of it) for what the caller may know; of any other
    exception it learns an incident's number.
    """
