from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from supply import __main__ as audit
from supply.exceptions import FILE, read_exceptions
from supply.registry import Finding, Pin, SourceError, ask, findings_of, read_pins, root_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TODAY = date(2026, 11, 22)
PIN = Pin("sandcastle", "1.0")
ADVISORY = {
    "id": "PYSEC-1999-1",
    "aliases": ["CVE-1999-0001"],
    "summary": "Sand gets in.\nMore words.",
    "fixed_in": ["1.1"],
    "withdrawn": None,
}
EXCEPTION = """
[[exception]]
packages = ["Sand_Castle"]
ids = ["CVE-1999-0001"]
what = "sand"
why = "there is no sand here"
until = 2026-11-22
"""


def a_finding(name: str = "sand-castle") -> Finding:
    return Finding(Pin(name, "1.0"), ("PYSEC-1999-1", "CVE-1999-0001"), "Sand gets in.", ("1.1",))


def test_pins_are_read_with_their_names_in_one_spelling() -> None:
    pins = read_pins("discord.py==2.7.1\n\n# a comment\nml_dtypes==0.5.4  # why\nx==0.3.6.post1\n")
    assert [(pin.name, pin.version) for pin in pins] == [
        ("discord-py", "2.7.1"),
        ("ml-dtypes", "0.5.4"),
        ("x", "0.3.6.post1"),
    ]
    assert len(read_pins(audit.PINS.read_text(encoding="utf-8"))) > 100


@pytest.mark.parametrize("line", ["numpy>=1", "numpy", "numpy==1 --hash=x", "numpy==1/../2"])
def test_what_is_no_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is no pin"):
        read_pins(line)


@pytest.mark.parametrize(
    "index", ["https://x.test/simple", "https://x.test/simple/", "https://x.test"]
)
def test_the_root_of_an_index(index: str) -> None:
    assert root_of(index) == "https://x.test"


def test_an_answer_about_vulnerabilities_is_read() -> None:
    gone = ADVISORY | {"id": "PYSEC-1999-2", "withdrawn": "2000-01-01"}
    bare = {"id": "GHSA-x", "details": "d" * 150}
    first, second = findings_of(PIN, {"vulnerabilities": [ADVISORY, gone, bare]})
    assert first == Finding(PIN, ("PYSEC-1999-1", "CVE-1999-0001"), "Sand gets in.", ("1.1",))
    assert (second.ids, len(second.summary), second.fixed_in) == (("GHSA-x",), 100, ())
    assert findings_of(PIN, {"vulnerabilities": []}) == []


@pytest.mark.parametrize("answer", [{}, {"vulnerabilities": None}])
def test_silence_is_not_the_same_as_none(answer: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="says nothing of the vulnerabilities of sandcastle"):
        findings_of(PIN, answer)


@asynccontextmanager
async def a_registry(answers: dict[str, web.Response]) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        return answers[request.match_info["name"]]

    app = web.Application()
    app.router.add_get("/pypi/{name}/1.0/json", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def test_a_registry_is_asked_about_every_pin() -> None:
    answers = {
        "sandcastle": web.json_response({"vulnerabilities": [ADVISORY]}),
        "bucket": web.json_response({"vulnerabilities": []}),
    }
    async with a_registry(answers) as root:
        found = await ask(root, [PIN, Pin("bucket", "1.0")])
    assert [(one.pin.name, one.ids[0]) for one in found] == [("sandcastle", "PYSEC-1999-1")]


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (web.Response(status=404), "answered 404 when it was asked about bucket 1.0"),
        (web.Response(text="<html>"), "cannot be asked about bucket 1.0"),
        (web.json_response({}), "says nothing of the vulnerabilities of bucket"),
    ],
)
async def test_one_missing_answer_is_enough_to_know_nothing(
    response: web.Response, said: str
) -> None:
    answers = {"sandcastle": web.json_response({"vulnerabilities": []}), "bucket": response}
    async with a_registry(answers) as root:
        with pytest.raises(SourceError, match=said):
            await ask(root, [PIN, Pin("bucket", "1.0")])


def test_a_registry_that_cannot_be_reached_never_passes(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert audit.main(["--registry", f"http://127.0.0.1:{port}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("Nothing is known: The registry that pip uses cannot be asked about")


@pytest.mark.parametrize(
    ("findings", "today", "words", "fine"),
    [
        ([a_finding()], TODAY, ["explained"], True),
        ([a_finding()], date(2026, 11, 23), ["OVERDUE"], False),
        ([a_finding("bucket")], TODAY, ["OPEN", "idle"], False),
        ([], TODAY, ["idle"], True),
    ],
)
def test_findings_are_held_against_what_is_put_up_with(
    findings: list[Finding], today: date, words: list[str], *, fine: bool
) -> None:
    lines, all_fine = audit.judge(findings, read_exceptions(EXCEPTION), today)
    assert [line.split()[0] for line in lines] == words
    assert all_fine is fine


def test_what_is_explained_is_said_with_its_reason() -> None:
    [line], _ = audit.judge([a_finding()], read_exceptions(EXCEPTION), TODAY)
    assert line == (
        "explained  sand-castle 1.0 PYSEC-1999-1: Sand gets in.; fixed in 1.1\n"
        "           there is no sand here (looked at again by 2026-11-22)"
    )


@pytest.mark.parametrize("missing", ["packages", "ids", "what", "why", "until"])
def test_an_exception_is_explained_and_dated(missing: str) -> None:
    lines = [line for line in EXCEPTION.splitlines() if not line.startswith(missing)]
    with pytest.raises(ValueError, match=r"an exception needs|name the ids"):
        read_exceptions("\n".join(lines))


def test_every_exception_is_about_a_pin() -> None:
    pins = {pin.name for pin in read_pins(audit.PINS.read_text(encoding="utf-8"))}
    exemptions = read_exceptions(FILE.read_text(encoding="utf-8"))
    assert {name for one in exemptions for name in one.packages} <= pins
