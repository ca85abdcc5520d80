"""The command line of the vault: parsing in the supervisor's process, the work in the UI's.

May import: our actors, our messages, the rest of `ui_adapter`. Loads nothing by itself.
"""
