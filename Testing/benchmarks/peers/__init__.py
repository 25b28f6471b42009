"""The peers of the network's prediction: what they are, their environments, and the scripts that run them.

`with_*.py` are scripts, each run by the interpreter of its peer's own environment; the rest belongs to the command
beside this folder.
"""
