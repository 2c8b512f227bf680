"""The desk: takes, presets, models and jobs around a performance that knows nothing of them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lmdm.cli.desk import Desk
from lmdm.cli.desk.jobs import Jobs
from lmdm.cli.desk.presets import FACTORY, Presets
from lmdm.cli.desk.takes import takes_in
from lmdm.errors import InputError
from lmdm.live import messages as m
from lmdm.live.controls import Controls
from lmdm.live.messages import Message, Snapshot
from lmdm.live.scenes import SceneBank
from lmdm.live.take import AUDIO_NAME, LOG_NAME, TakeHeader, TakeLog


class Played:
    """A performance that keeps what it is sent."""

    def __init__(self, model: str = "starter", status: str = "playing") -> None:
        self.sent: list[Message] = []
        self.shown = Snapshot(status=status, model=model, text="no such weights")

    def send(self, message: Message) -> None:
        self.sent.append(message)
        if isinstance(message, m.Mute):
            self.shown = replace(self.shown, muted=message.on)

    def snapshot(self) -> Snapshot:
        return self.shown


def until(true, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


@pytest.fixture
def no_jobs(monkeypatch):
    """What would be run is kept instead."""
    started = []
    monkeypatch.setattr(Jobs, "start", lambda self, *job: started.append(job))
    return started


@pytest.fixture
def desk(tmp_path, no_jobs):
    made = Desk(Played(), Presets(tmp_path / "presets"), tmp_path / "takes")
    yield made
    made.close()


def take(folder: Path, seconds: float = 1.0, whole: bool = True) -> Path:
    """A small take's folder."""
    folder.mkdir(parents=True)
    controls = Controls(prompts=(("choir", 1.0), ("bells", 0.5)))
    log = TakeLog(folder, TakeHeader("models/starter", "0" * 64, controls, 4))
    log.begin(0)
    samples = round(44100 * seconds)
    if whole:
        log.close(samples)
    else:
        until(lambda: (folder / LOG_NAME).read_text().count("\n") >= 2)
    soundfile.write(folder / AUDIO_NAME, np.zeros((samples, 2), np.float32), 44100)
    return folder


def test_takes_are_told_newest_first_and_whole_or_not(tmp_path):
    first = take(tmp_path / "takes" / "first", 2.0)
    second = take(tmp_path / "takes" / "second", 0.5, whole=False)
    os.utime(first / LOG_NAME, (1e9, 1e9))
    (tmp_path / "takes" / "no take").mkdir()
    broken = tmp_path / "takes" / "broken"
    broken.mkdir()
    (broken / LOG_NAME).write_text("{}\n")
    found = takes_in([tmp_path / "takes", tmp_path / "nowhere"])
    assert [each.folder for each in found] == [str(second), str(first)]
    assert [each.whole for each in found] == [False, True]
    assert [each.seconds for each in found] == [0.5, 2.0]
    assert found[1].prompts == ("choir", "bells")
    assert found[1].model == "starter"


def test_presets_of_the_program_are_scenes_and_prompts(tmp_path):
    presets = Presets(tmp_path).all()
    assert len(presets) >= 3
    assert not any(preset.own for preset in presets)
    for preset in presets:
        assert preset.scenes
        assert preset.words
        SceneBank.read(FACTORY / f"{preset.name}.toml")


def test_a_preset_is_saved_found_loaded_and_forgotten(desk, tmp_path):
    desk.send(m.SavePreset("evening / one"))
    until(lambda: desk.performance.sent)
    (message,) = desk.performance.sent
    assert isinstance(message, m.SaveScenes)
    file = Path(message.file)
    assert file.parent == tmp_path / "presets"
    SceneBank({"verse": {"prompts": [["felt piano", 1.0]]}}).write(file)
    desk.send(m.LookAround())
    until(lambda: any(preset.own for preset in desk.snapshot().presets))
    (own,) = [preset for preset in desk.snapshot().presets if preset.own]
    assert (own.scenes, own.words) == (("verse",), "felt piano")
    desk.send(m.LoadPreset(own.name))
    until(lambda: len(desk.performance.sent) == 3)
    assert desk.performance.sent[1:] == [m.LookAround(), m.LoadScenes(str(file))]  # for devices too
    desk.send(m.DeletePreset(own.name))
    until(lambda: not any(preset.own for preset in desk.snapshot().presets))


