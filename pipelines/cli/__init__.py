"""The `matstrata` command: everything that touches a terminal.

Not here: the work itself (the other packages), which each command imports when it runs.
"""
