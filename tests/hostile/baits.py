"""Files that name other files and addresses, in every way that a media file can."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.audio_files import sines, write_av
from tests.hostile.boxes import box, chunk, ebml, full_box, movie, riff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hostile.canaries import Canaries

_HLS = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:9\n"
_SRT = "1\n00:00:00,000 --> 00:00:01,000\n<img src='{url}/a.png'>\n\n"

TEXTS = {
    "an ffconcat script": "ffconcat version 1.0\nfile bait.wav\n",
    "an ffconcat script with an address": "ffconcat version 1.0\nfile {url}/a.mp3\n",
    "an ffconcat script with options": "ffconcat version 1.0\nfile bait.wav\noption safe 0\n",
    "a playlist of a file": _HLS + "#EXTINF:9,\nbait.ts\n#EXT-X-ENDLIST\n",
    "a playlist of a whole path": _HLS + "#EXTINF:9,\n{folder}/bait.ts\n#EXT-X-ENDLIST\n",
    "a playlist of an address": _HLS + "#EXTINF:9,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
    "a playlist that joins files": _HLS + "#EXTINF:9,\nconcat:bait.ts|bait.ts\n#EXT-X-ENDLIST\n",
    "a playlist of a part of a file": _HLS + "#EXTINF:9,\nsubfile,,start,0,end,99,,:bait.ts\n",
    "a playlist with a key in a file": _HLS
    + '#EXT-X-KEY:METHOD=AES-128,URI="bait.key"\n#EXTINF:9,\nbait.ts\n#EXT-X-ENDLIST\n',
    "a playlist with its head in a file": _HLS
    + '#EXT-X-MAP:URI="bait.wav"\n#EXTINF:9,\nbait.ts\n#EXT-X-ENDLIST\n',
    "a playlist of playlists": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\n{url}/b.m3u8\n",
    "an m3u": "#EXTM3U\n#EXTINF:1,x\n{url}/a.mp3\nbait.wav\n",
    "a pls": "[playlist]\nFile1={url}/a.mp3\nNumberOfEntries=1\n",
    "an xspf": '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>'
    "<track><location>{url}/a.mp3</location></track></trackList></playlist>",
    "an asx": '<asx version="3.0"><entry><ref href="{url}/a.wma"/></entry></asx>',
    "an asf redirection": "[Reference]\nRef1={url}/a.wma\n",
    "a ram": "rtsp://127.0.0.1:{port}/a.rm\n",
    "an svg": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    '<image xlink:href="{url}/a.png"/><image href="file://{folder}/bait.png"/></svg>',
    "a dash manifest": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'type="static" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet '
    'mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{url}/a.mp4</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "a smooth manifest": '<SmoothStreamingMedia MajorVersion="2"><StreamIndex Type="audio" '
    'Url="{url}/a"/></SmoothStreamingMedia>',
    "an sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio {port} RTP/AVP 0\na=control:rtsp://127.0.0.1:{port}/a\n",
    "subtitles": _SRT,
    "subtitles with styles": "[Script Info]\nScriptType: v4.00+\n[Events]\n"
    "Dialogue: 0,0:00:00.00,0:00:01.00,,,0,0,0,,{url}/a\n",
    "web subtitles": "WEBVTT\n\nSTYLE\n@import url({url}/a.css);\n\n00:00.000 --> 00:01.000\nx\n",
    "an index of subtitles": "# VobSub index file, v7 (do not modify this line!)\n"
    "id: en, index: 0\n"
    "timestamp: 00:00:01:000, filepos: 000000000\n",
    "synchronized texts": "<SAMI><BODY><SYNC Start=0><P>"
    "<img src='{url}/a.png'></SYNC></BODY></SAMI>",
    "a sound script": "-SE\nbait: mix/100\nNOW bait\n",
    "a list of tags": ";FFMETADATA1\ntitle={url}/a\n",
    "a page": '<html><meta http-equiv="refresh" content="0;url={url}/"><audio src="{url}/a.mp3"/>',
}
"""Texts by what they are; {url}, {port} and {folder} are the canaries'."""


def write_text(name: str, path: Path, canaries: Canaries) -> None:
    url = f"http://127.0.0.1:{canaries.port}"
    filled = TEXTS[name].replace("{url}", url).replace("{port}", str(canaries.port))
    path.write_text(filled.replace("{folder}", str(canaries.folder)))


