"""What a server's admins decided: kept in the database, answered from memory."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from bot.config import MIB
from bot.setting_kinds import ON, Group, SettingError, quoted
from bot.settings_table import settings_of
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.config import Config
    from bot.setting_kinds import Setting, Stored
    from bot.store import Store
    from pipeline.facts import Json
    from pipeline.recipe import Value

log = logging.getLogger(__name__)

_MOST_PROBLEMS = 5
_SEE_ALL = "/settings show lists them all."


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds in one server, or outside of any.

    Attributes
    ----------
    recipe
        The server's defaults of a merge, as far as they are not `Recipe`'s own.
    channels, roles
        Ids of where, and of who, mash-ups may be made; empty for everywhere and everybody.
    max_song_s, max_upload_bytes
        The longest song in seconds and the largest file.
    merges_at_once, merges_per_hour
        What one person may have waiting, and order in an hour; 0 an hour is no limit.
    library_days
        How long the library keeps a song that nobody uses, in days.
    library, surprise, remix, picture
        Which features are on.
    audit_channel
        The id of the channel where changes are written down, or None.
    """

    recipe: Mapping[str, Value]
    channels: tuple[int, ...]
    roles: tuple[int, ...]
    max_song_s: float
    max_upload_bytes: int
    merges_at_once: int
    merges_per_hour: int
    library_days: int
    library: bool
    surprise: bool
    remix: bool
    picture: bool
    audit_channel: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that is not what it was; both values are ones of its own."""

    name: str
    before: Stored
    after: Stored


class Policies:
    """All servers' settings. Those that are at their default are not kept.

    Parameters
    ----------
    config
        The bot's own limits: a server may only be stricter.

    Attributes
    ----------
    settings
        Every setting by its name, in the order in which people should meet them.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.settings: Mapping[str, Setting] = MappingProxyType(
            {setting.name: setting for setting in settings_of(config)}
        )
        self._store: Store | None = None
        self._changing = asyncio.Lock()
        self._values: dict[int, dict[str, Stored]] = {}
        self._policies: dict[int, Policy] = {}
        self._defaults = self._policy({})

    async def load(self, store: Store) -> None:
        """Read what was kept; what is no longer allowed is logged, and the default counts."""
        self._store = store
        for row in await store.read("SELECT guild_id, name, value FROM settings"):
            try:
                value = self.setting(row["name"]).check(json.loads(row["value"]))
            except (UserError, ValueError) as error:
                log.warning("server %d: a kept setting is ignored: %s", row["guild_id"], error)
            else:
                self._values.setdefault(row["guild_id"], {})[row["name"]] = value
        self._policies = {guild: self._policy(values) for guild, values in self._values.items()}

    def of(self, guild_id: int | None) -> Policy:
        """Return what holds in a server; None is outside of any."""
        return self._defaults if guild_id is None else self._policies.get(guild_id, self._defaults)

    def setting(self, name: str) -> Setting:
        """Return a setting.

        Raises
        ------
        SettingError
            There is none of this name.
        """
        found = self.settings.get(name)
        if found is None:
            raise SettingError(f"{quoted(name)} is no setting.", hint=_SEE_ALL)
        return found

    def value(self, guild_id: int, name: str) -> Stored:
        """Return what a setting is in a server."""
        return self._values.get(guild_id, {}).get(name, self.settings[name].default)

    def changed(self, guild_id: int) -> Mapping[str, Stored]:
        """Return what is not at its default in a server."""
        return MappingProxyType(self._values.get(guild_id, {}))

    def check(self, name: str, raw: object) -> Stored:
        """Return what a person wrote as the value of a setting; None is its default.

        Raises
        ------
        UserError
            There is no such setting, or it does not take this value.
        """
        setting = self.setting(name)
        return setting.default if raw is None else setting.check(raw)

    def check_all(self, data: Mapping[str, object]) -> dict[str, Stored]:
        """Return what a file says as values of settings; null is a default.

        Raises
        ------
        SettingError
            Names everything in it that cannot be, in one sentence.
        """
        values: dict[str, Stored] = {}
        problems: list[str] = []
        for name, raw in data.items():
            try:
                values[name] = self.check(name, raw)
            except UserError as error:
                problems.append(str(error).rstrip("."))
        if problems:
            more = len(problems) - _MOST_PROBLEMS
            shown = [*problems[:_MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
            raise SettingError(f"Nothing was changed: {'; '.join(shown)}.")
        return values

    async def set(self, guild_id: int, name: str, raw: object) -> Change:
        """Change a setting; it counts from now on.

        Raises
        ------
        UserError
            There is no such setting, or it does not take this value.
        """
        value = self.check(name, raw)
        async with self._changing:
            before = self.value(guild_id, name)
            await self._keep(guild_id, {name: value})
        return Change(name=name, before=before, after=value)

    async def reset(self, guild_id: int, name: str | None) -> tuple[Change, ...]:
        """Bring a setting, or with None all of them, back to the default; return what changed.

        With None nothing of the server is kept, not even what an older version had written.

        Raises
        ------
        SettingError
            There is no such setting.
        """
        names = self.settings if name is None else (self.setting(name).name,)
        defaults = {one: self.settings[one].default for one in names}
        return await self._change(guild_id, defaults, clear=name is None)

    def export(self, guild_id: int) -> dict[str, Json]:
        """Return all that is not at its default, as JSON holds it."""
        values = self.changed(guild_id)
        return {
            name: setting.to_json(values[name])
            for name, setting in self.settings.items()
            if name in values
        }

    async def import_(self, guild_id: int, data: Mapping[str, object]) -> tuple[Change, ...]:
        """Take over settings by name, all of them or none; what is not named stays as it is.

        Raises
        ------
        SettingError
            Names everything that cannot be, in one sentence.
        """
        return await self._change(guild_id, self.check_all(data))

    async def _change(
        self, guild_id: int, values: Mapping[str, Stored], *, clear: bool = False
    ) -> tuple[Change, ...]:
        async with self._changing:
            changes = tuple(
                Change(name=name, before=before, after=after)
                for name, after in values.items()
                if (before := self.value(guild_id, name)) != after
            )
            await self._keep(guild_id, values, clear=clear)
        return changes

    async def _keep(
        self, guild_id: int, values: Mapping[str, Stored], *, clear: bool = False
    ) -> None:
        """Write values down, and then let them count."""
        assert self._store is not None, "load comes first"
        kept = dict(self._values.get(guild_id, {}))
        async with self._store.transaction() as transaction:
            if clear:
                await transaction.write("DELETE FROM settings WHERE guild_id = ?", (guild_id,))
            for name, value in values.items():
                setting = self.settings[name]
                if value == setting.default:
                    kept.pop(name, None)
                    sql = "DELETE FROM settings WHERE guild_id = ? AND name = ?"
                    await transaction.write(sql, (guild_id, name))
                else:
                    kept[name] = value
                    sql = "INSERT OR REPLACE INTO settings (guild_id, name, value) VALUES (?, ?, ?)"
                    text = json.dumps(setting.to_json(value))
                    await transaction.write(sql, (guild_id, name, text))
        if kept:
            self._values[guild_id], self._policies[guild_id] = kept, self._policy(kept)
        else:
            self._values.pop(guild_id, None)
            self._policies.pop(guild_id, None)

    def _policy(self, values: Mapping[str, Stored]) -> Policy:
        every = {name: values.get(name, s.default) for name, s in self.settings.items()}
        numbers = cast("Mapping[str, int]", every)
        ids = cast("Mapping[str, tuple[int, ...]]", every)
        merge = (name for name in values if self.settings[name].group is Group.MERGE)
        return Policy(
            recipe=MappingProxyType({name: cast("Value", values[name]) for name in merge}),
            channels=ids["allowed_channels"],
            roles=ids["allowed_roles"],
            # The bot's own limits need not be whole minutes and MiB; nor may they be passed.
            max_song_s=min(self._config.max_song_s, 60.0 * numbers["max_song_minutes"]),
            max_upload_bytes=min(self._config.max_upload_bytes, MIB * numbers["max_upload_mb"]),
            merges_at_once=numbers["merges_at_once"],
            merges_per_hour=numbers["merges_per_hour"],
            library_days=numbers["library_days"],
            library=every["library"] == ON,
            surprise=every["surprise"] == ON,
            remix=every["remix"] == ON,
            picture=every["picture"] == ON,
            audit_channel=next(iter(ids["audit_channel"]), None),
        )
