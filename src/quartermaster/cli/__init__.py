"""What may be asked from a terminal?

Takes: arguments and files.
Gives: data on stdout, talk on stderr, an exit code from the error tree.
Never: import numpy for `--help`; show a traceback.
Invariant: every reading command has `--json`.
"""
