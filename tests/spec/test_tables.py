"""The tables of SPEC.md equal the code's constants, so that the page cannot go stale."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import builtins
import re
from typing import Final

import msgspec
import pytest

from tests.spec import document
from trollbridge.actors.broker import process as broker
from trollbridge.actors.broker import routing, uids
from trollbridge.actors.calling import joining, peer
from trollbridge.actors.handlers import DEFAULT_MAX_BYTES, LARGEST_MAX_BYTES
from trollbridge.actors.operations import runtime_folder
from trollbridge.actors.operations.operator import MOST_WAITING
from trollbridge.actors.outcomes import call_ledger
from trollbridge.actors.processes import channel, endpoint
from trollbridge.actors.serving import faults, mailbox, served
from trollbridge.actors.serving import server as serving
from trollbridge.actors.supervision import errands, heartbeat, permits
from trollbridge.actors.trust_ring import rings
from trollbridge.messages import (
    control,
    envelope,
    errors,
    grants,
    ids,
    labels,
    limits,
    noise,
    operator,
    padding,
    parts,
    payloads,
    record,
    ring_key,
    session,
    signature,
)
from trollbridge.messages.measures import MemberMeasure
from trollbridge.messages.padding import padded
from trollbridge.messages.posture import Evidence, Posture
from trollbridge.messages.sandbox import Sandbox

LIMITS: Final = {
    "LARGEST_RECORD": limits.LARGEST_RECORD,
    "MOST_BODIES": record.MOST_BODIES,
    "MOST_ITEMS": endpoint.MOST_ITEMS,
    "LARGEST_CONTENT": session.LARGEST_CONTENT,
    "PART_SIZE": parts.PART_SIZE,
    "WINDOW": parts.WINDOW,
    "WIDEST_GAP": session.WIDEST_GAP,
    "SMALLEST": padding.SMALLEST,
    "CREDIT": uids.CREDIT,
    "CREDIT_OF_EXTENSIONS": uids.CREDIT_OF_EXTENSIONS,
    "MOST_STRIKES": routing.MOST_STRIKES,
    "EXCUSED": routing.EXCUSED,
    "MOST_SESSION_MESSAGES": routing.MOST_SESSION_MESSAGES,
    "DEFAULT_MAX_BYTES": DEFAULT_MAX_BYTES,
    "LARGEST_MAX_BYTES": LARGEST_MAX_BYTES,
    "DEEPEST": signature.DEEPEST,
    "LARGEST_CONTROL": channel.LARGEST,
    "MOST_QUEUED": broker.MOST_QUEUED,
    "ITEM_COST": endpoint.ITEM_COST,
    "MOST_HELD": served.MOST_HELD,
    "FARTHEST": limits.FARTHEST,
    "JOIN_TIMEOUT": joining.JOIN_TIMEOUT,
    "BOOT_LIMIT": rings.BOOT_LIMIT,
    "LONG": parts.LONG,
    "FIRST_CREDIT": limits.FIRST_CREDIT,
    "LONGEST_TEXT": faults.LONGEST_TEXT,
    "MOST_ERRANDS": errands.MOST,
    "MOST_GIVEN": control.MOST_GIVEN,
    "MOST_CLIENTS": operator.MOST_CLIENTS,
    "MOST_FOLLOWERS": operator.MOST_FOLLOWERS,
    "MOST_RECENT": operator.MOST_RECENT,
    "LARGEST_REQUEST": operator.LARGEST_REQUEST,
    "LARGEST_ANSWER": operator.LARGEST_ANSWER,
    "MOST_WAITING": MOST_WAITING,
    "SLOTS": call_ledger.SLOTS,
    "CLIENTS": call_ledger.CLIENTS,
    "SILENT": int(heartbeat.SILENT * heartbeat.INTERVAL),
    "LONGEST": int(heartbeat.LONGEST * heartbeat.INTERVAL),
}
# A struct's field as the page names it, where that is another name than the code's.
SAID: Final = {
    "tickets": "[ticket, …]",
    "granted": "[granted, …]",
    "members": "[[member, role, pid], …]",
    "settings": "[[setting, value], …]",
    "path": "[path, …]",
    "token": "token (32 bytes)",
    "sandbox": "sandbox or nil",
    "postures": "[posture, …]",
    "evidence": "[evidence, …]",
    "errands": "[errand, …]",
    "quarantined": "[digest, …]",
    "digests": "[digest, …]",
    "begun": "[sequence, …]",
    "done": "[sequence, …]",
    "measures": "[measure, …]",
    "processes": "[process, …]",
    "quarantine": "[quarantined, …]",
    "deadly": "[sequence, …]",
}


def shapes(kinds: object) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return tag → (name, fields) of a union of structs."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for kind in getattr(kinds, "__args__", ()):
        assert issubclass(kind, msgspec.Struct)
        assert kind.__struct_config__.array_like
        assert kind.__struct_config__.forbid_unknown_fields
        found[str(kind.__struct_config__.tag)] = kind.__name__, kind.__struct_fields__
    return found


def test_the_roles_are_the_codes() -> None:
    """I3: and their texts, which the prologue binds."""
    assert list(document.table(1, "role it is")) == [role.value for role in ids.Role]


def test_names_match_the_codes_patterns() -> None:
    """I4: members and methods."""
    assert f"`{ids.MEMBER.pattern}`" in document.section(1)
    assert f"`{ids.HANDLER.pattern}`" in document.section(1)


def test_the_examples_of_padding_are_right() -> None:
    """A19: each example of the text, and the smallest."""
    examples = re.findall(r"padded\(([\d ]+)\) = ([\d ]+)", document.section(2))
    assert len(examples) == 3
    for length, result in examples:
        assert padded(int(length.replace(" ", ""))) == int(result.replace(" ", "")), length


def test_the_handshake_is_the_codes() -> None:
    """A34: the protocol's name and the size of its messages."""
    assert f"`{noise.PROTOCOL_NAME.decode()}`" in document.section(4)
    assert f"each message has {noise.OVERHEAD} bytes" in document.section(4)
    assert envelope.VERSION == 1
    assert "# The Trollbridge protocol, version 1" in document.TEXT


