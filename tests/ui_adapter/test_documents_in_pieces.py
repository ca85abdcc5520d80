"""Documents of any length through a real ring: files and pipes, there and back, and what is left when it goes wrong."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.gnupg import GnuPG
from tests.ui_adapter.courier import PATIENCE
from tests.ui_adapter.couriers import Courier, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

MIB: Final = 1 << 20
SIZES: Final = (0, 100, 5 * MIB + 1)
"""Two that go through in one call, and one that goes in pieces."""
LARGE: Final = 192 * MIB
MOST: Final = 100 * 1024
"""KiB that a process may take at its peak, whatever the document's length."""
MOST_DECRYPTING: Final = 300 * 1024
"""The same for a scribe that decrypts: pysequoia holds 25 MiB back, in several buffers of twice that."""


@pytest.fixture(scope="module")
def courier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Courier]:
    """Start one application for all tests that leave it as it was."""
    with Courier(tmp_path_factory.mktemp("courier")) as running:
        running.ready()
        yield running


@pytest.fixture
def source(tmp_path: Path) -> Callable[[int], Path]:
    """Return what writes a document of some length."""

    def write(size: int) -> Path:
        path = tmp_path / "document"
        path.write_bytes(os.urandom(size))
        return path

    return write


def _listing(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


@contextlib.contextmanager
def fed(path: Path, content: bytes) -> Generator[None]:
    """Feed a named pipe from another thread while the block runs."""
    os.mkfifo(path)

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError):
            path.write_bytes(content)

    thread = threading.Thread(target=feed)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()


@contextlib.contextmanager
def drained(path: Path, found: list[bytes]) -> Generator[None]:
    """Read a named pipe from another thread while the block runs; what came is added to `found`."""
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()))
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("size", SIZES)
def test_each_document_comes_back(courier: Courier, source: Callable[[int], Path], tmp_path: Path, size: int) -> None:
    """Encrypted and decrypted, signed and verified, sealed and opened: short ones in one call, long ones in pieces."""
    document = source(size)
    message, signed, sealed, back = (tmp_path / name for name in ("message", "signed", "sealed", "back"))
    answer = courier.done("encrypt", document, message, ["ada", "bob"], "ada")
    assert answer["told"] == [[size, size]]
    assert courier.done("decrypt", message, back)["signers"] == ["ada"]
    assert back.read_bytes() == document.read_bytes()
    courier.done("encrypt", document, message, ["bob"], armored=True)
    assert courier.done("decrypt", message, back)["signers"] == []
    assert back.read_bytes() == document.read_bytes()
    courier.done("sign", document, signed, "bob")
    assert courier.done("verify", document, signed)["signers"] == ["bob"]
    courier.done("sign", document, signed, "ada", mode="inline")
    assert courier.done("read_signed", signed, back)["signers"] == ["ada"]
    assert back.read_bytes() == document.read_bytes()
    courier.done("seal", document, sealed)
    courier.done("open_sealed", sealed, back)
    assert back.read_bytes() == document.read_bytes()
    assert {each.stat().st_mode & 0o777 for each in (message, signed, sealed, back)} == {0o600}
    assert _listing(tmp_path) == {"document", "message", "signed", "sealed", "back"}


def test_pipes_are_as_good_as_files(courier: Courier, tmp_path: Path) -> None:
    """Neither end has a length or a place to go back to; the message is kept only while it is decrypted."""
    content, message, plaintext = os.urandom(6 * MIB), list[bytes](), list[bytes]()
    with fed(tmp_path / "in", content), drained(tmp_path / "out", message):
        assert courier.done("encrypt", tmp_path / "in", tmp_path / "out", ["ada"], "bob")["told"] == [[6 * MIB, None]]
    with fed(tmp_path / "in2", message[0]), drained(tmp_path / "out2", plaintext):
        assert courier.done("decrypt", tmp_path / "in2", tmp_path / "out2")["signers"] == ["bob"]
    assert plaintext == [content]


@pytest.mark.parametrize("size", SIZES[1:])
def test_nothing_is_seen_of_a_document_that_is_not_to_be_trusted(
    courier: Courier, source: Callable[[int], Path], tmp_path: Path, size: int
) -> None:
    """Altered, cut off, or for somebody else; into a file, which stays as it was, and into a pipe (A29, A31)."""
    document = source(size)
    message, sealed, target = tmp_path / "message", tmp_path / "sealed", tmp_path / "target"
    courier.done("encrypt", document, message, ["ada"], "bob")
    courier.done("seal", document, sealed)
    target.write_bytes(b"what was there")
    before = _listing(tmp_path)
    for name, path, errors in (
        ("decrypt", message, {"CannotDecrypt", "NotOpenPGP", "BadSignature"}),
        ("open_sealed", sealed, {"FileDamaged"}),
    ):
        good = path.read_bytes()
        altered = bytearray(good)
        altered[len(good) - 30] ^= 1
        for bad in (bytes(altered), good[:-1]):
            path.write_bytes(bad)
            assert courier.error(name, path, target) in errors
            seen: list[bytes] = []
            with drained(tmp_path / "out", seen):
                assert courier.error(name, path, tmp_path / "out") in errors
            assert seen == [b""]
            (tmp_path / "out").unlink()
    assert target.read_bytes() == b"what was there"
    assert _listing(tmp_path) == before


