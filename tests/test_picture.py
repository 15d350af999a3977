"""Pictures, looked at pixel by pixel: what is where, in which colour, and what it costs."""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from pipeline.errors import OutputError
from pipeline.gains import flat
from pipeline.layers import Layer, Layers
from pipeline.picture import (
    BACKING,
    MIX,
    PHRASE_BARS,
    RANGE_DB,
    RULER,
    SONG,
    VOCALS,
    WAVES,
    column_levels,
    draw_card,
    draw_spectrogram,
    layer_words,
    line_times,
    mel_levels,
    time_ticks,
)
from pipeline.sheet import BACKGROUND, HEIGHT, LEFT, MUTED, PANEL, RIGHT, TEXT, WIDTH, drawable
from pipeline.types import (
    SAMPLE_RATE,
    BeatGrid,
    Key,
    LayerPlan,
    Loudness,
    MergeResult,
    Plan,
    SongFacts,
    WarpMap,
)
from tests.songs import sine, steady_grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.types import Signal

Pixels: TypeAlias = npt.NDArray[np.float32]

LENGTH_S = 4.0
A_MINOR = Key(tonic=9, mode="minor")
AS_IT_IS = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0)))


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    """A glyph that the font lacks, or a logarithm of nothing, is a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def silence(length_s: float = LENGTH_S) -> Signal:
    return np.zeros((2, round(length_s * SAMPLE_RATE)), np.float32)


def late(length_s: float = LENGTH_S) -> Signal:
    """A tone that begins in the middle."""
    samples = sine(440.0, length_s, peak=0.5)
    samples[:, : samples.shape[1] // 2] = 0.0
    return samples


def steady(length_s: float) -> Signal:
    """A signal of any length that takes no memory."""
    return np.broadcast_to(np.float32(0.1), (2, round(length_s * SAMPLE_RATE)))


def layers_of(vocals: Signal, backing: Signal) -> Layers:
    """Layers whose power nobody asks for."""
    heard = [
        Layer(samples=samples, raw_power=np.zeros(0), gain=flat(samples.shape[1]))
        for samples in (vocals, backing)
    ]
    return Layers(vocals=heard[0], backing=heard[1])


def outcome(
    grid: BeatGrid | None = None,
    *,
    titles: tuple[str, str] = ("One song", "Another song"),
    enters_s: float = 0.0,
    lufs: float = -14.0,
    length_s: float = LENGTH_S,
) -> MergeResult:
    grid = steady_grid(100.0, length_s) if grid is None else grid
    songs = [SongFacts(title=t, duration_s=length_s, grid=grid, key=A_MINOR) for t in titles]
    return MergeResult(
        path=Path("mashup.mp3"),
        vocals=songs[0],
        backing=songs[1],
        plan=Plan(
            vocals=AS_IT_IS, backing=AS_IT_IS, length_s=length_s, bpm=100.0, voice_enters_s=enters_s
        ),
        grids={"vocals": grid, "backing": grid},
        loudness=Loudness(integrated_lufs=lufs, true_peak_dbtp=-1.0, vocals_to_backing_lu=1.0),
        separator="built-in",
        seconds_by_stage={},
    )


def card(
    folder: Path,
    result: MergeResult,
    vocals: Signal | None = None,
    backing: Signal | None = None,
) -> Pixels:
    layers = layers_of(
        silence() if vocals is None else vocals, silence() if backing is None else backing
    )
    return look(draw_card(result, layers, folder / "card.png"))


def look(path: Path) -> Pixels:
    """Return a picture's pixels, shape (height, width, 4), in [0, 1]."""
    return np.asarray(imread(path), np.float32)


def where(pixels: Pixels, colour: str) -> npt.NDArray[np.bool_]:
    return np.asarray(np.abs(pixels[..., :3] - to_rgb(colour)).max(axis=-1) < 0.01)


