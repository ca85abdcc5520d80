"""Which code each process of a running application holds: what handles keys is in the enclave, and nowhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from tests.enclave import import_app
from tests.harness.puppeteer import Backstage, Puppeteer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

KEY_HANDLING: Final = ("trollbridge.enclave", "pysequoia", "keyring", "sqlite3", "_sqlite3")
"""What no process but an enclave may hold: these modules, and whatever is in them."""
PACKAGES: Final[Mapping[str, set[str]]] = {
    "supervisor": {"cryptography", "msgspec", "trollbridge"},
    "broker": {"cryptography", "msgspec", "trollbridge"},
    "puppet": {"cryptography", "msgspec", "pykka", "trollbridge"},
    "extra": {"cryptography", "msgspec", "pykka", "trollbridge"},
    "enclave": {"cryptography", "msgspec", "pykka", "pysequoia", "trollbridge"},
}
"""Every package that a process holds besides the standard library and the tests' own."""


def key_handling(names: Iterable[str]) -> list[str]:
    """Return which of these modules belong to an enclave."""
    return [name for name in names if any(name == each or name.startswith(f"{each}.") for each in KEY_HANDLING)]


def packages(names: Iterable[str]) -> set[str]:
    """Return the packages that are not of the standard library, nor the tests'.

    Left out are their private parts, and typing_extensions, which msgspec takes if somebody else has installed it.
    """
    others = {"tests", "typing_extensions"}
    found = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - others
    return {name for name in found if not name.startswith("_")}


def test_only_the_enclave_holds_the_code_that_handles_keys(tmp_path: Path) -> None:
    """A2: user interface, broker, extension and supervisor while everything works; the enclave is the control."""
    records = tmp_path / "records"
    records.mkdir()
    (tmp_path / "home").mkdir()
    with Backstage(tmp_path) as back:
        settings = {"folder": str(records), "vault": str(tmp_path / "home" / "a.vault"), "extension": back.path}
        with Puppeteer("tests.enclave.import_app:application", settings) as puppet:
            puppet.await_epoch(1)
            extra = back.next_hand()
            assert "missing" in puppet.result(import_app.HANDLER)
            assert "missing" in extra.result(import_app.HANDLER)
            found = {"puppet": puppet.act(import_app.modules), "extra": extra.act(import_app.modules)}
            assert puppet.leave() == 0
    found |= {path.name: path.read_text("utf-8").splitlines() for path in records.iterdir()}
    assert found.keys() == PACKAGES.keys()
    for member, names in found.items():
        held = key_handling(names)
        if member == "enclave":
            assert set(held) >= {"trollbridge.enclave.keystore", "pysequoia", "sqlite3"}
        else:
            assert held == [], member
    assert {member: packages(names) for member, names in found.items()} == PACKAGES
