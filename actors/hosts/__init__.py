"""Hosts that ship: files and programs of the machine, reachable exactly as an application declares them.

May import: our messages and actors. Invariant: a caller names nothing but what was declared: no absolute path, no
program and no argument of its own choice.
"""
