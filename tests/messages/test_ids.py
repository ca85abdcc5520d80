"""Names and UIDs: exact bytes, no normalising, 128 random bits."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import HANDLER, NO_UID, MemberId, Role, handler_name, member_id, new_uid

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("text", ["a", "ui", "vault", "vault_2", "x" * 32, "a0_", "supervisor"])
def test_a_name_of_plain_letters_is_taken_as_it_is(text: str) -> None:
    """I4: byte for byte."""
    assert member_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("UI", id="capitals"),
        pytest.param("Ui", id="a capital"),
        pytest.param("ui.evil", id="a dot"),
        pytest.param("ui\0x", id="a zero byte"),
        pytest.param("ui\n", id="a line feed, which $ would let pass"),
        pytest.param("\nui", id="a line feed before"),
        pytest.param("ui ", id="a blank"),
        pytest.param("u\N{CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I}", id="a letter that looks like i"),
        pytest.param("\N{FULLWIDTH LATIN SMALL LETTER U}i", id="a wide letter that NFKC makes u"),
        pytest.param("v\N{LATIN SMALL LETTER DOTLESS I}", id="a letter whose capital is I"),
        pytest.param("ui\N{ZERO WIDTH JOINER}", id="a letter that nobody sees"),
        pytest.param("ui\N{COMBINING ACUTE ACCENT}", id="an accent"),
        pytest.param("u\N{ARABIC-INDIC DIGIT ONE}", id="a digit of another script"),
        pytest.param("1ui", id="a digit in front"),
        pytest.param("_ui", id="an underscore in front"),
        pytest.param("x" * 33, id="a letter too many"),
        pytest.param("../ui", id="a path"),
    ],
)
def test_a_name_of_anything_else_is_refused(text: str) -> None:
    """I4: dots, capitals, zero bytes, homoglyphs and the like."""
    with pytest.raises(DeclarationError) as refusal:
        member_id(text)
    assert str(refusal.value).startswith(repr(text))


@given(st.text(max_size=40))
def test_a_name_is_refused_unless_it_is_plain(text: str) -> None:
    """I4: over all of Unicode, by another definition than a pattern."""
    plain = (
        0 < len(text) <= 32
        and text[0] in LETTERS
        and all(each in LETTERS + "0123456789_" for each in text)
    )  # fmt: skip
    if plain:
        assert member_id(text) == text
    else:
        with pytest.raises(DeclarationError):
            member_id(text)


def test_a_full_name_is_member_dot_method() -> None:
    """A26: the one name that grants, leases and logs use."""
    assert handler_name(MemberId("vault"), "sign") == "vault.sign"


@pytest.mark.parametrize("name", ["", "_hidden", "a.b", "a\n", "é", "a b", "a" * 65, "1a"])
def test_a_method_that_is_no_plain_name_is_no_handler(name: str) -> None:
    """I4: the same for handlers."""
    assert HANDLER.fullmatch(name) is None


def test_the_roles_are_these() -> None:
    """I3: nothing else can be in a spawn record."""
    assert [each.value for each in Role] == ["ui", "broker", "enclave", "extension", "host", "errand"]


def test_a_new_uid_has_128_bits_from_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """F5: sixteen bytes of `os.urandom` and nothing else; none is all zeros, which stands for no UID."""
    asked: list[int] = []

    def counting(size: int) -> bytes:
        asked.append(size)
        return bytes(range(size))

    monkeypatch.setattr(os, "urandom", counting)
    assert (new_uid(), asked, NO_UID) == (bytes(range(16)), [16], bytes(16))
