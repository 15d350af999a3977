"""``python -m supply``: known vulnerabilities of the pinned versions; ``make audit``.

The exit code is 0 where all are explained, 1 where one is not or has to be looked at again, and 2
where the registry could not be asked: then nothing is known, and nothing has passed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from supply.exceptions import FILE, read_exceptions
from supply.registry import SourceError, ask, pips_own_address, read_pins

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from supply.exceptions import Exemption
    from supply.registry import Finding

PINS = Path(__file__).resolve().parents[1] / "constraints.txt"
FINE, UNEXPLAINED, UNKNOWN = 0, 1, 2


def judge(
    findings: Iterable[Finding], exemptions: Sequence[Exemption], today: date
) -> tuple[list[str], bool]:
    """Hold what was found against what is put up with.

    Returns
    -------
    tuple
        What to print, line by line, and whether everything is explained.
    """
    lines: list[str] = []
    fine = True
    used: set[int] = set()
    for found in findings:
        which = next((n for n, one in enumerate(exemptions) if one.covers(found)), None)
        if which is not None:
            used.add(which)
        one = None if which is None else exemptions[which]
        word = "OPEN" if one is None else "OVERDUE" if one.until < today else "explained"
        fine = fine and word == "explained"
        lines.append(_line(word, found, one))
    idle = (one for n, one in enumerate(exemptions) if n not in used and one.ids)
    lines += [f"idle       {', '.join(sorted(one.ids))}: not found any more" for one in idle]
    return lines, fine


def _line(word: str, found: Finding, one: Exemption | None) -> str:
    fixed = f"; fixed in {', '.join(found.fixed_in)}" if found.fixed_in else ""
    why = f"\n           {one.why} (looked at again by {one.until})" if one is not None else ""
    at = f"{found.pin.name} {found.pin.version} {found.ids[0]}"
    return f"{word:10} {at}: {found.summary}{fixed}{why}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the audit."""
    parser = argparse.ArgumentParser(prog="python -m supply", description=__doc__)
    parser.add_argument("--registry", help="the root of another one than pip's own")
    given = parser.parse_args(arguments)
    pins = read_pins(PINS.read_text(encoding="utf-8"))
    exemptions = read_exceptions(FILE.read_text(encoding="utf-8"))
    try:
        findings = asyncio.run(ask(given.registry or pips_own_address(), pins))
    except SourceError as error:
        print(f"Nothing is known: {error}", file=sys.stderr)
        return UNKNOWN
    lines, fine = judge(findings, exemptions, datetime.now(UTC).date())
    print(*lines, sep="\n")
    print(f"{len(pins)} pinned versions, {len(findings)} known vulnerabilities.")
    return FINE if fine else UNEXPLAINED


if __name__ == "__main__":
    sys.exit(main())
