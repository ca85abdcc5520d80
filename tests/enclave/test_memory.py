"""What can be read in the memory of a running application: of every process, at every moment of a vault's life.

Root reads it through /proc/PID/mem; an ordinary user, the same one that runs the application, cannot open it at all.
The table `MOST` is what THREATS.md publishes: no row of it claims that a secret cannot be got by other means.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave import memory_acts
from tests.enclave.memory_scan import areas, scan, secret_pages
from tests.harness.puppeteer import Puppeteer
from trollbridge.enclave import packets, protection
from trollbridge.enclave.access import Access
from trollbridge.enclave.sealing import Kind
from trollbridge.messages import password as scram
from trollbridge.messages.vault import PASSWORD_ONLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trollbridge.enclave.certificate import SecretKey

ROOT: Final = os.geteuid() == 0
PASSWORD: Final = f"correct horse {os.urandom(12).hex()}"
SECRET: Final = f"what is signed and decrypted {os.urandom(16).hex()}".encode()
MEMBERS: Final = ("supervisor", "broker", "puppet", "vault", "target")
"""Every process; the puppet is the user interface, the target an enclave that can be killed."""
OF_A_PERSON: Final = frozenset({"password", "salted password", "plaintext"})
"""What a user interface has because a person types it and reads it, and no other process outside the vault."""

TRAVELLED: Final = {"ring key": 2}
"""Freed bytes in which the ring key came, until something else takes their place: seen are none or one."""
PROVED: Final = TRAVELLED | {"client key": 2, "server key": 2}
"""Freed bytes in which a proof was checked; seen are none or one."""
MADE: Final = PROVED | {"private key": 6}
"""Freed bytes in which a key was made, before it was first protected; seen are none or one copy of three private
keys. From then on Sequoia alone has it in clear, while it works with it."""
MOST: Final[Mapping[str, Mapping[str, int]]] = {
    "before there is a vault": TRAVELLED,
    "after generating": MADE,
    "locked after generating": MADE,
    "unlocked": MADE,
    "after signing": MADE | {"plaintext": 8},
    "after encrypting": MADE | {"plaintext": 12},
    "after decrypting": MADE | {"plaintext": 16},
    "locked": MADE | {"plaintext": 16},
    "in the next ring": TRAVELLED,
    "in the ring after a re-keying": TRAVELLED,
    "after signing in a later ring": PROVED | {"plaintext": 8},
    "after decrypting in a later ring": PROVED | {"plaintext": 16},
}
"""The most copies of each secret in the readable memory of the vault's process, by moment; what is not named: none.

