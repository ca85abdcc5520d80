"""What an intruder brings: explosive payloads, a hostile broker, acts of a hostile puppet, a look into memory."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import marshal
import os
import pickle
import re
import select
import socket
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec

from tests.harness.interpreter import interpreter
from tests.harness.lone_broker import EPOCH, PATIENCE, LoneBroker, LoneMember, call_header, ring_of_two
from tests.harness.meddling import meddling
from tests.harness.puppet import Puppet
from tests.harness.stage import puppet_app
from trollbridge.actors.app import App, Child
from trollbridge.actors.broker.routing import MOST_STRIKES
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.endpoint import Endpoint
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.actors.supervision.spawn import Process
from trollbridge.messages import control, payloads
from trollbridge.messages import password as scram
from trollbridge.messages.address import Caller
from trollbridge.messages.codec import encode
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Envelope, Kind, prologue
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import BROKER, NO_UID, HandlerName, MemberId, Microseconds, Role, new_uid
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.noise import Initiator, Responder
from trollbridge.messages.record import Item, Lease, Link, Publish, Refusal, Request, Routed, envelope_of, route
from trollbridge.messages.ring_key import SEALED, RingKey
from trollbridge.messages.session import Session
from trollbridge.messages.vault import PASSWORD_ONLY, VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from tests.harness.puppet import Strings

M = TypeVar("M")
REPOSITORY: Final = str(Path(__file__).resolve().parents[2])
PROBE: Final = MemberId("probe")
CONSOLE: Final = MemberId("console")
NEVER: Final = Microseconds(0)
PROBES: Final = "tests.harness.probe:Probe"
GRANTED: Final = ("echo", "mark", "refuse", "secret")
TOKEN: Final = b"a join token that must not show."
RIGHT: Final = "the right password: canary-blue"
WRONG: Final = "a wrong password: canary-yellow"


# Payloads that do something when a careless receiver loads them.


class _Explosive:
    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[str, int], int], tuple[str, int]]:
        """Have whoever unpickles this make a file."""
        return os.open, (self._path, os.O_CREAT | os.O_WRONLY)


def explosives(path: Path) -> dict[str, bytes]:
    """Return payloads, by name, that make the file `path` once they are loaded."""
    code = compile(f"open({str(path)!r}, 'w').close()", "canary", "exec")
    pickles = {f"pickle {number}": pickle.dumps(_Explosive(str(path)), number) for number in (0, 2, 5)}
    return {**pickles, "marshal": marshal.dumps(code), "source": b"open(%a, 'w').close()" % str(path)}


def detonate(name: str, payload: bytes) -> None:
    """Load a payload as its victim would: the proof that it is live."""
    if name == "source":
        exec(payload, {})  # noqa: S102  # what a careless receiver does
    elif name == "marshal":
        exec(marshal.loads(payload), {})  # noqa: S102, S302
    else:
        os.close(pickle.loads(payload))  # noqa: S301


# What is not what its type says: records under a link's key, packets, contents and arguments of calls.


def pack(value: object) -> bytes:
    """Return the canonical encoding of any value."""
    return msgspec.msgpack.encode(value)


ECHO: Final = "vault.echo"
HEAD: Final[list[object]] = [1, 3, "extra", "vault", bytes(16), 0, 0, b"", 32, bytes(16)]
RECORDS: Final = {
    "nothing": b"",
    "no message": b"\xc1",
    "no array": pack("x"),
    "a map": pack({"handler": ECHO}),
    "a map with a name twice": b"\x91\x82\xa7handler\xa1a\xa7handler\xa1b",
    "an item that is a map": pack([{"type": 2, "handler": ECHO}]),
    "an item that is a number": pack([7]),
    "an unknown item": pack([[9, ECHO]]),
    "an item by its name": pack([["Request", ECHO]]),
    "an abbreviated item": pack([[2]]),
    "an empty item": b"\x91\x90",
    "an unknown field": pack([[2, ECHO, 0]]),
    "a field twice": pack([[2, ECHO, ECHO]]),
    "octets for text": pack([[2, ECHO.encode()]]),
    "text for octets": pack([[4, "0123456789abcdef"]]),
    "a short UID": pack([[4, bytes(15)]]),
    "a long UID": pack([[4, bytes(17)]]),
    "nothing for text": pack([[2, None]]),
    "text that is none": b"\x91\x92\x02\xa3\xed\xa0\x80",
    "a byte behind": pack([[2, ECHO]]) + b"\0",
    "a byte less": pack([[2, ECHO]])[:-1],
    "a wide tag": b"\x91\x92\xcc\x02" + pack(ECHO),
    "a signed tag": b"\x91\x92\xd0\x02" + pack(ECHO),
    "a wide array": b"\xdc\x00\x01\x92\x02" + pack(ECHO),
    "a wide item": b"\x91\xdc\x00\x02\x02" + pack(ECHO),
    "wide text": b"\x91\x92\x02\xd9\x0avault.echo",
    "wider text": b"\x91\x92\x02\xda\x00\x0avault.echo",
    "wide octets": b"\x91\x92\x04\xc5\x00\x10" + bytes(16),
    "a negative kind": pack([[1, -1, *HEAD[2:]]]),
    "a broken kind": pack([[1, 3.0, *HEAD[2:]]]),
    "a true kind": pack([[1, True, *HEAD[2:]]]),
    "a header without a tag": pack([HEAD[:-1]]),
    "a header with more": pack([[*HEAD, 0]]),
    "a body that is not there": pack([HEAD]),
    "a giant body": pack([[*HEAD[:8], 2**63, bytes(16)]]),
    "the largest body": pack([[*HEAD[:8], 2**64 - 1, bytes(16)]]),
    "a giant array": b"\xdd\xff\xff\xff\xff",
    "giant octets": b"\x91\x92\x04\xc6\xff\xff\xff\xff",
    "giant text": b"\x91\x92\x02\xdb\xff\xff\xff\xff",
    "deep arrays": b"\x91" * 100_000,
    "deep maps": b"\x81" * 100_000,
    "deep in an item": b"\x91\x92\x02" + b"\x91" * 100_000,
    "an extension type": b"\x91\xc7\x05\x2a12345",
    "a point in time": b"\x91\xd6\xff\x00\x00\x00\x00",
    "one bad of many": pack([*[[2, ECHO]] * 20, [2]]),
}
PACKETS: Final = {
    "one byte": b"\0",
    "a hello": bytes(48),
    "a length and nothing": b"\0\0\0\x40",
    "a giant length": b"\xff\xff\xff\xff" + bytes(60),
    "a length one too long": b"\0\0\0\x3d" + bytes(60),
    "nothing sealed": bytes(4),
    "as long as allowed": bytes(LARGEST_RECORD),
    "one byte too long": bytes(LARGEST_RECORD + 1),
}
CONTENTS: Final = {
    "nothing": b"",
    "no kind": b"\0",
    "an unknown kind": b"\x0d" + bytes(16),
    "an item of a stream": b"\x08" + bytes(8) + b"\xc0",
    "progress": b"\x0a" + bytes(8) + pack([1, 2, ""]),
    "a pull": b"\x0b" + pack([1]),
    "a halt": b"\x0c\x90",
    "a result": b"\x02" + bytes(16) + b"\x90",
    "a fault": b"\x04" + pack([1, "x", "y"]),
    "a short code": b"\x01" + bytes(15),
    "an unknown code": b"\x01" + bytes(16) + b"\x90",
    "a ring key": b"\x06" + pack([bytes(32)]),
}
ARGUMENTS: Final = {
    "nothing": b"",
    "no array": pack("word"),
    "a map": pack({"word": "x"}),
    "none": pack([]),
    "too many": pack(["x", "y"]),
    "the wrong type": pack([1]),
    "octets for text": pack([b"x"]),
    "null": pack([None]),
    "wide text": b"\x91\xd9\x01x",
    "a wide array": b"\xdc\x00\x01\xa1x",
    "a byte behind": pack(["x"]) + b"\0",
    "a byte less": pack(["xy"])[:-1],
    "text that is none": b"\x91\xa3\xed\xa0\x80",
    "a giant text": b"\x91\xdb\xff\xff\xff\xff",
    "deep arrays": b"\x91" * 100_000,
    "an extension type": b"\x91\xc7\x01\x2ax",
}


# A lone broker.


class Honest:
    """The honest user interface and enclave of a lone broker, whose conversation nobody may disturb."""

    def __init__(self, broker: LoneBroker) -> None:
        """Form and seal their ring."""
        self.broker: Final = broker
        self.ui, self.vault = ring_of_two(broker)
        self.uids: list[bytes] = []

    def call(self, body: bytes = bytes(32)) -> bytes:
        """Send a call on its way to the enclave; return its UID."""
        if not self.uids:
            self.ui.say(Request("vault.echo"))
            lease, _ = self.ui.hear()
            assert isinstance(lease, Lease)
            self.uids = [lease.uids[at : at + 16] for at in range(0, len(lease.uids), 16)]
        uid = self.uids.pop()
        self.ui.say(call_header("ui", uid, body=body), body)
        return uid

    def answer(self, uid: bytes, body: bytes) -> None:
        """See the call arrive and the reply come back, whole."""
        arrived, there = self.vault.hear()
        while isinstance(arrived, Routed) and arrived.kind == Kind.PART:  # an intruder's, within its credit
            arrived, there = self.vault.hear()
        assert isinstance(arrived, Routed)
        assert (arrived.sender, arrived.uid, len(arrived.route), there) == ("ui", uid, 16, body)
        self.vault.say(Routed(Kind.REPLY, "vault", "ui", uid, 0, 0, b"", len(body), body[-16:]), body)
        reply, back = self.ui.hear()
        assert isinstance(reply, Routed)
        assert (reply.sender, reply.uid, back) == ("vault", uid, body)
        self.uids.append(reply.route)

    def converse(self) -> None:
        """Call and answer once."""
        body = os.urandom(32)
        self.answer(self.call(body), body)

    def intruder(self) -> LoneMember:
        """Return an extension that has joined and may call what the user interface may."""
        self.broker.notices.clear()
        return self.broker.open("extra", Role.EXTENSION, handlers=("vault.echo",), peers=("vault",)).join()

    def dismiss(self, member: LoneMember) -> None:
        """Close an intruder's link, if it is still open, and wait until the broker has let go of it."""
        member.end.close()
        gone = NoticeKind.LINK_LOST, NoticeKind.MEMBER_REMOVED
        while not any(each.about == member.name and each.kind in gone for each in self.broker.notices):
            self.broker.expect(control.Notice)


