"""Which rule decides on a call, told from the declaration: the caller of a refused call is told nothing of it.

May import: our actors' declaration and messages, `lint_conditions`. Invariant: pure; it answers as a server decides: of
several grants for a handler, the first whose conditions hold.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.serving.granting import Rule
from trollbridge.messages.errors import UsageError
from trollbridge.messages.ids import Role
from trollbridge.messages.signature import OneOf, Scalar, TypeSpec, realise, sentence
from trollbridge.ui_adapter import explain_words
from trollbridge.ui_adapter.lint_conditions import tests_of, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trollbridge.actors.app import App
    from trollbridge.messages.grants import Grant
    from trollbridge.messages.payloads import HandlerEntry
    from trollbridge.ui_adapter.lint_grants import Exports

HEX: Final = "hex:"
"""How octets begin on the command line that are not given as text."""
FORMAT: Final = 1
"""The number of the JSON's form, of a call's and of a log's; a program that reads it can refuse another."""


class Answer(enum.StrEnum):
    """What becomes of a call."""

    ALLOWED = "allowed"
    APPROVAL = "needs approval"
    DEPENDS = "depends on its arguments"
    REFUSED = "refused"


class Step(msgspec.Struct, frozen=True):
    """One rule that was looked at."""

    rule: int
    says: str
    found: str


class Explanation(msgspec.Struct, frozen=True):
    """Why; as JSON, the names are the keys."""

    caller: str
    handler: str
    answer: Answer
    rule: int
    """The rule that decides; 0 if none does."""
    because: str
    change: str
    steps: tuple[Step, ...] = ()
    format: int = FORMAT


def explain(app: App, exports: Exports, caller: str, handler: str, given: Sequence[str]) -> Explanation:
    """Return what becomes of a call. `given`: arguments, each `NAME=VALUE`; the others are not known.

    Raises `UsageError` for a caller that there is not, and for an argument that does not fit.
    """
    callers: dict[str, Role] = {child.member: role for child, role in app.children}
    if caller not in callers:
        msg = f"{caller} is no member of this application; there are {', '.join(callers)}"
        raise UsageError(msg)
    member, _, method = handler.rpartition(".")
    exported = exports.get(member)
    export = None if exported is None else exported.get(method)
    if export is None:
        known = ", ".join(sorted(exported)) if exported else ""
        because = f"{member} exports {known}" if known else f"there is no enclave and no host {member}"
        return Explanation(caller, handler, Answer.REFUSED, 0, f"no such handler: {because}", "correct its name")
    arguments = _arguments(export.entry, given)
    rules = [each for each in next(of for name, of in app.grants.items() if name == caller) if each.handler == handler]
    if export.core and callers[caller] is not Role.UI:
        because = "the handler is marked core=True, so only the core UI may call it, whatever is granted"
        return Explanation(caller, handler, Answer.REFUSED, 0, because, "have the core UI call it")
    if not rules:
        who = {Role.UI: "the UI", Role.EXTENSION: "the extension"}.get(callers[caller], "the member")
        change = f'add "{handler}" to the grants of {caller}, if {who} is to call it'
        return Explanation(
            caller, handler, Answer.REFUSED, 0, "no rule grants it, and nothing is granted by default", change
        )
    return _decided(caller, export.entry, rules, arguments)


def _decided(caller: str, entry: HandlerEntry, rules: Sequence[Grant], arguments: Mapping[str, object]) -> Explanation:
    handler, steps = rules[0].handler, list[Step]()
    unsure = False
    for grant in rules:
        fits, found = _fits(grant, entry, arguments)
        steps.append(Step(grant.rule, explain_words.sentence(grant), found))
        if fits and not unsure:
            return _passing(caller, grant, tuple(steps))
        unsure = unsure or fits is None
    if unsure:
        because = "the conditions name arguments that were not given"
        change = "give them, as NAME=VALUE, to see which rule it is"
        return Explanation(caller, handler, Answer.DEPENDS, 0, because, change, tuple(steps))
    because = f"{'no rule for it fits' if len(rules) > 1 else f'rule {rules[0].rule} does not fit'}: {steps[0].found}"
    change = "widen a condition, or grant it once more under others"
    return Explanation(caller, handler, Answer.REFUSED, 0, because, change, tuple(steps))


def _passing(caller: str, grant: Grant, steps: tuple[Step, ...]) -> Explanation:
    limit = f"; more than {grant.most} calls within {grant.seconds} s are refused" if grant.most else ""
    because = f"rule {grant.rule} is the first that fits{limit}"
    answer, change = Answer.ALLOWED, f"nothing; without rule {grant.rule} it could not pass by that rule"
    if grant.approval:
        answer, change = (
            Answer.APPROVAL,
            "nothing; each call waits until the core UI approves it, and is then made again",
        )
    return Explanation(caller, grant.handler, answer, grant.rule, because, change, steps)


def _fits(grant: Grant, entry: HandlerEntry, arguments: Mapping[str, object]) -> tuple[bool | None, str]:
    """Return whether a grant's conditions hold, None if that is not known, and which decided."""
    missing, tests = "", tests_of(grant)
    names = [each.name for each in entry.parameters]
    for position, holds, _ in Rule(grant, entry.parameters).conditions:
        argument = names[position]
        if argument not in arguments:
            missing = missing or argument
        elif not holds(arguments[argument]):
            return False, f"{argument} is not {words(tests[argument])}"
    return (None, f"{missing} is not given") if missing else (True, "it fits")


# Arguments of the command line.


def _arguments(entry: HandlerEntry, given: Sequence[str]) -> dict[str, object]:
    """Return the arguments ; once any is given, those left out have their defaults."""
    kinds = {each.name: each for each in entry.parameters}
    found: dict[str, object] = {}
    for text in given:
        name, equals, shown = text.partition("=")
        if not equals or name not in kinds or name in found:
            known = ", ".join(f"{each.name}: {sentence(each.kind)}" for each in entry.parameters) or "nothing"
            msg = f"{text!r} is not one of its arguments, each once, as NAME=VALUE; {entry.name} takes {known}"
            raise UsageError(msg)
        found[name] = parsed(shown, kinds[name].kind, name)
    if given:
        for name, each in kinds.items():
            if each.default is not None:
                found.setdefault(name, _decoder(each.kind).decode(each.default))
    return found


def parsed(text: str, kind: TypeSpec, name: str) -> object:
    """Return an argument; raises `UsageError` if it is not of its type."""
    try:
        return _parsed(text, kind)
    except (ValueError, msgspec.MsgspecError):
        msg = f"{name}={text}: this is no {sentence(kind)}"
        raise UsageError(msg) from None


def _parsed(text: str, kind: TypeSpec) -> object:
    if isinstance(kind, OneOf):
        for each in sorted(kind.options, key=lambda option: option == Scalar("str")):  # everything is a text
            try:
                return _parsed(text, each)
            except (ValueError, msgspec.MsgspecError):
                continue
        raise ValueError
    return _PARSERS[kind.name](text) if isinstance(kind, Scalar) else msgspec.json.decode(text, type=realise(kind, {}))


def _decoder(kind: TypeSpec) -> msgspec.msgpack.Decoder[object]:
    return msgspec.msgpack.Decoder(realise(kind, {}))


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix(HEX)) if text.startswith(HEX) else text.encode()


def _truth(text: str) -> object:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _nothing(text: str) -> object:
    if text.lower() != "none":
        raise ValueError(text)
    return None


_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "str": str, "bytes": _octets, "int": int, "float": float, "bool": _truth, "none": _nothing,
}  # fmt: skip