def _behind_id3(path: Path, canaries: Canaries) -> None:
    write_text("a playlist of a file", path, canaries)
    path.write_bytes(b"ID3\x03\0\0\0\0\0\x0a" + b"\0" * 10 + path.read_bytes())


def _pascal(text: str, size: int) -> bytes:
    return bytes([len(text)]) + text.encode().ljust(size - 1, b"\0")


def alias(folder: Path) -> bytes:
    """Return a QuickTime alias record to the bait, as `libavformat/mov.c` reads it."""
    head = struct.pack(">4sHHH", b"\0\0\0\0", 0, 2, 0) + _pascal("disk", 28) + b"\0" * 12
    head += _pascal("bait.wav", 64) + b"\0" * 16 + struct.pack(">hh", 1, 1) + b"\0" * 16
    whole = f"disk:{str(folder / 'bait.wav').strip('/').replace('/', ':')}".encode()
    parts = struct.pack(">hH", 2, len(whole)) + whole + b"\0" * (len(whole) % 2)
    name = f"{folder}/bait.wav".encode()
    parts += struct.pack(">hH", 18, len(name)) + name + b"\0" * (len(name) % 2)
    return head + parts + struct.pack(">hH", -1, 0)


def _elsewhere(path: Path, canaries: Canaries) -> None:
    path.write_bytes(movie(reference=full_box(b"alis", alias(canaries.folder))))


def _at_an_address(path: Path, canaries: Canaries) -> None:
    url = f"http://127.0.0.1:{canaries.port}/a.wav\0".encode()
    path.write_bytes(movie(reference=full_box(b"url ", url)))


def _reference_movie(path: Path, canaries: Canaries) -> None:
    url = f"http://127.0.0.1:{canaries.port}/a.mov\0".encode()
    place = full_box(b"rdrf", b"url " + struct.pack(">I", len(url)) + url)
    path.write_bytes(
        box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", place)))
    )


def _linked_matroska(path: Path, canaries: Canaries) -> None:
    write_av(path, sines(4.0, 44_100), muxer="matroska", codec="flac")
    data = path.read_bytes()
    links = ebml("73a4", b"1" * 16) + ebml("3eb923", b"2" * 16) + ebml("3e83bb", b"bait.wav")
    links += ebml("3cb923", b"3" * 16) + ebml("3c83ab", b"bait.wav")
    attached = ebml("466e", b"bait.ttf") + ebml("4660", b"application/x-truetype-font")
    attached += ebml("465c", f"file://{canaries.folder}/bait.png".encode()) + ebml("46ae", b"\1")
    start = data.index(bytes.fromhex("18538067")) + 12
    info = ebml("1549a966", ebml("2ad7b1", b"\x0f\x42\x40") + links)
    more = info + ebml("1941a469", ebml("61a7", attached))
    path.write_bytes(data[:start] + more + data[start:])


def _avi_with_a_script_for_subtitles(path: Path, canaries: Canaries) -> None:
    write_text("an ffconcat script", path, canaries)
    script = path.read_bytes()
    content = b"GAB2\0" + struct.pack("<HI", 2, 2) + b"x\0" + struct.pack("<HI", 4, len(script))
    write_av(path, sines(4.0, 44_100), muxer="avi", codec="libmp3lame")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"movi", b"movi" + chunk(b"00tx", content + script), 1))


def _wav_with_a_playlist(path: Path, canaries: Canaries) -> None:
    write_text("a playlist of a file", path, canaries)
    listed = chunk(b"plst", path.read_bytes()) + chunk(b"file", b"bait.wav\0")
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16)
    path.write_bytes(
        riff(b"WAVE", chunk(b"fmt ", form) + listed + chunk(b"data", b"\1\2" * 32_000))
    )


MEDIA: dict[str, Callable[[Path, Canaries], None]] = {
    "a playlist behind tags": _behind_id3,
    "a movie whose sound is in another file": _elsewhere,
    "a movie whose sound is at an address": _at_an_address,
    "a movie that names another": _reference_movie,
    "a matroska linked with others": _linked_matroska,
    "an avi with a script for subtitles": _avi_with_a_script_for_subtitles,
    "a wav with a playlist": _wav_with_a_playlist,
}
"""Writers of media files that point elsewhere."""
