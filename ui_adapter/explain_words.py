"""A grant, in words for people and as it is written in a declaration.

May import: our messages, `lint_conditions`. Invariant: what is returned as code says what the grant says.
"""

from __future__ import annotations

import json
from typing import cast

from trollbridge.messages.grants import AnyOf, Between, Equals, Grant, Longest, Matching, Test
from trollbridge.ui_adapter.lint_conditions import tests_of, value, words


def sentence(grant: Grant) -> str:
    """Return a grant in words: what may be called, under which conditions, how often, and with whose approval."""
    parts = [grant.handler]
    conditions = [f"{argument} is {words(test)}" for argument, test in tests_of(grant).items()]
    if conditions:
        parts.append("where " + ", and ".join(conditions))
    if grant.most:
        parts.append(f"at most {grant.most} times in {grant.seconds} s")
    if grant.approval:
        parts.append("each call approved by the core UI")
    return ", ".join(parts).replace(", where", " where", 1)


def code(grant: Grant) -> str:
    """Return a grant as it is written in `App(grants=…)`."""
    handler = quoted(grant.handler)
    if grant.plain:
        return handler
    text = f"Grant({handler})"
    if grant.conditions:
        text += f".where({', '.join(f'{argument}={_test(test)}' for argument, test in tests_of(grant).items())})"
    if grant.most:
        text += f".at_most({grant.most}, seconds={grant.seconds})"
    return text + (".approved()" if grant.approval else "")


def quoted(text: str) -> str:
    """Return a text as Python writes it, in double quotes, whatever it holds."""
    return json.dumps(text)


def _test(test: Test) -> str:
    match test:
        case Equals():
            return repr(_frozen(value(test)))
        case Matching(pattern):
            return f"Matching({pattern!r})"
        case Between(low, high):
            return f"Between({low!r}, {high!r})"
        case Longest(size):
            return f"Longest({size})"
        case AnyOf(tests):
            return f"OneOf({', '.join(map(_test, tests))})"


def _frozen(of: object) -> object:
    """Return a plain value as a handler is given it: a list is a tuple there."""
    return tuple(_frozen(each) for each in cast("list[object]", of)) if isinstance(of, list) else of
