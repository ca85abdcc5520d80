"""Replacing a name of a module or a class in a process of a test's: a hostile one, or one that is in a hurry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def replace(module: ModuleType | type, **new: object) -> None:
    """Give each name another value for good; raises `AttributeError` if it has no such name."""
    for name, value in new.items():
        getattr(module, name)
        setattr(module, name, value)
