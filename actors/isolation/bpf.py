"""A policy over system calls as a value, and its translation into the kernel's filter language, classic BPF.

May import: `msgspec`, `syscalls`. Invariants: a program decides on the architecture before all else, and kills a
process that calls by a foreign one or by x32; every path of it ends in a decision, and it only ever jumps forward.

What the kernel shows a filter (struct seccomp_data, little-endian on both architectures):

    0  number u32 | 4  architecture u32 | 8  instruction pointer u64 | 16  six arguments u64

An argument that the kernel itself cuts down to 32 bits is compared by `Low`, one that it takes whole by `Whole`: with
the wrong one, high bits would smuggle a forbidden value past the filter, or keep an honest caller out.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, assert_never

import msgspec

from trollbridge.actors.isolation.syscalls import TABLES, X32_BIT, Architecture, UnknownSyscall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FULL: Final = 0xFFFF_FFFF
LONGEST: Final = 4096
"""Instructions that the kernel accepts in one program."""
_FARTHEST: Final = 255
"""Instructions that a conditional jump can skip."""


class Low(msgspec.Struct, frozen=True):
    """The low 32 bits of an argument, under a mask, are one of `values`."""

    argument: int
    """0 to 5."""
    values: tuple[int, ...]
    mask: int = _FULL


class Whole(msgspec.Struct, frozen=True):
    """All 64 bits of an argument are `value`: for pointers and lengths."""

    argument: int
    value: int


Comparison: TypeAlias = Low | Whole


class Allow(msgspec.Struct, frozen=True):
    """The kernel carries the call out."""


class Errno(msgspec.Struct, frozen=True):
    """The call is not carried out; the caller gets this error number, 1 to 4095."""

    number: int


class Kill(msgspec.Struct, frozen=True):
    """The kernel ends the whole process at once, with SIGSYS; no handler of it runs."""


Decision: TypeAlias = Allow | Errno | Kill


class Case(msgspec.Struct, frozen=True):
    """What is decided if every comparison holds."""

    when: tuple[Comparison, ...]
    then: Decision


class Checked(msgspec.Struct, frozen=True):
    """The first case that holds decides; if none does, `otherwise`."""

    cases: tuple[Case, ...]
    otherwise: Decision


Action: TypeAlias = Allow | Errno | Kill | Checked


class Rule(msgspec.Struct, frozen=True):
    """What is done with one system call."""

    name: str
    action: Action


class Policy(msgspec.Struct, frozen=True):
    """Rules in the order in which they are looked at, one for each call, and what holds for every other call."""

    rules: tuple[Rule, ...]
    default: Decision


class Instruction(NamedTuple):
    """One instruction, struct sock_filter: two jumps are relative to the next instruction."""

    code: int
    if_true: int
    if_false: int
    operand: int


_LAYOUT: Final = struct.Struct("<HBBI")
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16

_RET_KILL_PROCESS: Final = 0x8000_0000
_RET_ERRNO: Final = 0x0005_0000
_RET_ALLOW: Final = 0x7FFF_0000
_LARGEST_ERRNO: Final = 4095


def _load(offset: int) -> Instruction:
    return Instruction(_LOAD, 0, 0, offset)


def _return(decision: Decision) -> Instruction:
    match decision:
        case Allow():
            value = _RET_ALLOW
        case Errno(number):
            if not 0 < number <= _LARGEST_ERRNO:
                msg = f"{number} is no error number"
                raise ValueError(msg)
            value = _RET_ERRNO | number
        case Kill():
            value = _RET_KILL_PROCESS
        case _:
            assert_never(decision)
    return Instruction(_RETURN, 0, 0, value)


class _Step(NamedTuple):
    """An instruction inside a case, whose `if_false` may still have to become the way to the next case."""

    instruction: Instruction
    leaves: bool = False


def _compared(comparison: Comparison) -> Iterator[_Step]:
    """Go on behind the last step if the comparison holds, else leave the case."""
    low = _ARGUMENTS + 8 * comparison.argument
    match comparison:
        case Whole(_, value):
            for offset, half in ((low + 4, value >> 32), (low, value & _FULL)):
                yield _Step(_load(offset))
                yield _Step(Instruction(_IF_EQUAL, 0, 0, half), leaves=True)
        case Low(_, values, mask):
            yield _Step(_load(low))
            if mask != _FULL:
                yield _Step(Instruction(_AND, 0, 0, mask))
            for behind, value in zip(reversed(range(len(values))), values, strict=True):
                yield _Step(Instruction(_IF_EQUAL, behind, 0, value), leaves=behind == 0)
        case _:
            assert_never(comparison)


def _case(case: Case) -> Iterator[Instruction]:
    steps = list(chain.from_iterable(_compared(each) for each in case.when))
    for behind, (instruction, leaves) in zip(reversed(range(len(steps))), steps, strict=True):
        yield instruction._replace(if_false=behind + 1) if leaves else instruction
    yield _return(case.then)


def _body(action: Action) -> list[Instruction]:
    """Return what decides on one call; it ends in a decision, so nothing runs on into the next rule."""
    if not isinstance(action, Checked):
        return [_return(action)]
    return [*chain.from_iterable(_case(case) for case in action.cases), _return(action.otherwise)]


def _head(architecture: Architecture) -> list[Instruction]:
    kill = _return(Kill())
    head = [_load(_ARCHITECTURE), Instruction(_IF_EQUAL, 1, 0, architecture), kill, _load(_NUMBER)]
    if architecture is Architecture.X86_64:
        head += [Instruction(_IF_AT_LEAST, 0, 1, X32_BIT), kill]
    return head


def _check(policy: Policy) -> None:
    names = [rule.name for rule in policy.rules]
    known = set(chain.from_iterable(TABLES.values()))
    for name in names:
        if name not in known:
            msg = f"no system call {name} on any architecture"
            raise UnknownSyscall(msg)
    if len(set(names)) < len(names):
        msg = f"two rules for {', '.join(sorted({name for name in names if names.count(name) > 1}))}"
        raise ValueError(msg)
    for rule in policy.rules:
        if isinstance(rule.action, Checked):
            for comparison in chain.from_iterable(case.when for case in rule.action.cases):
                _check_comparison(rule.name, comparison)


def _check_comparison(name: str, comparison: Comparison) -> None:
    """Raise `ValueError` for one that could never hold, or that the kernel could not be asked."""
    sound = 0 <= comparison.argument <= 5  # noqa: PLR2004  # a system call has six arguments
    match comparison:
        case Low(_, values, mask):
            sound = sound and bool(values) and all(0 <= value <= _FULL and value & ~mask == 0 for value in values)
        case Whole(_, value):
            sound = sound and 0 <= value < 1 << 64
        case _:
            assert_never(comparison)
    if not sound:
        msg = f"{name}: {comparison} cannot hold"
        raise ValueError(msg)


def assemble(policy: Policy, architecture: Architecture) -> list[Instruction]:
    """Return the program of a policy; calls that the architecture does not have are left out.

    Raises `UnknownSyscall` for a name that no architecture has, `ValueError` for a second rule on one call, a
    comparison that cannot hold, or a program that the kernel would not take.
    """
    _check(policy)
    numbers = TABLES[architecture]
    program = _head(architecture)
    for rule in policy.rules:
        if rule.name not in numbers:
            continue
        body = _body(rule.action)
        if len(body) > _FARTHEST:
            msg = f"the rule for {rule.name} has more than {_FARTHEST} instructions"
            raise ValueError(msg)
        program += [Instruction(_IF_EQUAL, 0, len(body), numbers[rule.name]), *body]
    program.append(_return(policy.default))
    if len(program) > LONGEST:
        msg = f"a filter of {len(program)} instructions; the kernel takes {LONGEST}"
        raise ValueError(msg)
    return program


def encode(program: Iterable[Instruction]) -> bytes:
    """Return a program as the kernel reads it, 8 bytes for each instruction."""
    return b"".join(_LAYOUT.pack(*instruction) for instruction in program)


def translate(policy: Policy, architecture: Architecture) -> bytes:
    """Return a policy as the bytes that the kernel takes; raises as `assemble`."""
    return encode(assemble(policy, architecture))