def test_the_items_are_the_codes() -> None:
    """P4: tags, names and fields."""
    found = {tag: (row[0], tuple(row[1].split(", "))) for tag, row in document.table(5, "tag item").items()}
    assert found == shapes(record.Item)


def test_the_kinds_are_the_codes() -> None:
    """P4: every kind of envelope."""
    found = {int(number): row[0] for number, row in document.table(6, "number kind").items()}
    assert found == {kind.value: kind.name for kind in envelope.Kind}


def test_the_payloads_are_the_codes() -> None:
    """P4: every payload, under the byte that the code gives it."""
    names = {int(byte, 16): row[0] for byte, row in document.table(9, "byte payload").items()}
    made: list[payloads.Payload] = [
        payloads.Call(ids.SessionCode(bytes(16)), b"\x90"),
        payloads.Result(b"\xc0"),
        payloads.SealedResult(b"\x90"),
        payloads.Fault(1, "", ""),
        payloads.Welcome((), ()),
        payloads.RingKeyOffer(bytes(32)),
        payloads.RingKeyAccepted(bytes(8)),
        payloads.StreamItem(0, b"\xc0"),
        payloads.SealedItem(0, b"\x90"),
        payloads.StreamProgress(0, payloads.Progress(0, 0)),
        payloads.Pull(1),
        payloads.Halt(),
    ]
    assert {type(each) for each in made} == set(payloads.Payload.__args__)
    assert names == {payloads.encode(each)[0]: type(each).__name__ for each in made}
    assert f"({payloads.CODE_SIZE} bytes)" in document.table(9, "byte payload")["01"][1]
    assert f"({ring_key.FINGERPRINT_SIZE} bytes)" in document.table(9, "byte payload")["07"][1]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (payloads.HandlerEntry, "method's name|session code (16 bytes)|[parameter, …]|type of the result|sensitive"),
        (payloads.Parameter, "name|type|default"),
        (control.SessionTicket, "client|client's role|server|server's role|token (32 bytes)|[grant, …]|service"),
        (control.Granted, "client|client's role|[grant, …]"),
        (grants.Grant, "method's name|[[argument, test], …]|most|seconds|approval|rule"),
        (control.MemberRecord, "member|role|pid"),
        (Sandbox, "[read, …]|[write, …]|[exec, …]|[network, …]|threads"),
        (Posture, "member|role|pid|level|[evidence, …]"),
        (Evidence, "mechanism|state|what was seen|remedy"),
        (
            MemberMeasure,
            "member|calls|replies|served|in_flight|load|credit_held|refusals|bytes_in|bytes_out|queued|latency",
        ),
        (operator.ProcessState, "member|role|group|pid|incarnation|state|level|since|restarts|rss|cpu|ended"),
        (operator.QuarantinedCall, "handler|caller|since"),
        (record.PublishedHandler, "method's name|seed (32 bytes)"),
        (ring_key.Sealed, "epoch|handler|salt|ciphertext"),
        (payloads.Fault, "code|name|text"),
        (signature.Field, "field's name|type"),
    ],
)
def test_the_records_are_written_as_the_code_has_them(kind: type[msgspec.Struct], words: str) -> None:
    """P4: an array of as many fields, untagged, and the page writes them in this order."""
    fields = words.split("|")
    if kind is payloads.HandlerEntry:
        fields += ["idempotent", "max_bytes", "item"]
    assert len(fields) == len(kind.__struct_fields__)
    assert kind.__struct_config__.tag is None
    assert f"[{', '.join(fields)}]" in document.TEXT


