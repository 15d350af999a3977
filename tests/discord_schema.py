"""Discord's own published schema, against which the tests hold every request that the bot makes.

The schema is openapi.json of discord/discord-api-spec (MIT). It lies outside the repository;
where it is absent, the checks by hand still run and `REASON` says what was left out.
"""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

SCHEMA = Path(__file__).resolve().parents[2] / "shared" / "discord" / "openapi.json"
REASON = "Discord's schema is not there: ../shared/discord/openapi.json, seen from the repository"
_URI = "urn:discord"
_COMPONENTS_V2 = 1 << 15


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return document


@cache
def _registry() -> Registry[Any]:
    registry: Registry[Any] = Registry()
    filled: Registry[Any] = registry.with_resource(_URI, DRAFT202012.create_resource(_document()))
    return filled


def _template_of(path: str) -> str:
    """Return the schema's path that a request's path is an instance of."""
    parts = path.strip("/").split("/")
    fitting: list[tuple[int, str]] = []
    for template in _document()["paths"]:
        names = template.strip("/").split("/")
        if len(names) != len(parts):
            continue
        pairs = list(zip(names, parts, strict=True))
        if all(name.startswith("{") or name == part for name, part in pairs):
            fitting.append((sum(name == part for name, part in pairs), template))
    assert fitting, f"Discord has no path {path}"
    return max(fitting)[1]


def check_request(method: str, path: str, body: Any) -> None:
    """Fail if Discord's schema, or what it leaves unsaid, forbids a request."""
    if SCHEMA.exists():
        _check_schema(method, path, body)
    _check_by_hand(path, body)


def _check_schema(method: str, path: str, body: Any) -> None:
    template = _template_of(path)
    operations = _document()["paths"][template]
    assert method.lower() in operations, f"Discord has no {method} {template}"
    wanted = operations[method.lower()].get("requestBody")
    if wanted is None:
        assert body is None, f"{method} {template} takes no body"
        return
    if body is None:
        assert not wanted.get("required"), f"{method} {template} needs a body"
        return
    pointer = "/".join(
        part.replace("~", "~0").replace("/", "~1")
        for part in ("paths", template, method.lower(), "requestBody", "content")
    )
    complaint = _complaint(
        f"{_URI}#/{pointer}/application~1json/schema", json.dumps(_with_string_ids(body))
    )
    assert not complaint, f"{method} {path}: {complaint}"


@cache  # every bot that a test starts registers the same commands
def _complaint(reference: str, text: str) -> str:
    """Return what a part of the schema has against a body, or ""."""
    validator = jsonschema.Draft202012Validator({"$ref": reference}, registry=_registry())
    error = best_match(validator.iter_errors(json.loads(text)))
    return "" if error is None else str(error)


def _with_string_ids(body: Any) -> Any:
    """Return a body with the ids as strings that discord.py itself sends as integers.

    Discord takes both; its schema knows only strings. They are the ids of attachments, of the
    message that is answered, of what a menu shows as chosen, and of the people who may be
    mentioned or written to.
    """
    body = copy.deepcopy(body)
    if not isinstance(body, dict):
        return body
    _stringify(body, ("recipient_id",))
    for holder in (body, body.get("data")):
        if isinstance(holder, dict):
            for named in (*(holder.get("attachments") or []), holder.get("message_reference")):
                _stringify(named, ("id", "message_id", "channel_id", "guild_id"))
            rows = holder.get("components") or []
            for part in (part for row in rows for part in row.get("components", ())):
                for chosen in part.get("default_values") or []:
                    _stringify(chosen, ("id",))
            mentions = holder.get("allowed_mentions") or {}
            for kind in ("users", "roles"):
                if kind in mentions:
                    mentions[kind] = [str(number) for number in mentions[kind]]
    return body


def _stringify(named: dict[str, Any] | None, keys: tuple[str, ...]) -> None:
    for key in keys:
        if named is not None and isinstance(named.get(key), int):
            named[key] = str(named[key])


def _check_by_hand(path: str, body: Any) -> None:
    if path.endswith("/commands") and isinstance(body, list):
        _check_commands(body)
    elif isinstance(body, dict):
        holder = body.get("data") or body
        _check_message(holder)


def _check_commands(commands: list[dict[str, Any]]) -> None:
    kinds = [(command.get("type", 1), command["name"]) for command in commands]
    assert len(set(kinds)) == len(kinds), "two commands of a kind have one name"
    for kind in (2, 3):
        menus = [name for other, name in kinds if other == kind]
        assert len(menus) <= 5, "more menus than discord.py takes"
        assert all(1 <= len(name) <= 32 for name in menus)
    for command in (command for command in commands if command.get("type", 1) == 1):
        options = command.get("options", [])
        for named in (command, *options):
            assert re.fullmatch(r"[-_a-z0-9]{1,32}", named["name"]), named["name"]
            assert 1 <= len(named.get("description") or "") <= 100, named["name"]
        names = [option["name"] for option in options]
        assert len(set(names)) == len(names), f"/{command['name']} has two options of one name"
        required = [bool(option.get("required")) for option in options]
        assert required == sorted(required, reverse=True), "an optional option before a required"
        assert len(options) <= 25
        for option in options:
            _check_choices(option.get("choices", []))


def _check_choices(choices: list[dict[str, Any]]) -> None:
    assert len(choices) <= 25
    for key in ("name", "value"):
        given = [choice[key] for choice in choices]
        assert len(set(given)) == len(given), f"two choices have one {key}"
    assert all(1 <= len(choice["name"]) <= 100 for choice in choices)


def _check_message(message: dict[str, Any]) -> None:
    embeds = message.get("embeds") or []
    assert sum(embed_length(embed) for embed in embeds) <= 6000
    if (message.get("flags") or 0) & _COMPONENTS_V2:
        assert not message.get("content")
        assert not embeds
    components = message.get("components") or []
    assert len(components) <= 5, "more than five rows of components"
    parts = [part for row in components for part in row.get("components", ())]
    parts += [row["component"] for row in components if "component" in row]  # a form's labels
    ids = [part["custom_id"] for part in parts]
    assert len(set(ids)) == len(ids), "two components have one custom_id"


def embed_length(embed: dict[str, Any]) -> int:
    """Return the characters of an embed that count towards Discord's 6000."""
    fields = embed.get("fields") or []
    return (
        len(embed.get("title") or "")
        + len(embed.get("description") or "")
        + len((embed.get("footer") or {}).get("text") or "")
        + len((embed.get("author") or {}).get("name") or "")
        + sum(len(field["name"]) + len(field["value"]) for field in fields)
    )
