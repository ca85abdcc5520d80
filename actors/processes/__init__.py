"""What every process of ours is made of: its start, its one inherited descriptor, its link, its loop.

May import: our messages and actors. Invariant: a child is a fresh exec that inherits one descriptor and is locked
before it runs anything that an application declared.
"""
