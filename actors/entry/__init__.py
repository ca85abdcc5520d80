"""Where a child process begins: it is told its part, rehearses, is locked, and runs it.

May import: our messages and actors. Invariant: nothing that an application declared is loaded before its process has
settled in, and nothing of an enclave's or an extension's runs before the lock.
"""
