"""From a file to all that a merge wants of it, or out of the cache what was worked out before.

A song is known by its audio: whoever sends the same recording again, under whatever name, finds it
taken apart already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.beats import track_beats
from pipeline.cache import make_key
from pipeline.casting import Source
from pipeline.codec import decode, find_title
from pipeline.decoding import too_long
from pipeline.errors import NotKeptError
from pipeline.features import BeatFeatures, beat_features
from pipeline.fingerprint import fingerprint
from pipeline.key import find_pitch
from pipeline.mono import narrow
from pipeline.names import clean_name, clock
from pipeline.singing import find_sung
from pipeline.tapes import BLOCK, release, stretches
from pipeline.types import SAMPLE_RATE, KnownSong, SongFacts, Stems

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pipeline.aside import Aside
    from pipeline.cache import Cache
    from pipeline.mono import Mono
    from pipeline.recipe import Recipe
    from pipeline.separate import Separator
    from pipeline.tapes import Blank
    from pipeline.types import BeatGrid, OnFraction, Role, Signal, Song

_RESIDUE_DB = 25.0  # a stem this far below its song holds nothing that was played or sung


@dataclass(frozen=True, slots=True, kw_only=True)
class SongFile:
    """A song before anything is done with it.

    Attributes
    ----------
    path
        Its file; None where there is none any more, so that all of it must come from the cache.
    name
        What the user calls the file.
    title
        What a person would call the song.
    audio
        Its fingerprint.
    """

    path: Path | None
    name: str
    title: str
    audio: str

    @classmethod
    def of(cls, song: Path | KnownSong, name: str | None) -> SongFile:
        """Look at a file, or take a song of an earlier merge as it was.

        Raises
        ------
        UnreadableAudioError
            There is no sound in the file that can be read.
        """
        if isinstance(song, KnownSong):
            return cls(path=None, name=name or song.name, title=song.title, audio=song.audio)
        name = name or song.name
        audio = fingerprint(song, name=name)
        return cls(path=song, name=name, title=find_title(song, name=name), audio=audio)

    @property
    def known(self) -> KnownSong:
        """What finds the song again without its file."""
        return KnownSong(audio=self.audio, name=self.name, title=self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is known of a recording: nothing of its names, nor of those who sent it.

    Attributes
    ----------
    facts
        Without a title.
    has_band
        Whether there is more in it than a voice.
    """

    facts: SongFacts
    has_band: bool


