"""The calling end: clients, their sessions, promises and streams, across the epochs of an application.

May import: our messages and actors. Invariant: what is held of an epoch (`membership`) is a core without a socket.
"""
