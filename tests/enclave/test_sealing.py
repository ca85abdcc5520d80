"""A sealed row opens as what it was written as, and as nothing else."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import copy
import os
import pickle
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.enclave.conftest import KEY, VAULT
from trollbridge.enclave.sealing import EMPTY, Index, Kind, Row, VaultKey, combine
from trollbridge.messages import aead
from trollbridge.messages.errors import UsageError, VaultCorrupt

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
KINDS = st.sampled_from([Kind.SECRET_KEY, Kind.CERTIFICATE])
VERSIONS = st.integers(0, 2**62)


@given(KINDS, NAMES, st.binary(max_size=200), VERSIONS)
def test_a_row_opens_as_what_it_was_written_as(kind: Kind, name: str, body: bytes, version: int) -> None:
    """Its place tells nothing of the name, its bytes nothing of the body, and no two writes are alike (A19, A29)."""
    key = VaultKey(KEY, VAULT)
    row, again = key.seal(kind, name, body, version), key.seal(kind, name, body, version)
    assert key.open(row) == (name, body)
    assert (row.id, row.kind, row.version) == (again.id, kind, version)
    assert row.salt != again.salt
    assert row.sealed != again.sealed
    for canary in (name.encode(), body):
        assert len(canary) < 8 or canary not in row.id + row.salt + row.sealed


@given(st.data())
def test_any_changed_part_of_a_row_is_noticed(data: st.DataObject) -> None:
    """A bit of any column changed, the row cut or lengthened: `VaultCorrupt`, never other content (A29)."""
    key = VaultKey(KEY, VAULT)
    row = key.seal(Kind.SECRET_KEY, "name", b"body", 7)
    part = data.draw(st.sampled_from(Row._fields))
    columns: dict[str, Any] = row._asdict()
    value: object = columns[part]
    if isinstance(value, bytes):
        place = data.draw(st.integers(0, len(value) - 1))
        other = value[:place] + bytes([value[place] ^ data.draw(st.integers(1, 255))]) + value[place + 1 :]
        columns[part] = data.draw(st.sampled_from([other, value[:place], value + b"\0"]))
    else:
        columns[part] = data.draw(st.integers(0, 2**62))
    assume(columns[part] != value)
    with pytest.raises(VaultCorrupt):
        key.open(Row(**columns))


@given(KINDS, NAMES, KINDS, NAMES)
def test_a_row_does_not_open_in_the_place_of_another(kind: Kind, name: str, other_kind: Kind, other: str) -> None:
    """Swapped or renamed, and in another vault with the same key, it is refused (A29)."""
    key = VaultKey(KEY, VAULT)
    row = key.seal(kind, name, b"mine", 1)
    stranger = VaultKey(KEY, bytes(16))
    with pytest.raises(VaultCorrupt):
        stranger.open(row)
    assume((kind, name) != (other_kind, other))
    with pytest.raises(VaultCorrupt):
        key.open(row._replace(id=key.row_id(other_kind, other), kind=other_kind))


def test_a_name_that_does_not_lead_to_its_place_is_refused() -> None:
    """Even when it was sealed with the right key: the place is part of what is checked (A29)."""
    key = VaultKey(KEY, VAULT)
    row = key.seal(Kind.SECRET_KEY, "name", b"body", 1)
    one_time = key._derive(b"tb1 vault record", row.salt)
    forged = aead.seal_once(one_time, key._associated(row.kind, row.id, 1), b"\x92\xa5other\xc4\x00")
    with pytest.raises(VaultCorrupt):
        key.open(row._replace(sealed=forged))


@given(st.integers(0, 2**62), st.integers(0, 2**32), st.binary(min_size=32, max_size=32))
def test_an_index_keeps_what_it_counts(generation: int, size: int, tally: bytes) -> None:
    """And another record is no index (A29)."""
    key = VaultKey(KEY, VAULT)
    index = Index(generation, size, tally)
    assert key.open_index(key.seal_index(index)) == index
    with pytest.raises(VaultCorrupt):
        key.open_index(key.seal(Kind.SECRET_KEY, "", b"body", generation))


@given(st.lists(st.binary(min_size=32, max_size=32)))
def test_a_tally_does_not_depend_on_the_order(marks: list[bytes]) -> None:
    """And a mark that is taken out again, whenever, leaves no trace."""
    total = EMPTY.tally
    for mark in [*marks, *sorted(marks)]:
        total = combine(total, mark)
    assert total == EMPTY.tally


def test_every_part_of_a_row_counts_in_its_mark() -> None:
    """Place, kind, version and salt; the salt stands for the content, whose key it makes (A29)."""
    key = VaultKey(KEY, VAULT)
    row = key.seal(Kind.SECRET_KEY, "name", b"body", 1)
    others = [
        row._replace(id=bytes(32)),
        row._replace(kind=2),
        row._replace(version=2),
        row._replace(salt=bytes(32)),
    ]
    assert len({key.mark(each) for each in (row, *others)}) == 5


def test_a_vault_key_cannot_be_taken_along() -> None:
    """It is not shown, copied or pickled, and a dropped one is inert (A35, A44, R11)."""
    key = VaultKey(os.urandom(32), VAULT)
    assert repr(key) == f"<VaultKey of {VAULT.hex()}>"
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(UsageError):
            attempt(key)
    key.drop()
    with pytest.raises(UsageError):
        key.seal(Kind.SECRET_KEY, "name", b"", 1)
    with pytest.raises(UsageError):
        VaultKey(b"short", VAULT)
