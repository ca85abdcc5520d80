"""Files through a real ring: the honest half from the UI, the attacks from an extension with the same grants."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.puppeteer import Told
from tests.hosts import stream_acts, transfer_acts
from tests.hosts.host_app import LARGEST
from tests.hosts.scene import ask, scene, take
from tests.hosts.swapping import swapping
from trollbridge.actors.hosts.files import PIECE
from trollbridge.messages.limits import FIRST_CREDIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.puppeteer import Hand
    from tests.hosts.scene import Scene


PATIENCE: Final = 20.0


@pytest.fixture(scope="module", params=["as whoever runs the tests", "as an ordinary user"])
def ring(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Return the ring that these tests share."""
    with scene(as_ordinary=request.param == "as an ordinary user") as made:
        yield made


def refused(hand: Hand, handler: str, *positional: object) -> str:
    """Call a handler that must refuse; return the error's name as the caller sees it, which names nothing of ours."""
    with pytest.raises(Told) as told:
        take(hand, handler, *positional) if handler in {"files.read", "files.watch"} else ask(
            hand, handler, *positional
        )
    assert "/tmp" not in told.value.text  # noqa: S108  # that is where the folders of the test lie
    return told.value.name or told.value.kind


def test_a_file_is_listed_looked_at_and_streamed(ring: Scene) -> None:
    """A15: by both callers; in pieces, whole or in part, of any length; no number is too large to be refused."""
    content = os.urandom(300_000)
    folder = ring.notes / "shelf"
    folder.joinpath("deep").mkdir(parents=True)
    folder.joinpath("a.bin").write_bytes(content)
    folder.joinpath(".hidden").write_bytes(b"")
    for hand in (ring.ui, ring.plugin):
        assert [each[:3] for each in ask(hand, "files.list", "notes/shelf")] == [
            ["a.bin", "file", 300_000],
            ["deep", "folder", 0],
        ]
        assert [each[0] for each in ask(hand, "files.list")] == ["notes", "out"]
        assert ask(hand, "files.stat", "notes/shelf/a.bin")[:3] == ["a.bin", "file", 300_000]
        assert [ask(hand, "files.exists", f"notes/shelf/{each}") for each in ("a.bin", "b.bin")] == [True, False]
        pieces, result = take(hand, "files.read", "notes/shelf/a.bin")
        assert (b"".join(pieces), result) == (content, None)
        assert len(pieces) > 1
        assert b"".join(take(hand, "files.read", "notes/shelf/a.bin", 299_990)[0]) == content[299_990:]
        assert b"".join(take(hand, "files.read", "notes/shelf/a.bin", 10, 200_000)[0]) == content[10:200_010]
        assert take(hand, "files.read", "notes/shelf/a.bin", 300_000) == ([], None)
        assert take(hand, "files.read", "notes/shelf/a.bin", 1 << 62) == ([], None)
        for far in ((1 << 62) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
            assert refused(hand, "files.read", "notes/shelf/a.bin", far) == "InvalidArguments"
            assert refused(hand, "files.read", "notes/shelf/a.bin", 0, far) == "InvalidArguments"


def test_a_file_is_uploaded_renamed_downloaded_and_removed(ring: Scene) -> None:
    """A15: the pipelined way of `ui_adapter.files`, with what it reports; nothing is left beside the file."""
    size = LARGEST - 7
    for hand, name in ((ring.ui, "one"), (ring.plugin, "two")):
        sent = hand.act(transfer_acts.upload, path=f"out/{name}", size=size)
        assert sent["size"] == sent["reported"] == size
        assert hashlib.sha256(ring.out.joinpath(name).read_bytes()).hexdigest() == sent["digest"]
        ask(hand, "files.make_folder", f"out/{name}.d")
        ask(hand, "files.rename", f"out/{name}", f"out/{name}.d/file")
        assert refused(hand, "files.remove", f"out/{name}.d") == "AlreadyThere"
        got = hand.act(transfer_acts.download, path=f"out/{name}.d/file")
        assert got == {"size": size, "reported": size, "digest": sent["digest"]}
        more = hand.act(transfer_acts.append, path=f"out/{name}.d/file", data=b"1234567")
        assert (more, refused_append(hand, f"out/{name}.d/file")) == (LARGEST, "NoSpace")
        ask(hand, "files.remove", f"out/{name}.d/file")
        ask(hand, "files.remove", f"out/{name}.d")
    assert list(ring.out.iterdir()) == []


def refused_append(hand: Hand, path: str) -> str:
    """Append one byte too many; return the error's name."""
    with pytest.raises(Told) as told:
        hand.act(transfer_acts.append, path=path, data=b"8")
    return told.value.name


def test_a_replacement_is_atomic_for_who_reads(ring: Scene) -> None:
    """A15: a stream that was begun before gives the old file to its end, one begun after gives the new."""
    ring.out.joinpath("r").write_bytes(b"o" * 400_000)
    ring.out.joinpath("r").chmod(0o666)
    ring.plugin.act(stream_acts.begin, name="old", handler="files.read", positional=["out/r"])
    first = ring.plugin.act(stream_acts.item, name="old")
    number = ask(ring.ui, "files.begin", "out/r")
    ask(ring.ui, "files.put", number, 0, b"new")
    ask(ring.ui, "files.commit", number, 3)
    rest = ring.plugin.act(stream_acts.rest, name="old")
    assert first + b"".join(rest) == b"o" * 400_000
    assert take(ring.plugin, "files.read", "out/r")[0] == [b"new"]
    ask(ring.ui, "files.remove", "out/r")


def test_a_file_that_shrinks_or_grows_while_it_is_read_ends_where_it_ends(ring: Scene) -> None:
    """A15: and the stream ends in good order. Nothing is read so far ahead that it could be over before."""
    log, size = ring.notes / "log", (FIRST_CREDIT + 8) * PIECE
    for more in (b"", b"and more"):
        log.write_bytes(b"x" * size)
        ring.ui.act(stream_acts.begin, name="log", handler="files.read", positional=["notes/log"])
        first = ring.ui.act(stream_acts.item, name="log")
        if more:
            with log.open("ab") as file:
                file.write(more)
        else:
            os.truncate(log, 200_000)
        found = first + b"".join(ring.ui.act(stream_acts.rest, name="log"))
        assert found == b"x" * size + more if more else len(found) < size
    log.unlink()


def test_a_folder_is_watched_until_the_watcher_lets_go(ring: Scene) -> None:
    """A15: made, changed, renamed, removed, by names; nothing of what lies outside or is hidden."""
    watch(ring.plugin, "w", "out")
    number = ask(ring.ui, "files.begin", "out/new")
    ask(ring.ui, "files.put", number, 0, b"1")
    ring.folder.joinpath("elsewhere").write_bytes(b"")
    ask(ring.ui, "files.commit", number, 1)
    ask(ring.ui, "files.remove", "out/new")
    ring.out.joinpath("last").write_bytes(b"")
    seen = [ring.plugin.act(stream_acts.item, name="w") for _ in range(4)]
    assert seen == [["made", "new"], ["removed", "new"], ["made", "last"], ["changed", "last"]]
    assert ring.plugin.act(stream_acts.cancel, name="w") is True
    ask(ring.ui, "files.remove", "out/last")


def watch(hand: Hand, name: str, path: str) -> None:
    """Watch a folder, and wait until that has begun."""
    hand.act(stream_acts.begin, name=name, handler="files.watch", positional=[path])
    assert hand.act(stream_acts.item, name=name) == ["begun", ""]


OUTSIDE = {
    "notes/../secret": "OutOfScope",
    "notes/up": "OutOfScope",
    "notes/hard": "WrongKind",
    "notes/.hidden": "OutOfScope",
    "notes/pipe": "WrongKind",
    "notes/nowhere/../../secret": "OutOfScope",
    "notes/*": "NoSuchFile",
    "/etc/passwd": "InvalidName",
    "secret": "NoSuchFile",
}
"""Paths, and the error's name for each."""


def test_an_extension_reads_nothing_outside(ring: Scene) -> None:
    """A15, S1, S2: each refusal is the same for the UI; neither names a path of the machine."""
    plant(ring)
    for path, name in OUTSIDE.items():
        for hand in (ring.plugin, ring.ui):
            assert refused(hand, "files.read", path) == name, path


def plant(ring: Scene) -> None:
    """Put links and a pipe into the folder, once."""
    up = ring.notes / "up"
    if not up.is_symlink():
        up.symlink_to("../secret")
        ring.notes.joinpath("hard").hardlink_to(ring.folder / "secret")
        os.mkfifo(ring.notes / "pipe")


def test_a_folder_that_becomes_a_link_meanwhile_never_leads_an_extension_outside(ring: Scene) -> None:
    """S2: the race of `test_beneath`, through the whole ring."""
    place = ring.notes / "race"
    place.mkdir()
    seen, until = Counter[str](), time.monotonic() + PATIENCE
    with swapping(place, ring.folder, b"the secret outside"):
        while seen.total() < 200 or (not 0 < seen["inside"] < seen.total() and time.monotonic() < until):
            seen.update(ring.plugin.act(stream_acts.race, path="notes/race/swapped/a.txt", times=50))
    assert seen.keys() <= {"inside", "OutOfScope", "NoSuchFile"}
    assert 0 < seen["inside"] < seen.total(), "it was another at another moment"


def test_an_extension_changes_nothing_outside_and_nothing_that_may_only_be_read(ring: Scene) -> None:
    """A15, S2: every handler that changes something; and what lies outside is as it was."""
    plant(ring)
    ring.out.joinpath("way").symlink_to(ring.folder)
    hand = ring.plugin
    for path, name in (("notes/new", "ReadOnly"), ("out/../new", "OutOfScope"), ("out/.new", "OutOfScope")):
        for handler in ("begin", "make_folder", "remove"):
            assert refused(hand, f"files.{handler}", path) == name
        assert refused(hand, "files.rename", path, "out/x") == name
    for handler in ("begin", "make_folder", "remove"):
        assert refused(hand, f"files.{handler}", "out/way/new") in {"OutOfScope", "NoSuchFile"}
    assert refused(hand, "files.begin", "out/way") == "WrongKind"
    assert refused(hand, "files.make_folder", "out") == "OutOfScope"
    assert refused(hand, "files.remove", "out") == "OutOfScope"
    assert not ring.folder.joinpath("new").exists()
    assert ring.folder.joinpath("secret").read_bytes() == b"the secret outside"
    ring.out.joinpath("way").unlink()


def test_a_handle_of_the_ui_is_of_no_use_to_an_extension(ring: Scene) -> None:
    """A22: not even its exact number."""
    number = ask(ring.ui, "files.begin", "out/mine")
    for handler, more in (("put", (0, b"x")), ("commit", ()), ("abandon", ())):
        assert refused(ring.plugin, f"files.{handler}", number, *more) == "NoSuchHandle"
    ask(ring.ui, "files.abandon", number)
    assert list(ring.out.iterdir()) == []


def test_many_streams_at_once_are_bounded_and_the_others_go_on(ring: Scene) -> None:
    """A56: one member watches so many folders; another is not told, and its own are its own."""
    for number in range(8):
        watch(ring.plugin, f"w{number}", "out")
    assert refused(ring.plugin, "files.watch", "out") == "Overloaded"
    watch(ring.ui, "own", "out")
    for hand, name in ((ring.ui, "own"), *((ring.plugin, f"w{number}") for number in range(8))):
        assert hand.act(stream_acts.cancel, name=name) is True


def test_the_host_is_kept_as_an_enclave_is(ring: Scene) -> None:
    """A15: the whole lock, which the supervisor saw from outside."""
    assert ring.ui.wait_for("process.locked", member="files").level == "full"
