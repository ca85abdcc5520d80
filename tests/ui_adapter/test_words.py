"""What a person types becomes data, whatever it is; what is shown stays on its line and steers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.errors import TrollbridgeError
from trollbridge.ui_adapter import words

if TYPE_CHECKING:
    from pathlib import Path


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A record as a handler returns it."""

    name: str
    data: bytes


@pytest.mark.parametrize(
    ("line", "positional", "named"),
    [
        ("", (), {}),
        ("5 -1 2.5", (5, -1, 2.5), {}),
        ("plain words", ("plain", "words"), {}),
        ("\"two words\" 'it is'", ("two words", "it is"), {}),
        (r'"a \" quote" b"\x00\xff"', ('a " quote', b"\x00\xff"), {}),
        ("None True (1, 2)", (None, True, (1, 2)), {}),
        ('{"a": 1} ("x y", "z")', ({"a": 1}, ("x y", "z")), {}),
        ('key="Ada Lovelace" armored=False', (), {"key": "Ada Lovelace", "armored": False}),
        ("7 mode=inline", (7,), {"mode": "inline"}),
        ("ada@example.org", ("ada@example.org",), {}),
        ("__import__('os').getpid()", ("__import__('os').getpid()",), {}),
    ],
)
def test_a_line_becomes_arguments(line: str, positional: tuple[object, ...], named: dict[str, object]) -> None:
    """Literals are values, words are text, nothing is run (P5, A10)."""
    assert words.arguments(line) == (positional, named)


@pytest.mark.parametrize("line", ['"open', "b'open", "(1, 2", "{1: ", "a=1 2", "a=1 a=2", "(print(1))"])
def test_a_line_that_makes_no_sense_is_refused(line: str) -> None:
    """With a sentence, not with a guess."""
    with pytest.raises(words.NotUnderstood):
        words.arguments(line)


def test_a_file_s_content_is_an_argument(tmp_path: Path) -> None:
    """`@FILE`, as bytes; a file that cannot be read is a typed error; a lone @ is itself."""
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear Ada")
    assert words.arguments(f"@{path} @") == ((b"Dear Ada", "@"), {})
    with pytest.raises(TrollbridgeError, match="cannot be read"):
        words.arguments(f"@{path}x")


@given(st.text(alphabet=st.characters(exclude_characters="@"), max_size=60))
def test_any_line_is_understood_or_refused(line: str) -> None:
    """No other exception, whatever is typed."""
    try:
        positional, named = words.arguments(line)
    except words.NotUnderstood:
        return
    assert isinstance(positional, tuple)
    assert all(name.isidentifier() for name in named)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "done"),
        ("text", "text"),
        (5, "5"),
        (b"-----BEGIN-----\nabc\n", "-----BEGIN-----\nabc"),
        (b"\xff\x00", "2 bytes: ff 00"),
        ((), "()"),
        ((1, "a"), "(1, 'a')"),
        (Entry("Ada", b"\x01"), r"Entry(name='Ada', data=b'\x01')"),
        ((Entry("Ada", b""), Entry("Ben", b"")), "Entry(name='Ada', data=b'')\nEntry(name='Ben', data=b'')"),
        ("x" * 3000, f"{'x' * 2000}… (3000 characters)"),
    ],
)
def test_a_value_is_shown_for_people(value: object, text: str) -> None:
    """Text as text, records with names, long things cut with their length."""
    assert words.shown(value) == text


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_nothing_that_is_shown_steers_the_terminal(value: str | bytes) -> None:
    """No escape sequence, no carriage return, no character that reorders the line."""
    assert all(line.isprintable() for line in words.shown(value).split("\n"))
    assert words.plain(str(value)).isprintable()
