"""Takes of a performance: begun late they hold all of it; broken off they are completed."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

from audio_io.recorder import encode
from audio_io.wav import WavFormat, header
from lmdm.cli.takes import Takes, mend
from lmdm.live.controls import Controls
from lmdm.live.messages import SetGain, SetGuidance
from lmdm.live.take import AUDIO_NAME, INPUT_NAME, Applied, Held, TakeHeader, read_take

FORM = WavFormat(44100, 2, "float32")


def broken_off(folder: Path, name: str, told: int, frames: int) -> Path:
    """A file of so many frames and half of another, whose header tells of fewer."""
    pcm = np.random.default_rng(0).normal(size=(frames, 2)).astype(np.float32)
    path = folder / name
    path.write_bytes(header(FORM, told) + encode(pcm, FORM.sample_format) + b"1234")
    hour_ago = time.time() - 3600.0
    os.utime(path, (hour_ago, hour_ago))
    return path


def test_all_whole_frames_of_both_files_are_there(tmp_path: Path) -> None:
    take = broken_off(tmp_path, AUDIO_NAME, 22050, 44100)
    live = broken_off(tmp_path, INPUT_NAME, 0, 11025)
    before = take.read_bytes()
    assert soundfile.info(take).frames == 22050
    assert mend(tmp_path) == f"the take in {tmp_path} broke off after 1.0 s; all of it is there"
    assert (soundfile.info(take).frames, soundfile.info(live).frames) == (44100, 11025)
    assert take.read_bytes() == header(FORM, 44100) + before[len(header(FORM, 0)) : -4]


def test_what_is_not_there_or_not_ours_is_left_alone(tmp_path: Path) -> None:
    assert mend(tmp_path) == mend(tmp_path / "nowhere") == ""
    other = tmp_path / AUDIO_NAME
    other.write_bytes(b"RIFF" + bytes(100))
    assert mend(tmp_path) == f"cannot repair {other}: it was not recorded by LMDM Live"
    assert other.read_bytes() == b"RIFF" + bytes(100)


def test_a_take_that_grows_is_another_programs(tmp_path: Path) -> None:
    path = broken_off(tmp_path, AUDIO_NAME, 0, 100)
    ended = threading.Event()

    def record() -> None:
        with path.open("ab") as file:
            while not ended.wait(0.02):
                file.write(bytes(80))
                file.flush()

    recording = threading.Thread(target=record)
    recording.start()
    try:
        time.sleep(0.1)
        assert mend(tmp_path) == ""
    finally:
        ended.set()
        recording.join()
    assert path.read_bytes().startswith(header(FORM, 0))


def test_a_take_begun_late_holds_everything_since_the_start(tmp_path: Path) -> None:
    takes = Takes(lambda: None)
    asked = [Applied(1000 * n, SetGuidance(n % 40 / 10)) for n in range(1500)]
    moved = [Applied(1000 * n + 1, SetGain(-float(n % 40))) for n in range(1500)]
    for block, instant in zip(asked, moved, strict=True):
        takes.applied(block)
        takes.applied(instant)
        if block.sample % 500_000 == 0:
            takes.held(block.sample, 256)
            takes.held(block.sample + 256, 256)
    takes.start(tmp_path / "late", TakeHeader("starter", "ab" * 32, Controls(), 4))
    takes.applied(Applied(2_000_000, SetGuidance(1.0)))
    takes.stop()
    take = read_take(tmp_path / "late")
    kept = [each for each in take.controls if each.message.lane != "instant"]
    assert kept == [*asked, Applied(2_000_000, SetGuidance(1.0))]
    assert [each for each in take.controls if each not in kept] == moved[-1:]
    assert take.holds == (Held(0, 512), Held(500_000, 512), Held(1_000_000, 512))


def test_of_a_flood_no_control_is_kept_as_an_object(tmp_path: Path) -> None:
    """They are packed instead (`tests/live/test_past.py` bounds the bytes of each)."""
    takes = Takes(lambda: None)
    takes.start(tmp_path / "take", TakeHeader("starter", "ab" * 32, Controls(), 4))
    try:
        for number in range(2000):
            takes.applied(Applied(number, SetGuidance(number % 128 / 32)))
            takes.applied(Applied(number, SetGain(-float(number % 128) / 2)))
        takes.stop()
        takes.start(tmp_path / "next", TakeHeader("starter", "ab" * 32, Controls(), 4))
        gc.collect()
        assert sum(type(each) is Applied for each in gc.get_objects()) < 20
    finally:
        takes.stop()
