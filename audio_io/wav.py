"""The header of a WAV file that is still growing, and its repair.

The header has room for the 64-bit sizes of RF64 from the start (a JUNK chunk that becomes ds64 when
the file passes 4 GiB), so a recording has no length limit and its header can be patched in place.

Sources: EBU Tech 3306 (RF64), Multimedia Programming Interface and Data Specifications 1.0 (RIFF).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from lmdm.errors import InputError

SampleFormat = Literal["float32", "pcm24"]

_RIFF_LIMIT = 0xFFFFFFFF
_SAMPLE_BYTES: dict[str, int] = {"float32": 4, "pcm24": 3}
_FORMAT_TAG = {"float32": 3, "pcm24": 1}


@dataclass(frozen=True)
class WavFormat:
    """What the samples of a file are."""

    rate: int  # samples a second
    channels: int
    sample_format: SampleFormat

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * _SAMPLE_BYTES[self.sample_format]


HEADER_BYTES = 12 + (8 + 28) + (8 + 18) + (8 + 4) + 8


def header(form: WavFormat, frames: int) -> bytes:
    """The first `HEADER_BYTES` bytes of a file with so many frames: RIFF, or RF64 if it must be."""
    data_bytes = frames * form.frame_bytes
    riff_bytes = HEADER_BYTES - 8 + data_bytes + data_bytes % 2
    large = riff_bytes > _RIFF_LIMIT
    sizes = struct.pack("<QQQI", riff_bytes, data_bytes, frames, 0) if large else bytes(28)
    bits = 8 * form.frame_bytes // form.channels
    format_fields = struct.pack(
        "<HHIIHHH",
        _FORMAT_TAG[form.sample_format],
        form.channels,
        form.rate,
        form.rate * form.frame_bytes,
        form.frame_bytes,
        bits,
        0,
    )
    return b"".join(
        (
            struct.pack("<4sI4s", b"RF64" if large else b"RIFF", _size(riff_bytes), b"WAVE"),
            struct.pack("<4sI", b"ds64" if large else b"JUNK", 28) + sizes,
            struct.pack("<4sI", b"fmt ", 18) + format_fields,
            struct.pack("<4sII", b"fact", 4, _size(frames)),
            struct.pack("<4sI", b"data", _size(data_bytes)),
        )
    )


def _size(value: int) -> int:
    return min(value, _RIFF_LIMIT)  # 0xFFFFFFFF means: see ds64


def repair(path: Path | str) -> int:
    """Makes the header of a recording agree with the bytes in the file; returns its frames.

    For a file that this package wrote and that was cut off (crash, power, full disk). A half
    written last frame is cut away. Sound data is never changed.
    """
    path = Path(path)
    try:
        with path.open("r+b") as file:
            form = _read_format(file, path)
            frames = (os.fstat(file.fileno()).st_size - HEADER_BYTES) // form.frame_bytes
            file.truncate(HEADER_BYTES + frames * form.frame_bytes)
            finish(file, form, frames)
            return frames
    except OSError as problem:
        raise InputError(f"cannot repair {path}: {problem.strerror}") from None


def finish(file: BinaryIO, form: WavFormat, frames: int) -> None:
    """Writes the final header, and the pad byte that RIFF wants after data of odd length."""
    data_bytes = frames * form.frame_bytes
    file.seek(HEADER_BYTES + data_bytes)
    file.write(bytes(data_bytes % 2))
    file.seek(0)
    file.write(header(form, frames))
    file.flush()


def _read_format(file: BinaryIO, path: Path) -> WavFormat:
    start = file.read(HEADER_BYTES)
    fields = 12 + 36 + 8  # of the format chunk
    if len(start) == HEADER_BYTES and start[48:52] == b"fmt ":
        tag, channels, rate, _, frame_bytes, _ = struct.unpack_from("<HHIIHH", start, fields)
        for name, number in _FORMAT_TAG.items():
            if tag == number and channels and frame_bytes == channels * _SAMPLE_BYTES[name]:
                form = WavFormat(rate, channels, "float32" if name == "float32" else "pcm24")
                if start[fields : fields + 18] == header(form, 0)[fields : fields + 18]:
                    return form
    raise InputError(f"cannot repair {path}: it was not recorded by LMDM Live")
