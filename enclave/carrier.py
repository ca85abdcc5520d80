"""A certificate that belongs to nobody and carries one subkey of ours at a time, to decrypt with it. Part of `openpgp`.

May import: `pysequoia`, our enclave's packets, protection and self_signature. Invariant: a carrier leaves this process
never; nothing is encrypted or signed with it.

pysequoia decrypts with the first fitting subkey of a certificate as it stands today: not with one that was rotated,
that expired or was revoked, nor with a primary key. But what was encrypted must open whatever became of the key. A key
packet has one fingerprint wherever it stands, so each is bound, by a signature of this moment, to a primary key that
was made here, does not expire, and whose only use this is.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Final

import pysequoia
from pysequoia.packet import Tag

from trollbridge.enclave import packets, protection
from trollbridge.enclave.self_signature import CREATED, ISSUER_FINGERPRINT, KEY_FLAGS, Primary, subpacket

if TYPE_CHECKING:
    from pysequoia.packet import Packet

_DECRYPTS: Final = b"\x0c"
"""For messages and for storage."""
_BINDING: Final = 0x18
_SECRET_SUBKEY: Final = 7
_PROFILES: Final = {4: pysequoia.Profile.RFC4880, 6: pysequoia.Profile.RFC9580}
"""A subkey of one version is bound to a primary key of the same."""


class _Carrier:
    def __init__(self, version: int) -> None:
        made = pysequoia.Tsk.generate("nobody", profile=_PROFILES[version])
        first = packets.parse(bytes(made))[0]
        public = packets.parse(bytes(made.extract_certificate()))
        trunk = next(at for at, packet in enumerate(public) if packet.tag == Tag.PublicSubkey)
        self._trunk: Final = b"".join(map(bytes, public[:trunk]))
        self._primary: Final = Primary(first, protection.revealed(first, {}))
        self._issuer: Final = subpacket(
            ISSUER_FINGERPRINT, bytes([version]) + bytes.fromhex(public[0].fingerprint or "")
        )

    def carrying(self, subkey: Packet) -> bytes:
        created = subpacket(CREATED, int(time.time()).to_bytes(4, "big"))
        covered = packets.covered(subkey.body[: packets.public_size(subkey)])
        binding = self._primary.signature(_BINDING, covered, created + subpacket(KEY_FLAGS, _DECRYPTS) + self._issuer)
        return self._trunk + packets.framed(_SECRET_SUBKEY, subkey.body) + binding


_carrier = functools.cache(_Carrier)


def carried(secret: Packet) -> bytes:
    """Return a transferable secret key that decrypts with this secret key packet, protected as the packet is."""
    return _carrier(secret.body[0]).carrying(secret)
