"""What an admin decides: read once from the environment and `.env`, checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.recipe import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MIB = 1024 * 1024
DAY_S = 86_400.0
FIRST_STEP = (
    "DISCORD_TOKEN is not set: copy .env.example to .env and put the bot's token there, from "
    "https://discord.com/developers/applications under your application's Bot page (Reset Token)."
)


class ConfigError(Exception):
    """Some variables are missing or bad; `problems` has one sentence for each of them."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one running bot; `.env.example` says what each is for.

    Attributes
    ----------
    token
        The bot's token; never printed.
    data_dir
        Where jobs and bookkeeping live.
    model_dir, model_location
        Where Spleeter's weights lie, and the URL or path that they come from; a location of ""
        is the public release.
    separator
        What a recipe's "auto" means on this server: a choice of the recipe's `separator`.
    cache_dir, cache_bytes, cache_s
        Where what was found out about songs is kept for the next merge, the most it may take up,
        0 for nothing, and how long it is kept after it was last used, in seconds.
    library_bytes
        The most that one server's library of songs may take up; 0 keeps no library.
    min_free_bytes
        How much of the disk has to be free for new songs to be taken in; 0 takes them until it is
        full.
    workers
        How many merges run at the same time, each in its own process.
    worker_memory_bytes
        The most memory that one of these processes may take for itself.
    max_song_s
        Longest song in seconds.
    max_upload_bytes
        Largest attachment that is taken in.
    queue_limit, jobs_per_user
        How many merges may be accepted at once, in all and for one person.
    job_timeout_s
        How long one merge may run, in seconds.
    log_level
        One of `LOG_LEVELS`.
    dev_guild_id
        The one server in which to register commands at once, or None for everywhere.
    """

    token: str
    data_dir: Path
    model_dir: Path
    model_location: str
    separator: str
    cache_dir: Path
    cache_bytes: int
    cache_s: float
    library_bytes: int
    min_free_bytes: int
    workers: int
    worker_memory_bytes: int
    max_song_s: float
    max_upload_bytes: int
    queue_limit: int
    jobs_per_user: int
    job_timeout_s: float
    log_level: str
    dev_guild_id: int | None

    def __repr__(self) -> str:
        return f"Config(data_dir={str(self.data_dir)!r}, ...)"  # the token stays out of logs


class _Reader:
    """Takes variables out of a mapping and collects what is wrong with them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self._variables.get(name, "").strip() or default

    def token(self) -> str:
        token = self.text("DISCORD_TOKEN")
        if not token:
            self.problems.append(FIRST_STEP)
        elif any(letter.isspace() for letter in token):
            self.problems.append("DISCORD_TOKEN has a space inside: copy the token again.")
        return token

    def number(self, name: str, default: int, low: int, high: int) -> int:
        raw = self.text(name, str(default))
        if raw.isascii() and raw.isdecimal() and low <= int(raw) <= high:
            return int(raw)
        self.problems.append(f"{name} is {raw!r}: it takes a whole number from {low} to {high}.")
        return default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        raw = self.text(name, default)
        if raw in choices:
            return raw
        self.problems.append(f"{name} is {raw!r}: choose one of {', '.join(choices)}.")
        return default

    def snowflake(self, name: str) -> int | None:
        raw = self.text(name)
        if not raw:
            return None
        if raw.isascii() and raw.isdecimal() and 0 < int(raw) < 2**63:
            return int(raw)
        self.problems.append(f"{name} is {raw!r}: it takes the number that 'Copy Server ID' gives.")
        return None


def read_config(variables: Mapping[str, str]) -> Config:
    """Check all variables and return the settings.

    Parameters
    ----------
    variables
        Names and values, as the environment has them; an empty value counts as absent.

    Raises
    ------
    ConfigError
        Lists every missing or bad variable at once.
    """
    read = _Reader(variables)
    separators = next(tuple(option.choices) for option in OPTIONS if option.name == "separator")
    data_dir = Path(read.text("DATA_DIR", "data"))
    config = Config(
        token=read.token(),
        data_dir=data_dir,
        model_dir=Path(read.text("SPLEETER_MODEL_DIR", str(data_dir / "models"))),
        model_location=read.text("SPLEETER_MODEL_URL"),
        separator=read.choice("SEPARATOR", "auto", separators),
        cache_dir=Path(read.text("CACHE_DIR", str(data_dir / "cache"))),
        cache_bytes=MIB * read.number("CACHE_MB", 4096, 0, 1_000_000),
        cache_s=DAY_S * read.number("CACHE_DAYS", 30, 1, 3650),
        library_bytes=MIB * read.number("LIBRARY_MB", 2048, 0, 1_000_000),
        min_free_bytes=MIB * read.number("MIN_FREE_MB", 2048, 0, 1_000_000),
        workers=read.number("WORKERS", 1, 1, 16),
        worker_memory_bytes=MIB * read.number("WORKER_MEMORY_MB", 4096, 1024, 1_000_000),
        max_song_s=60.0 * read.number("MAX_SONG_MINUTES", 15, 1, 120),
        max_upload_bytes=MIB * read.number("MAX_UPLOAD_MB", 100, 1, 500),
        queue_limit=read.number("QUEUE_LIMIT", 100, 1, 1000),
        jobs_per_user=read.number("JOBS_PER_USER", 2, 1, 100),
        job_timeout_s=60.0 * read.number("JOB_TIMEOUT_MINUTES", 20, 1, 240),
        log_level=read.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
        dev_guild_id=read.snowflake("DEV_GUILD_ID"),
    )
    if read.problems:
        raise ConfigError(tuple(read.problems))
    return config