The vault key has no place in it: at no moment is there a readable copy. Neither has the password, nor Argon2id's own
output: they never reach the vault.
"""


def test_the_scan_finds_what_lies_in_readable_memory() -> None:
    """A1: the scan itself: in the heap and across the edges of pages and chunks, and nothing that is not there."""
    program = (
        "import mmap, os, sys\n"
        "kept = os.read(0, 32)\n"
        "place = mmap.mmap(-1, 1 << 20)\n"
        "for at in range(5): place[at * 4096 + 4080:at * 4096 + 4112] = kept\n"
        "os.write(1, b'.')\n"
        "os.read(0, 1)\n"
    )
    canary = os.urandom(32)
    with subprocess.Popen([sys.executable, "-I", "-c", program], stdin=-1, stdout=-1, bufsize=0) as control:
        assert control.stdin is not None
        assert control.stdout is not None
        control.stdin.write(canary)
        assert control.stdout.read(1) == b"."
        wanted = {"there": canary, "its end": canary[-16:], "not there": canary[::-1]}
        count = 0
        for chunk in (4096, 1 << 24):
            found = scan(control.pid, wanted, chunk)
            assert found.counts["there"] == found.counts["its end"] == (count := count or found.counts["there"])
            assert found.counts["not there"] == 0
            assert found.size > 1 << 20
            assert found.unreadable == ()
        assert count >= 6, "five in the mapping, one in the heap; the linker may leave more on the stack"
        control.stdin.close()


def scalars(key: SecretKey) -> Iterator[bytes]:
    """Yield each raw secret of a transferable secret key: as it is stored, turned round, and hashed for EdDSA."""
    for packet in packets.parse(key.binary()):
        if packet.tag not in packets.SECRET:
            continue
        number = bytes(protection.revealed(packet, key.keys()))
        scalar = number[2:]
        assert 8 * len(scalar) - 8 < int.from_bytes(number[:2], "big") <= 8 * len(scalar)
        expanded = bytearray(hashlib.sha512(scalar).digest()[:32])
        yield scalar
        yield scalar[::-1]
        yield bytes(expanded)
        expanded[0], expanded[31] = expanded[0] & 248, expanded[31] & 63 | 64
        yield bytes(expanded)


def canaries(vault: Path, copy: Path) -> dict[str, bytes]:
    """Open a copy of the vault in this process, whose password this test knows; return every secret that is in it."""
    shutil.copy(vault, copy)
    access = Access(str(copy))
    challenge = access.challenge()
    salted = scram._salted_password(PASSWORD, challenge.salt, challenge.parameters)
    client_key, server_key = scram.client_and_server_key(salted)
    access.unlock(PASSWORD_ONLY, scram.prove(PASSWORD, challenge))
    keys = access.opened().keys
    vault_key = keys._records._key._key
    assert vault_key is not None
    found = {"vault key": bytes(vault_key.view), "client key": client_key, "server key": server_key}
    found |= {"password": PASSWORD.encode(), "salted password": salted, "plaintext": SECRET}
    for fingerprint, body in keys._records.items(Kind.SECRET_KEY):
        key = keys._secrets.get(fingerprint)
        assert key.binary() == body[1:], "a password protects it in its record too"
        found |= {f"private key {number}": each for number, each in enumerate(scalars(key))}
    access.close()
    assert len(found) == 6 + 3 * 4, "a primary key and two subkeys, each in four forms"
    assert all(len(each) >= 30 for each in found.values())
    return found


class Watch:
    """Looks into every process of one application, and keeps what it has seen."""

    def __init__(self, puppet: Puppeteer, folder: Path) -> None:
        """Take the application."""
        self._puppet = puppet
        self._folder = folder
        self._searched: set[int] = set()
        """Processes whose code and constants were looked through too."""
        self.secrets: dict[str, bytes] = {"password": PASSWORD.encode(), "plaintext": SECRET}
        self.ring_keys: list[bytes] = []
        self.table: dict[str, dict[str, dict[str, int]]] = {}

    def pid(self, member: str) -> int:
        """Return a process, the supervisor's too."""
        return self._puppet.supervisor if member == "supervisor" else self._puppet.pid(member)

    def learn_ring_key(self) -> None:
        """Learn the ring key of this epoch; the user interface writes it out from the pages in which it lies."""
        path = self._folder / f"ring key {len(self.ring_keys)}"
        address = self._puppet.act(memory_acts.copy_ring_key, path=str(path))
        self.ring_keys.append(path.read_bytes())
        self.secrets[f"ring key {len(self.ring_keys)}"] = self.ring_keys[-1]
        if ROOT:
            [pages] = secret_pages(self.pid("puppet"))
            assert pages.start <= address <= pages.end - 32

    def counts(self, member: str) -> dict[str, int]:
        """Return how often each kind of secret stands in a process's memory; none for what is not there.

        For root. The one thing that it cannot read is the secret pages of those who hold long-lived keys.
        """
        pid = self.pid(member)
        found = scan(pid, self.secrets, writable=pid in self._searched)
        self._searched.add(pid)
        assert found.size > 8 << 20
        pages = [each.name.split()[0] for each in found.unreadable if each.access.startswith("r")]
        assert pages == (["/secretmem"] if member in {"puppet", "vault", "target"} else [])
        by_kind: dict[str, int] = {}
        for name, count in found.counts.items():
            kind = name.rstrip(" 0123456789")
            by_kind[kind] = by_kind.get(kind, 0) + count
        return {kind: count for kind, count in by_kind.items() if count}

    def look(self, moment: str) -> None:
        """Look into every process, and hold what is there against `MOST` and against what must never be there."""
        if not ROOT:
            for member in MEMBERS:
                self.is_closed(member)
            return
        seen = self.table[moment] = {member: self.counts(member) for member in MEMBERS}
        print(moment, seen)  # noqa: T201  # what a run shows is what THREATS.md publishes
        for member in MEMBERS:
            self.within(member, seen[member], moment)

    def within(self, member: str, seen: Mapping[str, int], moment: str) -> None:
        """Assert that a process shows no more than it may at a moment."""
        allowed: Mapping[str, int] = {"vault": MOST[moment], "target": TRAVELLED}.get(member, {})
        shown = {kind: count for kind, count in seen.items() if member != "puppet" or kind not in OF_A_PERSON}
        too_many = {kind: count for kind, count in shown.items() if count > allowed.get(kind, 0)}
        assert not too_many, (moment, member, too_many)

    def is_closed(self, member: str) -> None:
        """Assert that an ordinary user can neither open a process's memory nor learn where what lies in it."""
        with pytest.raises(PermissionError):
            areas(self.pid(member))
        with pytest.raises(PermissionError):
            scan(self.pid(member), self.secrets)


