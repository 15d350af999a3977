"""Songs whose answer is known: composed and rendered from a seed, for tests and for the demo."""

from __future__ import annotations

from composer.render import Composition, compose

__all__ = ["Composition", "compose"]