def test_the_types_are_the_codes() -> None:
    """P4: tags and names of the grammar, and its scalars."""
    found = {tag: row[0] for tag, row in document.table(9, "tag type").items()}
    assert found == {tag: name for tag, (name, _) in shapes(signature.TypeSpec).items()}
    words = document.section(9).split("A scalar's name is one of ")[1].split(", each")[0]
    scalars = [None if kind == "none" else getattr(builtins, kind) for kind in re.findall(r"`(\w+)`", words)]
    assert [signature.describe(kind) for kind in scalars] == [
        signature.Scalar(n) for n in re.findall(r"`(\w+)`", words)
    ]
    assert len(scalars) == 6


def test_the_error_codes_are_the_codes() -> None:
    """P4: every number, in order."""
    found = {int(code): row[0] for code, row in document.table(9, "code name").items()}
    assert list(found.items()) == [(code.value, code.name) for code in errors.ErrorCode]


@pytest.mark.parametrize(
    ("header", "kinds"), [("tag to a child", control.ToChild), ("tag from a child", control.FromChild)]
)
def test_the_control_messages_are_the_codes(header: str, kinds: object) -> None:
    """I8: tags, names, and as many fields in the same order."""
    found = {tag: (row[0], row[1]) for tag, row in document.table(13, header).items()}
    expected = {
        tag: (name, ", ".join(SAID.get(each, "[handler, …]" if each == "handlers" else each) for each in fields))
        for tag, (name, fields) in shapes(kinds).items()
    }
    assert {tag: (name, said.replace("[peer, …]", "peers")) for tag, (name, said) in found.items()} == expected


@pytest.mark.parametrize(("header", "kinds"), [("tag request", operator.Request), ("tag answer", operator.Answer)])
def test_what_operators_ask_and_are_answered_is_the_codes(header: str, kinds: object) -> None:
    """I8: tags, names and fields; which requests change something is said in the text."""
    found = {tag: (row[0], row[1]) for tag, row in document.table(21, header).items()}
    assert found == {
        tag: (name, ", ".join(SAID.get(each, each) for each in fields)) for tag, (name, fields) in shapes(kinds).items()
    }
    assert f"`{runtime_folder.SOCKET}`" in document.section(21)


