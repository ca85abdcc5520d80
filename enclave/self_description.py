"""What a key says of itself: its subkeys, their uses, how long. Part of `openpgp`.

May import: `pysequoia`, our enclave's packets and self_signature, our messages. Invariant: what is read here is shown,
or changed for the owner; whether a key may be used is Sequoia's answer, in `certificate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pysequoia.packet import SignatureType, Tag

from trollbridge.enclave import packets
from trollbridge.enclave.packets import PUBLIC, REVOCATIONS
from trollbridge.enclave.self_signature import Issuer, signs_by_hand, user_id_covered
from trollbridge.messages.vault import SubkeyInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pysequoia.packet import Packet

_DOCUMENTS: Final = (SignatureType.Binary, SignatureType.Text)


class Component(NamedTuple):
    """A primary key, a subkey or a user id, and the signatures of the primary key on it, the newest first."""

    packet: Packet
    signatures: tuple[Packet, ...]

    @property
    def revoked(self) -> bool:
        """Whether the primary key revoked it."""
        return any(each.signature_type in REVOCATIONS for each in self.signatures)

    def newest(self) -> Packet | None:
        """Return the newest signature that is no revocation."""
        return next((each for each in self.signatures if each.signature_type not in REVOCATIONS), None)


def seconds(packet: Packet) -> int:
    """Return when a signature or key says that it was made, in seconds since 1970; 0 if it does not say."""
    created = packet.signature_created if packet.tag == Tag.Signature else packet.key_created
    return 0 if created is None else int(created.timestamp())


def components(found: Sequence[Packet]) -> Iterator[Component]:
    """Yield the parts of a certificate with their own signatures.

    Sequoia keeps what only claims to be one, behind the last part. Where the primary key is of a kind that signs by
    hand it is left out here; of other keys it is shown.
    """
    primary = found[0]
    issuer = Issuer(primary) if signs_by_hand(primary) else None
    starts = [at for at, packet in enumerate(found) if packet.tag != Tag.Signature]
    for start, end in zip(starts, [*starts[1:], len(found)], strict=True):
        part = found[start]
        own = [each for each in found[start + 1 : end] if _by(each, primary)]
        if issuer is not None:
            covered = _covered(part)
            own = [each for each in own if issuer.made(each, covered)]
        yield Component(part, tuple(sorted(own, key=seconds, reverse=True)))


def _covered(part: Packet) -> bytes:
    """Return what a self-signature on this part covers behind the primary key."""
    if part.tag == Tag.UserID:
        return user_id_covered(part.body)
    return packets.covered(part.body) if part.tag == Tag.PublicSubkey else b""


def _by(signature: Packet, primary: Packet) -> bool:
    if signature.issuer_fingerprint is not None:
        return signature.issuer_fingerprint == primary.fingerprint
    return signature.issuer_key_id == primary.key_id


def algorithm(key: Packet) -> str:
    """Return the name of a key packet's algorithm, such as `EdDSA` or `MLKEM768_X25519`."""
    return str(key.key_algorithm).rpartition(".")[2]


def uses(signature: Packet | None) -> tuple[str, ...]:
    """Return what a binding signature says that its key is for."""
    flags = None if signature is None else signature.key_flags
    if flags is None:
        return ()
    said = (
        ("certify", flags.certification),
        ("sign", flags.signing),
        ("encrypt", flags.transport_encryption or flags.storage_encryption),
        ("authenticate", flags.authentication),
    )
    return tuple(name for name, is_said in said if is_said)


def expires(component: Component) -> int | None:
    """Return when a key's newest signature ends it, None for never."""
    newest = component.newest()
    period = None if newest is None else newest.key_validity_period
    seconds_valid = 0 if period is None else int(period.total_seconds())
    return seconds(component.packet) + seconds_valid if seconds_valid else None


def subkeys(found: Sequence[Packet]) -> tuple[SubkeyInfo, ...]:
    """Return the subkeys of a certificate, in its order."""
    return tuple(_subkey(each) for each in components(found) if each.packet.tag in PUBLIC[1:])


def _subkey(part: Component) -> SubkeyInfo:
    key = part.packet
    return SubkeyInfo(
        key.fingerprint or "", algorithm(key), seconds(key), expires(part), part.revoked, uses(part.newest())
    )


def signing_times(found: Iterable[Packet]) -> dict[str, int | None]:
    """Return when each key signed, by its handles; None for a key with signatures of several moments."""
    times: dict[str, int | None] = {}
    for each in found:
        if each.tag != Tag.Signature or each.signature_type not in _DOCUMENTS:
            continue
        for handle in (each.issuer_fingerprint, each.issuer_key_id):
            if handle is not None:
                times[handle] = seconds(each) if times.get(handle, seconds(each)) == seconds(each) else None
    return times
