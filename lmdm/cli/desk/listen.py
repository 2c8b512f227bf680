"""Plays a sound file in a process of its own: `python -m lmdm.cli.desk.listen FILE [DEVICE]`.

Of its own, because the instrument's output must not wait for a disk, and so that ending it is
ending a process.
"""

from __future__ import annotations

import sys
from pathlib import Path

PIECE = 4096  # frames


def main(arguments: list[str]) -> int:
    """Plays to the end; the exit status is 1 if the file or the device cannot be used."""
    import sounddevice
    import soundfile
    import soxr

    file, device = Path(arguments[0]), arguments[1] if len(arguments) > 1 else None
    try:
        with soundfile.SoundFile(file) as sound:
            stream = _stream(sounddevice, device, sound.samplerate)
            convert = soxr.ResampleStream(
                sound.samplerate, stream.samplerate, 2, dtype="float32", quality="HQ"
            )
            with stream:
                while len(piece := sound.read(PIECE, dtype="float32", always_2d=True)):
                    stereo = piece[:, [0, -1]]
                    stream.write(convert.resample_chunk(stereo))
    except (OSError, RuntimeError, sounddevice.PortAudioError) as problem:
        print(f"lmdm: {file} cannot be played: {problem}", file=sys.stderr)
        return 1
    return 0


def _stream(sounddevice, device: str | None, rate: int):  # type: ignore[no-untyped-def]
    """An output of the device asked for, else of the default one, at the file's rate or its own."""
    wanted = [device] if device else []
    for name in (*wanted, None):
        for at in (rate, None):
            try:
                return sounddevice.OutputStream(
                    samplerate=at, device=name, channels=2, dtype="float32", latency="high"
                )
            except (ValueError, sounddevice.PortAudioError) as problem:
                last = problem
    raise last


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
