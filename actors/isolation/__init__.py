"""How the kernel keeps a process: one module for each mechanism, and the order in which they are laid on.

May import `messages`, and nothing else of `actors`: this folder knows no ring, no link and no actor.
"""
