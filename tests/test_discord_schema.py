from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from tests.discord_schema import REASON, SCHEMA, check_request

WEBHOOK = "/webhooks/1/token/messages/@original"


def refused(what: str) -> AbstractContextManager[Any]:
    return pytest.raises(AssertionError, match=re.escape(what))


@pytest.mark.skipif(not SCHEMA.exists(), reason=REASON)
@pytest.mark.parametrize(
    ("method", "path", "body", "outcome"),
    [
        ("PATCH", WEBHOOK, {"content": "hello"}, nullcontext()),
        ("PATCH", WEBHOOK, {"attachments": [{"id": 0, "filename": "a.mp3"}]}, nullcontext()),
        ("PATCH", WEBHOOK, {"content": "x" * 2001}, refused("PATCH")),
        ("PATCH", WEBHOOK, {"content": 7}, refused("PATCH")),
        ("PATCH", WEBHOOK, {"embeds": [{"title": "x" * 257}]}, refused("PATCH")),
        ("PATCH", WEBHOOK, None, refused("needs a body")),
        ("DELETE", WEBHOOK, {"content": "x"}, refused("takes no body")),
        ("POST", WEBHOOK, {}, refused("Discord has no POST")),
        ("GET", "/no/such/path", None, refused("Discord has no path")),
        ("POST", "/interactions/1/t/callback", {"type": 5}, nullcontext()),
        ("POST", "/interactions/1/t/callback", {"type": 99}, refused("POST")),
        ("PUT", "/applications/1/commands", [{"name": 7}], refused("PUT")),
    ],
)
def test_schema_tells_right_from_wrong(
    method: str, path: str, body: Any, outcome: AbstractContextManager[Any]
) -> None:
    with outcome:
        check_request(method, path, body)


def command(**changes: Any) -> dict[str, Any]:
    return {"name": "merge", "description": "d", "type": 1, "options": [], **changes}


def option(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "description": "d", "type": 3, "required": False, **changes}


@pytest.mark.parametrize(
    "commands",
    [
        [command(name="Merge")],
        [command(), command()],
        [command(options=[option("a"), option("b", required=True)])],
        [command(options=[option("a"), option("a")])],
        [command(options=[option("a", choices=[{"name": "x", "value": "1"}] * 2)])],
        [command(options=[option("a", description="x" * 101)])],
    ],
)
def test_commands_that_the_schema_lets_through_are_refused_by_hand(commands: Any) -> None:
    with pytest.raises(AssertionError):
        check_request("PUT", "/applications/1/commands", commands)


def menu(name: str = "Use as vocals", kind: int = 3) -> dict[str, Any]:
    return {"name": name, "type": kind}


def test_menus_have_names_of_their_own() -> None:
    several = [command(), menu("merge"), menu("merge", 2), *(menu(f"Use {n}") for n in range(4))]
    check_request("PUT", "/applications/1/commands", several)
    for wrong in ([*several, menu("Use 4")], [menu(), menu()], [menu("x" * 33)]):
        with pytest.raises(AssertionError):
            check_request("PUT", "/applications/1/commands", wrong)


def test_questions_of_a_form_have_ids_of_their_own() -> None:
    def form(*ids: str) -> dict[str, Any]:
        labels = [
            {"type": 18, "label": "Song", "component": {"type": 19, "custom_id": custom_id}}
            for custom_id in ids
        ]
        return {"type": 9, "data": {"custom_id": "f", "title": "t", "components": labels}}

    check_request("POST", "/interactions/1/t/callback", form("a", "b"))
    with pytest.raises(AssertionError):
        check_request("POST", "/interactions/1/t/callback", form("a", "a"))


def test_embeds_are_limited_in_total() -> None:
    embed = {"title": "t", "description": "d" * 4000}
    check_request("PATCH", WEBHOOK, {"embeds": [embed]})
    with pytest.raises(AssertionError):
        check_request("PATCH", WEBHOOK, {"embeds": [embed, embed]})