def test_what_cannot_be_written_or_read_is_told(
    courier: Courier, source: Callable[[int], Path], tmp_path: Path
) -> None:
    """And the job that was begun for it is not left behind: more than four fail one after the other."""
    document = source(5 * MIB)
    (tmp_path / "junk").write_bytes(bytes(5 * MIB))
    for _ in range(6):
        assert courier.error("sign", document, tmp_path / "missing" / "target", "ada", mode="inline") == "NotWritten"
        assert courier.error("seal", tmp_path, tmp_path / "target") == "NotRead"
        assert courier.error("encrypt", document, tmp_path / "target", ["nobody"]) == "NoSuchKey"
        assert courier.error("decrypt", tmp_path / "junk", tmp_path / "target") == "NotOpenPGP"
    assert _listing(tmp_path) == {"document", "junk"}


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_person_approves_what_is_signed(
    courier: Courier, source: Callable[[int], Path], tmp_path: Path, size: int
) -> None:
    """The document is shown by its size; yes lets this one pass, no keeps it refused (A29)."""
    document, target, name = source(size), tmp_path / "target", f"Approved {size}"
    fingerprint = courier.done("handler", "generate", name)["value"]
    courier.done("constrain", f"key:{fingerprint}")
    assert courier.error("sign", document, target, name, mode="inline") == "ApprovalNeeded"
    answer = courier.done("approving", "sign", True, document, target, name, mode="inline")  # noqa: FBT003
    assert [each.split()[:2] for each in answer["asked"]] == [["sign", str(size)]]
    assert courier.done("read_signed", target, None)["signers"] == [name]
    with fed(tmp_path / "in", document.read_bytes()):
        answer = courier.done("approving", "encrypt", True, tmp_path / "in", target, ["ada"], name)  # noqa: FBT003
    assert [each.split()[:2] for each in answer["asked"]] == [["sign", str(size)]]
    document.write_bytes(b"something else")
    assert courier.error("approving", "sign", False, document, target, name) == "ApprovalRefused"  # noqa: FBT003
    assert courier.error("sign", document, target, name) == "ApprovalRefused"


def test_a_person_approves_what_passes_in_pieces_or_in_one_call(courier: Courier, tmp_path: Path) -> None:
    """A detached signature of any document, from a pipe too; else what fits into one call, and no more (K2, A31)."""
    size, name = 5 * MIB, "Approved in pieces"
    content, document, target, back = os.urandom(size), *(tmp_path / each for each in ("document", "target", "back"))
    document.write_bytes(content)
    fingerprint = courier.done("handler", "generate", name)["value"]
    courier.done("encrypt", document, target, [name], "ada")
    courier.done("constrain", f"key:{fingerprint}")
    answer = courier.done("approving", "decrypt", True, target, back)  # noqa: FBT003
    assert [each.split()[:2] for each in answer["asked"]] == [["decrypt", str(target.stat().st_size)]]
    assert (answer["signers"], back.read_bytes()) == (["ada"], content)
    with fed(tmp_path / "in", content):
        answer = courier.done("approving", "sign", True, tmp_path / "in", target, name)  # noqa: FBT003
    assert [each.split()[:2] for each in answer["asked"]] == [["sign", str(size)]]
    assert courier.done("verify", document, target)["signers"] == [name]
    target.unlink()
    assert courier.error("approving", "sign", False, document, target, name) == "ApprovalRefused"  # noqa: FBT003
    assert courier.error("sign", document, target, name) == "ApprovalRefused"
    os.truncate(document, 64 * MIB + 1)
    assert courier.error("approving", "encrypt", True, document, target, ["ada"], name) == "ApprovalNeeded"  # noqa: FBT003
    assert _listing(tmp_path) == {"document", "back", "in"}


