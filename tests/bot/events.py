"""What Discord sends when somebody uses the bot, as its documentation draws it.

For what the simulated Discord knows nothing of: apps that a person installed for themselves, and
conversations without the bot.
"""

from __future__ import annotations

from typing import Any

from tests.bot.loopback import ALICE, APP, CHANNEL, a_user

SERVER = "77"
_MAY_ALL = str(2**47 - 1)


def attachment(url: str, number: int, name: str, size: int) -> dict[str, Any]:
    """Return an attachment of which nobody said what it holds."""
    where = f"{url}/cdn/{name}"
    return {"id": str(number), "filename": name, "size": size, "url": where, "proxy_url": where}


def command(url: str, vocals: tuple[str, bytes], backing: tuple[str, bytes]) -> dict[str, Any]:
    """Return the event of a /merge."""
    files = {
        str(number): attachment(url, number, name, len(data))
        for number, (name, data) in ((11, vocals), (12, backing))
    }
    options = [
        {"name": "vocals", "type": 11, "value": "11"},
        {"name": "backing", "type": 11, "value": "12"},
    ]
    resolved = {"attachments": files}
    data = {"id": "8", "name": "merge", "type": 1, "options": options, "resolved": resolved}
    return _event(2, data)


def menu(url: str, name: str, file: tuple[str, bytes]) -> dict[str, Any]:
    """Return the event of a menu on a message with a file."""
    message = {
        "id": "55",
        "channel_id": CHANNEL,
        "author": a_user("33"),
        "content": "",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [attachment(url, 11, file[0], len(file[1]))],
        "embeds": [],
        "pinned": False,
        "type": 0,
    }
    resolved = {"messages": {"55": message}}
    return _event(2, {"id": "8", "name": name, "type": 3, "target_id": "55", "resolved": resolved})


def form(
    url: str, custom_id: str, files: dict[str, tuple[str, bytes]], chosen: dict[str, str]
) -> dict[str, Any]:
    """Return the event of a form that is sent."""
    uploads = {
        custom: attachment(url, number, name, len(data))
        for number, (custom, (name, data)) in enumerate(files.items(), start=11)
    }
    parts = [
        *({"type": 19, "custom_id": key, "values": [file["id"]]} for key, file in uploads.items()),
        *({"type": 3, "custom_id": key, "values": [value]} for key, value in chosen.items()),
    ]
    labels = [{"type": 18, "id": n, "component": part} for n, part in enumerate(parts, start=1)]
    resolved = {"attachments": {file["id"]: file for file in uploads.values()}}
    return _event(5, {"custom_id": custom_id, "components": labels, "resolved": resolved})


def _event(kind: int, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "9",
        "application_id": APP,
        "type": kind,
        "token": "interaction-token",
        "version": 1,
        "channel_id": CHANNEL,
        "locale": "en-US",
        "entitlements": [],
        "app_permissions": _MAY_ALL,
        "attachment_size_limit": 10 * 1024**2,
        "data": data,
    }


def in_a_server_without_the_bot(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event from a server where only the person has the app."""
    member = {
        "user": a_user(ALICE),
        "roles": ["88"],
        "joined_at": "2026-01-01T00:00:00+00:00",
        "deaf": False,
        "mute": False,
        "flags": 0,
        "permissions": _MAY_ALL,
    }
    channel = {
        "id": CHANNEL,
        "type": 0,
        "name": "general",
        "guild_id": SERVER,
        "position": 0,
        "permissions": _MAY_ALL,
    }
    return event | {
        "context": 0,
        "authorizing_integration_owners": {"1": ALICE},
        "guild_id": SERVER,
        "guild": {"id": SERVER, "features": [], "locale": "en-US"},
        "guild_locale": "en-US",
        "member": member,
        "channel": channel,
    }


def in_a_group(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event from a group of friends, which the bot is not in."""
    people = [a_user(ALICE), a_user("33")]
    return event | {
        "context": 2,
        "authorizing_integration_owners": {"1": ALICE},
        "user": a_user(ALICE),
        "channel": {"id": CHANNEL, "type": 3, "recipients": people, "owner_id": ALICE},
    }


def in_a_direct_message(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event from a direct message to the bot."""
    return event | {
        "context": 1,
        "authorizing_integration_owners": {"0": "0"},
        "user": a_user(ALICE),
        "channel": {"id": CHANNEL, "type": 1, "recipients": [a_user(ALICE)]},
    }


PLACES = (in_a_server_without_the_bot, in_a_group, in_a_direct_message)
