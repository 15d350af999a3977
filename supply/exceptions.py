"""Which known vulnerabilities are put up with, why, and until when: `exceptions.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supply.registry import canonical

if TYPE_CHECKING:
    from supply.registry import Finding

FILE = Path(__file__).with_name("exceptions.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """What is put up with.

    Attributes
    ----------
    packages
        Of which packages.
    ids
        Which advisories; empty is any, for what never runs.
    modules
        By which names these packages would be imported; a test sees that a merge does not.
    what, why
        What the advisory is, and why it cannot be reached from us.
    until
        The day after which somebody has to look again.
    """

    packages: frozenset[str]
    ids: frozenset[str]
    modules: tuple[str, ...]
    what: str
    why: str
    until: date

    def covers(self, finding: Finding) -> bool:
        """Return whether a vulnerability is one of these."""
        return finding.pin.name in self.packages and (
            not self.ids or not self.ids.isdisjoint(finding.ids)
        )


def read_exceptions(text: str) -> list[Exemption]:
    """Read the exceptions.

    Raises
    ------
    ValueError
        One of them is not explained, or not dated.
    """
    tables = tomllib.loads(text).get("exception", [])
    return [_exemption(table) for table in tables]


def _exemption(table: dict[str, Any]) -> Exemption:
    packages = frozenset(canonical(name) for name in table.get("packages", ()))
    what, why, until = (table.get(name) for name in ("what", "why", "until"))
    if not (packages and what and why and isinstance(until, date)):
        raise ValueError(f"an exception needs packages, what, why and until: {table}")
    ids, modules = table.get("ids", ()), table.get("modules", ())
    if not ids and not modules and not table.get("tools_only"):
        raise ValueError(f"name the ids, or the modules that nothing imports: {table}")
    return Exemption(
        packages=packages,
        ids=frozenset(ids),
        modules=tuple(modules),
        what=what,
        why=why,
        until=until,
    )
