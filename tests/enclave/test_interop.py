"""Who reads what among Trollbridge, gpg and sq: the README's tables are what is measured here (A23)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.enclave.interop import PROFILES, as_text, measured, shown
from tests.enclave.sequoia import Sq

if TYPE_CHECKING:
    from pathlib import Path

    from tests.enclave.gnupg import GnuPG


def test_the_tables_in_the_readme_are_what_is_measured(gnupg: GnuPG, tmp_path: Path) -> None:
    """A23, A28: what we make, gpg and sq verify and decrypt; what they make, we do; and the README says where not.

    Rewrite the README's tables with `python -m tests.enclave.interop` when this fails for a good reason.
    """
    places = tmp_path / "sq", tmp_path / "vault"
    for each in places:
        each.mkdir(mode=0o700)
    made = measured(gnupg, Sq(places[0]), places[1])
    versions = [
        subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout for name in ("gpg", "sq")
    ]
    if " 2.2." in versions[0] and " 0.27" in versions[1]:
        assert as_text(made) == shown()
    for row, cells in made.theirs.items():  # whatever the versions: the profiles that are for everybody
        assert {column: works for column, works in cells.items() if column.split()[0] == "compat"} == {
            "compat × gpg": True,
            "compat × sq": True,
        }, row
    assert [row for row in made.ours if row.startswith("a message to our ")] == [
        f"a message to our {each} key" for each in PROFILES
    ]
