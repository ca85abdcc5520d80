"""Who reads what: our keys, signatures and messages against those of gpg and sq, tried out, as two tables.

Run it to write both tables into README.md: `python -m tests.enclave.interop`.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tests.enclave.gnupg import GnuPG, good_signers
from tests.enclave.sequoia import Sq
from trollbridge.enclave.database import Database
from trollbridge.enclave.gate import Caller, Gate
from trollbridge.enclave.keystore import Keystore
from trollbridge.enclave.sealing import VaultKey
from trollbridge.enclave.storage import Records, first_index
from trollbridge.messages.errors import DeclaredError
from trollbridge.messages.s2k import new_protection, stretch
from trollbridge.messages.vault import CLEAR, DETACHED, INLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

README: Final = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- interoperability: begin -->", "<!-- interoperability: end -->"
TEXT: Final = "Grüße\nfrom here\n- dashed\n".encode()
PASSWORD: Final = "a password on the way"  # of keys that live as long as the test
PROFILES: Final = ("default", "compat", "v6", "pq")
MODES: Final = (DETACHED, INLINE, CLEAR)
Table = dict[str, dict[str, bool]]
"""By row, by column: whether it works."""


class Peer(Protocol):
    """Another program, with a key of its own."""

    name: str
    certificate: bytes

    def accepts(self, certificate: bytes) -> bool:
        """Return whether it takes a certificate."""
        ...

    def verifies(self, certificate: bytes, fingerprint: str, mode: str, signed: bytes) -> bool:
        """Return whether it finds a signature of `TEXT` good."""
        ...

    def decrypts(self, message: bytes, certificate: bytes, fingerprint: str) -> bool:
        """Return whether it reads `TEXT` in a message to its own key, signed by the key of the certificate."""
        ...

    def takes_secret(self, secret: bytes, fingerprint: str) -> bool:
        """Return whether it takes a secret key under `PASSWORD`, and can sign with it."""
        ...

    def signs(self, mode: str) -> bytes:
        """Return `TEXT` signed."""
        ...

    def encrypts(self, certificate: bytes, fingerprint: str, *, signed: bool) -> bytes | None:
        """Return `TEXT` encrypted; None if it cannot encrypt to that certificate."""
        ...

    def secret(self) -> bytes:
        """Return its own secret key, under `PASSWORD` where it protects any."""
        ...


class Gpg:
    """gpg, with a key of one kind."""

    def __init__(self, gpg: GnuPG, name: str, algorithm: str, encryption: str) -> None:
        """Make the key."""
        self.name = name
        self._gpg = gpg
        usage = "default" if algorithm == "future-default" else "cert,sign"
        self._key = gpg.new_key(f"{algorithm} <{algorithm}@example.org>", algorithm, usage)
        if encryption:
            gpg.out("--quick-add-key", self._key, encryption, "encr", "0")
        self.certificate = gpg.certificate(self._key)

    def accepts(self, certificate: bytes) -> bool:
        """As `Peer` says."""
        return self._gpg.run("--import", data=certificate).returncode == 0

    def verifies(self, certificate: bytes, fingerprint: str, mode: str, signed: bytes) -> bool:
        """As `Peer` says."""
        self.accepts(certificate)
        if mode != DETACHED:
            done = self._gpg.run("--decrypt", data=signed)
            return good_signers(done) == [fingerprint] and done.stdout.rstrip(b"\n") == TEXT.rstrip(b"\n")
        with tempfile.TemporaryDirectory() as folder:
            document, signature = Path(folder, "document"), Path(folder, "signature")
            document.write_bytes(TEXT)
            signature.write_bytes(signed)
            return good_signers(self._gpg.run("--verify", str(signature), str(document))) == [fingerprint]

    def decrypts(self, message: bytes, certificate: bytes, fingerprint: str) -> bool:
        """As `Peer` says."""
        self.accepts(certificate)
        done = self._gpg.run("--decrypt", data=message)
        return done.stdout == TEXT and good_signers(done) == [fingerprint]

    def takes_secret(self, secret: bytes, fingerprint: str) -> bool:
        """As `Peer` says."""
        if self._gpg.run("--passphrase", PASSWORD, "--import", data=secret).returncode != 0:
            return False
        done = self._gpg.run("--passphrase", PASSWORD, "-u", fingerprint, "--detach-sign", data=TEXT)
        return done.returncode == 0 and bool(done.stdout)

    def signs(self, mode: str) -> bytes:
        """As `Peer` says."""
        how = {DETACHED: "--detach-sign", INLINE: "--sign", CLEAR: "--clear-sign"}[mode]
        return self._gpg.out("-u", self._key, how, data=TEXT)

    def encrypts(self, certificate: bytes, fingerprint: str, *, signed: bool) -> bytes | None:
        """As `Peer` says."""
        if not self.accepts(certificate):
            return None
        by = ("-u", self._key, "--sign") if signed else ()
        done = self._gpg.run(*by, "-r", fingerprint, "--encrypt", data=TEXT)
        return done.stdout if done.returncode == 0 else None

    def secret(self) -> bytes:
        """As `Peer` says."""
        return self._gpg.out("--export-secret-keys", self._key)


class Sequoia:
    """sq, with a key of its default kind."""

    def __init__(self, sq: Sq) -> None:
        """Make the key."""
        self.name = "sq"
        self._sq = sq
        self._key, self.certificate, _ = sq.new_key("Sven <sven@example.org>")

    def accepts(self, certificate: bytes) -> bool:
        """As `Peer` says."""
        return self._sq.encrypt(certificate, TEXT) is not None

    def verifies(self, certificate: bytes, fingerprint: str, mode: str, signed: bytes) -> bool:
        """As `Peer` says."""
        del fingerprint
        return self._sq.verifies(certificate, mode, signed, TEXT)

    def decrypts(self, message: bytes, certificate: bytes, fingerprint: str) -> bool:
        """As `Peer` says."""
        del fingerprint
        return self._sq.decrypts(self._key, message, TEXT, certificate)

    def takes_secret(self, secret: bytes, fingerprint: str) -> bool:
        """Look whether sq reads the key; without a terminal it asks for no password."""
        del fingerprint
        return self._sq.run("inspect", self._sq.file("inspected", secret)).returncode == 0

    def signs(self, mode: str) -> bytes:
        """As `Peer` says."""
        return self._sq.sign(self._key, mode, TEXT)

    def encrypts(self, certificate: bytes, fingerprint: str, *, signed: bool) -> bytes | None:
        """As `Peer` says."""
        del fingerprint
        return self._sq.encrypt(certificate, TEXT, self._key if signed else b"")

    def secret(self) -> bytes:
        """As `Peer` says."""
        return self._key


class Ours:
    """A vault's keys, one of each profile."""

    def __init__(self, store: Keystore) -> None:
        """Make the keys."""
        self.store: Final = store
        self.keys: Final = {
            each: store.generate(f"{each} <{each}@example.org>", profile=each).fingerprint for each in PROFILES
        }

    def certificate(self, profile: str) -> bytes:
        """Return a certificate, armored."""
        return self.store.export_public(self.keys[profile])

    def knows(self, peer: Peer) -> str:
        """Import the peer's certificate; return its fingerprint."""
        [info] = self.store.import_public(peer.certificate)
        return info.fingerprint

    def verifies(self, fingerprint: str, mode: str, signed: bytes) -> bool:
        """Return whether we find the peer's signature of `TEXT` good."""
        if mode == DETACHED:
            return [each.fingerprint for each in self.store.verify(TEXT, signed).signers] == [fingerprint]
        found = self.store.verify(signed, None)
        content = (found.content or b"").rstrip(b"\n")
        return content == TEXT.rstrip(b"\n") and [each.fingerprint for each in found.signers] == [fingerprint]

    def decrypts(self, message: bytes | None, signers: list[str]) -> bool:
        """Return whether we read `TEXT` in a message, signed by these."""
        if message is None:
            return False
        found = self.store.decrypt(message)
        return found.plaintext == TEXT and [each.fingerprint for each in found.signers] == signers

    def takes_secret(self, secret: bytes, certificate: bytes, folder: Path) -> bool:
        """Return whether a fresh vault takes the peer's secret key, and signs with it."""
        with opened(folder) as other:
            locks = other.secret_locks(secret)
            [info] = other.import_secret(secret, tuple(stretch(PASSWORD, each) for each in locks))
            signature = other.sign(info.fingerprint, TEXT, DETACHED, armored=True)
        self.store.import_public(certificate)
        return self.verifies(info.fingerprint, DETACHED, signature)


