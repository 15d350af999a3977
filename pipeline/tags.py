"""Tags and a cover for a finished file, put in without touching what is heard."""

from __future__ import annotations

import base64
import io
import struct
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from pipeline.encoding import find_ffmpeg
from pipeline.errors import OutputError, StageError
from pipeline.names import clean_name, clean_text
from pipeline.types import Stage

MOST_COVER_BYTES = 96 * 1024
"""Of a cover; in a file of 10 MiB nobody hears that they are missing."""

_WORDS_BYTES = 4096  # the tags themselves, and what a container writes around them
_LEAST_SHARE = 64  # of a small file, a cover takes no more than one byte in as many
_COVER_WIDTHS = (900, 720, 540, 400, 300)  # pixels
_JPEG_QUALITY = 82
_LONGEST_LINE = 200  # characters: two titles and the words between them

_LOSSLESS = (".wav", ".flac")  # no lower bit rate makes room in them
_AS_STREAM = (".mp3", ".m4a", ".flac")  # where ffmpeg takes a cover for one more stream
_AS_TAG = (".ogg", ".opus")  # where a cover is a tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a player shows of a file, under the names that ffmpeg has for all containers.

    Attributes
    ----------
    title, artist, album
        One line each; what would disturb a player is left out.
    """

    title: str
    artist: str
    album: str

    @classmethod
    def of_mashup(cls, vocals: str, backing: str, artist: str) -> Tags:
        """Return the tags of a mash-up of two titles, each of which stays recognisable.

        Parameters
        ----------
        vocals, backing
            Titles of the two songs; may be hostile.
        artist
            Who the file says it is by.
        """
        first, second = clean_text(vocals) or "a song", clean_text(backing) or "a song"
        return cls(
            title=f"{first} x {second}",
            artist=clean_text(artist),
            album=f"vocals: {first}; backing: {second}",
        )


def spare_bytes(path: Path, max_bytes: int, *, cover: bool) -> int:
    """Return how many bytes to leave free when encoding, for `write_tags` to use.

    None in lossless formats, whose size cannot be chosen: they get what fits.

    Parameters
    ----------
    path
        The file; its extension is the format.
    max_bytes
        Most bytes that it may have in the end.
    cover
        Whether there will be a cover.
    """
    if path.suffix.lower() in _LOSSLESS:
        return 0
    wanted = _WORDS_BYTES + (MOST_COVER_BYTES if cover else 0)
    return min(wanted, max_bytes // _LEAST_SHARE)


def write_tags(
    path: Path,
    tags: Tags,
    *,
    picture: Path | None = None,
    cover: bytes | None = None,
    max_bytes: int | None = None,
) -> Path:
    """Write tags and a cover into a finished file; its sound stays as it is, to the bit.

    The file is replaced whole or not at all. What does not fit is left out: the cover is made
    smaller, then there is none, and at last the file keeps the tags that it has. wav files have
    no place for a cover.

    Parameters
    ----------
    path
        One of `pipeline.codec.FORMATS`.
    tags
        What to write, in place of all that is there.
    picture
        The image to make the cover from.
    cover
        What `make_cover` has made of it before, to be taken if it fits.
    max_bytes
        Most bytes that the file may have.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    StageError
        ffmpeg fails.
    """
    most = MOST_COVER_BYTES
    try:
        if max_bytes is not None:
            most = min(most, max_bytes - path.stat().st_size - _WORDS_BYTES)
        extension = path.suffix.lower()
        if extension in _AS_TAG:
            most = most * 3 // 4  # Base64 turns three bytes into four
        if picture is None or extension not in (*_AS_STREAM, *_AS_TAG):
            cover = None
        elif cover is None or len(cover) > most:
            cover = make_cover(picture, most)
        for content in (cover, None) if cover else (None,):
            # Inside the target's folder, so that the last step is a rename.
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tagging-") as scratch:
                whole = _copy(path, tags, content, Path(scratch))
                if max_bytes is None or whole.stat().st_size <= max_bytes:
                    return whole.replace(path)
    except OSError as error:
        raise OutputError(
            f"{clean_name(path.name)} cannot be written: {error.strerror or error}.",
            hint="Choose another place.",
        ) from error
    return path


def make_cover(picture: Path, max_bytes: int) -> bytes | None:
    """Return an image as JPEG, as wide as fits into so many bytes; None if nothing does.

    Parameters
    ----------
    picture
        Any image; what is transparent in it becomes dark.
    max_bytes
        Most bytes that the cover may have.
    """
    with Image.open(picture) as opened:
        image = opened.convert("RGBA")
    ground = Image.new("RGBA", image.size, "#12141f")
    flat = Image.alpha_composite(ground, image).convert("RGB")
    for width in dict.fromkeys(min(width, flat.width) for width in _COVER_WIDTHS):
        size = (width, max(1, round(flat.height * width / flat.width)))
        jpeg = io.BytesIO()
        # Coloured letters on a dark ground fray where colours are halved.
        flat.resize(size, Image.Resampling.LANCZOS).save(
            jpeg, "JPEG", quality=_JPEG_QUALITY, subsampling=0, optimize=True
        )
        if jpeg.tell() <= max_bytes:
            return jpeg.getvalue()
    return None


def _copy(path: Path, tags: Tags, cover: bytes | None, scratch: Path) -> Path:
    """Copy the coded sound into a new file, with new tags around it."""
    extension = path.suffix.lower()
    inputs = ["-i", f"file:{path}"]
    chosen = ["-map", "0:a:0", "-map_metadata", "-1", "-map_metadata:s:a:0", "-1"]
    if cover and extension in _AS_TAG:
        # It is longer than what a program may be given as an argument.
        inputs += ["-f", "ffmetadata", "-i", f"file:{_as_ffmetadata(cover, scratch)}"]
        chosen[-1] = "1:g"
    elif cover:
        (scratch / "cover.jpg").write_bytes(cover)
        inputs += ["-i", f"file:{scratch / 'cover.jpg'}"]
        chosen += ["-map", "1:v:0", "-disposition:v:0", "attached_pic"]
        chosen += ["-metadata:s:v:0", "comment=Cover (front)"]
    # Ogg keeps its tags with the stream, everything else with the file.
    where = "-metadata:s:a:0" if extension in _AS_TAG else "-metadata"
    for key, value in asdict(tags).items():
        chosen += [where, f"{key}={clean_text(value, longest=_LONGEST_LINE)}"]
    # The older version of ID3 is the one that every player reads.
    chosen += ["-id3v2_version", "3"] if extension == ".mp3" else []
    whole = scratch / f"whole{extension}"
    done = subprocess.run(  # noqa: S603 - our own words; tags stand behind their keys
        [find_ffmpeg(), "-v", "error", "-y", *inputs, *chosen, "-c", "copy", f"file:{whole}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise StageError(Stage.ENCODE, done.stderr.decode(errors="replace")[-2000:])
    return whole


def _as_ffmetadata(cover: bytes, scratch: Path) -> Path:
    """Write a cover as a tag into a file: https://ffmpeg.org/ffmpeg-formats.html#Metadata-2."""
    path = scratch / "tags"
    block = _picture_block(cover).replace("=", r"\=")
    path.write_text(f";FFMETADATA1\nMETADATA_BLOCK_PICTURE={block}\n", encoding="ascii")
    return path


def _picture_block(jpeg: bytes) -> str:
    """Return a cover as a tag of Ogg: https://xiph.org/flac/format.html#metadata_block_picture."""
    with Image.open(io.BytesIO(jpeg)) as image:
        width, height = image.size
    front, mime = 3, b"image/jpeg"
    head = struct.pack(">2I", front, len(mime)) + mime
    form = struct.pack(">6I", 0, width, height, 24, 0, len(jpeg))  # no description, 24 bits a pixel
    return base64.b64encode(head + form + jpeg).decode()
