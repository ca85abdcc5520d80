"""A policy and its program: whatever the policy says, the program decides, for every number and any arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.isolation.judge import WIDE, X32_BIT, decision, evaluate, expected, telling
from trollbridge.actors.isolation.bpf import (
    LONGEST,
    Allow,
    Case,
    Checked,
    Comparison,
    Errno,
    Kill,
    Low,
    Policy,
    Rule,
    Whole,
    assemble,
    encode,
    translate,
)
from trollbridge.actors.isolation.syscalls import TABLES, Architecture, UnknownSyscall

NAMES = sorted(set(TABLES[Architecture.X86_64]) | set(TABLES[Architecture.AARCH64]))
FOREIGN = (0x4000_0003, 0x4000_0028, 0, 0xFFFF_FFFF)
"""AUDIT_ARCH_I386 and _ARM, the 32-bit siblings; none at all."""
EDGES = st.sampled_from([0, 1, 2, 3, 4, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, (1 << 32) + 1, 1 << 63, WIDE])
ARGUMENT = EDGES | st.integers(0, WIDE)
ARGUMENTS = st.tuples(*[ARGUMENT] * 6)
DECISIONS = st.just(Allow()) | st.just(Kill()) | st.builds(Errno, st.integers(1, 4095))


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """Draw a comparison that can hold."""
    argument = draw(st.integers(0, 5))
    if draw(st.booleans()):
        return Whole(argument, draw(ARGUMENT))
    mask = draw(st.sampled_from([0xFFFF_FFFF, 0xFF, 4, 0x8000_0001]) | st.integers(1, 0xFFFF_FFFF))
    values = draw(st.lists(ARGUMENT.map(lambda value: value & mask), min_size=1, max_size=6))
    return Low(argument, tuple(values), mask)


CASES = st.builds(Case, st.lists(comparisons(), max_size=3).map(tuple), DECISIONS)
CHECKED = st.builds(Checked, st.lists(CASES, max_size=4).map(tuple), DECISIONS)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy over a few calls."""
    names = draw(st.lists(st.sampled_from(NAMES), max_size=12, unique=True))
    return Policy(tuple(Rule(name, draw(DECISIONS | CHECKED)) for name in names), draw(DECISIONS))


@given(policies(), st.sampled_from(Architecture), st.lists(ARGUMENTS, max_size=4))
def test_a_program_decides_what_its_policy_says(
    policy: Policy, architecture: Architecture, arguments: list[tuple[int, ...]]
) -> None:
    """For each call that has a rule: arguments that tell its comparisons apart, high bits included, and any others."""
    program = translate(policy, architecture)
    for rule in policy.rules:
        number = TABLES[architecture].get(rule.name)
        if number is not None:
            says = expected(policy, architecture, number)
            for each in (*telling(policy, rule.name), *arguments):
                assert decision(evaluate(program, architecture, number, each)) == says(each)


@given(policies(), st.sampled_from(Architecture), ARGUMENTS)
def test_a_call_without_a_rule_gets_the_default(
    policy: Policy, architecture: Architecture, arguments: tuple[int, ...]
) -> None:
    """Every number from 0 to 600, and numbers that no kernel has."""
    program = translate(policy, architecture)
    for number in (*range(601), 0x3FFF_FFFF, 0xFFFF_FFFF):
        found = decision(evaluate(program, architecture, number, arguments))
        assert found == expected(policy, architecture, number)(arguments)


@given(policies(), st.sampled_from(Architecture), st.integers(0, 600) | st.just(0xFFFF_FFFF), ARGUMENTS)
def test_a_foreign_architecture_is_killed_whatever_is_called(
    policy: Policy, architecture: Architecture, number: int, arguments: tuple[int, ...]
) -> None:
    """32-bit calls have other numbers: int 0x80 must not slip through as something that is allowed (I1)."""
    program = translate(policy, architecture)
    others = {*FOREIGN, *Architecture} - {architecture}
    for foreign in others:
        assert decision(evaluate(program, foreign, number, arguments)) == Kill()


