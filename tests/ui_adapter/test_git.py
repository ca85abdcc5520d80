"""Git signs and verifies with the vault: `gpg.program` is `trollbridge-gpg`, repository and commits are real."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.enclave.gnupg import GnuPG, good_signers
from tests.ui_adapter.commands import COMMAND, PATIENCE, environment
from tests.ui_adapter.vaults import PASSWORD, Safe

if TYPE_CHECKING:
    from collections.abc import Iterator

ADA = "Ada <ada@example.org>"
SHIM = str(Path(COMMAND).with_name("trollbridge-gpg"))


class Repository:
    """A repository whose commits a vault's key signs."""

    def __init__(self, place: Path) -> None:
        """Make the vault, a key, and the repository."""
        self.safe = Safe(place)
        self.safe.create()
        self.key: str = self.safe.must("key", "generate", ADA, "--json").json["fingerprint"]
        self.folder = place / "repository"
        self.folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        for name, value in {
            "user.name": "Ada",
            "user.email": "ada@example.org",
            "user.signingkey": self.key,
            "gpg.program": SHIM,
        }.items():
            self.git("config", name, value)

    def git(
        self, *arguments: str, code: int = 0, data: bytes = b"", password: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run git without a terminal, demand its exit code, and return what it wrote."""
        variables = {**self.safe.variables, "TROLLBRIDGE_PASSWORD_FILE": password or str(self.safe.password)}
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607  # git as the user finds it
            input=data.decode(),
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environment({**variables, "GIT_CONFIG_NOSYSTEM": "1"}),
            timeout=PATIENCE,
            start_new_session=True,
            check=False,
        )
        assert done.returncode == code, done
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def commit(self, message: str) -> str:
        """Make a signed commit, and return its name."""
        self.git("commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def store(self, content: str) -> str:
        """Put a commit of any content into the repository."""
        return self.git("hash-object", "-t", "commit", "-w", "--stdin", data=content.encode()).stdout.strip()


@pytest.fixture(name="repository", scope="module")
def _repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("git"))


@pytest.fixture(name="gnupg")
def _gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    gnupg = GnuPG(tmp_path_factory.mktemp("g"))
    yield gnupg
    gnupg.close()


def test_a_commit_and_a_tag_are_signed_and_verified_and_an_altered_one_is_not(repository: Repository) -> None:
    """A28: git reads our status lines: who, which key, how far trusted; one changed word is a bad signature."""
    commit = repository.commit("first")
    assert "Good signature" in repository.git("-c", "gpg.minTrustLevel=ultimate", "verify-commit", commit).stderr
    repository.git("tag", "--sign", "v1", "--message", "one")
    assert "Good signature" in repository.git("verify-tag", "v1").stderr
    shown = repository.git("log", "-1", "--format=%G? %GS %GP %GT", commit).stdout
    assert shown == f"G {ADA} {repository.key.upper()} ultimate\n"
    forged = repository.store(repository.git("cat-file", "commit", commit).stdout.replace("first", "forged"))
    assert "BAD signature" in repository.git("verify-commit", forged, code=1).stderr
    assert repository.git("log", "-1", "--format=%G? %GS", forged).stdout == f"B {ADA}\n"


def test_without_a_terminal_the_variable_that_names_the_password_is_told(repository: Repository) -> None:
    """Git gives no options, so none is named."""
    done = subprocess.run(
        [SHIM, "-bsau", repository.key],
        input=b"x",
        capture_output=True,
        env=environment(repository.safe.variables),
        timeout=PATIENCE,
        start_new_session=True,
        check=False,
    )
    assert (done.returncode, b"TROLLBRIDGE_PASSWORD_FILE" in done.stderr, b"--password" in done.stderr) == (
        2,
        True,
        False,
    )


def test_gpg_itself_verifies_our_commit(repository: Repository, gnupg: GnuPG, tmp_path: Path) -> None:
    """A23, A28: the exported certificate, the signature and the payload are all that gpg needs."""
    commit = repository.git("cat-file", "commit", repository.commit("for gpg")).stdout
    head, _, rest = commit.partition("gpgsig ")
    armored, _, after = rest.partition("-----END PGP SIGNATURE-----")
    signature = tmp_path / "signature"
    lines = f"{armored}-----END PGP SIGNATURE-----".splitlines()
    signature.write_text("\n".join(line.removeprefix(" ") for line in lines) + "\n", encoding="utf-8")
    payload = head + after.removeprefix("\n \n").removeprefix("\n")
    certificate = repository.safe.must("key", "export", repository.key).out
    gnupg.out("--import", data=certificate)
    done = gnupg.run("--verify", str(signature), "-", data=payload.encode())
    assert done.returncode == 0, done.stderr
    assert good_signers(done) == [repository.key]
    assert gnupg.run("--verify", str(signature), "-", data=payload.replace("for", "of").encode()).returncode == 1


def test_a_commit_of_gpg_is_verified_once_its_certificate_is_here(repository: Repository, gnupg: GnuPG) -> None:
    """Unknown first (E), then valid and not trusted (U), then trusted (G); git's own words for what we tell it."""
    gerda = "Gerda <gerda@example.org>"
    made = gnupg.new_key(gerda, "ed25519", "sign")
    home = next(line for line in gnupg.out("--version").decode().splitlines() if line.startswith("Home: "))[6:]
    wrapper = repository.safe.file("gpg", f'#!/bin/sh\nGNUPGHOME={home} exec gpg --batch --no-tty "$@"\n'.encode())
    wrapper.chmod(0o700)
    repository.git(
        *("-c", f"gpg.program={wrapper}", "-c", f"user.signingkey={made}"),
        *("commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", "by Gerda"),
    )
    verdict = ("log", "-1", "--format=%G? %GS %GT")
    assert repository.git("log", "-1", "--format=%G?").stdout == "E\n"  # without a trust, git itself stumbles on %GT
    repository.safe.must("key", "import", data=gnupg.certificate(made))
    assert repository.git(*verdict).stdout == f"U {gerda} undefined\n"
    repository.safe.must("key", "trust", made)
    assert repository.git(*verdict).stdout == f"G {gerda} fully\n"


def test_a_key_is_found_by_who_commits_and_a_wrong_one_signs_nothing(repository: Repository) -> None:
    """Git passes the committer's name where no key is set; without key, password or vault there is no commit."""
    repository.git("commit", "--quiet", "--allow-empty", "--no-gpg-sign", "--message", "before")
    before = repository.git("rev-parse", "HEAD").stdout.strip()
    commit = ("commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", "nothing")
    repository.git("-c", "user.signingkey=", *commit[:-1], "by name")
    assert repository.git("log", "-1", "--format=%G?").stdout == "G\n"
    repository.git("reset", "--quiet", "--soft", before)
    repository.git("-c", "user.signingkey=nobody@example.org", *commit, code=128)
    wrong = repository.safe.file("wrong", b"wrong\n")
    repository.git(*commit, password=str(wrong), code=128)
    assert repository.git("rev-parse", "HEAD").stdout.strip() == before


def test_the_shim_explains_itself_and_does_nothing_else(repository: Repository) -> None:
    """Help and version without a vault; what git does not ask for is refused with one hint."""
    for arguments, code, text in (
        (("--help",), 0, "gpg.program trollbridge-gpg"),
        (("--version",), 0, "Trollbridge"),
        (("--export-secret-keys",), 2, "does what git asks of gpg"),
    ):
        done = subprocess.run(
            [SHIM, *arguments],
            capture_output=True,
            text=True,
            env=environment(repository.safe.variables),
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code
        assert text in done.stdout + done.stderr
