"""Every setting of a server, once: its bounds, its default, and what it means to an admin.

The defaults of a merge are `Recipe`'s own options; what follows them is the server's. The command
`/settings`, its panel, its files and the documentation are generated from `settings_of`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.config import MIB
from bot.setting_kinds import MOST_IDS, OFF, ON, Group, IdSetting, OptionSetting, Setting
from pipeline.recipe import OPTIONS, Option

if TYPE_CHECKING:
    from bot.config import Config


def settings_of(config: Config) -> tuple[Setting, ...]:
    """Return all settings of a server, in the order in which people should meet them.

    Parameters
    ----------
    config
        The bot's own limits: a server may only be stricter.
    """
    merge = (_from_option(option, Group.MERGE) for option in OPTIONS)
    return (*merge, *_places(), *_limits(config), *_features())


def _from_option(option: Option, group: Group) -> Setting:
    return OptionSetting(
        name=option.name, group=group, help=option.help, default=option.default, option=option
    )


def _places() -> tuple[Setting, ...]:
    return (
        IdSetting(
            name="allowed_channels",
            group=Group.PLACE,
            help="where mash-ups may be made; a channel's threads count with it",
            mark="#",
            empty="all",
            most=MOST_IDS,
        ),
        IdSetting(
            name="allowed_roles",
            group=Group.PLACE,
            help="who may make mash-ups; one of these roles is enough",
            mark="@&",
            empty="all",
            most=MOST_IDS,
        ),
        IdSetting(
            name="audit_channel",
            group=Group.PLACE,
            help="where changes of these settings are written down",
            mark="#",
            empty="none",
            most=1,
        ),
    )


def _limits(config: Config) -> tuple[Setting, ...]:
    minutes = max(1, int(config.max_song_s // 60))
    mib = max(1, config.max_upload_bytes // MIB)
    at_once = config.jobs_per_user
    return (
        _number("max_song_minutes", minutes, "the longest song", (1, minutes), "minutes"),
        _number("max_upload_mb", mib, "the largest file that is taken in", (1, mib), "MiB"),
        _number("merges_at_once", at_once, "merges that one person may have waiting", (1, at_once)),
        _number("merges_per_hour", 0, "merges of one person in an hour; 0 is no limit", (0, 1000)),
        _number(
            "library_days",
            30,
            "how long the library keeps a song that nobody uses",
            (1, 365),
            "days",
        ),
    )


def _number(name: str, default: int, text: str, bounds: tuple[int, int], unit: str = "") -> Setting:
    option = Option(
        name=name,
        kind=int,
        default=default,
        help=text,
        choices={},
        minimum=bounds[0],
        maximum=bounds[1],
        unit=unit,
    )
    return _from_option(option, Group.LIMIT)


def _features() -> tuple[Setting, ...]:
    return (
        _switch(
            "library",
            "the server's own songs, to merge again without a file",
            on="songs that were merged here stay in the library for a while",
            off="no song is kept, and those in the library are deleted",
        ),
        _switch(
            "surprise",
            "/surprise, which merges two songs of the library",
            on="people may use it",
            off="it is refused",
        ),
        _switch(
            "remix",
            "the buttons under a mash-up that change it",
            on="they are there and answer",
            off="new mash-ups have none, and old ones refuse",
        ),
        _switch(
            "picture",
            "the picture that comes with a mash-up",
            on="each mash-up has one",
            off="there is only the sound",
        ),
    )


def _switch(name: str, text: str, *, on: str, off: str) -> Setting:
    option = Option(
        name=name,
        kind=str,
        default=ON,
        help=text,
        choices={ON: on, OFF: off},
        minimum=None,
        maximum=None,
        unit="",
    )
    return _from_option(option, Group.FEATURE)
