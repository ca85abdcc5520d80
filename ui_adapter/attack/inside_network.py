"""Attacks from inside on the network and on sockets: connecting, listening, passing descriptors on.

May import: our actors' isolation, `attempt`. Invariant: what is connected to is the ground's own, on the loopback.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import BUILD, ROOT, Attempt, contents, forgotten, shows_canary
from trollbridge.ui_adapter.attack.needs import Need

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.ground import Ground

_LOOPBACK: Final = "127.0.0.1"
_MPTCP: Final = 262
_FAST_OPEN: Final = 0x20000000
_HIGH: Final = 1 << 32
_SIOCGIFCONF: Final = 0x8912
_TIOCSTI: Final = 0x5412
_TIOCSCTTY: Final = 0x540E
_UNIX: Final = frozenset({"unix"})
_TCP: Final = frozenset({"tcp"})
_UDP: Final = frozenset({"udp"})
STREAM: Final = socket.SOCK_STREAM
PACKETS: Final = socket.SOCK_DGRAM


def _arrived(ground: Ground, _found: bytes) -> bool:
    return ground.peers.arrived()


def _connect(family: int, kind: int, address: str | tuple[str, int], protocol: int = 0) -> None:
    made = socket.socket(family, kind, protocol)
    made.connect(address)
    made.send(b"!")


def _connect6(ground: Ground) -> None:
    _connect(socket.AF_INET6, STREAM, ("::1", ground.peers.tcp6))


def _without_connect(ground: Ground) -> None:
    made = socket.socket(socket.AF_INET, STREAM)
    made.sendto(b"!", _FAST_OPEN, (_LOOPBACK, ground.peers.tcp))


def _send_to(family: int, address: str | tuple[str, int]) -> None:
    socket.socket(family, PACKETS).sendto(b"!", address)


def _message_to(ground: Ground) -> None:
    socket.socket(socket.AF_INET, PACKETS).sendmsg([b"!"], [], 0, (_LOOPBACK, ground.peers.udp))


def _listen(family: int, address: str | tuple[str, int] | None) -> None:
    """Listen; without an address the kernel chooses one."""
    made = socket.socket(family, STREAM)
    if address is not None:
        made.bind(address)
    made.listen()


def _bind_packets(family: int, address: str | tuple[str, int]) -> None:
    socket.socket(family, PACKETS).bind(address)


def _keep_waiting_caller(ground: Ground) -> None:
    listener = socket.socket(socket.AF_UNIX, STREAM)
    listener.bind("")
    listener.listen()
    caller = socket.socket(socket.AF_UNIX, STREAM)
    caller.connect(listener.getsockname())
    ground.kept += [listener.detach(), caller.detach()]


def _accept(name: str, *flags: int) -> Callable[[Ground], None]:
    return lambda ground: forgotten(kernel.syscall(name, ground.kept[0], 0, 0, *flags))


def _opened(family: int, kind: int, protocol: int = 0) -> Callable[[Ground], None]:
    return lambda _ground: forgotten(kernel.syscall("socket", family, kind, protocol))


def _netlink(protocol: int) -> Callable[[Ground], None]:
    def act(_ground: Ground) -> None:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        made.bind((0, 0))

    return act


def _pass_out(ground: Ground) -> None:
    socket.send_fds(ground.link, [b"!"], [ground.kept[0]])


def _keep_secret(ground: Ground) -> None:
    ground.kept.append(os.open(ground.secret, os.O_RDONLY))


def _descriptor_came(ground: Ground, _found: bytes) -> bool:
    """Tell whether the attacker's descriptor came out of the link."""
    ground.peer.settimeout(0)
    descriptors = socket.recv_fds(ground.peer, 16, 4)[1]
    for each in descriptors:
        os.close(each)
    return bool(descriptors)


def _send_in(ground: Ground) -> None:
    """Put a descriptor of the secret into the link, as a traitor at its other end would."""
    secret = os.open(ground.secret, os.O_RDONLY)
    socket.send_fds(ground.peer, [b"!"], [secret])
    os.close(secret)


def _take_in(ground: Ground) -> bytes:
    return contents(socket.recv_fds(ground.link, 16, 4)[1][0])


def _message(data: ctypes.Array[ctypes.c_char], control: ctypes.Array[ctypes.c_char]) -> ctypes.Array[ctypes.c_char]:
    """Return a struct mmsghdr for one buffer and one control buffer; both must be kept."""
    vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(data), len(data) - 1))
    _KEPT.append(vector)
    header = struct.pack(
        "=QIIQQQQIIII", 0, 0, 0, ctypes.addressof(vector), 1, ctypes.addressof(control), len(control) - 1, 0, 0, 0, 0
    )
    return ctypes.create_string_buffer(header)


_KEPT: Final[list[ctypes.Array[ctypes.c_char]]] = []