def sealed_record(member: LoneMember, plaintext: bytes, bodies: bytes = b"") -> bytes:
    """Return a record that the link's key seals, whatever stands in it."""
    cipher = member.endpoint._link._out
    assert cipher is not None
    sealed = cipher.seal(plaintext)
    return len(sealed).to_bytes(4, "big") + sealed + bodies


def hello_of(member: LoneMember) -> bytes:
    """Return another first message of a member's handshake, under its own token."""
    return Initiator(member.token, prologue(EPOCH, member.name, member.role, BROKER, Role.BROKER)).message_1()[0]


def struck_out(broker: LoneBroker, member: LoneMember, offend: Callable[[], object]) -> list[NoticeKind]:
    """Offend once more than is borne; return the kinds of what was noticed about the member, its removal at the end."""
    for _ in range(MOST_STRIKES + 1):
        with suppress(LinkLost, ConnectionError):  # some offences count twice
            offend()
    broker.notice(NoticeKind.MEMBER_REMOVED, member.name)
    assert member.cut_off()
    return [each.kind for each in broker.notices if each.about == member.name]


# A lone enclave.


class LoneEnclave:
    """A real enclave process; the test is its supervisor, a broker that does as it pleases, and its only client."""

    def __init__(self, actor: str = PROBES, *path: str) -> None:
        """Start it, with `path` on its import path, and wait until it is locked."""
        self.process: Final = Process(PROBE, Role.ENCLAVE, 1, interpreter())
        self.notices: Final[list[control.Notice]] = []
        self._ended = False
        end, theirs = sockets.pair()
        self.link: Final = LoneMember(PROBE, Role.ENCLAVE, end, os.urandom(32))
        self.ticket: Final = control.SessionTicket(
            CONSOLE, Role.UI.value, PROBE, "enclave", os.urandom(32), tuple(map(Grant, GRANTED))
        )
        self.codes: dict[str, bytes] = {}
        self.callers: dict[str, Caller] = {}
        settings = (("journal", os.devnull),) if actor == PROBES else ()
        with theirs:
            self.tell(control.Boot(PROBE, Role.ENCLAVE.value, actor, settings, (REPOSITORY, *path)), theirs.fileno())
        self.expect(control.Hello)

    def join(self) -> Self:
        """Be the broker and the client that it joins with; seal the ring."""
        self.tell(control.Join(EPOCH, self.link.token, (self.ticket,)))
        words = prologue(EPOCH, PROBE, Role.ENCLAVE, BROKER, Role.BROKER)
        answer, split = Responder(self.link.token, words).accept(self.link.end.recv(4096))
        self.link.end.send(answer)
        self.link._endpoint = Endpoint(self.link.end, Link(split))
        published, _ = self.link.hear()
        assert isinstance(published, Publish)
        self.callers = {each.name: Caller(each.seed) for each in published.handlers}
        self.session = self._found()
        self.key = os.urandom(32)
        self.offer(self.key)
        assert isinstance(self.next_payload(), payloads.RingKeyAccepted)
        self.expect(control.Ready)
        self.tell(control.Seal(()))
        return self

    def greet(self) -> Any:  # noqa: ANN401  # noise's waiting side
        """Begin the handshake of the session; return what waits for its answer."""
        words = prologue(EPOCH, CONSOLE, Role.UI, PROBE, Role.ENCLAVE)
        first, waiting = Initiator(self.ticket.token, words).message_1()
        self.link.say(route(Envelope(Kind.HANDSHAKE, CONSOLE, PROBE, NO_UID, 0, NEVER, first), b""), first)
        return waiting

    def _found(self) -> Session:
        waiting = self.greet()
        _, second = self.link.hear()
        self.session = Session(waiting.finish(second), EPOCH, CONSOLE, PROBE, initiator=True)
        welcome = self.next_payload()
        assert isinstance(welcome, payloads.Welcome)
        self.codes = {each.name: each.code for each in welcome.handlers}
        return self.session

    def offer(self, key: bytes) -> None:
        """Offer it a ring key."""
        content = payloads.encode(payloads.RingKeyOffer(key))
        envelope = self.session.seal(Kind.SESSION, NO_UID, NEVER, content)
        self.link.say(route(envelope, b""), envelope.body)

    def next_payload(self) -> payloads.Payload:
        """Return what it says next to its client."""
        item, body = self.link.hear()
        assert isinstance(item, Routed)
        return payloads.decode(self.session.open(envelope_of(item, body)))

    def call(self, handler: str, arguments: bytes, content: bytes | None = None) -> tuple[Routed, bytes]:
        """Seal a call with these encoded arguments, or any content, at the handler's next address."""
        whole = b"\x01" + self.codes[handler] + arguments if content is None else content
        envelope = self.session.seal(Kind.CALL, new_uid(), NEVER, whole)
        return route(envelope, self.callers[handler].next()), envelope.body

    def answer(self, item: Item, body: bytes) -> payloads.Payload | Refusal:
        """Deliver a call; return what it says to it."""
        self.link.say(item, body)
        answered, content = self.link.hear()
        if isinstance(answered, Refusal):
            return answered
        assert isinstance(answered, Routed)
        return payloads.decode(self.session.open(envelope_of(answered, content)))

    def converse(self) -> None:
        """Call and see the right answer."""
        data = os.urandom(32)
        assert self.answer(*self.call("echo", encode((data,)))) == payloads.Result(encode(data))

    def tell(self, message: control.ToChild, *descriptors: int) -> None:
        """Send a control message."""
        self.process.channel.send(message, *descriptors)

    def expect(self, kind: type[M]) -> M:
        """Return the next control message of a kind; notices on the way are kept. Raises `TimeoutError`, `LinkLost`."""
        until = time.monotonic() + PATIENCE
        poll = select.poll()
        poll.register(self.process.channel.fileno(), select.POLLIN)
        while poll.poll(1000 * max(0.0, until - time.monotonic())):
            message = self.process.channel.take(self.process.pid)
            if isinstance(message, control.Notice):
                self.notices.append(message)
            if isinstance(message, kind):
                return message
        raise TimeoutError

    def alive(self) -> bool:
        """Return whether it answers a ping."""
        self.tell(control.Ping(1))
        try:
            return self.expect(control.Pong).number == 1
        except LinkLost:
            return False

    def end(self) -> int | None:
        """Wait for the process to end by itself; return its exit status, or None if it lives on."""
        poll = select.poll()
        poll.register(self.process.pidfd, select.POLLIN)
        if not poll.poll(1000 * PATIENCE):
            return None
        self._ended = True
        return self.process.reap()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the process and close the link."""
        self.link.end.close()
        if not self._ended:
            self.process.kill()
            self.end()


def open_with(key: bytes, sealed: bytes) -> bytes:
    """Return what a sealed result holds under a ring key."""
    return RingKey(key, EPOCH).open(SEALED.decode(sealed))


# Acts of a hostile puppet.


def _endpoint(strings: Strings) -> Endpoint:
    membership = strings.client._membership
    if membership is None:
        raise ConnectionError
    return membership.endpoint


def speak_from_a_fork(strings: Strings, depth: int, channel: str) -> int:
    """Fork `depth` times; the last one says a valid record on the link, or a valid Pong to the supervisor."""
    endpoint = _endpoint(strings)
    with strings.client._lock:
        child = os.fork()
        if not child:
            for _ in range(depth - 1):
                below = os.fork()
                if below:
                    os.waitpid(below, 0)
                    os._exit(0)
            if channel == "link":
                endpoint.socket.send(endpoint._link.seal([Request("probe.echo")]))
            else:
                with socket.socket(fileno=os.dup(int(sys.argv[2]))) as end:
                    end.send(control.FROM_CHILD.encode(control.Pong(1)))
            os._exit(0)
        os.waitpid(child, 0)
    return child


def speak_from_forks(strings: Strings, times: int) -> None:
    """Have a fork after the other say something on the link."""
    for _ in range(times):
        speak_from_a_fork(strings, 1, "link")


def descriptors_of_a_program(_strings: Strings) -> list[str]:
    """Start a program without closing anything; return what it has open besides its standard streams."""
    look = "import os\nfor n in range(3, 1024):\n try: print(os.readlink(f'/proc/self/fd/{n}'))\n except OSError: pass"
    shown = subprocess.run(
        [sys.executable, "-I", "-c", look], check=True, capture_output=True, text=True, close_fds=False
    )
    return shown.stdout.split()


def say_record(strings: Strings, plaintext: bytes, times: int) -> None:
    """Say a record of any content under the link's own key, several times."""
    endpoint = _endpoint(strings)
    cipher = endpoint._link._out
    assert cipher is not None
    with strings.client._lock:
        for _ in range(times):
            sealed = cipher.seal(plaintext)
            endpoint.socket.send(len(sealed).to_bytes(4, "big") + sealed)


