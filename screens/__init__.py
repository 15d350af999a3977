"""Pictures of what the bot says, for the README: drawn from the very values that it sends.

`python -m screens`, or `make screens`. Nothing of it connects to Discord.
"""
