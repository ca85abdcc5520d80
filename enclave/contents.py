"""What the records of a sound vault hold, kind by kind, as far as it can be told from one record.

May import: our enclave's certificate, packets and sealing, our messages. Invariant: what is told of a record never
quotes it.
"""

from __future__ import annotations

from typing import Final

from trollbridge.enclave import packets
from trollbridge.enclave.certificate import Certificate
from trollbridge.enclave.sealing import Kind
from trollbridge.messages.errors import DeclaredError

_PACKET: Final = b"\x80"
"""The least octet that an OpenPGP packet begins with."""


def complaint(kind: Kind, name: str, body: bytes) -> str:
    """Return what is wrong with a record; empty if nothing is."""
    if kind not in {Kind.CERTIFICATE, Kind.SECRET_KEY}:
        return ""
    try:
        if kind is Kind.CERTIFICATE:
            fits = Certificate.stored(body).fingerprint == name
        else:
            key = body if body[:1] >= _PACKET else body[1:]  # before it stands whose password protects it
            fits = packets.has_secret(packets.parse(key))
    except DeclaredError:
        fits = False
    except RuntimeError:  # pysequoia's own
        fits = False
    return "" if fits else "Its content is no OpenPGP key of that name."