def test_who_may_tell_the_supervisor_what_is_the_codes() -> None:
    """I3: roles and how often, for each message of a child."""
    found = {row[0]: tuple(row[2:]) for row in document.table(13, "tag from a child").values()}
    expected = {
        kind.__name__: ("everyone" if roles == permits.EVERYONE else ", ".join(sorted(roles)), often)
        for kind, (roles, often) in permits.PERMITS.items()
    }
    assert found == expected
    assert set(permits.PERMITS) == set(control.FromChild.__args__)


def test_a_part_seals_to_the_size_that_the_page_says() -> None:
    """P3: salt, length, content, padding and tag."""
    [said] = re.findall(r"its body has (\d+)", document.section(15))
    assert padded(20 + parts.PART_SIZE) + 16 == int(said)


def test_the_limits_of_assembly_are_the_codes() -> None:
    """P3: what either side allows beside the contents themselves."""
    text = document.section(8)
    assert f"m + {serving.OVERHEAD} bytes for an enclave" in text
    assert f"padded(m + {ring_key.HEAD_SIZE}) + {peer._OVERHEAD} bytes for a client" in text


def test_kinds_of_failures_and_notices_are_the_codes() -> None:
    """P4: numbers and names."""
    failures = {int(number): row[0] for number, row in document.table(13, "number kind of failure").items()}
    assert failures == {kind.value: kind.name for kind in control.FailureKind}
    told = document.table(13, "kind of notice who may")
    assert list(told) == [kind.value for kind in control.NoticeKind]
    assert {kind: row[0] for kind, row in told.items()} == {
        kind.value: ", ".join(sorted(roles)) for kind, roles in permits.NOTICES.items()
    }


def test_what_is_refused_has_a_notice_that_exists() -> None:
    """The table of refusals names no notice that the code lacks."""
    text = document.section(12)
    named = set(re.findall(r"`([a-z]+\.[a-z]+)`", text))
    assert named <= {kind.value for kind in control.NoticeKind}
    assert len(named) == 8


def test_the_limits_are_the_codes() -> None:
    """P3: every limit, to the byte."""
    found = {name: int(row[0]) for name, row in document.table(15, "name value").items()}
    assert found == LIMITS
    assert mailbox.JOIN_TIMEOUT == joining.JOIN_TIMEOUT


def test_every_limit_that_the_text_names_is_in_the_table() -> None:
    """A name in capitals is a limit, a kind of envelope, a failure, a code, or a word of the system's."""
    known = {*LIMITS, *(kind.name for kind in envelope.Kind), *(kind.name for kind in control.FailureKind)}
    known |= {code.name for code in errors.ErrorCode} | {"ROLE", "DESCRIPTOR"}
    known |= {"SO_PASSCRED", "SO_SNDBUF", "SCM_RIGHTS", "SCM_CREDENTIALS", "SO_PEERCRED", "CLOCK_MONOTONIC"}
    assert set(re.findall(r"`([A-Z][A-Z_]+)`", document.TEXT)) <= known


def test_the_labels_are_the_codes() -> None:
    """A34: every label, each once, and none in the text that is not among them."""
    constants = [value.decode() for value in vars(labels).values() if isinstance(value, bytes)]
    assert sorted(document.table(16, "label purpose")) == sorted(constants)
    assert set(re.findall(r"tb1 [a-z ]+", document.TEXT)) == {each for each in constants if each.startswith("tb1 ")}
    assert len(set(constants)) == len(constants)


def test_every_section_is_in_the_contents() -> None:
    """The list at the head links to each, in order."""
    headings = re.findall(r"^## (\d+)\. (.+)$", document.TEXT, re.MULTILINE)
    links = re.findall(r"^(\d+)\. \[(.+)\]\(#(.+)\)$", document.TEXT, re.MULTILINE)
    assert [(number, title) for number, title, _ in links] == headings
    anchors = [f"{number}-{title.lower().replace(',', '').replace(' ', '-')}" for number, title in headings]
    assert [anchor for _, _, anchor in links] == anchors
