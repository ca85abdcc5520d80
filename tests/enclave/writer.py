"""A program that opens a vault's file and writes record after record, telling each one that is on the disk.

Arguments: the path, the vault key and the vault id in hexadecimal, how many records to write before it waits for ever.
"""

from __future__ import annotations

import signal
import sys

from trollbridge.enclave.database import Database
from trollbridge.enclave.sealing import Kind, VaultKey
from trollbridge.enclave.storage import Put, Records


def main() -> None:
    """Write, and say so."""
    path, key, vault, last = sys.argv[1:]
    records = Records(Database.open(path), VaultKey(bytes.fromhex(key), bytes.fromhex(vault)))
    print("open", flush=True)  # noqa: T201  # this is how it tells
    for number in range(int(last)):
        records.write(Put(Kind.SECRET_KEY, f"record {number}", str(number).encode() * 500))
        print(number, flush=True)  # noqa: T201
    signal.pause()


if __name__ == "__main__":
    main()
