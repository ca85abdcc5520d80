"""What is declared too widely of the hosts that ship: programs that take any argument, or run whatever they are given.

May import: our actors' declaration and hosts. Invariant: pure; a declaration is read, no program is looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.hosts.arguments import Literal
from trollbridge.actors.hosts.program import Spec
from trollbridge.messages.pattern import Pattern
from trollbridge.ui_adapter.lint_finding import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.app import App, Child
    from trollbridge.actors.hosts.arguments import Row

_HOSTS: Final = "trollbridge.actors.hosts."
PROBES: Final = ("/etc/passwd", "../../x", "a b; c", "$(x)", "x=y", "ü")
"""What a pattern that is meant to let one kind of argument pass does not match all of."""
RUNNERS: Final = frozenset(
    {
        *("sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "python", "perl", "ruby", "node", "nodejs", "php"),
        *("lua", "awk", "gawk", "mawk", "sed", "env", "xargs", "find", "sudo", "su", "doas", "ssh", "make", "gdb"),
    }
)
"""Programs that run what their arguments say."""


class _Declared(msgspec.Struct, frozen=True):
    """What matters here of the settings of a `Files(…)`."""

    hidden: bool = False


def findings(app: App) -> Iterator[Finding]:
    """Yield what is too wide about the programs of each `Programs(…)`."""
    for child in app.hosts:
        if str(child.actor).startswith(f"{_HOSTS}programs:") and child.member == child.service:
            specs = msgspec.json.decode(dict(child.settings)["programs"], type=dict[str, Spec])
            for name, spec in specs.items():
                yield from _of_program(f"{child.member}, {name}", spec)


def _of_program(where: str, spec: Spec) -> Iterator[Finding]:
    for number, row in enumerate(spec.args, 1):
        free = [each for each in row if not isinstance(each, Literal)]
        anything = next((each for each in free if _open(each.pattern)), None)
        runner = spec.path.rpartition("/")[2].rstrip("0123456789.")
        if anything is not None:
            what = f"alternative {number} lets any argument pass: {anything.pattern!r}"
            yield Finding(Code.PROGRAM_OPEN, where, what, "say in the pattern what the argument looks like")
        elif free and runner in RUNNERS and not _has_script(row):
            what = f"alternative {number} lets a caller choose what {spec.path} runs"
            yield Finding(Code.PROGRAM_OPEN, where, what, "write its first argument as a literal")


def _open(pattern: str) -> bool:
    matches = Pattern(pattern).matches
    return all(matches(each) for each in PROBES)


def _has_script(row: Row) -> bool:
    """Tell whether the first argument that is no option is declared literally: the script, the command, the target."""
    first = next((each for each in row if not (isinstance(each, Literal) and each.text.startswith("-"))), None)
    return isinstance(first, Literal)


def hides(child: Child) -> bool:
    """Return whether a member is a `Files(…)` that lets nobody reach names that begin with a dot."""
    if not str(child.actor).startswith(f"{_HOSTS}files:"):
        return False
    return not msgspec.json.decode(dict(child.settings)["declared"], type=_Declared).hidden