def columns_of(pixels: Pixels, rows: tuple[int, int], colour: str) -> list[int]:
    """Return the columns of a panel in which a colour is found, counted from its left edge."""
    part = pixels[rows[0] : rows[1], LEFT:RIGHT]
    return [int(column) for column in np.flatnonzero(where(part, colour).any(axis=0))]


def column_at(time_s: float, length_s: float = LENGTH_S) -> float:
    return time_s / length_s * (RIGHT - LEFT)


def runs(columns: npt.NDArray[np.bool_]) -> list[float]:
    """Return the middle of each run of columns."""
    where_on = np.flatnonzero(columns)
    if not len(where_on):
        return []
    parts = np.split(where_on, np.flatnonzero(np.diff(where_on) > 1) + 1)
    return [float(np.mean(part)) for part in parts]


def lines_in(pixels: Pixels, row: int) -> list[float]:
    return runs(~where(pixels[row, LEFT:RIGHT], PANEL))


def test_card_is_a_png_of_the_promised_size_with_clear_corners(tmp_path: Path) -> None:
    pixels = card(tmp_path, outcome())
    assert (tmp_path / "card.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert pixels.shape == (HEIGHT, WIDTH, 4)
    assert pixels[[0, 0, -1, -1], [0, -1, 0, -1], 3].tolist() == [0, 0, 0, 0]
    assert pixels[[0, HEIGHT // 2, -1], [WIDTH // 2, 0, WIDTH // 2], 3].tolist() == [1, 1, 1]
    assert where(pixels[HEIGHT // 2, :20], BACKGROUND).all()


def test_same_input_gives_the_same_bytes_whatever_the_users_style(tmp_path: Path) -> None:
    layers = layers_of(late(), sine(110.0, LENGTH_S, peak=0.3))
    first = draw_card(outcome(), layers, tmp_path / "first.png").read_bytes()
    song = draw_spectrogram(late(), "Song", tmp_path / "song.png").read_bytes()
    style = {
        "font.size": 30,
        "axes.facecolor": "red",
        "axes.grid": True,
        "lines.linewidth": 9,
        "savefig.bbox": "tight",
        "savefig.dpi": 300,
        "image.origin": "lower",
        "text.color": "green",
    }
    with mpl.rc_context(style):
        assert draw_card(outcome(), layers, tmp_path / "again.png").read_bytes() == first
        assert draw_spectrogram(late(), "Song", tmp_path / "more.png").read_bytes() == song


def test_voice_is_drawn_above_from_its_entry_on_and_the_backing_below(tmp_path: Path) -> None:
    pixels = card(tmp_path, outcome(enters_s=2.0), late(), sine(110.0, LENGTH_S, peak=0.3))
    middle = sum(WAVES) // 2
    above, below = (WAVES[0], middle - 1), (middle + 2, WAVES[1])
    voice = columns_of(pixels, above, VOCALS)
    assert abs(voice[0] - column_at(2.0)) <= 2
    assert voice[-1] >= column_at(LENGTH_S) - 2
    assert columns_of(pixels, below, VOCALS) == []
    assert columns_of(pixels, above, BACKING) == []
    assert len(columns_of(pixels, below, BACKING)) > 0.99 * (RIGHT - LEFT)


@pytest.mark.parametrize("enters_s", [0.5, 3.7])
def test_entry_is_marked_in_its_column(tmp_path: Path, enters_s: float) -> None:
    pixels = card(tmp_path, outcome(BeatGrid(), enters_s=enters_s))
    marked = columns_of(pixels, (WAVES[0], sum(WAVES) // 2 - 2), TEXT)
    assert np.mean(marked) == pytest.approx(column_at(enters_s), abs=2)
    # Its words stand beside it, on the card.
    words = np.flatnonzero(where(pixels[215:238], VOCALS).any(axis=0))
    assert len(words) > 40
    assert words.min() > LEFT - 40
    assert words.max() < RIGHT


def test_beats_are_drawn_where_the_grid_says(tmp_path: Path) -> None:
    beats = (0.31, 0.47, 0.7, 1.05, 1.3, 1.6, 2.0, 2.2, 2.6, 2.95, 3.33, 3.75)
    grid = BeatGrid(beats_s=beats, downbeats_s=beats[::2], bpm=100.0)
    row = WAVES[1] - 10
    pixels = card(tmp_path, outcome(grid))
    found = lines_in(pixels, row)
    assert found == pytest.approx([column_at(t) for t in beats], abs=2)
    brightness = [pixels[row, LEFT + round(x), :3].max() for x in found]
    phrases, bars, others = brightness[::8], brightness[2::4], brightness[1::2]
    assert min(phrases) > max(bars)
    assert min(bars) > max(others)


def test_spectrogram_has_a_ruler_of_beats(tmp_path: Path) -> None:
    grid = steady_grid(60.0, LENGTH_S, first_s=0.5)
    path = draw_spectrogram(silence(), "Song", tmp_path / "song.png", grid)
    found = lines_in(look(path), sum(RULER) // 2)
    assert found == pytest.approx([column_at(t) for t in grid.beats_s], abs=2)


def test_no_beats_no_lines(tmp_path: Path) -> None:
    assert lines_in(card(tmp_path, outcome(BeatGrid())), WAVES[1] - 10) == []
    with_none = draw_spectrogram(silence(), "Song", tmp_path / "song.png")
    assert where(look(with_none)[sum(RULER) // 2, LEFT:RIGHT], BACKGROUND).all()


@pytest.mark.parametrize(
    ("length_s", "drawn"),
    [(3.0, "beats bars phrases"), (60.0, "bars phrases"), (240.0, "phrases"), (3600.0, "")],
)
def test_lines_that_would_stand_too_close_are_left_out(length_s: float, drawn: str) -> None:
    grid = steady_grid(120.0, length_s)
    kinds = ("beats", "bars", "phrases")
    shown = dict(zip(kinds, line_times(grid, length_s), strict=True))
    assert [kind for kind in kinds if shown[kind]] == drawn.split()
    assert shown["phrases"] in {(), grid.downbeats_s[::PHRASE_BARS]}


def test_mix_is_dark_until_it_sounds(tmp_path: Path) -> None:
    pixels = card(tmp_path, outcome(), late())
    song = look(draw_spectrogram(late(), "Song", tmp_path / "song.png"))
    half = (LEFT + RIGHT) // 2
    slack = 24  # columns that a frame of 93 ms reaches across
    for picture, (top, bottom) in ((pixels, MIX), (song, SONG)):
        assert where(picture[top:bottom, LEFT : half - slack], PANEL).all()
        assert not where(picture[top:bottom, half + slack : RIGHT], PANEL).all(axis=0).any()


def test_silence_is_drawn_as_nothing(tmp_path: Path) -> None:
    pixels = card(tmp_path, outcome(BeatGrid(), enters_s=LENGTH_S, lufs=float("-inf")))
    assert where(pixels[MIX[0] : MIX[1], LEFT:RIGHT], PANEL).all()
    assert where(pixels[WAVES[0] : WAVES[1], LEFT : RIGHT - 5], PANEL).all()


@pytest.mark.parametrize("length_s", [1 / SAMPLE_RATE, 0.01, 3.0])
def test_short_songs(tmp_path: Path, length_s: float) -> None:
    pixels = card(tmp_path, outcome(length_s=length_s), steady(length_s), steady(length_s))
    assert columns_of(pixels, WAVES, VOCALS)
    song = look(draw_spectrogram(steady(length_s), "Short", tmp_path / "song.png"))
    assert not where(song[SONG[0] : SONG[1], LEFT:RIGHT], PANEL).all()


def test_no_samples_at_all(tmp_path: Path) -> None:
    nothing = np.zeros((2, 0), np.float32)
    pixels = card(tmp_path, outcome(BeatGrid()), nothing, nothing)
    assert where(pixels[MIX[0] : MIX[1], LEFT:RIGHT], PANEL).all()
    song = look(draw_spectrogram(nothing, "Nothing", tmp_path / "song.png"))
    assert where(song[SONG[0] : SONG[1], LEFT:RIGHT], PANEL).all()


def test_a_quarter_of_an_hour_takes_no_more_memory_than_the_picture(tmp_path: Path) -> None:
    length_s = 900.0
    layers = layers_of(steady(length_s), steady(length_s))
    result = outcome(length_s=length_s)
    tracemalloc.start()
    path = draw_card(result, layers, tmp_path / "card.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # one of the layers is 318 MB
    found = lines_in(look(path), WAVES[1] - 1)
    phrases = result.grids["backing"].downbeats_s[::PHRASE_BARS]
    assert found == pytest.approx([column_at(t, length_s) for t in phrases], abs=2)


TITLES = [
    ("Beyoncé - Naïve Æther", "Beyoncé - Naïve Æther"),
    ("Жуки & Ωμέγα", "Жуки & Ωμέγα"),
    ("YOASOBI - 夜に駆ける (Racing)", "YOASOBI - … (Racing)"),
    ("夜に 駆ける", "a song"),
    ("حبيبي", "a song"),
    ("שלום Hello שלום עולם", "… Hello …"),
    ("Party 👩‍👩‍👧 🇩🇪 time", "Party time"),
    ("$x_1$ \\frac{a}{b} <b>&amp;</b> %s {0}", "$x_1$ \\frac{a}{b} <b>&amp;</b> %s {0}"),
    ("$", "a song"),
    ("a\u202eb\nc\x1b[31m", "ab c"),
    ("", "a song"),
]


@pytest.mark.parametrize(("title", "shown"), TITLES)
def test_titles_are_made_of_what_can_be_drawn(title: str, shown: str) -> None:
    assert drawable(title, "a song") == shown


@pytest.mark.parametrize(
    "title",
    [
        "Party 🎉 夜 حبيبي $x_1$ $\\frac{$ <b>",
        "W" * 500,
        "Long words " * 12,
        "Z͑ͫ̓ͪ̂ͫA̴̵̜̰L",
        "\udcff\x00",
    ],
)
def test_any_title_fits(tmp_path: Path, title: str) -> None:
    pixels = card(tmp_path, outcome(titles=(title, title)))
    first, second = (np.flatnonzero(where(pixels[a:b], c).any(axis=0))
                     for a, b, c in ((36, 76, VOCALS), (128, 168, BACKING)))  # fmt: skip
    tempo = np.flatnonzero(where(pixels[36:76, 700:], TEXT).any(axis=0)) + 700
    assert len(first) > 20
    assert len(second) > 20
    assert first.max() < tempo.min() - 10
    assert second.max() <= RIGHT


def test_title_of_a_spectrogram_stays_on_the_sheet(tmp_path: Path) -> None:
    path = draw_spectrogram(silence(0.1), "Long words 夜 🎉 $x_1$ " * 12, tmp_path / "song.png")
    assert RIGHT - 60 < np.flatnonzero(where(look(path)[36:86], TEXT).any(axis=0)).max() <= RIGHT


@pytest.mark.parametrize("colour", [TEXT, MUTED, VOCALS, BACKING])
def test_text_stands_out_from_its_ground(colour: str) -> None:
    """WCAG 2 asks for a contrast ratio of at least 4.5."""
    light, dark = sorted((luminance(colour), luminance(BACKGROUND)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Relative luminance after WCAG 2."""
    rgb = np.asarray(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(
    ("key", "stretch", "semitones", "words"),
    [
        (A_MINOR, 1.04, 2.0, "A minor · 4 % faster · up 2 semitones"),
        (Key(tonic=3, mode="major"), 0.9, -1.0, "Eb major · 10 % slower · down 1 semitone"),
        (None, 1.0, 0.0, "key unclear · own tempo · own pitch"),
        (
            Key(tonic=9, mode="minor", confidence=0.0),
            1.001,
            0.2,
            "key unclear · own tempo · own pitch",
        ),
    ],
)
def test_layers_in_words(key: Key | None, stretch: float, semitones: float, words: str) -> None:
    song = SongFacts(title="Song", duration_s=1.0, grid=BeatGrid(), key=key)
    layer = LayerPlan(warp=AS_IT_IS.warp, semitones=semitones, stretch=stretch)
    assert layer_words(song, layer) == words


@pytest.mark.parametrize(
    ("length_s", "ticks"),
    [
        (0.0, [0.0]),
        (3.0, [0.0, 1.0, 2.0]),
        (45.0, [0.0, 10.0, 20.0, 30.0, 40.0]),
        (240.0, [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0, 210.0]),
        (900.0, [0.0, 120.0, 240.0, 360.0, 480.0, 600.0, 720.0, 840.0]),
    ],
)
def test_times_on_the_axis_are_round_and_few(length_s: float, ticks: list[float]) -> None:
    assert time_ticks(length_s) == ticks


def test_levels_of_a_waveform() -> None:
    samples = sine(441.0, 2.0, peak=0.5)
    samples[:, SAMPLE_RATE:] = -0.25
    peak, rms = column_levels(samples, 10)
    assert peak == pytest.approx([0.5] * 5 + [0.25] * 5, rel=1e-3)
    assert rms == pytest.approx([0.5 / np.sqrt(2)] * 5 + [0.25] * 5, rel=1e-3)


@pytest.mark.parametrize("hertz", [110.0, 1000.0, 8000.0])
def test_a_tone_stands_in_the_band_of_its_frequency(hertz: float) -> None:
    bands = 120
    half = sine(hertz, 1.0, peak=0.2)
    levels = mel_levels((half, half), 50, bands)
    centres = mel_centres_hz(bands)
    assert levels[:, 25].argmax() == np.abs(centres - hertz).argmin()
    assert levels.max() == 0.0
    assert levels.min() == -RANGE_DB


def mel_centres_hz(bands: int) -> npt.NDArray[np.float64]:
    """Slaney's scale from its definition: linear to 1 kHz, then 27 steps to a factor of 6.4."""
    step_hz = 200.0 / 3.0
    low = 40.0 / step_hz
    high = 15.0 + np.log(16_000.0 / 1000.0) / (np.log(6.4) / 27.0)
    mels = np.linspace(low, high, bands + 2)[1:-1]
    return np.where(mels < 15, mels * step_hz, 1000.0 * np.exp((mels - 15) * np.log(6.4) / 27.0))


def test_voices_that_cancel_each_other_leave_nothing_of_the_mix() -> None:
    voice = sine(440.0, 1.0, peak=0.2)
    assert (mel_levels((voice, -voice), 20, 40) == -RANGE_DB).all()


@pytest.mark.parametrize("place", ["missing/card.png", "taken"])
def test_place_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    layers = layers_of(silence(0.1), silence(0.1))
    path = tmp_path / place
    with pytest.raises(OutputError, match=rf"{path.name} cannot be written: .*\. Choose another"):
        draw_card(outcome(), layers, path)
    with pytest.raises(OutputError, match=f"{path.name} cannot be written"):
        draw_spectrogram(silence(0.1), "Song", path)
    assert [p.name for p in tmp_path.rglob("*")] == ["taken", "file"]


def test_an_older_picture_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "card.png"
    path.write_text("old")
    assert draw_card(outcome(), layers_of(silence(), silence()), path) == path
    assert look(path).shape == (HEIGHT, WIDTH, 4)
    assert list(tmp_path.iterdir()) == [path]