def call_with(strings: Strings, handler: str, arguments: bytes, times: int) -> list[str]:
    """Call with arguments that nobody has checked, several times, one after the other; return what became of each."""
    found: list[str] = []
    known = strings.client.routes()[HandlerName(handler)]
    original = type(known).content
    type(known).content = lambda self, *_: self._code + arguments  # type: ignore[method-assign]
    try:
        for _ in range(times):
            try:
                found.append(repr(strings.client.call(HandlerName(handler), (), {}).get(timeout=PATIENCE)))
            except Exception as error:  # noqa: BLE001  # its class is the result
                found.append(type(error).__name__)
    finally:
        type(known).content = original  # type: ignore[method-assign]
    return found


def refusals(strings: Strings, handler: str, times: int) -> list[str]:
    """Send contents that are no calls, sealed as they should be, one after the other; return what became of each."""
    known = strings.client.routes()[HandlerName(handler)]
    original, found = known._code, list[str]()
    known._code = b"\x02" + original[1:]
    try:
        for _ in range(times):
            try:
                found.append(repr(strings.client.call(HandlerName(handler), (b"x",), {}).get(timeout=PATIENCE)))
            except Exception as error:  # noqa: BLE001  # its class is the result
                found.append(type(error).__name__)
    finally:
        known._code = original
    return found


