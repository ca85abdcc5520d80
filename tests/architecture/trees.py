"""The syntax trees of source files, each parsed and walked once, whatever number of rules looks at it."""

from __future__ import annotations

import ast
import functools


@functools.cache
def tree_of(text: str) -> ast.Module:
    """Return the tree of a source text; it is shared, and nobody changes it."""
    return ast.parse(text)


@functools.cache
def nodes_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return every node of a tree."""
    return tuple(ast.walk(tree))
