"""Laws of the recorder: what went in is in the file, even if process or disk give up."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_io import recorder as recorder_module
from audio_io.recorder import Recorder, encode
from audio_io.wav import repair
from lmdm.errors import InputError


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (frames, 2)).astype(np.float32)


def test_float_take_is_exact(tmp_path: Path) -> None:
    pcm, path = noise(20_000), tmp_path / "take.wav"
    recorder = Recorder(path, 44100)
    for part in np.array_split(pcm, 37):
        recorder.process(part)
    recorder.close()
    read, rate = soundfile.read(str(path), dtype="float32")
    assert rate == 44100 and (read == pcm).all()
    assert (recorder.frames, recorder.dropped_frames, recorder.error) == (20_000, 0, None)


def test_24_bit_take_is_rounded(tmp_path: Path) -> None:
    pcm, path = noise(999), tmp_path / "take.wav"
    recorder = Recorder(path, 48000, sample_format="pcm24")
    recorder.process(pcm)
    recorder.close()
    assert soundfile.info(str(path)).subtype == "PCM_24"
    assert np.abs(soundfile.read(str(path))[0] - pcm).max() <= 0.5 / 2**23 + 1e-9
    extremes = np.array([[np.nan, 2.0, -2.0]], np.float32)
    assert encode(extremes, "pcm24") == b"\x00\x00\x00\xff\xff\x7f\x00\x00\x80"


KILLED = """
import sys, time, numpy as np
from audio_io.recorder import Recorder
recorder = Recorder(sys.argv[1], 44100)
for second in range(1000):
    recorder.process(np.full((4410, 2), second, np.float32))
    print((second + 1) * 4410, flush=True)
    time.sleep(0.1)
"""


def test_kill_9_loses_at_most_a_second(tmp_path: Path) -> None:
    """As the file lies, and nothing but the last queue's tenth of a second after repair."""
    path = tmp_path / "take.wav"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        given = int(line)
        if given >= 2.5 * 44100:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    as_it_lies, _ = soundfile.read(str(path), dtype="float32")
    assert len(as_it_lies) >= given - 44100
    frames = repair(path)
    repaired, _ = soundfile.read(str(path), dtype="float32")
    assert len(repaired) == frames >= len(as_it_lies)
    assert (repaired[:, 0] == np.arange(frames) // 4410).all()


def test_stalled_disk_becomes_silence_and_never_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeline stays true: what did not fit into the queue is silent, not missing."""
    monkeypatch.setattr(recorder_module, "_QUEUE_SECONDS", 0.1)
    release = threading.Event()
    write = Recorder._write

    def stalled(self: Recorder, pcm: np.ndarray) -> None:
        release.wait()
        write(self, pcm)

    monkeypatch.setattr(Recorder, "_write", stalled)
    recorder = Recorder(tmp_path / "take.wav", 44100)
    for _ in range(50):
        recorder.process(np.ones((441, 2), np.float32))
    release.set()
    recorder.close()
    read, _ = soundfile.read(str(tmp_path / "take.wav"))
    assert len(read) == 50 * 441
    assert 0 < recorder.dropped_frames == (read[:, 0] == 0).sum()


def test_full_disk_ends_the_file_and_not_the_music() -> None:
    """/dev/full refuses every write; the error is one sentence."""
    with pytest.raises(InputError, match="cannot record to /dev/full"):
        Recorder("/dev/full", 44100)


def test_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Recorder._write

    def fail_at_second(self: Recorder, pcm: np.ndarray) -> None:
        if self.frames:
            raise OSError(28, "No space left on device")
        write(self, pcm)

    monkeypatch.setattr(Recorder, "_write", fail_at_second)
    recorder = Recorder(tmp_path / "take.wav", 44100)
    recorder.process(np.ones((100, 2), np.float32))
    recorder.process(np.ones((100, 2), np.float32))
    recorder.close()
    recorder.process(np.ones((100, 2), np.float32))
    assert recorder.error is not None and recorder.error.endswith("No space left on device")
    assert soundfile.info(str(tmp_path / "take.wav")).frames == 100


def test_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    path.write_text("precious")
    with pytest.raises(InputError, match="is there already"):
        Recorder(path, 44100)
    assert path.read_text() == "precious"
    with pytest.raises(InputError, match="No such file"):
        Recorder(tmp_path / "no" / "take.wav", 44100)