def unlock_badly(strings: Strings) -> dict[str, str]:
    """Make a vault, lock it, try three wrong credentials; return everything that could be shown of each error."""
    vault = strings.bridge.vault
    vault.create(PASSWORD_ONLY, scram.new_verifier(RIGHT)).get(timeout=PATIENCE)
    vault.lock().get(timeout=PATIENCE)
    challenge = vault.challenge().get(timeout=PATIENCE)
    right, wrong = scram.attempt(RIGHT, challenge), scram.attempt(WRONG, challenge)
    strings.kept["proofs"] = [right.proof.proof, wrong.proof.proof, right.server_signature]
    unknown = msgspec.structs.replace(right.proof, nonce=bytes(32))
    found: dict[str, str] = {}
    for name, proof in (("wrong", wrong.proof), ("used", right.proof), ("unknown", unknown)):
        try:
            vault.unlock(PASSWORD_ONLY, proof).get(timeout=PATIENCE)
        except Exception as error:  # noqa: BLE001  # everything of it is the result
            found[name] = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)
            found[f"{name} error"] = f"{type(error).__name__}: {error}"
    found["reprs"] = f"{right!r} {wrong!r} {unknown!r} {challenge!r} {scram.new_verifier(RIGHT)!r}"
    return found


def unlock_well(strings: Strings) -> str:
    """Open the vault with the right password; return its state."""
    vault = strings.bridge.vault
    challenge = vault.challenge().get(timeout=PATIENCE)
    attempt = scram.attempt(RIGHT, challenge)
    attempt.confirm(vault.unlock(PASSWORD_ONLY, attempt.proof).get(timeout=PATIENCE))
    return str(vault.status().get(timeout=PATIENCE).state)


