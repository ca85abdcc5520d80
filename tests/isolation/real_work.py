"""What the processes of an application really do, as functions that run under a filter. Each returns what it did."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import threading
import time
from typing import Final

import pykka

from tests.enclave.cheap import CHEAP
from trollbridge.enclave.access import Access
from trollbridge.messages import password as pw
from trollbridge.messages.vault import DETACHED

SECRET: Final = "secret"
ALICE: Final = "Alice <alice@example.org>"


def openpgp_and_database(folder: str) -> str:
    """Make a vault, use every kind of its operations, close it and open it again."""
    path = f"{folder}/vault"
    access = Access(path, floor=CHEAP)
    access.create(pw.new_verifier(SECRET, CHEAP))
    keys = access.keys()
    for compat in (False, True):
        keys.generate(ALICE if compat else "Bob <bob@example.org>", compat=compat)
    message = b"m" * 300_000
    signature = keys.sign(ALICE, message, DETACHED, armored=True)
    keys.verify(message, signature)
    sealed = keys.encrypt((ALICE,), message, ALICE, armored=False)
    opened = keys.decrypt(sealed).plaintext
    exported = keys.export_public(ALICE)
    access.close()
    again = Access(path, floor=CHEAP)
    again.claim()
    again.unlock(pw.prove(SECRET, again.challenge(), CHEAP))
    kept = [each.user_ids for each in again.keys().list_keys()]
    again.lock()
    again.close()
    return f"{opened == message} {len(kept)} {exported[:10].decode()}"


class _Counter(pykka.ThreadingActor):
    def on_receive(self, message: object) -> object:
        return [message, threading.get_ident() != 0]


def actors_and_threads() -> str:
    """Start a pykka actor, ask it, stop it; wait with a lock that times out."""
    reference = _Counter.start()
    answer = reference.ask(5)
    reference.stop()
    lock = threading.Lock()
    with lock:
        late = lock.acquire(timeout=0.01)
    return f"{answer} {late}"


def link_and_timers(end: socket.socket, far: socket.socket) -> str:
    """Send and receive packets as the link does, waiting with poll and epoll."""
    buffer = bytearray(65_536)
    end.send(b"x" * 60_000, socket.MSG_DONTWAIT)
    length = far.recv_into(buffer)
    far.send(b"back")
    poll = select.poll()
    poll.register(end.fileno(), select.POLLIN)
    ready = len(poll.poll(1000))
    with select.epoll() as epoll:
        epoll.register(end.fileno(), select.EPOLLIN)
        ready += len(epoll.poll(1))
    end.settimeout(5.0)
    answer = end.recv(16)
    end.settimeout(None)
    threading.Event().wait(0.001)
    return f"{length} {ready} {answer.decode()}"


def logging_and_collecting() -> str:
    """Log a line to nowhere, collect garbage, ask for random numbers, for the time, and for memory."""
    descriptor = os.dup(2)
    stream = os.fdopen(descriptor, "w", closefd=False)
    logger = logging.getLogger("work")
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("nothing")
    found = bytearray(os.urandom(1 << 20)) * 40
    gc.collect()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.raise_signal(signal.SIGUSR1)
    return f"{len(found)} {time.time() > 0}"