class Made(NamedTuple):
    """Both tables."""

    theirs: Table
    """What of ours they read."""
    ours: Table
    """What of theirs we read."""


@contextlib.contextmanager
def opened(folder: Path) -> Generator[Keystore]:
    """Give the keys of a new vault."""
    key = VaultKey(bytes(range(32)), bytes(16))
    database = Database.create(str(folder / "interop.vault"), b"no header is needed here", [first_index(key)])
    records = Records(database, key)
    store = Keystore(records, Gate(records, lambda: Caller("console", "ui")))
    yield store
    store.drop()
    database.close()


def _tried(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except DeclaredError:
        return False


def read_by(peer: Peer, ours: Ours, profile: str) -> dict[str, bool]:
    """Return what the peer makes of one of our keys and of what it does."""
    store, key, certificate = ours.store, ours.keys[profile], ours.certificate(profile)
    theirs = ours.knows(peer)
    signed = {mode: store.sign(key, TEXT, mode, armored=True) for mode in MODES}
    message = store.encrypt([theirs], TEXT, key, armored=True)
    protected = store.export_secret(key, new_protection(PASSWORD))
    return {
        "the certificate, to encrypt to": peer.accepts(certificate)
        and peer.encrypts(certificate, key, signed=False) is not None,
        "a detached signature": peer.verifies(certificate, key, DETACHED, signed[DETACHED]),
        "a signed message": peer.verifies(certificate, key, INLINE, signed[INLINE]),
        "a clear-signed text": peer.verifies(certificate, key, CLEAR, signed[CLEAR]),
        "a message to its own key, signed": peer.decrypts(message, certificate, key),
        "the exported secret key": peer.takes_secret(protected, key),
    }


def read_by_us(peer: Peer, ours: Ours, folder: Path) -> dict[str, bool]:
    """Return what we make of the peer's key and of what it does."""
    theirs = ours.knows(peer)
    found = {
        "a detached signature": _tried(lambda: ours.verifies(theirs, DETACHED, peer.signs(DETACHED))),
        "a signed message": _tried(lambda: ours.verifies(theirs, INLINE, peer.signs(INLINE))),
        "a clear-signed text": _tried(lambda: ours.verifies(theirs, CLEAR, peer.signs(CLEAR))),
    }
    for profile in PROFILES:
        certificate, key = ours.certificate(profile), ours.keys[profile]

        def read(*, signed: bool, certificate: bytes = certificate, key: str = key) -> bool:
            message = peer.encrypts(certificate, key, signed=signed)
            return _tried(lambda: ours.decrypts(message, [theirs] if signed else []))

        found[f"a message to our {profile} key"] = read(signed=False)
        found[f"the same, signed inside ({profile})"] = read(signed=True)
    found["the exported secret key"] = _tried(lambda: ours.takes_secret(peer.secret(), peer.certificate, folder))
    return found


def measured(gpg: GnuPG, sq: Sq, folder: Path) -> Made:
    """Try everything."""
    peers: tuple[Peer, ...] = (
        Gpg(gpg, "gpg, Curve25519", "future-default", ""),
        Gpg(gpg, "gpg, RSA", "rsa2048", "rsa2048"),
        Sequoia(sq),
    )
    theirs: Table = {}
    back: Table = {}
    with opened(folder) as store:
        ours = Ours(store)
        for peer in (peers[0], peers[2]):
            for profile in PROFILES:
                column = f"{profile} × {peer.name.partition(',')[0]}"
                for row, works in read_by(peer, ours, profile).items():
                    theirs.setdefault(row, {})[column] = works
        for number, peer in enumerate(peers):
            place = folder / f"taken-{number}"
            place.mkdir(mode=0o700)
            for row, works in read_by_us(peer, ours, place).items():
                back.setdefault(row, {})[peer.name] = works
    return Made(theirs, back)


def as_text(made: Made) -> str:
    """Return both tables as they stand in the README."""

    def lines(head: str, table: Table) -> list[str]:
        columns = list(next(iter(table.values())))
        rows = [
            f"| {row} | {' | '.join('yes' if cells[each] else '–' for each in columns)} |"
            for row, cells in table.items()
        ]
        return [f"| {head} | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}", *rows]

    parts = (lines("what we make × who reads it", made.theirs), lines("what they make, read by us", made.ours))
    return "\n\n".join("\n".join(part) for part in parts)


def shown() -> str:
    """Return the tables that the README has."""
    text = README.read_text(encoding="utf-8")
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def main() -> None:
    """Write what was measured into the README."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # short, for the agent's socket, and ours alone
        folder = Path(name)
        for each in ("gnupg", "sq", "vault"):
            (folder / each).mkdir(mode=0o700)
        gpg = GnuPG(folder / "gnupg")
        try:
            text = as_text(measured(gpg, Sq(folder / "sq"), folder / "vault"))
        finally:
            gpg.close()
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