def credentials(strings: Strings) -> list[bytes]:
    """Return what `unlock_badly` made of the passwords."""
    return list(strings.kept["proofs"])


# Applications.


class Intruder(Puppet):
    """A puppet that knows the vault's vocabulary."""

    vocabulary = VOCABULARY


def vault_app(path: str) -> App:
    """Return a puppet with the shipped vault."""
    granted = [f"vault.{name}" for name in ("create", "lock", "challenge", "unlock", "status")]
    return App(
        ui=Child("tests.attacks.intruder:Intruder", name="puppet"),
        enclaves=[Child("trollbridge.enclave.vault:Vault", name="vault", settings={"path": path})],
        grants={"puppet": granted},
    )


def marked_token_app(member: str) -> App:
    """Return an application that gives `member` a wrong join token, which is recognised at sight."""

    def change(told: str, message: control.ToChild) -> control.ToChild:
        if isinstance(message, control.Join) and told == member:
            return msgspec.structs.replace(message, token=TOKEN)
        return message

    return meddling(puppet_app(), change)


# What a process's memory holds.


def resident(pid: int) -> int:
    """Return the bytes of memory that a process uses now."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^VmRSS:\s+(\d+) kB$", text, re.MULTILINE)
    assert found
    return int(found[1]) << 10


def memory(pid: int) -> Iterator[bytes]:
    """Return every readable mapping of a process; raises `PermissionError` where the kernel refuses."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines():
            bounds, rights = line.split()[:2]
            low, high = (int(each, 16) for each in bounds.split("-"))
            if rights.startswith("r") and "[v" not in line:  # not the kernel's own pages
                with suppress(OSError):
                    yield os.pread(mem.fileno(), high - low, low)


def traces(places: Iterable[bytes], canaries: Iterable[bytes]) -> list[bytes]:
    """Return which canaries stand somewhere, as they are or as hexadecimal digits or a literal."""
    wanted = [(each, form) for each in canaries for form in (each, each.hex().encode(), repr(each)[2:-1].encode())]
    return sorted({canary for place in places for canary, form in wanted if form in place})