@given(st.integers(X32_BIT, 0xFFFF_FFFF) | st.integers(0, 600).map(lambda number: number | X32_BIT), ARGUMENTS)
def test_an_x32_call_is_killed_even_where_everything_is_allowed(number: int, arguments: tuple[int, ...]) -> None:
    """The second numbering of x86-64 reports the same architecture (I1)."""
    program = translate(Policy((), Allow()), Architecture.X86_64)
    assert decision(evaluate(program, Architecture.X86_64, number, arguments)) == Kill()


def test_high_bits_neither_smuggle_nor_matter() -> None:
    """A 32-bit argument is compared as the kernel reads it; a pointer whole."""
    policy = Policy(
        (
            Rule("socket", Checked((Case((Low(0, (2,)),), Allow()),), Errno(1))),
            Rule("sendto", Checked((Case((Whole(4, 0),), Allow()),), Errno(1))),
        ),
        Kill(),
    )
    program, numbers = translate(policy, Architecture.X86_64), TABLES[Architecture.X86_64]
    for high in (1 << 32, 1 << 63, WIDE ^ 0xFFFF_FFFF):
        assert decision(evaluate(program, Architecture.X86_64, numbers["socket"], (2 | high,))) == Allow()
        assert decision(evaluate(program, Architecture.X86_64, numbers["sendto"], (0, 0, 0, 0, high))) == Errno(1)
    assert decision(evaluate(program, Architecture.X86_64, numbers["socket"], (3,))) == Errno(1)
    assert decision(evaluate(program, Architecture.X86_64, numbers["sendto"])) == Allow()


@given(policies(), st.sampled_from(Architecture))
def test_every_jump_lands_inside_and_every_path_ends(policy: Policy, architecture: Architecture) -> None:
    """What the kernel checks when it takes a program."""
    program = assemble(policy, architecture)
    for place, instruction in enumerate(program):
        assert place + 1 + max(instruction.if_true, instruction.if_false) < len(program) or instruction.code == 6
    assert program[-1].code == 6
    assert len(encode(program)) == 8 * len(program) <= 8 * LONGEST


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ((Rule("opne", Allow()),), "no system call opne"),
        ((Rule("read", Allow()), Rule("read", Kill())), "two rules for read"),
        ((Rule("read", Errno(0)),), "0 is no error number"),
        ((Rule("read", Errno(4096)),), "4096 is no error number"),
        ((Rule("read", Checked((Case((Low(6, (0,)),), Allow()),), Kill())),), "cannot hold"),
        ((Rule("read", Checked((Case((Low(0, ()),), Allow()),), Kill())),), "cannot hold"),
        ((Rule("read", Checked((Case((Low(0, (3,), 2),), Allow()),), Kill())),), "cannot hold"),
        ((Rule("read", Checked((Case((Low(0, (1 << 32,)),), Allow()),), Kill())),), "cannot hold"),
        ((Rule("read", Checked((Case((Whole(0, 1 << 64),), Allow()),), Kill())),), "cannot hold"),
        ((Rule("read", Checked((Case((Low(0, tuple(range(300))),), Allow()),), Kill())),), "more than 255"),
    ],
)
def test_a_policy_with_a_slip_in_it_is_no_program(rules: tuple[Rule, ...], complaint: str) -> None:
    """A misspelt call, two answers, a comparison that never holds: refused, and not silently another filter."""
    with pytest.raises((UnknownSyscall, ValueError), match=complaint):
        translate(Policy(rules, Kill()), Architecture.X86_64)


def test_a_policy_longer_than_the_kernel_takes_is_refused() -> None:
    """No program is cut off."""
    long = Checked((Case((Low(0, tuple(range(200))),), Allow()),), Kill())
    with pytest.raises(ValueError, match="the kernel takes 4096"):
        translate(Policy(tuple(Rule(name, long) for name in NAMES[:30]), Kill()), Architecture.X86_64)