def test_what_goes_wrong_is_told_as_a_failed_job(desk):
    for message, words in (
        (m.LoadPreset("nothing"), "no preset"),
        (m.DeletePreset("First steps"), "not one of your own"),
        (m.PlayTake("nowhere"), "no recording"),
        (m.SelectModel("other"), "cannot be changed here"),
    ):
        desk.send(message)
        until(lambda words=words: any(words in job.text for job in desk.snapshot().jobs))
        assert all(job.failed for job in desk.snapshot().jobs)


def test_everything_else_goes_to_the_performance(desk):
    desk.send(m.SetGuidance(2.0))
    assert desk.performance.sent == [m.SetGuidance(2.0)]


def test_a_model_is_changed_and_a_bad_one_gives_way_to_the_former(tmp_path, no_jobs):
    opened = []

    def reopen(model: str) -> Played:
        opened.append(model)
        return Played(model, "failed" if model == "broken" else "playing")

    desk = Desk(Played(), Presets(tmp_path), tmp_path, reopen)
    desk.send(m.SelectModel("other"))
    until(lambda: desk.snapshot().model == "other")
    desk.send(m.SelectModel("broken"))
    until(lambda: any(job.failed for job in desk.snapshot().jobs))
    assert opened == ["other", "broken", "other"]
    assert desk.snapshot().model == "other"
    assert "no such weights" in desk.snapshot().jobs[-1].text
    desk.close()


def test_the_doctor_and_rendering_are_jobs(desk, no_jobs, tmp_path):
    folder = take(tmp_path / "takes" / "one")
    desk.send(m.ExamineModel("starter"))
    desk.send(m.RenderTake(str(folder), 16))
    desk.send(m.LookAround())
    until(lambda: len(no_jobs) == 3)
    doctor, render, listing = no_jobs
    assert listing[2] == ["models", "list"]
    assert listing[3]([{"name": "starter"}, {"name": "half", "complete": False}]) == "1 models"
    assert no_jobs[3][2] == ["models", "info", "starter"]
    no_jobs[3][3]({"name": "starter", "parameters": 2e6, "bytes": 9e6})
    assert desk.snapshot().models[0].says == "2.0 million parameters, 9 MB"
    assert doctor[2] == ["doctor", "--model", "starter"]
    report = {
        "engine": {"real_time_factor": 0.4}, "model": {"says": "33 MB"}, "verdict": "it plays",
    }  # fmt: skip
    assert doctor[3](report) == "it plays"
    (offer,) = desk.snapshot().models
    assert (offer.name, offer.fits, offer.verdict) == ("starter", True, "it plays")
    assert render[2][:3] == ["render", "--replay", str(folder)]
    assert render[2][-2:] == ["--steps", "16"]


def test_jobs_run_tell_their_end_and_can_be_cancelled():
    jobs = Jobs()
    jobs.start("list", "Listing", ["models", "list"], lambda rows: f"{len(rows)} of them")
    assert jobs.runs("list")
    jobs.start("bad", "Trying", ["models", "info", "no-such-model"], lambda _: "")
    until(lambda: len(jobs.all()) == 2 and all(job.done for job in jobs.all()), 60.0)
    by_name = {job.name: job for job in jobs.all()}
    assert by_name["list"].text.endswith("of them")
    assert not by_name["list"].failed
    assert by_name["bad"].failed
    assert "no-such-model" in by_name["bad"].text
    jobs.start("long", "Rendering", ["render", "--seconds", "900", "--out", "x.wav"], json.dumps)
    jobs.cancel("long")
    until(lambda: not jobs.runs("long"))
    assert "long" not in {job.name for job in jobs.all()}


def test_listening_mutes_and_gives_the_sound_back(desk, tmp_path, monkeypatch):
    """The player is another process; here one that fails, as there is no device in a test."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "lmdm-no-such-server")
    folder = take(tmp_path / "takes" / "one")
    desk.send(m.PlayTake(str(folder)))
    until(lambda: m.Mute(False) in desk.performance.sent, 30.0)
    assert desk.performance.sent == [m.Mute(True), m.Mute(False)]
    assert desk.snapshot().take_playing == ""


def test_a_name_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be the name"):
        Presets(tmp_path).new_file(" .. ")
    assert Presets(tmp_path).new_file("a/b").parent == tmp_path
