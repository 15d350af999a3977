from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import FIRST_STEP, ConfigError, read_config

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
TOKEN = {"DISCORD_TOKEN": "abc.def"}


def test_a_token_is_all_that_is_needed() -> None:
    config = read_config(TOKEN)
    assert config.token == "abc.def"
    assert config.data_dir == Path("data")
    assert config.model_dir == Path("data/models")
    assert (config.cache_dir, config.cache_bytes) == (Path("data/cache"), 4096 * 1024**2)
    assert config.cache_s == 30 * 86_400.0
    assert config.library_bytes == 2048 * 1024**2
    assert (config.separator, config.workers, config.model_location) == ("auto", 1, "")
    assert config.worker_memory_bytes == 4096 * 1024**2
    assert (config.max_song_s, config.max_upload_bytes) == (900.0, 100 * 1024**2)
    assert (config.queue_limit, config.jobs_per_user, config.job_timeout_s) == (100, 2, 1200.0)
    assert (config.log_level, config.dev_guild_id) == ("INFO", None)


def test_every_variable_is_read() -> None:
    config = read_config(
        {
            "DISCORD_TOKEN": " abc ",
            "DATA_DIR": "/var/lib/vocal",
            "SPLEETER_MODEL_DIR": "/models",
            "SPLEETER_MODEL_URL": "http://mirror/2stems.tar.gz",
            "SEPARATOR": "builtin",
            "CACHE_DIR": "/var/cache/vocal",
            "CACHE_MB": "0",
            "CACHE_DAYS": "7",
            "LIBRARY_MB": "300",
            "MIN_FREE_MB": "0",
            "WORKERS": "2",
            "WORKER_MEMORY_MB": "2000",
            "MAX_SONG_MINUTES": "5",
            "MAX_UPLOAD_MB": "50",
            "QUEUE_LIMIT": "7",
            "JOBS_PER_USER": "3",
            "JOB_TIMEOUT_MINUTES": "4",
            "LOG_LEVEL": "DEBUG",
            "DEV_GUILD_ID": "123456789012345678",
        }
    )
    assert config.token == "abc"
    assert (config.data_dir, config.model_dir) == (Path("/var/lib/vocal"), Path("/models"))
    assert (config.model_location, config.separator) == ("http://mirror/2stems.tar.gz", "builtin")
    assert (config.cache_dir, config.cache_bytes) == (Path("/var/cache/vocal"), 0)
    assert config.cache_s == 7 * 86_400.0
    assert (config.library_bytes, config.min_free_bytes) == (300 * 1024**2, 0)
    assert (config.workers, config.worker_memory_bytes) == (2, 2000 * 1024**2)
    assert (config.max_song_s, config.max_upload_bytes) == (300.0, 50 * 1024**2)
    assert (config.queue_limit, config.jobs_per_user, config.job_timeout_s) == (7, 3, 240.0)
    assert (config.log_level, config.dev_guild_id) == ("DEBUG", 123456789012345678)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("WORKER_MEMORY_MB", "1023"),
        ("WORKERS", "17"),
        ("WORKERS", "two"),
        ("WORKERS", "-1"),
        ("WORKERS", "1.5"),
        ("WORKERS", "²"),
        ("CACHE_MB", "-1"),
        ("CACHE_MB", "1000001"),
        ("CACHE_MB", "4 GB"),
        ("CACHE_DAYS", "0"),
        ("CACHE_DAYS", "3651"),
        ("LIBRARY_MB", "1000001"),
        ("MIN_FREE_MB", "-1"),
        ("MAX_SONG_MINUTES", "121"),
        ("MAX_UPLOAD_MB", "501"),
        ("QUEUE_LIMIT", "1001"),
        ("JOBS_PER_USER", "0"),
        ("JOB_TIMEOUT_MINUTES", "241"),
        ("SEPARATOR", "magic"),
        ("LOG_LEVEL", "info"),
        ("DEV_GUILD_ID", "my server"),
        ("DEV_GUILD_ID", str(2**63)),
        ("DISCORD_TOKEN", "two words"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config({**TOKEN, name: value})
    [problem] = caught.value.problems
    assert problem.startswith(name)


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config({"DISCORD_TOKEN": " ", "WORKERS": "x", "SEPARATOR": "y", "DEV_GUILD_ID": "z"})
    names = [problem.split()[0] for problem in caught.value.problems]
    assert names == ["DISCORD_TOKEN", "SEPARATOR", "WORKERS", "DEV_GUILD_ID"]
    assert FIRST_STEP in str(caught.value)


def test_an_empty_value_counts_as_absent() -> None:
    assert read_config({**TOKEN, "WORKERS": "", "DEV_GUILD_ID": ""}).workers == 1


def test_the_token_stays_out_of_logs() -> None:
    assert "abc.def" not in repr(read_config(TOKEN))


def test_the_example_names_every_variable_with_its_default() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    asked: dict[str, str] = {}

    class Asking(dict[str, str]):
        def get(self, name: str, default: str = "") -> str:  # type: ignore[override]  # a probe
            asked[name] = pairs[name]
            return super().get(name, default)

    assert read_config(Asking(TOKEN)) == read_config({**pairs, **TOKEN})
    assert asked == pairs
