"""The log redactor of the examples: no address is left, the memory that it takes does not grow, and all or nothing."""

from __future__ import annotations

import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.conftest import REPOSITORY, descendants
from tests.ui_adapter.commands import run, talk

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = REPOSITORY / "examples" / "log_redactor"
LINE: Final = "12:00:{:02} ada@example.org from 10.0.0.{} and 2001:db8::{:x} by std::vector\n"
SMALL: Final = "".join(LINE.format(each, each % 3, each % 2) for each in range(60))
QUIET: Final = "12:00:00 nothing to be seen here, but a lot of it, and one ada@example.org at the end of each line\n"
LARGE: Final = 12 << 20
"""Bytes of the log that memory does not grow with."""
GROWTH: Final = 4 << 10
"""KiB that a process may grow by while nine tenths of that log pass through it."""
PSEUDONYM: Final = r"(mail|ip)-[0-9a-f]{16}"


def _redactor() -> dict[str, Any]:
    spec = spec_from_file_location("redactor", FOLDER / "redactor.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def _peaks() -> dict[int, int]:
    """Return the most memory that each enclave and host has had, in KiB."""
    found: dict[int, int] = {}
    for each in descendants():
        if each.name in {"troll-enclave", "troll-host"}:
            status = Path(f"/proc/{each.pid}/status").read_text("utf-8")
            found[each.pid] = int(re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)[0])
    return found


def _place(folder: Path, logs: Mapping[str, str]) -> dict[str, str]:
    (folder / "logs").mkdir()
    for name, text in logs.items():
        (folder / "logs" / name).write_text(text, encoding="utf-8")
    return {
        "XDG_DATA_HOME": str(folder / "data"),
        "LOGS": str(folder / "logs"),
        "REDACTED": str(folder / "redacted"),
    }


def _with_a_patient_clerk(folder: Path) -> Path:
    """Copy the example, with a clerk who waits for whoever looks at the processes."""
    folder.mkdir()
    copied = {"redaction.py": FOLDER, "redactor.py": FOLDER, "patient.py": Path(__file__).parent, "clerk.py": FOLDER}
    names = {"patient.py": "clerk.py", "clerk.py": "honest_clerk.py"}
    for name, source in copied.items():
        shutil.copy(source / name, folder / names.get(name, name))
    return folder


def test_logs_are_redacted_in_memory_that_does_not_grow(tmp_path: Path) -> None:
    """A57: two redactors, a vault and a host; a log that cannot be redacted to its end leaves nothing behind.

    Run again, the same addresses get the same pseudonyms: the key comes out of the vault's.
    """
    place = _place(tmp_path, {"a.log": SMALL, "b.log": QUIET * (LARGE // len(QUIET))})
    with talk("run", "-q", "redaction:app", folder=_with_a_patient_clerk(tmp_path / "example"), more=place) as dialogue:
        dialogue.say("correct horse\n")
        dialogue.hear("b.log: 10 %\n")
        early = _peaks()
        dialogue.say("\n")
        dialogue.hear("all done\n")
        late = _peaks()
        dialogue.say("\n")
        assert dialogue.end() == 0
    assert len(early) == 4
    assert early.keys() == late.keys()
    assert all(late[pid] - peak < GROWTH for pid, peak in early.items()), (early, late)
    redacted = {each.name: each.read_text("utf-8") for each in (tmp_path / "redacted").iterdir()}
    assert redacted.keys() == {"a.log", "b.log"}
    mails = {name: set(re.findall(r"mail-[0-9a-f]{16}", text)) for name, text in redacted.items()}
    assert len(mails["a.log"] | mails["b.log"]) == 1
    assert len(set(re.findall(r"ip-[0-9a-f]{16}", redacted["a.log"]))) == 5
    assert not re.search("example|10[.]0|2001", "".join(re.sub(PSEUDONYM, "", each) for each in redacted.values()))
    assert re.sub(PSEUDONYM, "", redacted["a.log"]) == "".join(
        f"12:00:{each:02}  from  and  by std::vector\n" for each in range(60)
    )
    (tmp_path / "logs" / "b.log").unlink()
    (tmp_path / "logs" / "c.log").write_text("x" * (2 << 20), encoding="utf-8")
    ended = run("run", "-q", "redaction:app", folder=FOLDER, typed="correct horse\n", more=place)
    size = len(redacted["a.log"])
    assert (ended.code, ended.output) == (1, f"a.log: 100 %\na.log: 180 addresses in {size} bytes\n")
    assert ended.said == ["c.log: The log has a line of more than 1 MiB."]
    assert {each.name for each in (tmp_path / "redacted").iterdir()} == {"a.log", "b.log"}
    assert (tmp_path / "redacted" / "a.log").read_text("utf-8") == redacted["a.log"]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        (b"to <ada.l+x@mail.example.org>, cc:", b"to <>, cc:"),
        ("für jörg@müller.example!".encode(), "für !".encode()),
        (b"at 10.1.2.3.", b"at ."),
        (b"[::1]:80 fe80::1%eth0 1:2:3:4:5:6:7:8", b"[]:80 %eth0 "),
        (b"12:34:56 std::vector a::b::c 1.2.3", b"12:34:56 std::vector a::b::c 1.2.3"),
        (b"a" * 100_000, b"a" * 100_000),
    ],
)
def test_what_looks_like_an_address_is_one(line: bytes, left: bytes) -> None:
    """And nothing else; a long line takes no longer than its length."""
    assert _redactor()["ADDRESS"].sub(b"", line) == left


def test_an_address_never_lies_in_two_pieces() -> None:
    """Pieces are cut where the files host cuts them; lines are what is looked at."""
    module = _redactor()
    lines = module["_lines"]
    assert list(lines(iter([b"ada@exa", b"mple.org\nbob", b"@", b"x.org"]))) == [b"ada@example.org\n", b"bob@x.org"]
    assert list(lines(iter([b"\n", b"a\n"]))) == [b"\n", b"a\n"]
    with pytest.raises(module["LineTooLong"]):
        list(lines(iter([b"x" * (1 << 20), b"x", b"\n"])))
