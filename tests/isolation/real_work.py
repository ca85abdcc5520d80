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
from typing import TYPE_CHECKING, Final

import pykka

from tests.enclave.cheap import CHEAP
from trollbridge.enclave.access import Access
from trollbridge.enclave.gate import Caller, Content
from trollbridge.messages import password as pw
from trollbridge.messages import s2k
from trollbridge.messages.vault import COMPAT, DETACHED, PASSWORD_ONLY, PROFILES

if TYPE_CHECKING:
    from trollbridge.enclave.keystore import Keystore

SECRET: Final = "secret"
ALICE: Final = "Alice <alice@example.org>"


def openpgp_and_database(folder: str) -> str:
    """Make a vault, use every kind of its operations, close it and open it again."""
    path = f"{folder}/vault"
    access = Access(path, floor=CHEAP, caller=lambda: Caller("console", "ui"))
    access.create(PASSWORD_ONLY, pw.new_verifier(SECRET, CHEAP))
    keys = access.opened().keys
    for profile in PROFILES:
        keys.generate(ALICE if profile == COMPAT else f"Bob <{profile}@example.org>", profile)
    message = b"m" * 300_000
    signature = keys.sign(ALICE, message, DETACHED, armored=True)
    keys.verify(message, signature)
    sealed = keys.encrypt((ALICE,), message, ALICE, armored=False)
    opened = keys.decrypt(sealed).plaintext
    exported = keys.export_public(ALICE)
    change_keys(keys)
    access.close()
    again = Access(path, floor=CHEAP)
    again.claim()
    again.unlock(PASSWORD_ONLY, pw.prove(SECRET, again.challenge(), CHEAP))
    kept = [each.user_ids for each in again.opened().keys.list_keys()]
    again.lock()
    again.close()
    return f"{opened == message} {len(kept)} {exported[:10].decode()}"


def change_keys(keys: Keystore) -> None:
    """Change a key of each kind in every way, take one out and put it back."""
    for profile in PROFILES:
        name = keys.generate(f"Carol <{profile}@example.org>", profile).fingerprint
        keys.add_user_id(name, f"Carol at {profile}")
        keys.set_expiry(name, int(time.time()) + 1000)
        keys.revoke_user_id(name, f"Carol at {profile}")
        own = s2k.new_protection(SECRET)
        keys.set_key_password(name, own)
        keys.unlock_key(name, (own.key,))
        taken = keys.export_secret(name, own)
        keys.revocation_certificate(name)
        keys.revoke_key(name)
        keys.delete_key(name)
        keys.import_secret(taken, (own.key,))
        keys.signing_parts(name, "sign", Content.of(b""))
        keys.delete_key(name)


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
