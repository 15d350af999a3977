"""Mutated audio files, read in processes that may die of them: ``python -m tests.fuzz``."""
