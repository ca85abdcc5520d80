"""The UI of the demonstration: the main job on real files, then two attacks, then a crash, each with its proof.

May import: the parts of the demonstration, our bridge, `messages`. Invariant: what is printed was seen, in replies, in
/proc, in files or in the supervisor's log.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from trollbridge.messages.errors import WrongPassword
from trollbridge.messages.ids import Role
from trollbridge.messages.vault import LOCKED, OPEN, PASSWORD_ONLY, VOCABULARY, KeyInfo, VaultStatus
from trollbridge.ui_adapter import demo_document, documents, process_table, unlocking
from trollbridge.ui_adapter.bridge import Bridge, UiActor
from trollbridge.ui_adapter.demo_crash import Crash
from trollbridge.ui_adapter.demo_gnupg import GnuPG
from trollbridge.ui_adapter.demo_replay import Attacker
from trollbridge.ui_adapter.demo_report import LeftOut, Report, expect
from trollbridge.ui_adapter.log_reading import LogReader, told
from trollbridge.ui_adapter.screen import Screen, amount

if TYPE_CHECKING:
    import msgspec

    from trollbridge.actors.operations.log import Line

ADA: Final = "Ada <ada@example.org>"
BEN: Final = "Ben <ben@example.org>"
GERDA: Final = "Gerda <gerda@example.org>"
PATIENCE: Final = 20.0
"""Seconds that one call may take."""
REFUSALS: Final = 2
README: Final = "README.md"
LONG: Final = "sources.txt"


class Console(UiActor):
    """Shows everything, in order, and ends with 0 if all of it was as it should be."""

    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = VOCABULARY

    def __init__(self, place: str) -> None:
        """Take the temporary place, where the vault and the log are."""
        super().__init__()
        self._place = Path(place)

    def main(self, bridge: Bridge) -> int:
        """Run the parts and conclude."""
        screen = Screen(sys.stdout)
        report = Report(screen)
        run = _Run(bridge, screen, self._place)
        report.show("Four processes, each freshly executed", run.processes)
        report.show("A vault whose password never leaves the UI", run.vault)
        report.show("Two OpenPGP key pairs, made inside the enclave", run.keys)
        report.show("A third recipient, made by gpg", run.gpg_key)
        report.show(f"{README}: signed, encrypted, decrypted, verified", run.short_file)
        report.show(f"{LONG}: the same with 50 MiB", run.long_file)
        report.show("gpg decrypts and verifies them too", run.gpg_reads)
        report.show("A replayed envelope and a used UID are refused", run.replays)
        crash = Crash(bridge, screen, run.log, run.ada, run.password)
        report.show("The enclave is killed in the middle of calls", crash.kill)
        report.show("A new ring, after the old one was dismantled", crash.recover)
        report.show("Signed again, in epoch 2", crash.sign_again)
        return report.conclude()


class _Run:
    """The parts before the crash, and what they hand on to each other."""

    def __init__(self, bridge: Bridge, screen: Screen, place: Path) -> None:
        self._bridge = bridge
        self._screen = screen
        self._place = place
        self._vault = bridge.vault
        self._attacker = Attacker(bridge)
        self._recipients: list[str] = []
        self._gpg: GnuPG | None = None
        self.log = LogReader(place / "log.jsonl")
        self.password = secrets.token_urlsafe(24)
        self.ada = ""

    def processes(self) -> str:
        """Show who they are, as the kernel has them."""
        members = self._bridge.members
        table = process_table.rows(members)
        self._screen.table(process_table.as_text(table), headed=True)
        supervisor = table[0].pid
        expect(table[0].role == "supervisor" and os.getppid() == supervisor, "the UI's parent is not the supervisor")
        roles = sorted(each.role for each in table)
        expect(roles == sorted(["supervisor", Role.BROKER, Role.ENCLAVE, Role.UI]), f"there are {', '.join(roles)}")
        expect(all(each.parent == supervisor for each in table[1:]), "not all are children of the supervisor")
        expect(len({each.pid for each in table}) == len(table), "two of them are one process")
        return f"{len(table)} PIDs, three of them children of {supervisor}"

    def vault(self) -> str:
        """Make a vault, lock it, try a wrong password, unlock it."""
        status = unlocking.create(self._vault, self.password, PASSWORD_ONLY)
        self._screen.line(f"  made in a temporary place, mode {status.mode}")
        self._vault.lock().get(timeout=PATIENCE)
        expect(self._status() == LOCKED, "it did not lock")
        try:
            unlocking.unlock(self._vault, "not the password", PASSWORD_ONLY)
        except WrongPassword as error:
            self._screen.line(f"  a wrong password: {type(error).__name__}")
        else:
            expect(condition=False, otherwise="a wrong password opened it")
        unlocking.unlock(self._vault, self.password, PASSWORD_ONLY)
        expect(self._status() == OPEN, "the right password did not open it")
        return "locked; a wrong password refused; opened by a proof for a fresh challenge"

    def _status(self) -> str:
        status: VaultStatus = self._vault.status().get(timeout=PATIENCE)
        return status.state

    def keys(self) -> str:
        """Make two keys; the envelope of the second call is kept, for later."""
        ada: KeyInfo = self._vault.generate(ADA).get(timeout=PATIENCE)
        with self._attacker.capturing():
            ben: KeyInfo = self._vault.generate(BEN).get(timeout=PATIENCE)
        self._recipients = [ada.fingerprint, ben.fingerprint]
        self.ada = ada.fingerprint
        self._screen.table([(each.fingerprint, each.user_ids[0]) for each in (ada, ben)])
        public: bytes = self._vault.export_public(self.ada).get(timeout=PATIENCE)
        expect(public.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----"), "what was exported is no public key")
        return "the UI holds fingerprints and public keys only"

    def gpg_key(self) -> str:
        """Have gpg make a key, and tell each side the other's certificates."""
        try:
            gpg = GnuPG(self._place / "gnupg")
        except FileNotFoundError as missing:
            raise LeftOut(str(missing)) from None
        [gerda] = self._vault.import_public(gpg.generate(GERDA)).get(timeout=PATIENCE)
        gpg.add(self._vault.export_public(self.ada).get(timeout=PATIENCE))
        self._recipients.append(gerda.fingerprint)
        self._gpg = gpg
        self._screen.table([(gerda.fingerprint, gerda.user_ids[0])])
        return f"gpg {gpg.version()}, in a home directory of its own"

    def short_file(self) -> str:
        """Work on the README."""
        path = self._place / README
        documents.write(path, demo_document.readme())
        return self._both_ways(path)

    def long_file(self) -> str:
        """Work on 50 MiB of real text."""
        path = self._place / LONG
        demo_document.write_long(path)
        return self._both_ways(path)

    def _both_ways(self, path: Path) -> str:
        sealed, opened, signature = (path.with_name(path.name + end) for end in (".pgp", ".opened", ".asc"))
        with self._screen.progress("signed") as report:
            documents.sign(self._vault, path, signature, self.ada, report)
        with self._screen.progress("signature verified") as report:
            verified = documents.verify(self._vault, path, signature, report)
        expect([each.fingerprint for each in verified.signers] == [self.ada], "the signature is not Ada's")
        with self._screen.progress(f"signed and encrypted to {len(self._recipients)}") as report:
            documents.encrypt(self._vault, path, sealed, self._recipients, self.ada, report)
        with self._screen.progress("decrypted and verified") as report:
            result = documents.decrypt(self._vault, sealed, opened, report)
        expect([each.fingerprint for each in result.signers] == [self.ada], "the signature inside is not Ada's")
        expect(opened.read_bytes() == path.read_bytes(), "the plaintext is another than the file")
        expect(path.read_bytes()[:64] not in sealed.read_bytes(), "the plaintext stands in the message")
        size, longer = path.stat().st_size, sealed.stat().st_size
        return f"{amount(size)} to {len(self._recipients)} recipients as {amount(longer)}, and back, signed by Ada"

    def gpg_reads(self) -> str:
        """Let gpg, with its own key, read what the vault wrote."""
        gpg = self._gpg
        if gpg is None:
            raise LeftOut("gpg has no key here" if (self._place / "gnupg").exists() else "gpg is not installed")
        for name in (README, LONG):
            path = self._place / name
            opened = path.with_name(f"{name}.gpg-opened")
            expect(self.ada in gpg.decrypt(path.with_name(f"{name}.pgp"), opened), f"gpg finds no signature in {name}")
            expect(opened.read_bytes() == path.read_bytes(), f"gpg reads something else in {name}")
            expect(self.ada in gpg.verify(path, path.with_name(f"{name}.asc")), f"gpg does not verify {name}")
            self._screen.line(f"  {name}: decrypted with gpg's key, equal to the file; signatures good")
        return "same plaintexts, good signatures"

    def replays(self) -> str:
        """Send a recorded envelope again, then a fresh one under its UID: the broker refuses both; the log says so."""
        expect(self._attacker.captured, "no envelope was captured")
        self.log.refresh()
        start, before = len(self.log.lines), self._count()
        self._attacker.replay()
        self._attacker.use_again("vault.generate", "Eve <eve@example.org>")
        found = self.log.wait(REFUSALS, _is_refusal, PATIENCE, start)
        self._screen.line("  first, the call that made Ben's key is sent again, to the bit; then another one")
        self._screen.line("  under its UID. The supervisor's log:")
        since = found[0].time if found else 0.0
        self._screen.table([told(each, since) for each in found])
        expect(len(found) == REFUSALS, f"{len(found)} of {REFUSALS} were refused")
        expect(self._count() == before, "the handler ran once more")
        return f"both refused by the broker; still {before} keys in the vault"

    def _count(self) -> int:
        return len(self._vault.list_keys().get(timeout=PATIENCE))


def _is_refusal(line: Line) -> bool:
    return line.event == "uid.refused" and line.member == "console"
