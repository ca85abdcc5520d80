"""Two ways to a decision on a call: what the kernel makes of a program, and what a policy says in its own words."""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation.bpf import Action, Allow, Checked, Comparison, Decision, Errno, Kill, Low, Policy
from trollbridge.actors.isolation.syscalls import TABLES, Architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_INSTRUCTION: Final = struct.Struct("<HBBI")
_DATA: Final = struct.Struct("<IIQ6Q")  # struct seccomp_data of <linux/seccomp.h>
_ARGUMENTS: Final = 16
"""Where the arguments begin in it."""
_WORD: Final = struct.Struct("<I")
WIDE: Final = (1 << 64) - 1
X32_BIT: Final = 0x4000_0000
_NAMES: Final = {each: {number: name for name, number in numbers.items()} for each, numbers in TABLES.items()}


@lru_cache(maxsize=2)
def _instructions(program: bytes) -> list[tuple[int, int, int, int]]:
    """Return a program's instructions: operation, how far to jump if it holds and if not, operand."""
    return list(_INSTRUCTION.iter_unpack(program))


def evaluate(program: bytes, architecture: int, number: int, arguments: Sequence[int] = ()) -> int:
    """Run a filter as the kernel does (Documentation/networking/filter.rst) and return what it returns."""
    place, accumulator = _up_to_the_arguments(program, architecture, number)
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = _DATA.pack(number, architecture, 0, *(each & WIDE for each in padded))
    place, _ = _run(_instructions(program), data, place, accumulator)
    operation, _, _, returned = _instructions(program)[place]
    assert operation == 0x06, "it looks beyond what the kernel shows"
    return returned


@lru_cache(maxsize=2048)
def _up_to_the_arguments(program: bytes, architecture: int, number: int) -> tuple[int, int]:
    """Run a filter as far as no argument is looked at, so once for all of them; return where it is, and with what."""
    return _run(_instructions(program), _DATA.pack(number, architecture, 0, *[0] * 6)[:_ARGUMENTS], 0, 0)


def _run(code: list[tuple[int, int, int, int]], data: bytes, place: int, accumulator: int) -> tuple[int, int]:
    """Run on from a place; return the place of the return, or of the first load beyond `data`, and the accumulator."""
    while True:
        operation, if_true, if_false, operand = code[place]
        match operation:
            case 0x20:
                assert operand % 4 == 0
                if operand >= len(data):
                    return place, accumulator
                (accumulator,) = _WORD.unpack_from(data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                place += if_true if accumulator == operand else if_false
            case 0x35:
                place += if_true if accumulator >= operand else if_false
            case 0x06:
                return place, accumulator
            case _:
                msg = f"an instruction that nobody wrote: {operation:#x}"
                raise AssertionError(msg)
        place += 1


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
    return _decided(next((rule.action for rule in policy.rules if rule.name == name), policy.default), arguments)


def _decided(action: Action, arguments: Sequence[int]) -> Decision:
    """Return what an action comes to for arguments."""
    if not isinstance(action, Checked):
        return action
    for case in action.cases:
        if all(holds(each, arguments) for each in case.when):
            return case.then
    return action.otherwise


def expected(policy: Policy, architecture: Architecture, number: int) -> Callable[[Sequence[int]], Decision]:
    """Return what a policy says of a number, as a function of the arguments; always `Kill` for an x32 call."""
    if architecture is Architecture.X86_64 and number >= X32_BIT:
        return lambda _: Kill()
    name = _NAMES[architecture].get(number, "")
    action = next((rule.action for rule in policy.rules if rule.name == name), policy.default)
    return lambda arguments: _decided(action, arguments)


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
