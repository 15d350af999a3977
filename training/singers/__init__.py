"""Voices: speech that is taken apart and sung again, and real singing."""
