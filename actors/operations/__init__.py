"""What operators meet of a running application: its log, its socket, what it tells the service manager.

May import: our messages and actors. Invariant: nothing here makes the supervisor wait, and nothing that an operator
reads holds a secret.
"""
