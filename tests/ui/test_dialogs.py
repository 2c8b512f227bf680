"""Set-up, presets and takes: what they show, what they send, and that they never block."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QFileDialog

from lmdm.live import messages as m
from lmdm.live.messages import Dropout, Job, ModelOffer, Preset, TakeSummary
from ui.picker import Picker
from ui.setup.sound import dropouts_words
from ui.takes import when_words

OUTPUTS = ("Built-in", "Scarlett")
PRESETS = (
    Preset("Evening", ("Dawn", "Walk"), "felt piano, strings"),
    Preset("First steps", ("Piano",), "solo piano", own=False),
)
TAKES = (
    TakeSummary("takes/b", "b", 61.0, "2026-11-24T21:05:00", "starter", ("choir",)),
    TakeSummary("takes/a", "a", 7.0, "2026-11-23T09:00:00", "starter", ("bells",), "takes/a/r.wav"),
)


def pick(picker: Picker, value: object) -> None:
    """As a click on an option does."""
    index = [each for _, each in picker.options].index(value)
    picker.setCurrentIndex(index)
    picker.activated.emit(index)


@pytest.fixture
def setup(panel):
    panel.show(
        outputs=OUTPUTS, inputs=("Mic",), device="Built-in", device_rate=48000, buffer_ms=90.0,
        lead_target_ms=1500.0, midi_inputs=("Launchkey",), midi_outputs=("Digitone",),
        models=(ModelOffer("starter", "33 MB"), ModelOffer("big", "1 GB", "too slow", False)),
        model="starter",
    )  # fmt: skip
    dialog = panel.window.open_dialog("set-up")
    assert panel.took() == [m.LookAround()]
    return dialog


def test_devices_are_shown_and_chosen(panel, setup):
    sound = setup.sound
    assert [words for words, _ in sound.output.options] == ["System default", *OUTPUTS]
    assert sound.output.value == "Built-in"
    assert sound.input.value == ""
    pick(sound.output, "Scarlett")
    pick(sound.input, "Mic")
    assert panel.took() == [m.SelectOutput("Scarlett"), m.SelectInput("Mic")]
    panel.show(device="Gone", outputs=OUTPUTS)  # one that is not in the list is shown all the same
    assert sound.output.value == "Gone"
    panel.show(device_lost=True)
    assert "unplugged" in sound.output_words.text()


def test_buffer_and_lead(panel, setup, qtbot):
    sound = setup.sound
    assert sound.buffer_words.text() == "90 ms"
    assert sound.lead.value() == 1.5
    qtbot.keyClick(sound.buffer, Qt.Key.Key_Right)
    sound.lead.setValue(2.0)
    assert panel.took() == [m.SetBuffer(91.0), m.SetLead(2.0)]


def test_dropouts_are_told_newest_first(panel, setup):
    assert setup.sound.history.text() == "None."
    history = tuple(Dropout(float(second), f"reason {second}") for second in range(9))
    panel.show(underruns=9, underrun_history=history)
    lines = setup.sound.history.text().split("\n")
    assert lines[0] == "9 in all"
    assert lines[1] == "0:08  reason 8"
    assert len(lines) == 6
    assert dropouts_words(panel.snapshot) == setup.sound.history.text()


def test_ports_and_roles(panel, setup):
    midi = setup.midi
    setup.tabs.turn(1)
    panel.show(midi="Launchkey", last_controller="cc:1:21 = 5", channel_roles=("drums",) * 16)
    assert midi.input.value == "Launchkey"
    assert "CC 21, channel 1, value 5" in midi.coming.text()
    assert midi.roles[15].value == "drums"
    pick(midi.input, "")
    pick(midi.output, "Digitone")
    pick(midi.roles[9], "chords")
    assert panel.took() == [
        m.SelectMidiInput(""), m.SelectMidiOutput("Digitone"), m.SetChannelRole(10, "chords"),
    ]  # fmt: skip


def test_the_clock(panel, setup):
    clock = setup.clock
    setup.tabs.turn(2)
    panel.show(clock_source="midi", clock_text="no clock for 3 s", beats_per_bar=3, clock_out=True)
    assert clock.words.text() == "no clock for 3 s"
    assert clock.out.isChecked()
    assert clock.beats.value() == 3
    pick(clock.source, "link")
    clock.out.click()
    clock.beats.setValue(5)
    assert panel.took() == [m.SetClockSource("link"), m.SetClockOut(False), m.SetMeter(5, 8)]


def test_models_their_verdicts_and_loading(panel, setup):
    page = setup.model
    setup.tabs.turn(3)
    panel.show(scene="x")
    starter, big = page.rows
    assert not starter.use.isEnabled()  # it plays now
    big.use.click()
    starter.ask.click()
    assert panel.took() == [m.SelectModel("big"), m.ExamineModel("starter")]
    panel.show(jobs=(Job("examine starter", "Measuring"),))
    assert not starter.ask.isEnabled()
    panel.show(status="loading", progress=0.4, text="loading torch")
    assert page.loading.isVisible()
    assert page.loading.value() == 40
    assert page.words.text() == "loading torch"


def test_dialogs_do_not_hold_the_panel_up(panel, setup):
    assert not setup.isModal()
    panel.window.safety.mute.click()
    assert panel.took() == [m.Mute(True)]


# --- presets --------------------------------------------------------------------------------------


@pytest.fixture
def presets(panel):
    panel.show(presets=PRESETS, scenes=("Dawn",))
    dialog = panel.window.open_dialog("presets")
    panel.took()
    return dialog


def test_presets_are_searched_in_all_their_words(presets):
    for words, names in (
        ("piano", ["Evening", "First steps"]),
        ("STRINGS walk", ["Evening"]),
        ("lmdm", ["First steps"]),
        ("tuba", []),
    ):
        presets.search.setText(words)
        found = presets.table.found
        assert [found.index(row, 0).data() for row in range(found.rowCount())] == names
        assert presets.nothing.isVisible() == (not names)


def test_presets_are_loaded_saved_and_deleted(panel, presets, qtbot):
    presets.search.setText("first")  # selects what is found
    assert not presets.delete.isEnabled()  # it came with the program
    qtbot.keyClick(presets.search, Qt.Key.Key_Return)
    presets.search.setText("evening")
    presets.table.selectRow(0)
    presets.load.click()
    presets.delete.click()
    presets.name.setText(" Night ")
    presets.save.click()
    assert panel.took() == [
        m.LoadPreset("First steps"), m.LoadPreset("Evening"), m.DeletePreset("Evening"),
        m.SavePreset("Night"),
    ]  # fmt: skip
    assert not presets.save.isEnabled()


def test_scenes_come_from_a_file_too(panel, presets, tmp_path):
    presets.from_file.click()
    ask = next(each for each in presets.findChildren(QFileDialog) if each.isVisible())
    ask.fileSelected.emit(str(tmp_path / "a.toml"))
    ask.close()
    assert panel.took() == [m.LoadScenes(str(tmp_path / "a.toml"))]


# --- takes ----------------------------------------------------------------------------------------


@pytest.fixture
def takes(panel):
    panel.show(takes=TAKES)
    dialog = panel.window.open_dialog("takes")
    panel.took()
    return dialog


def test_takes_are_heard_rendered_and_shown(panel, takes, monkeypatch):
    shown = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()) or True
    )
    takes.play.click()
    pick(takes.quality, 32)
    takes.render_button.click()
    takes.reveal.click()
    assert panel.took() == [m.PlayTake("takes/b"), m.RenderTake("takes/b", 32)]
    assert shown == ["takes/b"]
    panel.show(take_playing="takes/b")
    assert takes.play.text() == "Stop"
    takes.play.click()
    assert panel.took() == [m.StopTake()]


def test_where_no_program_shows_folders_the_banner_says_where_it_is(panel, takes, monkeypatch):
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: False)
    takes.reveal.click()
    assert "takes/b" in panel.window.banner.text


def test_rendering_is_shown_and_cancelled(panel, takes):
    assert not takes.jobs.isVisible()
    panel.show(jobs=(Job("render takes/b", "Rendering b with 32 steps", 0.25),))
    assert takes.job.value() == 250
    takes.cancel.click()
    assert panel.took() == [m.CancelJob("render takes/b")]
    panel.show(jobs=(Job("render takes/b", "b is rendered: r.wav", 1.0, done=True),))
    assert takes.job_words.text() == "b is rendered: r.wav"
    assert not takes.cancel.isVisible()


def test_a_failed_job_is_told_once_in_the_banner(panel):
    failed = Job("render takes/b", "the disk is full", 0.5, done=True, failed=True)
    panel.show(jobs=(failed,))
    assert panel.window.banner.text == "The disk is full"
    panel.window.banner.dismiss.click()
    panel.show(jobs=(failed,), underruns=1)
    assert panel.window.banner.text == ""


def test_dates_are_written_as_people_write_them():
    assert when_words("2026-11-04T09:05:59") == "4 Nov 2026, 09:05"
    assert when_words("yesterday") == "yesterday"