def test_what_is_not_checked_in_pieces_is_checked_in_one_call(courier: Courier, tmp_path: Path) -> None:
    """A signature inside gpg's compressed layer, two in one file, a text framed by one: of up to 64 MiB (A23)."""
    content, document, message, back = (
        b"A line.\n" * MIB,
        *(tmp_path / name for name in ("document", "message", "back")),
    )
    document.write_bytes(content)
    with tempfile.TemporaryDirectory(prefix="g") as home, contextlib.closing(GnuPG(Path(home))) as gpg:
        theirs = gpg.new_key("Reader and writer")
        (tmp_path / "key").write_bytes(gpg.out("--export-secret-keys", theirs))
        courier.done("handler", "import_secret", tmp_path / "key", [])
        how = ("--compress-level", "1", "--compress-algo", "zlib", "--sign", "-u", theirs)
        message.write_bytes(gpg.out(*how, "--encrypt", "-r", theirs, data=os.urandom(5 * MIB)))
        assert courier.done("decrypt", message, back)["signers"] == ["Reader and writer"]
        with fed(tmp_path / "in", message.read_bytes()):
            assert courier.done("decrypt", tmp_path / "in", back)["signers"] == ["Reader and writer"]
    courier.done("sign", document, message, "ada", mode="clear")
    assert courier.done("read_signed", message, back)["signers"] == ["ada"]
    assert back.read_bytes() == content
    courier.done("sign", document, message, "ada", armored=False)
    courier.done("sign", document, back, "bob", armored=False)
    message.write_bytes(message.read_bytes() + back.read_bytes())
    assert courier.done("verify", document, message)["signers"] == ["ada", "bob"]


def test_an_ordinary_user_has_the_same() -> None:
    """The scribes of a supervisor that is not root are locked as well, and reach their pipes."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        place = Path(name)
        place.chmod(0o755)
        document, message, back = place / "document", place / "message", place / "back"
        document.write_bytes(os.urandom(5 * MIB))
        document.chmod(0o644)
        with Courier(place, of_an_ordinary_user=True) as courier:
            courier.ready()
            courier.done("encrypt", document, message, ["ada", "bob"], "ada")
            assert courier.done("decrypt", message, back)["signers"] == ["ada"]
            courier.wait_for("errand.ended", incarnation=2)
            locked = [each.level for each in courier.lines("process.locked") if each.role == "errand"]
        assert locked == ["full", "full"]
        assert back.read_bytes() == document.read_bytes()


def test_memory_does_not_grow_with_the_document(tmp_path: Path) -> None:
    """192 MiB, generated as they go: every process stays below 100 MiB, the scribe that decrypts below 300."""
    document, message, back = tmp_path / "document", tmp_path / "message", tmp_path / "back"
    with document.open("wb") as file:
        for _ in range(LARGE // MIB):
            file.write(os.urandom(MIB))
    with Courier(tmp_path, 4 * PATIENCE) as courier:
        courier.ready()
        with Watch(courier) as encrypting:
            courier.done("encrypt", document, message, ["ada", "bob"], "ada")
        with Watch(courier) as decrypting:
            assert courier.done("decrypt", message, back)["signers"] == ["ada"]
    assert back.stat().st_size == LARGE
    assert {"troll-ui", "troll-enclave", "troll-errand", "troll-broker"} <= encrypting.keys() & decrypting.keys()
    assert max(encrypting.values()) < MOST, encrypting
    assert decrypting.pop("troll-errand") < MOST_DECRYPTING
    assert max(decrypting.values()) < MOST, decrypting


@pytest.mark.parametrize("name", ["decrypt", "open_sealed"])
def test_a_killed_ui_leaves_no_plaintext(tmp_path: Path, name: str) -> None:
    """SIGKILL while the plaintext comes out: it had no name, so nothing is there (K2)."""
    document, work, source = tmp_path / "document", tmp_path / "work", tmp_path / "source"
    document.write_bytes(os.urandom(70 * MIB))
    work.mkdir()
    with Courier(tmp_path) as courier:
        pid = courier.ready()
        if name == "decrypt":
            courier.done("encrypt", document, source, ["ada"], "ada")
        else:
            courier.done("seal", document, source)
        os.mkfifo(work / "in")
        courier.tell(name, work / "in", work / "target")
        with source.open("rb") as file, (work / "in").open("wb", buffering=0) as pipe:
            for _ in range(68):
                pipe.write(file.read(MIB))
            _until_it_writes(pid, work)
            os.kill(pid, signal.SIGKILL)
        courier.wait_for("process.ended", member="courier")
        assert _listing(work) == {"in"}


def _until_it_writes(pid: int, folder: Path) -> None:
    """Wait until the process holds an unnamed file of the folder with something in it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(each.readlink()).startswith(f"{folder}/#") and each.stat().st_size > MIB:
                    return
        threading.Event().wait(0.01)
    raise AssertionError(folder)