def _take_many_in(ground: Ground) -> bytes:
    data, control = ctypes.create_string_buffer(b"?"), ctypes.create_string_buffer(64)
    kernel.syscall("recvmmsg", ground.link.fileno(), _message(data, control), 1, 0, 0)
    return contents(int.from_bytes(control.raw[16:20], "little"))  # after a struct cmsghdr


def _send_many_out(ground: Ground) -> None:
    data = ctypes.create_string_buffer(b"!")
    control = ctypes.create_string_buffer(struct.pack("=QiiiI", 20, socket.SOL_SOCKET, 1, ground.kept[0], 0))
    kernel.syscall("sendmmsg", ground.link.fileno(), _message(data, control), 1, 0)


def _to_itself(ground: Ground) -> bytes:
    ours, theirs = socket.socketpair()
    socket.send_fds(ours, [b"!"], [ground.kept[0]])
    return contents(socket.recv_fds(theirs, 16, 4)[1][0])


def _own_filter(ground: Ground) -> None:
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0xFFFF))  # BPF_RET: all of it
    ground.link.setsockopt(socket.SOL_SOCKET, 26, struct.pack("@HP", 1, ctypes.addressof(code)))  # SO_ATTACH_FILTER


def _interfaces(ground: Ground) -> bytes:
    names = array.array("B", bytes(4096))
    request = struct.pack("@iP", len(names), names.buffer_info()[0])
    fcntl.ioctl(ground.link.fileno(), _SIOCGIFCONF, request)
    return names.tobytes().rstrip(b"\0")


def _an_interface(_ground: Ground, found: bytes) -> bool:
    return b"lo" in found


def _own_terminal(ground: Ground) -> None:
    master, slave = os.openpty()
    os.setsid()
    fcntl.ioctl(slave, _TIOCSCTTY, 0)
    ground.kept += [master, slave]


def _typed(request: int) -> Callable[[Ground], bytes]:
    """Return an act that types a letter into its own terminal, and a line's end, and reads what a shell would."""

    def act(ground: Ground) -> bytes:
        for letter in (b"x", b"\n"):
            kernel.syscall("ioctl", ground.kept[1], request, letter)
        return contents(ground.kept[1])

    return act


def _a_letter(_ground: Ground, found: bytes) -> bool:
    return found == b"x\n"


def _uring(_ground: Ground) -> None:
    kernel.syscall("io_uring_setup", 1, ctypes.create_string_buffer(120))


def _asynchronous(_ground: Ground) -> None:
    kernel.syscall("io_setup", 1, ctypes.create_string_buffer(8))


def _socket_with_high_bits(_ground: Ground) -> None:
    kernel.syscall("socket", _HIGH | socket.AF_INET, _HIGH | STREAM, _HIGH)


