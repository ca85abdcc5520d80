"""What a sandbox may say, what it may not, and what it comes to once settings and home are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.sandbox import NOTHING, Sandbox, checked

HOME = "/users/ada"
NAMES = st.text(st.characters(codec="ascii", exclude_characters="/\0{}"), min_size=1).filter(
    lambda name: name not in {"..", "proc", "sys"}
)
FILES = st.lists(NAMES, min_size=2, max_size=4).map(lambda parts: "/" + "/".join(parts))
PATHS = st.one_of(FILES, FILES.map(lambda path: f"{path}/"))


class BytesPath:
    """A path of bytes, which no declaration can hold."""

    def __fspath__(self) -> bytes:
        """Return it."""
        return b"/srv"


def test_nothing_is_declared_by_default() -> None:
    """Deny by default: an empty sandbox reaches nothing."""
    assert (NOTHING.read, NOTHING.write, NOTHING.exec, NOTHING.network, NOTHING.threads) == ((), (), (), (), False)


def test_lists_are_taken_and_kept_as_tuples() -> None:
    """A sandbox is a value: what was a list cannot be changed afterwards."""
    made = Sandbox(read=["/etc/hosts"], network=["tcp:443", "unix"])  # type: ignore[arg-type]  # what people write
    assert (made.read, made.network) == (("/etc/hosts",), ("tcp:443", "unix"))


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"read": "/etc/hosts"}, r"Sandbox\(read=…\) is a list of strings"),
        ({"write": [b"/srv"]}, r"Sandbox\(write=…\) is a list of strings"),
        ({"read": ["etc/hosts"]}, "a path is absolute"),
        ({"read": [""]}, "a path is absolute"),
        ({"write": ["/"]}, "is not /"),
        ({"write": ["//"]}, "is not /"),
        ({"write": ["/srv/../etc"]}, r"without \.\."),
        ({"read": ["/srv/a\0b"]}, "a path is absolute"),
        ({"read": ["/proc/self/mem"]}, "cannot be declared"),
        ({"write": ["/sys"]}, "cannot be declared"),
        ({"read": ["/."]}, "is all of /"),
        ({"read": ["/./"]}, "is all of /"),
        ({"read": ["//proc"]}, "cannot be declared"),
        ({"read": ["/./proc/1"]}, "cannot be declared"),
        ({"write": ["/dev"]}, "is all of /dev"),
        ({"write": ["//dev/./mem"]}, "cannot be declared"),
        ({"exec": ["git"]}, "a path is absolute"),
        ({"network": ["tcp:0"]}, "write unix, udp, tcp"),
        ({"network": ["tcp:65536"]}, "write unix, udp, tcp"),
        ({"network": ["tcp:443 "]}, "write unix, udp, tcp"),
        ({"network": ["raw"]}, "write unix, udp, tcp"),
        ({"network": ["tcp:443\n"]}, "write unix, udp, tcp"),
        ({"threads": 1}, r"Sandbox\(threads=…\) is True or False"),
        ({"reads": ["/srv"]}, r"takes read=, write=, exec=, network= and threads=, and no reads"),
        ({"read": ["//proc/self/mem"]}, "cannot be declared"),
        ({"read": ["/./proc/self/mem"]}, "cannot be declared"),
        ({"read": ["/proc/"]}, "cannot be declared"),
        ({"write": ["///"]}, "is not /"),
        ({"read": [Path("relative")]}, "a path is absolute"),
        ({"read": [BytesPath()]}, "is a list of strings"),
        ({"network": [Path("/udp")]}, "is a list of strings"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(entries: dict[str, object], complaint: str) -> None:
    """S3, S5: each wrong entry gets one sentence that names it."""
    with pytest.raises(DeclarationError, match=complaint):
        Sandbox(**entries)  # type: ignore[arg-type]  # wrong on purpose


def test_what_is_given_without_a_name_is_refused_in_the_same_words() -> None:
    """Nobody guesses which of the five was meant."""
    with pytest.raises(DeclarationError, match=r"and threads=, and no \['/srv'\]"):
        Sandbox(["/srv"])  # type: ignore[call-arg,arg-type]  # wrong on purpose


def test_paths_may_be_given_as_what_pathlib_makes() -> None:
    """They are kept as strings, so that a declaration is the same however it was written."""
    made = Sandbox(read=[Path("/etc/hosts")], write=(Path("~/keys"),), exec=[Path("/bin/sh")])  # type: ignore[arg-type]  # what people write
    assert made == Sandbox(read=("/etc/hosts",), write=("~/keys",), exec=("/bin/sh",))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (Sandbox, "the class Sandbox"),
        (["/srv"], "a list"),
        ({"read": ["/srv"]}, "a dict"),
        (lambda: Sandbox(), "a function"),  # noqa: PLW0108  # what people write
    ],
)
def test_what_a_class_has_as_its_sandbox_is_one_or_nothing(value: object, found: str) -> None:
    """S5: whatever else stands there is refused in one sentence that names the actor."""
    assert checked(None, "notes:Notes") is None
    assert checked(NOTHING, "notes:Notes") is NOTHING
    with pytest.raises(DeclarationError) as raised:
        checked(value, "notes:Notes")
    assert str(raised.value) == f"notes:Notes: its sandbox is {found}, not a Sandbox(…)"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/srv/keys/", "/srv/keys/"),
        ("~/keys/", "/users/ada/keys/"),
        ("{path.parent}/", "/srv/ada/"),
        ("{folder}", "/srv/ada/"),
        ("{folder.parent}", "/srv"),
        ("{folder}more/", "/srv/ada/more/"),
        ("/srv/keys", "/srv/keys"),
        ("~/keys", "/users/ada/keys"),
        ("{path}", "/srv/ada/keys.vault"),
        ("{path.parent}", "/srv/ada"),
        ("{path.parent}/more", "/srv/ada/more"),
    ],
)
def test_settings_and_home_are_filled_in(path: str, found: str) -> None:
    """The declaration of a class serves every place that its settings name; a / at the end is kept."""
    resolved = Sandbox(write=(path,)).resolved({"path": "/srv/ada/keys.vault", "folder": "/srv/ada/"}, HOME)
    assert resolved == Sandbox(write=(found,))


@pytest.mark.parametrize(
    ("path", "settings", "complaint"),
    [
        ("{place}", {}, "names the setting place"),
        ("{place}", {"place": "relative"}, "a path is absolute"),
        ("{place}", {"place": "/srv/../etc"}, r"without \.\."),
        ("{place.parent}", {"place": "/keys"}, "is not /"),
        ("{place}", {"place": "/proc/1"}, "cannot be declared"),
        ("{place}", {"place": "{other}"}, "not an absolute path"),
    ],
)
def test_a_setting_cannot_smuggle_in_what_a_declaration_may_not_say(
    path: str, settings: dict[str, str], complaint: str
) -> None:
    """S2: what is filled in is held to the same rules."""
    with pytest.raises(DeclarationError, match=complaint):
        Sandbox(read=(path,)).resolved(settings, HOME)


@given(st.builds(Sandbox, read=st.lists(PATHS, max_size=3).map(tuple), threads=st.booleans()))
def test_a_sandbox_travels_as_itself(sandbox: Sandbox) -> None:
    """It is part of the first message to a child."""
    codec: Codec[Sandbox] = Codec(Sandbox)
    assert codec.decode(codec.encode(sandbox)) == sandbox
    assert sandbox.resolved({}, HOME) == sandbox
