"""What a hostile file must leave alone: files beside it, and ports of this machine."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av

from tests.audio_files import sines, write_av, write_pcm

_IN_ACCESS, _IN_OPEN, _IN_NONBLOCK = 0x1, 0x20, 0o4000  # linux/inotify.h and fcntl.h
_EVENT = struct.Struct("iIII")


@dataclass(frozen=True, slots=True)
class Canaries:
    """A folder in which every file that is opened is noticed, and two ports that hear all calls.

    Attributes
    ----------
    folder
        Holds the baits that hostile files name.
    """

    folder: Path
    _watch: int
    _tcp: socket.socket
    _udp: socket.socket

    @classmethod
    def set_out(cls, folder: Path) -> Canaries:
        """Write the baits and begin to watch."""
        for name, content in _baits().items():
            (folder / name).write_bytes(content)
        watch = _libc("inotify_init1", _IN_NONBLOCK)
        _libc("inotify_add_watch", watch, os.fsencode(folder), _IN_OPEN | _IN_ACCESS)
        tcp = socket.create_server(("127.0.0.1", 0))
        tcp.settimeout(0)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(tcp.getsockname())
        udp.settimeout(0)
        return cls(folder, watch, tcp, udp)

    @property
    def port(self) -> int:
        """Where both ports listen, on 127.0.0.1."""
        return int(self._tcp.getsockname()[1])

    def touched(self, but: str = "") -> set[str]:
        """Return the names of the files that were opened until now, and "port" for a call."""
        found = self._files_opened() - {but}
        return found | {"port"} if self._was_called() else found

    def _files_opened(self) -> set[str]:
        names: set[str] = set()
        while events := self._read_events():
            while events:
                *_, size = _EVENT.unpack_from(events)
                name = events[_EVENT.size : _EVENT.size + size].rstrip(b"\0")
                names.add(os.fsdecode(name))
                events = events[_EVENT.size + size :]
        return names - {""}  # the folder itself

    def _read_events(self) -> bytes:
        try:
            return os.read(self._watch, 65_536)
        except BlockingIOError:
            return b""

    def _was_called(self) -> bool:
        try:
            self._tcp.accept()[0].close()
        except BlockingIOError:
            pass
        else:
            return True
        try:
            self._udp.recv(1)
        except BlockingIOError:
            return False
        return True

    def take_in(self) -> None:
        """Stop watching."""
        os.close(self._watch)
        self._tcp.close()
        self._udp.close()


@cache
def _baits() -> dict[str, bytes]:
    with TemporaryDirectory() as name:
        sound = write_pcm(Path(name, "bait.wav"), sines(4.0, 8_000), 8_000).read_bytes()
        path = write_av(Path(name, "bait.ts"), sines(1.0, 44_100), muxer="mpegts", codec="aac")
        film = path.read_bytes()
    others = dict.fromkeys(("bait.png", "bait.key", "bait.sub", "song.sub"), b"canary" * 100)
    return {"bait.wav": sound, "bait.ts": film, **others}


def _libc(function: str, *arguments: object) -> int:
    result = int(getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), function)
    return result


def open_carelessly(path: Path, **options: str) -> None:
    """Open and read a file as plain FFmpeg does, with all that it would open on the way."""
    try:
        with av.open(str(path), options=options, timeout=0.5) as container:
            for _ in container.demux():
                pass
    except av.FFmpegError:  # nobody answers at the port
        pass
