"""The release signer of the examples: signs a release as a CI job does, and nothing that is none."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import REPOSITORY
from tests.enclave.gnupg import GnuPG
from tests.ui_adapter.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ui_adapter.commands import Ended

FOLDER: Final = REPOSITORY / "examples" / "release_signer"
TAG: Final = "v1.2.0"
WITH_PASSWORD: Final = ("/bin/sh", "-c", 'exec "$@" 3<"$PASSWORD"', "sh")
BUILT: Final = {"project-1.2.0.tar.gz": os.urandom(700_000), "project-1.2.0.whl": b"wheel"}


class Job:
    """A checkout at a tag, with what was built from it, and the CI job that is run on it."""

    def __init__(self, place: Path) -> None:
        """Make it."""
        self.checkout: Final = place / "checkout"
        self.place: Final = place
        self.signed: Final = self.checkout / "signed"
        (self.checkout / "dist").mkdir(parents=True)
        (self.checkout / ".gitignore").write_text("dist\nsigned\n", encoding="utf-8")
        for name, content in BUILT.items():
            (self.checkout / "dist" / name).write_bytes(content)
        (place / "password").write_text("correct horse\n", encoding="utf-8")
        self.git("init", "--quiet")
        self.git("add", ".gitignore")
        self.git("commit", "--quiet", "--message=first")
        self.git("tag", TAG)

    def git(self, *arguments: str) -> None:
        """Run git in the checkout."""
        names = {
            f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        subprocess.run(
            ["/usr/bin/git", *arguments], cwd=self.checkout, check=True, env=dict(os.environ) | names, timeout=20
        )

    def run(self, tag: str = TAG, **more: str) -> Ended:
        """Run the job."""
        data = {"XDG_DATA_HOME": str(self.place / "data"), "PASSWORD": str(self.place / "password")}
        place = data | {"CHECKOUT": str(self.checkout), "TAG": tag} | more
        return run("run", "release:app", folder=FOLDER, prefix=WITH_PASSWORD, more=place)


@pytest.fixture(scope="module")
def job() -> Iterator[Job]:
    """Run the job once, so that vault, key and release are there."""
    with tempfile.TemporaryDirectory() as place:
        made = Job(Path(place).resolve())
        ended = made.run()
        assert (ended.code, ended.said) == (0, [])
        assert ended.output.splitlines()[-1] == f"{TAG}: 2 files, signed"
        yield made


def test_gpg_verifies_what_was_signed(job: Job) -> None:
    """A23, A57: five processes have made it: job, gate, vault, and a host each for files and for git."""
    with tempfile.TemporaryDirectory() as home:
        gpg = GnuPG(Path(home))
        try:
            gpg.out("--import", str(job.signed / "release-key.asc"))
            gpg.out("--verify", str(job.signed / "SHA256SUMS.asc"), str(job.signed / "SHA256SUMS"))
        finally:
            gpg.close()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in BUILT.items()}
    lines = [f"{digests[name]}  {name}\n" for name in sorted(BUILT)]
    assert (job.signed / "SHA256SUMS").read_text("utf-8") == "".join(lines)


def test_a_tag_that_no_grant_lets_pass_is_refused(job: Job) -> None:
    """S4: the job learns nothing but that; the log says which rule and which argument, and no value."""
    ended = job.run("nightly")
    assert (ended.code, ended.output, ended.said) == (4, "", ["nightly: No grant allows this call."])
    [refused] = [each for each in ended.log if each.event == "call.refused"]
    assert (refused.member, refused.detail) == ("pipeline", "release rule 7")
    assert "nightly" not in repr(ended.log)


@pytest.mark.parametrize(
    ("tag", "more", "said"),
    [
        ("v1.2.1", {}, "the checkout is not at v1.2.1"),
        (TAG, {"KEY": "Hotfixes <hotfixes@example.org>"}, "The vault does not sign that, or not under that key."),
    ],
)
def test_the_gate_refuses_what_is_no_release(job: Job, tag: str, more: dict[str, str], said: str) -> None:
    """A18, A57: another commit, and another key than the gate's own grant names."""
    ended = job.run(tag, **more)
    assert (ended.code, ended.output.splitlines()[-1:]) == (5, ["700005 of 700005 bytes"] if more else [])
    assert ended.said == [said]
