"""Engines die, stall and fail; the sound and the session go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.messages import NoteOn, PrimeWith, Resume, SetGuidance, SetPrompts, SetStyle, Sustain
from lmdm.live.player import Player
from lmdm.live.ring import AudioRing
from lmdm.live.supervisor import Supervisor, failure

PATIENCE = 300.0  # seconds; far more than anything here takes on a busy machine


def wait_until(true, patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


class Listener:
    """Plays from the ring in real time, as an output does."""

    def __init__(self, ring: AudioRing) -> None:
        self.player = Player(ring)
        self.heard: list[np.ndarray] = []
        self.player.begin()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._ended.wait(0.01):
            due = int((time.monotonic() - begun) * 44100) - self.player.position
            if due > 0:
                self.heard.append(self.player.read(due))

    def stop(self) -> np.ndarray:
        self._ended.set()
        self._thread.join()
        return np.concatenate(self.heard)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has no SIGKILL and SIGSTOP")
def test_killed_and_stalled_engines_are_replaced_while_the_sound_goes_on(tiny_model: Path):
    applied, remarks = [], []
    with AudioRing.create(4 * 44100) as ring:
        supervisor = Supervisor(
            ring,
            str(tiny_model),
            Controls(prompts=(("felt piano", 1.0),)),
            on_applied=applied.append,
            on_remark=lambda sample, text: remarks.append(text),
        )
        supervisor.start()
        try:
            assert supervisor.wait_ready(PATIENCE)
            listener = Listener(ring)
            supervisor.send(SetGuidance(2.0))
            supervisor.send(NoteOn(60))
            wait_until(lambda: supervisor.snapshot().held == (60,))
            for count, number in enumerate((signal.SIGKILL, signal.SIGSTOP), start=1):
                wait_until(supervisor.standby_ready)
                first = supervisor.process_id
                blocks = supervisor.snapshot().block
                os.kill(first, number)
                supervisor.send(NoteOn(60 + count))  # said to nobody: it must not be lost
                wait_until(lambda count=count: supervisor.snapshot().restarts == count)
                wait_until(lambda blocks=blocks: supervisor.snapshot().block > blocks + 4)
                assert supervisor.process_id != first
                assert supervisor.snapshot().status == "playing"
            generated = supervisor.snapshot().samples  # what is told of has been heard
            wait_until(lambda: supervisor.snapshot().heard >= generated)
            supervisor.settle()
            snapshot = supervisor.snapshot()
            sound = listener.stop()
        finally:
            supervisor.stop()
    assert snapshot.held == (60, 61, 62)
    assert snapshot.guidance == 2.0
    assert len(remarks) == 2
    assert "signal 9" in remarks[0]
    assert "sign of life" in remarks[1]
    kinds = [type(each.message) for each in applied]
    assert kinds.count(Resume) == 2
    assert kinds.count(NoteOn) == 3
    assert [each.sample for each in applied] == sorted(each.sample for each in applied)
    loudness = np.sqrt(np.square(sound[: len(sound) // 2205 * 2205]).reshape(-1, 4410).mean(axis=1))
    assert loudness.min() > 0.001, "there was a hole in the sound"


def test_a_running_glide_and_what_a_style_file_stands_for_are_shown(
    tiny_model: Path, tmp_path: Path
):
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    channels = json.loads((model / "config.json").read_text())["codec"]["latent_channels"]
    table = {"directions": [[1.0]] * (3 * channels), "styles": {"slow waltz": [0.0]}}
    (model / "styles.json").write_text(json.dumps(table))
    noise = np.random.default_rng(0).normal(0.0, 0.1, (2 * 44100, 2)).astype(np.float32)
    soundfile.write(tmp_path / "style.wav", noise, 44100)
    with AudioRing.create(4 * 44100) as ring:
        supervisor = Supervisor(ring, str(model), Controls(glide=8.0), standby=False)
        supervisor.start()
        listener = Listener(ring)
        try:
            assert supervisor.wait_ready(PATIENCE)
            assert supervisor.snapshot().gliding == 1.0
            supervisor.send(SetPrompts((("felt piano", 1.0),)))
            wait_until(lambda: 0.0 < supervisor.snapshot().gliding < 1.0)
            wait_until(lambda: supervisor.snapshot().gliding == 1.0)
            supervisor.send(SetStyle(str(tmp_path / "style.wav")))
            wait_until(lambda: supervisor.snapshot().style_text == "slow waltz")
            supervisor.send(SetStyle(""))
            wait_until(lambda: supervisor.snapshot().style_text == "")
        finally:
            listener.stop()
            supervisor.stop()


def test_a_model_that_is_not_there_is_the_users_mistake(tmp_path: Path):
    with AudioRing.create(44100) as ring:
        supervisor = Supervisor(ring, str(tmp_path / "nothing"), Controls())
        supervisor.start()
        try:
            assert supervisor.wait_ready(PATIENCE)
            assert supervisor.snapshot().status == "failed"
            assert isinstance(failure(supervisor), InputError)
            assert "nothing" in str(failure(supervisor))
            supervisor.send(Sustain(True))  # harmless
        finally:
            supervisor.stop()


def test_a_control_that_engines_fail_over_is_left_out(tiny_model: Path):
    """Whatever gets through to an engine and ends it must not end the one after the next."""
    notices = []
    with AudioRing.create(44100 * 4) as ring:
        supervisor = Supervisor(ring, str(tiny_model), Controls(), on_notice=notices.append)
        supervisor.start()
        try:
            assert supervisor.wait_ready(PATIENCE)
            listener = Listener(ring)
            supervisor.send(PrimeWith("AAAAAA=="))  # no latents of this model's
            wait_until(lambda: supervisor.snapshot().restarts == 2)
            supervisor.send(NoteOn(60))
            wait_until(lambda: supervisor.snapshot().held == (60,))
            assert supervisor.snapshot().status == "playing"
            assert [text for text in notices if "left out" in text]
        finally:
            listener.stop()
            supervisor.stop()


def test_the_engine_ends_when_the_supervisor_does(tiny_model: Path):
    with AudioRing.create(44100 * 4) as ring:
        supervisor = Supervisor(ring, str(tiny_model), Controls(), standby=False)
        supervisor.start()
        assert supervisor.wait_ready(PATIENCE)
        process = supervisor.process_id
        supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