_Rows: TypeAlias = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _FeatureRows:
    """`pipeline.features.BeatFeatures` as numbers, to be kept."""

    chroma: _Rows
    onsets: _Rows
    bands: _Rows

    @classmethod
    def of(cls, features: BeatFeatures) -> _FeatureRows:
        rows = (features.chroma, features.onsets, features.bands)
        chroma, onsets, bands = (tuple(map(tuple, array.tolist())) for array in rows)
        return cls(chroma=chroma, onsets=onsets, bands=bands)

    def features(self) -> BeatFeatures:
        chroma, onsets, bands = map(np.asarray, (self.chroma, self.onsets, self.bands))
        return BeatFeatures(chroma=chroma, onsets=onsets, bands=bands)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A song that was read.

    Attributes
    ----------
    file
        Where it comes from.
    sound
        The song, or its stems where the cache has them.
    findings
        All that is known of it, where the cache has them.
    """

    file: SongFile
    sound: Song | Stems
    findings: Findings | None

    @property
    def length_s(self) -> float:
        """How long it is, in seconds."""
        signal = self.sound.vocals if isinstance(self.sound, Stems) else self.sound.samples
        return signal.shape[1] / SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beats:
    """The beats of a song, and the mono copy that they were found in."""

    grid: BeatGrid
    mono: Mono


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """Where songs are worked on; every step takes a song further, and may run in any thread.

    Attributes
    ----------
    separator
        Takes songs apart.
    cache
        What was worked out before.
    blank
        Makes the room for signals that are not kept.
    aside
        A second process for some of the work.
    recipe
        What the user asked for.
    longest_s
        Seconds that a song may last.
    """

    separator: Separator
    cache: Cache
    blank: Blank
    aside: Aside | None
    recipe: Recipe
    longest_s: float

    def read(self, file: SongFile, on_fraction: OnFraction) -> Recording:
        """Decode a song, or find it in the cache taken apart.

        Raises
        ------
        UserError
            The file holds no song that can be used, or there is neither file nor stems.
        """
        sound: Song | Stems | None = self._known_stems(file)
        if sound is None:
            if file.path is None:
                raise NotKeptError(
                    f"The pieces of {clean_name(file.name)} are no longer kept.",
                    hint="Merge the two songs again.",
                )
            sound = decode(
                file.path,
                name=file.name,
                longest_s=self.longest_s,
                on_fraction=on_fraction,
                blank=self.blank,
            )
        return Recording(file=file, sound=sound, findings=self._known_findings(file))

    def separate(self, recording: Recording, on_fraction: OnFraction) -> Stems:
        """Take a song apart."""
        if isinstance(recording.sound, Stems):
            return recording.sound
        key, audio = self._stems_key(recording.file), recording.file.audio
        with self.cache.pending(key, self.blank, of=(audio,)) as coming:
            stems = self.separator.separate(recording.sound, on_fraction, blank=coming.blank)
            coming.commit(
                stems.vocals.shape[1],
                {"vocals": stems.vocals, "accompaniment": stems.accompaniment},
            )
        return stems

    def find_beats(self, recording: Recording, on_fraction: OnFraction) -> Findings | Beats:
        """Find the beats of a song's full mix."""
        if recording.findings is not None:
            return recording.findings
        if isinstance(recording.sound, Stems):  # they sum to the song
            mono = narrow(recording.sound.vocals, self.blank)
            rest = narrow(recording.sound.accompaniment, self.blank)
            for start in range(0, len(mono), BLOCK):
                mono[start : start + BLOCK] += rest[start : start + BLOCK]
                release(mono, rest)
        else:
            mono = narrow(recording.sound.samples, self.blank)
        on_fraction(0.1)
        grid = track_beats(mono, self.recipe.beats, lambda done: on_fraction(0.1 + 0.9 * done))
        beats = Beats(grid=grid, mono=mono)
        release(mono)
        return beats

    def listen(
        self,
        file: SongFile,
        stems: Stems,
        known: Findings | Beats,
        roles: Collection[Role],
        on_fraction: OnFraction,
    ) -> Source:
        """Find out what the plan has to know of a song in the roles that it may have."""
        findings = known if isinstance(known, Findings) else self._find(file, stems, known)
        on_fraction(0.6)
        facts = findings.facts
        layers: dict[Role, Signal] = {"vocals": stems.vocals, "backing": stems.accompaniment}
        features = {
            role: self._features(file, role, layers[role], facts.grid)
            for role in roles
            if len(facts.grid.beats_s) >= 2
        }
        return Source(
            name=file.name,
            audio=file.audio,
            stems=stems,
            facts=replace(facts, title=file.title),
            has_band=findings.has_band,
            features=features,
        )

    def _find(self, file: SongFile, stems: Stems, beats: Beats) -> Findings:
        has_voice, has_band = _has_parts(stems)
        key, tuning = find_pitch(beats.mono)
        facts = SongFacts(
            title="",
            duration_s=stems.vocals.shape[1] / SAMPLE_RATE,
            grid=beats.grid,
            key=key,
            tuning=tuning,
            sung=find_sung(stems.vocals, stems.accompaniment) if has_voice else (),
        )
        findings = Findings(facts=facts, has_band=has_band)
        with self.cache.pending(self._findings_key(file), self.blank, of=(file.audio,)) as coming:
            coming.commit(findings, {})
        return findings

    def _features(self, file: SongFile, role: Role, stem: Signal, grid: BeatGrid) -> BeatFeatures:
        """Measure what a stem does on each beat, or find it in the cache."""
        how = (file.audio, self.separator.identity, self.recipe.beats, role)
        key = make_key("features", *how)
        entry = self.cache.load(key, _FeatureRows)
        if entry is not None:
            return entry.facts.features()
        rows = _FeatureRows.of(beat_features(narrow(stem, self.blank), grid))
        with self.cache.pending(key, self.blank, of=(file.audio,)) as coming:
            coming.commit(rows)
        return rows.features()  # laid out as they will be when they come out of the cache

    def _known_stems(self, file: SongFile) -> Stems | None:
        entry = self.cache.load(self._stems_key(file), int)
        if entry is None:
            return None
        length_s = entry.facts / SAMPLE_RATE
        if length_s > self.longest_s:
            if file.path is None:
                shown = clean_name(file.name)
                raise too_long(shown, f"is {clock(length_s)} long", self.longest_s)
            return None  # decoding gives the refusal
        return Stems(vocals=entry.signals["vocals"], accompaniment=entry.signals["accompaniment"])

    def _known_findings(self, file: SongFile) -> Findings | None:
        entry = self.cache.load(self._findings_key(file), Findings)
        return None if entry is None else entry.facts

    def _stems_key(self, file: SongFile) -> str:
        return make_key("stems", file.audio, self.separator.identity)

    def _findings_key(self, file: SongFile) -> str:
        return make_key("findings", file.audio, self.separator.identity, self.recipe.beats)


def _has_parts(stems: Stems) -> tuple[bool, bool]:
    """Whether each stem is more than what a separator leaves in it."""
    power = np.zeros(3)
    for _, (vocals, accompaniment) in stretches(stems.vocals, stems.accompaniment):
        parts = (vocals, accompaniment, vocals + accompaniment)
        power += [float(np.vdot(part, part)) for part in parts]
    least = 10.0 ** (-_RESIDUE_DB / 10.0) * power[2]
    return bool(power[0] >= least), bool(power[1] >= least)
