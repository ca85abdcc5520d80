"""Which scopes reach where secrets are kept, or where the application's own code lies.

May import: our messages, the doctor's look at paths and scopes. Invariants: nothing is started, opened or made; of a
folder only names are read, and not more than `MOST_NAMES`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import Role
from trollbridge.ui_adapter.doctor_paths import over_code
from trollbridge.ui_adapter.doctor_scopes import WIDE
from trollbridge.ui_adapter.lint_finding import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from trollbridge.ui_adapter.doctor_scopes import Scope

HOMES: Final = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".mozilla", ".thunderbird"),
    *(".netrc", ".git-credentials", ".pypirc", ".npmrc", ".pgpass", ".env"),
    *(".local/share/keyrings", ".config/gh", ".config/gcloud", ".config/google-chrome", ".config/chromium"),
    *(".config/op", ".config/sops", ".local/share/trollbridge/vault"),
)
"""Where secrets are kept, in a home folder."""
MACHINE: Final = ("/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/etc/krb5.keytab", "/run/secrets")
"""Where secrets are kept, on a machine."""
NAMES: Final = frozenset(
    {
        *(".env", ".envrc", ".netrc", ".git-credentials", ".pypirc", ".npmrc", ".pgpass", ".ssh", ".gnupg", ".aws"),
        *("id_rsa", "id_ecdsa", "id_ed25519", "secring.gpg", "private-keys-v1.d", "credentials.json"),
    }
)
"""What a file or a folder is called that holds secrets, wherever it lies."""
SUFFIXES: Final = (".vault", ".kdbx", ".p12", ".pfx", ".keytab")
DEEPEST: Final = 3
"""Folders within a scope that are looked into."""
MOST_NAMES: Final = 5_000
"""Names of one scope that are looked at."""
_KEEP_APART: Final = "declare what is needed of it, or keep the two apart"


def findings(
    scopes: Sequence[Scope], home: str, code: Mapping[str, str], hiding: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield what is wrong with scopes.

    `code`: where the application's code lies, as `doctor_paths.code_of` has it. `hiding`: the members that let nobody
    reach names that begin with a dot.
    """
    kept = {each.member: each.write for each in scopes if each.role == Role.ENCLAVE}
    for scope in scopes:
        if not scope.declared:
            continue
        for name, paths in (("read", scope.read), ("write", scope.write)):
            for path in paths:
                entry, real = f"{name}=[{path!r}]", os.path.realpath(path)
                yield from _of_path(scope, entry, real, home, kept)
                if scope.role != Role.ENCLAVE and not known_home(real, home):  # an enclave's own scope is its own
                    yield from _of_names(scope, entry, real, hidden=scope.member in hiding)
        for text in over_code(scope.write, code):
            what, _, why = text.rpartition(": ")
            yield Finding(Code.SCOPE_CODE, scope.member, what, f"give it a folder of its own, since {why}")


def reaching(scopes: Sequence[Scope]) -> dict[str, str]:
    """Return in words what each member reaches of the machine; those that reach nothing are left out."""
    ways = {each.member: [words for words, entries in _ways(each) if entries] for each in scopes}
    return {member: ", ".join(found) for member, found in ways.items() if found}


def _ways(scope: Scope) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (
        ("reads files", scope.read),
        ("writes files", scope.write),
        ("starts programs", scope.exec),
        ("uses the network", scope.network),
    )


def _of_path(scope: Scope, entry: str, real: str, home: str, kept: Mapping[str, Iterable[str]]) -> Iterator[Finding]:
    others = {other: paths for other, paths in kept.items() if other != scope.member}
    for other, paths in others.items():
        if any(_meet(real, os.path.realpath(path)) for path in paths):
            yield Finding(
                Code.SCOPE_SECRET, scope.member, f"{entry} reaches what the enclave {other} keeps", _KEEP_APART
            )
    if real in (os.path.realpath(home), "/", *map(os.path.realpath, WIDE)):
        what = "is the whole home folder" if real == os.path.realpath(home) else "is a folder that everybody uses"
        yield Finding(Code.SCOPE_WIDE, scope.member, f"{entry} {what}", "declare what is needed of it")
    known = known_home(real, home)
    if known and not _own(scope, real):
        yield Finding(Code.SCOPE_SECRET, scope.member, f"{entry} reaches {known}", _KEEP_APART)


def _of_names(scope: Scope, entry: str, real: str, *, hidden: bool) -> Iterator[Finding]:
    named = next(_named(real, hidden=hidden), "")
    if named:
        yield Finding(Code.SCOPE_SECRET, scope.member, f"{entry} reaches {named}", _KEEP_APART)


def _own(scope: Scope, real: str) -> bool:
    """Tell whether an enclave may be there: what it may write is where it keeps its own."""
    return scope.role == Role.ENCLAVE and real in map(os.path.realpath, scope.write)


def known_home(real: str, home: str) -> str:
    """Return where secrets are kept that a path reaches, as people write it; nothing if it reaches none."""
    for each in HOMES:
        if _meet(real, os.path.realpath(os.path.join(home, each))):  # noqa: PTH118  # strings, as the declaration has them
            return f"~/{each}"
    return next((each for each in MACHINE if _meet(real, os.path.realpath(each))), "")


def _meet(one: str, other: str) -> bool:
    """Tell whether two paths are the same, or one lies within the other."""
    return one == other or one.startswith(other.rstrip("/") + "/") or other.startswith(one.rstrip("/") + "/")


def _named(real: str, *, hidden: bool) -> Iterator[str]:
    """Yield what is called like something that holds secrets, within a path, its own name included.

    `hidden`: leave out what begins with a dot.
    """
    if _tells(os.path.basename(real)):  # noqa: PTH119
        yield real
    left, waiting = MOST_NAMES, [(real, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        return
                    if hidden and entry.name.startswith("."):
                        continue
                    if _tells(entry.name):
                        yield entry.path
                    elif depth < DEEPEST and entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
        except OSError:
            continue  # a file, or not for this user


def _tells(name: str) -> bool:
    return name in NAMES or name.endswith(SUFFIXES)
