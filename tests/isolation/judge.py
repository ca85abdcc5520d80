"""Two ways to a decision on a call: what the kernel makes of a program, and what a policy says in its own words."""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation.bpf import Allow, Checked, Comparison, Decision, Errno, Kill, Low, Policy
from trollbridge.actors.isolation.syscalls import TABLES, Architecture

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSTRUCTION: Final = struct.Struct("<HBBI")
_DATA: Final = struct.Struct("<IIQ6Q")  # struct seccomp_data of <linux/seccomp.h>
_WORD: Final = struct.Struct("<I")
WIDE: Final = (1 << 64) - 1
X32_BIT: Final = 0x4000_0000


def evaluate(program: bytes, architecture: int, number: int, arguments: Sequence[int] = ()) -> int:
    """Run a filter as the kernel does (Documentation/networking/filter.rst) and return what it returns."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = _DATA.pack(number, architecture, 0, *(each & WIDE for each in padded))
    code = list(_INSTRUCTION.iter_unpack(program))
    accumulator = place = 0
    while True:
        operation, if_true, if_false, operand = code[place]
        place += 1
        match operation:
            case 0x20:
                assert operand % 4 == 0
                (accumulator,) = _WORD.unpack_from(data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                place += if_true if accumulator == operand else if_false
            case 0x35:
                place += if_true if accumulator >= operand else if_false
            case 0x06:
                return int(operand)
            case _:
                msg = f"an instruction that nobody wrote: {operation:#x}"
                raise AssertionError(msg)


def decision(value: int) -> Decision:
    """Return what a filter's return value means (<linux/seccomp.h>)."""
    match value >> 16:
        case 0x7FFF:
            return Allow()
        case 0x0005:
            return Errno(value & 0xFFFF)
        case 0x8000:
            return Kill()
        case _:
            msg = f"a return value that means nothing here: {value:#x}"
            raise AssertionError(msg)


def holds(comparison: Comparison, arguments: Sequence[int]) -> bool:
    """Return whether a comparison holds for arguments of 64 bits."""
    found = (arguments[comparison.argument] if comparison.argument < len(arguments) else 0) & WIDE
    if isinstance(comparison, Low):
        return found % (1 << 32) & comparison.mask in comparison.values
    return found == comparison.value


def says(policy: Policy, name: str, *arguments: int) -> Decision:
    """Return what a policy says of a call."""
    for rule in policy.rules:
        if rule.name != name:
            continue
        if not isinstance(rule.action, Checked):
            return rule.action
        for case in rule.action.cases:
            if all(holds(each, arguments) for each in case.when):
                return case.then
        return rule.action.otherwise
    return policy.default


def expected(policy: Policy, architecture: Architecture, number: int, arguments: Sequence[int]) -> Decision:
    """Return what a policy says of a number; `Kill` for an x32 call."""
    if architecture is Architecture.X86_64 and number >= X32_BIT:
        return Kill()
    name = next((name for name, each in TABLES[architecture].items() if each == number), "")
    return says(policy, name, *arguments)


def telling(policy: Policy, name: str) -> list[tuple[int, ...]]:
    """Return arguments for a call that tell its comparisons apart: values that hold, neighbours, and high bits."""
    comparisons = list(
        chain.from_iterable(
            case.when
            for rule in policy.rules
            if rule.name == name and isinstance(rule.action, Checked)
            for case in rule.action.cases
        )
    )
    found: list[tuple[int, ...]] = [(0,) * 6, (WIDE,) * 6, (1,) * 6, (1 << 32,) * 6]
    fitting = [0] * 6
    for comparison in comparisons:
        values = comparison.values if isinstance(comparison, Low) else (comparison.value,)
        fitting[comparison.argument] = values[0]
        for value in values:
            for other in (value, value + 1, value - 1, value | 1 << 32, value | 1 << 63, ~value, value ^ 0x40):
                each = list(fitting)
                each[comparison.argument] = other & WIDE
                found.append(tuple(each))
    return found