NETWORK: Final = (
    Attempt(
        "S5.unix",
        "Connect to a Unix socket",
        lambda g: _connect(socket.AF_UNIX, STREAM, g.peers.unix),
        _arrived,
        declared=_UNIX,
    ),
    Attempt(
        "S5.unix-packets",
        "Send to a Unix socket",
        lambda g: _send_to(socket.AF_UNIX, g.peers.unix_packets),
        _arrived,
        declared=_UNIX,
    ),
    Attempt(
        "S5.abstract",
        "Connect to an abstract socket",
        lambda g: _connect(socket.AF_UNIX, STREAM, g.peers.abstract),
        _arrived,
    ),
    Attempt(
        "S5.abstract-packets",
        "Send to an abstract socket",
        lambda g: _send_to(socket.AF_UNIX, f"{g.peers.abstract}-packets"),
        _arrived,
    ),
    Attempt("S5.unix-listen", "Listen on an abstract socket", lambda _: _listen(socket.AF_UNIX, "")),
    Attempt(
        "S5.tcp",
        "Connect by TCP",
        lambda g: _connect(socket.AF_INET, STREAM, (_LOOPBACK, g.peers.tcp)),
        _arrived,
        declared=_TCP,
    ),
    Attempt("S5.tcp6", "Connect by TCP over IPv6", _connect6, _arrived, BUILD, declared=_TCP),
    Attempt(
        "S5.mptcp",
        "Connect by multipath TCP",
        lambda g: _connect(socket.AF_INET, STREAM, (_LOOPBACK, g.peers.tcp), _MPTCP),
        _arrived,
        BUILD,
        declared=_TCP,
    ),
    Attempt(
        "S5.fast-open",
        "Send by TCP without connecting",
        _without_connect,
        _arrived,
        frozenset({Need.FAST_OPEN}),
        declared=_TCP,
    ),
    Attempt("S5.tcp-listen", "Listen on a TCP port", lambda _: _listen(socket.AF_INET, (_LOOPBACK, 0))),
    Attempt(
        "S5.tcp-listen-unbound", "Listen on a TCP port that the kernel chooses", lambda _: _listen(socket.AF_INET, None)
    ),
    Attempt(
        "S5.udp", "Send by UDP", lambda g: _send_to(socket.AF_INET, (_LOOPBACK, g.peers.udp)), _arrived, declared=_UDP
    ),
    Attempt("S5.udp-message", "The same by sendmsg(2)", _message_to, _arrived, declared=_UDP),
    Attempt(
        "S5.udp-connect",
        "Connect by UDP",
        lambda g: _connect(socket.AF_INET, PACKETS, (_LOOPBACK, g.peers.udp)),
        _arrived,
        declared=_UDP,
    ),
    Attempt("S5.udp-bind", "Bind a UDP port", lambda _: _bind_packets(socket.AF_INET, (_LOOPBACK, 0))),
    Attempt(
        "S5.socket-high-bits",
        "Open a socket with bits set where only the kernel does not look",
        _socket_with_high_bits,
        declared=_TCP,
    ),
    Attempt("S5.raw", "Open a raw socket", _opened(socket.AF_INET, socket.SOCK_RAW, 1), needs=ROOT),
    Attempt("S5.raw6", "Open a raw socket of IPv6", _opened(socket.AF_INET6, socket.SOCK_RAW, 58), needs=ROOT | BUILD),
    Attempt("S5.packet", "Open a packet socket", _opened(17, socket.SOCK_RAW, 0), needs=ROOT | BUILD),
    Attempt("S5.ping", "Open a ping socket", _opened(socket.AF_INET, PACKETS, 1), needs=BUILD),
    Attempt("S5.netlink-route", "Ask the kernel for routes", _netlink(0)),
    Attempt("S5.netlink-sockets", "Ask the kernel for everybody's sockets", _netlink(4), needs=BUILD),
    Attempt("S5.netlink-devices", "Listen to the kernel's device events", _netlink(15)),
    Attempt("S5.netlink-generic", "Open a generic netlink socket", _netlink(16)),
    Attempt("S5.vsock", "Open a socket to the host of a virtual machine", _opened(40, STREAM), needs=BUILD),
    Attempt("S5.crypto", "Open a socket to the kernel's ciphers", _opened(38, socket.SOCK_SEQPACKET), needs=BUILD),
    Attempt("S5.bluetooth", "Open a Bluetooth socket", _opened(31, STREAM, 3), needs=BUILD),
    Attempt("S5.can", "Open a CAN socket", _opened(29, socket.SOCK_RAW, 1), needs=BUILD),
    Attempt("S5.tipc", "Open a TIPC socket", _opened(30, STREAM), needs=BUILD),
    Attempt("S5.xdp", "Open an XDP socket", _opened(44, socket.SOCK_RAW), needs=ROOT | BUILD),
    Attempt(
        "I9.socketpair",
        "Make a pair of sockets, and pass a descriptor through it",
        _to_itself,
        shows_canary,
        declared=_UNIX,
        before=_keep_secret,
    ),
    Attempt(
        "I9.pass-out",
        "Pass a descriptor out through the link",
        _pass_out,
        _descriptor_came,
        declared=_UNIX,
        before=_keep_secret,
    ),
    Attempt(
        "I9.pass-out-many",
        "The same by sendmmsg(2)",
        _send_many_out,
        _descriptor_came,
        declared=_UNIX,
        before=_keep_secret,
    ),
    Attempt(
        "I9.take-in", "Take a descriptor in from the link", _take_in, shows_canary, declared=_UNIX, before=_send_in
    ),
    Attempt("I9.take-in-many", "The same by recvmmsg(2)", _take_many_in, shows_canary, declared=_UNIX, before=_send_in),
    Attempt(
        "S5.accept",
        "Accept a caller on a socket that was listening before the lock",
        _accept("accept"),
        before=_keep_waiting_caller,
    ),
    Attempt("S5.accept4", "The same by accept4(2)", _accept("accept4", 0), before=_keep_waiting_caller),
    Attempt(
        "S5.socket-filter", "Give the link a packet filter of one's own", _own_filter, declared=_UNIX | _TCP | _UDP
    ),
    Attempt("S5.interfaces", "Ask for the machine's network interfaces", _interfaces, _an_interface),
    Attempt(
        "S5.typing",
        "Type into the terminal",
        _typed(_TIOCSTI),
        _a_letter,
        frozenset({Need.TYPING}),
        before=_own_terminal,
    ),
    Attempt(
        "S5.typing-high-bits",
        "The same with bits set where only the kernel does not look",
        _typed(_HIGH | _TIOCSTI),
        _a_letter,
        frozenset({Need.TYPING}),
        before=_own_terminal,
    ),
    Attempt(
        "S5.io-uring",
        "Set up io_uring, which makes calls that no filter sees",
        _uring,
        needs=frozenset({Need.IO_URING, Need.BUILD}),
    ),
    Attempt("S5.aio", "Set up asynchronous input and output", _asynchronous, needs=BUILD),
)
