"""What the package registry knows of published versions, from the address that pip itself uses."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterable

AT_ONCE = 8
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_OWN_ADDRESS = re.compile(r"--index-url.*?\(default[ :]+(\S+?)\)", re.DOTALL)


class SourceError(Exception):
    """The registry did not say what was asked; the message says why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A package at one version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A known vulnerability of a pinned version.

    Attributes
    ----------
    pin
        Of what.
    ids
        The advisory's id, then its other names.
    summary
        What it is, in a line.
    fixed_in
        The versions that are without it.
    """

    pin: Pin
    ids: tuple[str, ...]
    summary: str
    fixed_in: tuple[str, ...]


def canonical(name: str) -> str:
    """Return the one spelling of a package's name, as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(text: str) -> list[Pin]:
    """Return the pins of a constraints file.

    Raises
    ------
    ValueError
        A line is no pin.
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [_pin(line) for line in lines if line]


def _pin(line: str) -> Pin:
    name, mark, version = line.partition("==")
    if not mark or not re.fullmatch(r"[\w.!+-]+", version):
        raise ValueError(f"{line!r} is no pin: it takes name==version")
    return Pin(canonical(name), version)


def pips_own_address() -> str:
    """Return the address of the registry's root that pip would install from.

    Its help says it: pip.conf and the environment have been heeded there.

    Raises
    ------
    SourceError
        pip does not say.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--help"],
        env={**os.environ, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = _OWN_ADDRESS.search(ended.stdout)
    if found is None:
        raise SourceError("pip does not say which registry it uses: is it installed?")
    return root_of(found[1])


def root_of(index: str) -> str:
    """Return what comes before the list of packages in an index's address."""
    return index.rstrip("/").removesuffix("/simple")


def findings_of(pin: Pin, answer: dict[str, Any]) -> list[Finding]:
    """Return what a registry's answer about one version says of its vulnerabilities.

    Raises
    ------
    SourceError
        It says nothing of them, which is not the same as that there are none.
    """
    known = answer.get("vulnerabilities")
    if not isinstance(known, list):
        raise SourceError(f"The registry says nothing of the vulnerabilities of {pin.name}.")
    return [
        Finding(
            pin=pin,
            ids=(one["id"], *one.get("aliases", ())),
            summary=_line(one),
            fixed_in=tuple(one.get("fixed_in") or ()),
        )
        for one in known
        if not one.get("withdrawn")
    ]


def _line(one: dict[str, Any]) -> str:
    text = one.get("summary") or one.get("details") or "nothing is said of it"
    first: str = text.strip().splitlines()[0]
    return first if len(first) <= 100 else first[:99] + "…"


async def ask(root: str, pins: Iterable[Pin]) -> list[Finding]:
    """Ask the registry about every pin.

    Raises
    ------
    SourceError
        One of the answers is missing: nothing is concluded from the others.
    """
    places = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session:

        async def one(pin: Pin) -> list[Finding]:
            async with places:
                return findings_of(pin, await _get(session, root, pin))

        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(one(pin)) for pin in pins]
        except* SourceError as several:
            raise _first(several) from None
    return [finding for task in asked for finding in task.result()]


def _first(group: BaseExceptionGroup[SourceError]) -> SourceError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, SourceError)
    return error


async def _get(session: aiohttp.ClientSession, root: str, pin: Pin) -> dict[str, Any]:
    try:
        async with session.get(f"{root}/pypi/{pin.name}/{pin.version}/json") as response:
            if response.status != 200:
                raise SourceError(
                    f"The registry that pip uses answered {response.status} when it was asked "
                    f"about {pin.name} {pin.version}: it may be a mirror without this service."
                )
            answer: dict[str, Any] = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise SourceError(
            f"The registry that pip uses cannot be asked about {pin.name} {pin.version} "
            f"({type(error).__name__})."
        ) from error
    return answer
