"""Secret memory: what lies there is found by no scan, is used where it lies, and is gone when it is given back."""

from __future__ import annotations

import errno
import gc
import hashlib
import hmac
import mmap
import os
import resource
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.enclave.children import in_child
from tests.isolation.memory_scan import Found, scan
from tests.isolation.refusing import refuse
from trollbridge.actors.isolation import secret_memory
from trollbridge.actors.isolation.secret_memory import SecretMemory
from trollbridge.messages import labels
from trollbridge.messages.errors import UsageError
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

ROOT: Final = os.geteuid() == 0
SECRET: Final = ("/secretmem (deleted)",)
KEPT: Final[list[object]] = []
"""What an act wants to outlive it."""


def _use_blake2b(key: memoryview) -> None:
    hashlib.blake2b(b"text", key=key).digest()


def _keep_blake2b(key: memoryview) -> None:
    KEPT.append(hashlib.blake2b(b"text", key=key))


def _derive(key: memoryview) -> None:
    labels.derive(b"label", key, b"context")


def _authenticate(key: memoryview) -> None:
    hmac.digest(key, b"text", "sha256")


def _seal(key: memoryview) -> None:
    sealed = AESGCM(key).encrypt(bytes(12), b"text", None)
    AESGCM(key).decrypt(bytes(12), sealed, None)


def _keep_cipher(key: memoryview) -> None:
    KEPT.append(AESGCM(key))


def _open_in_place(key: memoryview) -> None:
    cipher, sealed = AESGCM(os.urandom(32)), bytearray(len(key) + 16)
    cipher.encrypt_into(bytes(12), key, None, sealed)
    secret_memory.wipe(key)
    cipher.decrypt_into(bytes(12), sealed, None, key)


def _copy(key: memoryview) -> None:
    KEPT.append(bytes(key))


def _go_on() -> None:
    """Use each library once more with another key: what one leaves on its stack lasts until its next call.

    Some builds of Python's BLAKE2b leave a copy there.
    """
    other = memoryview(bytearray(os.urandom(32)))
    for act in (_use_blake2b, _authenticate, _seal):
        act(other)


@contextmanager
def using(act: Callable[[memoryview], object]) -> Generator[tuple[int, bytes]]:
    """Start a process that makes a key, does `act` with it and waits; give its pid and the key.

    The key reaches us straight from where it lies: the process makes no copy of it for that.
    """
    reader, writer = os.pipe()
    over, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        key = SecretMemory().take(32)
        secret_memory.fill_random(key)
        act(key)
        _go_on()
        os.write(writer, key)
        os.read(over, 1)
        os._exit(0)
    os.close(writer)
    try:
        yield pid, os.read(reader, 32)
    finally:
        for each in (reader, over, end):
            os.close(each)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("act", "copies"),
    [
        (len, 0),
        (_use_blake2b, 0),
        (_derive, 0),
        (_authenticate, 0),
        (_seal, 0),
        (_open_in_place, 0),
        (_copy, 1),
        (_keep_blake2b, 1),
        (_keep_cipher, 2),
    ],
)
def test_a_key_in_secret_memory_is_found_only_where_it_was_copied(
    act: Callable[[memoryview], object], copies: int
) -> None:
    """A37, K3: not even root finds it, used or not; while an object of a library holds a copy, it finds exactly that.

    An ordinary user looks into this process, which is dumpable, as well.
    """
    with using(act) as (pid, key):
        assert scan(pid, key) == Found(copies, SECRET)


def test_secret_memory_is_not_reached_by_its_address_either() -> None:
    """No descriptor leads to the pages, and the kernel does not read them for anybody."""

    def looked() -> str:
        memory = SecretMemory(3)
        held = list[str]()
        for each in os.listdir("/proc/self/fd"):  # noqa: PTH208
            with suppress(FileNotFoundError):  # the descriptor of the list
                held.append(os.readlink(f"/proc/self/fd/{each}"))  # noqa: PTH115
        return f"{memory.evidence().state} {sum('secretmem' in each for each in held)}"

    assert in_child(looked) == "in force 0"


