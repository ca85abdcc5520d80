"""What an open vault consists of. It is made by unlocking and dropped by locking, whole.

May import: our enclave's gate, jobs, keystore, secrets and storage. Invariant: all parts speak of the same records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from trollbridge.enclave.gate import Gate
from trollbridge.enclave.jobs import Jobs
from trollbridge.enclave.keystore import Keystore
from trollbridge.enclave.secrets import Secrets
from trollbridge.enclave.storage import Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.database import Database
    from trollbridge.enclave.gate import Caller
    from trollbridge.enclave.sealing import VaultKey


class Opened(NamedTuple):
    """The parts of an open vault."""

    records: Records
    gate: Gate
    keys: Keystore
    secrets: Secrets
    jobs: Jobs

    @classmethod
    def of(cls, database: Database, key: VaultKey, caller: Callable[[], Caller]) -> Self:
        """Open everything; raises `VaultCorrupt`."""
        records = Records(database, key)
        gate = Gate(records, caller)
        keys = Keystore(records, gate)
        return cls(records, gate, keys, Secrets(records, gate), Jobs(records, keys, gate, caller))

    def drop(self) -> None:
        """Forget every key, and end every job."""
        self.jobs.drop()
        self.keys.drop()
        self.secrets.drop()
        self.records.drop()
