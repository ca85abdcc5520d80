"""The gate in front of the key: an enclave that has a release signed, if it is one, and nothing else.

It calls others itself, over sessions and under grants of its own: git by the programs host, the files that were built
by the files host, the vault for the signature. What is signed was computed here, in an enclave, from what was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator  # read at run time, as every annotation of a handler

import msgspec

from trollbridge.actors import Progress, handler
from trollbridge.enclave import EnclaveActor
from trollbridge.messages.errors import DeclaredError, NotAllowed


class NotARelease(DeclaredError):
    """The checkout is not what was tagged, or nothing was built."""


class WrongKey(DeclaredError):
    """The vault does not sign that, or not under that key."""


class Release(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The digests of everything that was built, as `sha256sum --check` reads them, and the signature of these."""

    sums: bytes
    signature: bytes


class Gate(EnclaveActor):
    """Has releases signed."""

    def __init__(self, key: str) -> None:
        """Take under which key."""
        super().__init__()
        self._key = key

    @handler
    def release(self, tag: str) -> Generator[Progress, None, Release]:
        """Check that the checkout is at `tag`, unchanged; compute and sign the digests of what was built."""
        if tag not in self._git("tag", "--points-at", "HEAD").splitlines():
            msg = f"the checkout is not at {tag}"
            raise NotARelease(msg)
        if self._git("status", "--porcelain", "--untracked-files=no"):
            msg = "the checkout holds changes that are not committed"
            raise NotARelease(msg)
        built = [each for each in self.peers.files.list("dist").get(timeout=10) if each.kind == "file"]
        if not built:
            msg = "nothing was built"
            raise NotARelease(msg)
        done, total, lines = 0, sum(each.size for each in built), list[str]()
        for each in built:
            lines.append(f"{self._digest(each.name)}  {each.name}\n")
            done += each.size
            yield Progress(done, total, each.name)
        sums = "".join(lines).encode()
        try:
            signature = self.peers.vault.sign(self._key, sums).get(timeout=10)
        except NotAllowed:
            raise WrongKey from None
        return Release(sums, signature)

    def _git(self, *arguments: str) -> str:
        run = self.peers.programs.run("git", arguments)
        written = b"".join(each.data for each in run if each.stream == "out")
        if run.result.get(timeout=10).code != 0:
            msg = "git does not work here"
            raise NotARelease(msg)
        return written.decode(errors="replace")

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        try:
            for piece in self.peers.files.read(f"dist/{name}"):
                digest.update(piece)
        except NotAllowed:  # a name with a line break in it would be two lines of what is signed
            msg = f"{name!r} is no name for a file of a release"
            raise NotARelease(msg) from None
        return digest.hexdigest()