def test_the_evidence_says_what_kind_of_pages_these_are() -> None:
    """A12: with its size."""
    text = f"memfd_secret, {mmap.PAGESIZE} bytes: in no core file, not readable by /proc/PID/mem, not even by root"
    assert SecretMemory().evidence() == Evidence(Mechanism.SECRET_MEMORY, State.IN_FORCE, text)


@pytest.mark.parametrize(
    ("call", "error", "remedy"),
    [
        ("memfd_secret", errno.ENOSYS, "secret memory needs Linux 6.5, or 5.14 started with secretmem.enable=1"),
        ("memfd_secret", errno.EPERM, "a filter around this process refuses memfd_secret"),
        ("memfd_secret", errno.EMFILE, "memfd_secret was refused: Too many open files"),
    ],
)
def test_without_secret_pages_they_are_locked(call: str, error: int, remedy: str) -> None:
    """R9: weaker, and said: never swapped out, in no core file, and a fork finds zeros."""

    def locked() -> str:
        refuse(call, error)
        memory = SecretMemory()
        key = memory.take(32)
        secret_memory.fill_random(key)
        pid = os.fork()
        if pid == 0:
            os._exit(any(key))
        status = os.waitpid(pid, 0)[1]
        return f"{memory.evidence()} {status} {any(key)} {_flags(key)}"

    text = f"{mmap.PAGESIZE} bytes locked by mlock: in no core file, never swapped out; root can read them"
    evidence = Evidence(Mechanism.SECRET_MEMORY, State.WEAKER, text, remedy)
    assert in_child(locked) == f"{evidence} 0 True ['dd', 'lo', 'wf']"


def _flags(key: memoryview) -> list[str]:
    """Return those flags of the mapping of `key` that keep it: locked, not dumped, wiped on fork (proc(5))."""
    marked = bytes(key[:8])
    with open("/proc/self/smaps", "rb") as smaps, open("/proc/self/mem", "rb", 0) as memory:  # noqa: PTH123
        start = 0
        for line in smaps:
            words = line.split()
            if b"-" in words[0] and not words[0].endswith(b":"):
                start = int(words[0].split(b"-")[0], 16)
            elif words[0] == b"VmFlags:" and b"lo" in words:
                memory.seek(start)
                if memory.read(8) == marked:
                    return sorted({each.decode() for each in words} & {"lo", "dd", "wf", "dc"})
    return []


def test_a_limit_of_nothing_is_reported_with_what_to_raise() -> None:
    """R9: an ordinary user may then lock nothing; root may all the same. The memory works in either case."""

    def limited() -> str:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        memory = SecretMemory(2)
        key = memory.take(32)
        secret_memory.fill_random(key)
        return f"{any(key)} {memory.evidence()}"

    size = 2 * mmap.PAGESIZE
    secret = f"memfd_secret, {size} bytes: in no core file, not readable by /proc/PID/mem, not even by root"
    plain = f"{size} bytes of ordinary memory, which may be swapped out (mlock: Operation not permitted)"
    remedy = f"raise the limit for locked memory (ulimit -l, LimitMEMLOCK= in systemd) to at least {size // 1024} KiB"
    mechanism = Mechanism.SECRET_MEMORY
    with_limit, root = Evidence(mechanism, State.MISSING, plain, remedy), Evidence(mechanism, State.IN_FORCE, secret)
    assert in_child(limited) == f"True {root if ROOT else with_limit}"


def test_a_limit_that_is_too_low_leaves_the_memory_whole() -> None:
    """A refusal half way (the pages are mapped and cannot be locked) leaves no hole behind."""

    def limited() -> str:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (mmap.PAGESIZE, mmap.PAGESIZE))
        memory = SecretMemory(2)
        return f"{memory.evidence().state} {bytes(memory.take(2 * mmap.PAGESIZE)).count(0)}"

    assert in_child(limited) == f"{'in force' if ROOT else 'missing'} {2 * mmap.PAGESIZE}"