def test_no_moment_of_a_vault_shows_its_keys(tmp_path: Path) -> None:
    """A1, A37, A24, A25, K3: the keys sign and decrypt all the while, and no other process ever holds one of them."""
    vault = tmp_path / "home" / "a.vault"
    vault.parent.mkdir()
    with Puppeteer("tests.enclave.memory_acts:application", {"path": str(vault)}) as puppet:
        puppet.await_epoch(1)
        watch = Watch(puppet, tmp_path)
        watch.learn_ring_key()
        watch.look("before there is a vault")
        puppet.act(memory_acts.create, password=PASSWORD)
        puppet.result("vault.generate", "Alice")
        watch.secrets |= canaries(vault, tmp_path / "copy.vault")
        watch.look("after generating")
        puppet.result("vault.lock")
        watch.look("locked after generating")
        puppet.act(memory_acts.unlock, password=PASSWORD)
        watch.look("unlocked")
        signature = puppet.result("vault.sign", "Alice", SECRET)
        watch.look("after signing")
        assert "Alice" in puppet.result("vault.verify", SECRET, signature)
        message = puppet.result("vault.encrypt", ["Alice"], SECRET, "Alice")
        watch.look("after encrypting")
        puppet.act(memory_acts.decrypt, message=message, name="decrypted")
        watch.look("after decrypting")
        puppet.result("vault.lock")
        watch.look("locked")
        if ROOT:
            control = watch.table["after decrypting"]["puppet"]
            assert control["plaintext"] >= 1, "the one canary that the user interface is to have is found there"
        fall(puppet, watch)
        puppet.act(memory_acts.unlock, password=PASSWORD)
        puppet.result("vault.sign", "Alice", SECRET)
        watch.look("after signing in a later ring")
        puppet.act(memory_acts.decrypt, message=message, name="decrypted again")
        watch.look("after decrypting in a later ring")
        assert puppet.leave() == 0


def fall(puppet: Puppeteer, watch: Watch) -> None:
    """A39, A44, A50: two rings on, by a death and by SIGHUP, the old enclaves are gone and no old key is anywhere."""
    for epoch, moment in ((2, "in the next ring"), (3, "in the ring after a re-keying")):
        old = puppet.pid("vault")
        if epoch == 2:
            puppet.kill("target")
        else:
            puppet.interrupt(signal.SIGHUP)
        puppet.await_epoch(epoch)
        assert puppet.pid("vault") != old
        assert not Path(f"/proc/{old}").exists()
        watch.learn_ring_key()
        watch.look(moment)
    assert len(set(watch.ring_keys)) == 3
    assert puppet.act(memory_acts.in_secret_pages, keys=watch.ring_keys) == [0, 0, 1]


def test_a_key_is_used_where_nobody_reads_it(tmp_path: Path) -> None:
    """A1, A37: the vault opens a record under its key, and a reply under the ring key; no readable byte has either."""
    vault = tmp_path / "home" / "a.vault"
    vault.parent.mkdir()
    with Puppeteer("tests.enclave.memory_acts:application", {"path": str(vault)}) as puppet:
        puppet.await_epoch(1)
        watch = Watch(puppet, tmp_path)
        watch.learn_ring_key()
        puppet.act(memory_acts.create, password=PASSWORD)
        puppet.result("vault.generate", "Alice")
        watch.secrets |= canaries(vault, tmp_path / "copy.vault")
        message = puppet.result("vault.encrypt", ["Alice"], SECRET)
        puppet.result("vault.lock")
        for number in range(3):
            puppet.act(memory_acts.unlock, password=PASSWORD)
            # The private key was dropped by the lock: only the vault key brings it back from the disk.
            puppet.act(memory_acts.decrypt, message=message, name=f"decrypted {number}")
            if ROOT:
                for member in ("vault", "puppet"):
                    watch.within(member, watch.counts(member), "after decrypting")
                    assert [each.end - each.start for each in secret_pages(watch.pid(member))] == [8192]
            else:
                watch.is_closed("vault")
            puppet.result("vault.lock")
        assert puppet.leave() == 0
