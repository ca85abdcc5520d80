"""Replacing a name of a module in a process that belongs to a test: a hostile one, or one that is in a hurry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def replace(module: ModuleType, **new: object) -> None:
    """Give each name another value for good; raises `AttributeError` if the module has no such name."""
    for name, value in new.items():
        getattr(module, name)
        setattr(module, name, value)