def test_a_fork_finds_zeros_where_the_key_was() -> None:
    """The pages are left out of it, and nothing else can come to lie there."""
    memory = SecretMemory()
    key = memory.take(32)
    secret_memory.fill_random(key)
    kept = bytes(key)
    assert in_child(lambda: bytes(key).hex()) == bytes(32).hex()
    assert bytes(key) == kept


@given(st.lists(st.one_of(st.integers(1, 200), st.none()), max_size=60))
def test_no_two_keys_share_a_byte(steps: list[int | None]) -> None:
    """Whatever is taken and given back: each place is zero when taken, its own while taken, and none is lost."""
    memory, taken = SecretMemory(), list[memoryview]()
    for step in steps:
        if step is None:
            if taken:
                memory.give_back(taken.pop(len(taken) // 2))
            continue
        view = memory.take(step)
        assert (len(view), any(view), view.readonly) == (step, False, False)
        view[:] = bytes([len(taken) + 1]) * step
        taken.append(view)
    contents = [set(view) for view in taken]
    assert all(len(each) == 1 for each in contents)
    for view in taken:
        memory.give_back(view)
    whole = memory.take(mmap.PAGESIZE)
    assert not any(whole)


def test_memory_that_is_full_says_so() -> None:
    """Nothing is handed out twice, nor from elsewhere."""
    memory = SecretMemory()
    kept = [memory.take(32) for _ in range(mmap.PAGESIZE // 32)]
    with pytest.raises(MemoryError) as raised:
        memory.take(1)
    assert str(raised.value) == f"the {mmap.PAGESIZE} bytes of secret memory are taken; 1 more were asked for"
    memory.give_back(kept.pop())
    assert len(memory.take(32)) == 32


def test_only_what_was_taken_is_given_back_and_once() -> None:
    """A key that was given back cannot be used, nor another one's place freed."""
    memory = SecretMemory()
    view = memory.take(8)
    view[:] = b"abcdefgh"
    part = view[:4]
    for wrong in (bytearray(8), memoryview(view), part):
        with pytest.raises(UsageError):
            memory.give_back(wrong)
    memory.give_back(view)
    assert bytes(part) == bytes(4)
    with pytest.raises(ValueError, match="released"):
        view[0] = 1
    with pytest.raises(UsageError):
        memory.give_back(view)
    with pytest.raises(UsageError):
        memory.take(0)


def test_a_secret_of_this_process_is_wiped_when_it_is_dropped_or_forgotten() -> None:
    """A44: its place is zero and free again; a thousand forgotten ones do not fill the arena."""
    secret_memory.prepare()
    secret = secret_memory.secret(32)
    secret_memory.fill_random(secret.view)
    part = memoryview(secret.view)[:]
    assert any(part)
    secret.drop()
    assert not any(part)
    with pytest.raises(UsageError):
        _ = secret.view
    for _ in range(1000):
        forgotten = secret_memory.secret(64)
        secret_memory.fill_random(forgotten.view)
    gc.collect()
    assert secret_memory.arena() is secret_memory.arena()
    assert secret_memory.arena().evidence().holds


@given(st.integers(0, 2000))
def test_random_bytes_fill_the_whole_of_a_buffer(size: int) -> None:
    """Each byte is written, and two fills differ."""
    first, second = bytearray(size), bytearray(size)
    secret_memory.fill_random(first)
    secret_memory.fill_random(second)
    assert len(first) == size
    assert size < 16 or first != second
    assert size < 256 or all(any(first[at : at + 32]) for at in range(0, size - 31, 32))


def test_a_kernel_that_gives_no_random_bytes_is_an_error() -> None:
    """Rather than a key of zeros."""

    def refused() -> str:
        refuse("getrandom", 0)
        with pytest.raises(OSError, match="fewer bytes") as raised:
            secret_memory.fill_random(bytearray(32))
        return str(raised.value.errno)

    assert in_child(refused) == str(errno.EIO)
