"""Bands: what they play, on which instruments, and how it is recorded."""
