"""A performance: engine, output, MIDI and take, joined. What GUI, terminal, OSC and timer drive."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audio_io.clock_output import Position
from audio_io.device_keeper import CAPACITY_MS, DeviceKeeper
from audio_io.devices import NO_PORTAUDIO
from audio_io.meters import Meter, stereo_decibels
from audio_io.output import Output
from audio_io.playout import ClockPlayout, Playout, open_playout
from lmdm.cli.midi.desk import MidiDesk
from lmdm.cli.stage.clocks import Clocks
from lmdm.cli.stage.dropouts import Dropouts
from lmdm.cli.stage.fade_out import FadingOut
from lmdm.cli.stage.heard import Heard
from lmdm.cli.stage.instant import Instant
from lmdm.cli.stage.keeper import SCENE_MESSAGES, Keeper
from lmdm.cli.stage.live_input import LiveInput
from lmdm.cli.stage.osc_door import LOOPBACK, OscDoor
from lmdm.cli.stage.performed import figures
from lmdm.cli.takes import Takes, versions
from lmdm.errors import InputError
from lmdm.live import heap
from lmdm.live import messages as m
from lmdm.live.autosave import Saved
from lmdm.live.controls import Controls
from lmdm.live.edits import Edits
from lmdm.live.latency import LatencyMeter
from lmdm.live.messages import Message, Snapshot
from lmdm.live.player import SAMPLE_RATE, Player
from lmdm.live.ring import AudioRing, sweep
from lmdm.live.sound_file import check_sound
from lmdm.live.supervisor import Supervisor, failure
from lmdm.live.take import Applied, TakeHeader, check_no_take
from lmdm.live.tap import TapTempo

RING_SECONDS = 12.0  # holds the deepest lead that SetLead allows
BUFFER_MS = 90.0
LOAD_TIMEOUT = 180.0
BASS_HZ = 150.0  # what lies below is the bass that is muted
TOLD_SECONDS = 10.0  # how long a line for the musician is shown


@dataclass(frozen=True)
class PerformanceSettings:
    """What a performance is opened with."""

    model: str
    controls: Controls
    lead: float = 1.5  # seconds
    threads: int = 0
    precision: str = "auto"
    audio_device: str | None = None  # None: the default, or none if there is none
    midi_port: str | None = None  # None: a virtual port
    take: Path | None = None  # None: no take, unless there is no device
    buffer_ms: float = BUFFER_MS
    osc: tuple[str, int] | None = None  # host and port to listen on
    osc_to: tuple[str, int] | None = None  # whom the state is sent to
    home: Path | None = None  # where scenes and the session are kept; None: nowhere
    light: str = ""  # file of a memorization light; empty: the model's own, if it has one
    rewinds: bool = True  # False: no commit horizon, to measure what it gains
    restore: bool | None = None  # go on with the kept session; None: if it broke off


class Performance:
    """Everything that plays.

    Threads: `open`, `wait_playing` and `close` belong to one thread. `send` and `snapshot` may be
    called from any thread and return at once. A starting thread lets the sound begin when it is
    ready; MIDI, clocks and the keeper of the session have threads of their own.
    """

    def __init__(self, settings: PerformanceSettings) -> None:
        self.settings = settings
        self.notices: list[str] = []  # what is missing here, one line each
        self.quitting = threading.Event()
        self._keeper = Keeper(settings.home, self._tell)
        self._takes = Takes(lambda: self.supervisor.settle())
        self._edits, self._taps = Edits(), TapTempo()
        self._heard = Heard(self._look_heard)
        self._desk: MidiDesk | None = None
        self._latency = LatencyMeter()  # of the instant lane
        self._transport: m.Transport = "playing"
        self._playing = threading.Event()
        self._take_wanted, self._take_folder = False, settings.take
        self._problem: InputError | None = None
        self._style = ""  # the file
        self._told, self._told_until = "", 0.0  # the newest line for the musician
        self.opened = False  # and not closed again
        self.front: Any = self  # what OSC talks to: us, or the desk that is around us
        self._resources = ExitStack()  # closes what is open, newest first

    def open(self) -> None:
        """Opens device and MIDI, makes the take's folder and starts the engine; does not wait.

        Raises:
            InputError: a named device or port is not there, or the take's folder has a take.
        """
        if self.settings.take is not None:
            check_no_take(self.settings.take)
        sweep()
        try:
            self._open_all()
        except BaseException:
            self._resources.close()
            raise
        self.opened = True
        threading.Thread(target=self._begin, name="begin", daemon=True).start()

    def _open_all(self) -> None:
        settings, closing = self.settings, self._resources.callback
        playout = self._open_playout()
        closing(playout.close)
        self._take_wanted = settings.take is not None or isinstance(playout, ClockPlayout)
        self._ring = AudioRing.create(round(RING_SECONDS * SAMPLE_RATE))
        closing(self._ring.unlink)
        closing(self._ring.close)
        self._player = Player(
            self._ring,
            channels=playout.channels,
            on_hold=self._takes.held,
            patience=lambda: self.output.patience,
        )
        self._meter = Meter(SAMPLE_RATE)
        self._player.add_tap(lambda pcm, _: self._meter.process(pcm))
        self._player.add_tap(self._takes.hear)
        self.output = Output(self._player.read, playout)
        self.output.set_buffer_ms(settings.buffer_ms)
        self._dropouts = Dropouts(self.output, self._player)
        saved = self._keeper.wanted(settings.restore, self._model_path())
        self.notices += self._keeper.notices
        self.controls = settings.controls if saved is None else saved.controls
        self._live_input = LiveInput(self._heard_position, self._tell)
        closing(self._live_input.close)
        self.supervisor = Supervisor(
            self._ring,
            settings.model,
            self.controls,
            lead=settings.lead,
            threads=settings.threads,
            precision=settings.precision,
            on_applied=self._takes.applied,
            on_remark=self._remark,
            on_notice=self._tell,
            saved=saved,
            rewinds=settings.rewinds,
            input_ring=self._live_input.ring.name,
            light=settings.light,
            input_offset=lambda: self._live_input.offset,
        )
        closing(self.supervisor.stop)
        closing(self.output.close)
        self.output.listen_to(self._live_input.monitor, self._takes.hear_input)
        self._instant = Instant(self.output, self._live_input)
        self._fading = FadingOut(self.send, lambda: self._instant.gain_db)
        closing(self._fading.close)
        self._devices = DeviceKeeper(self.output, self._tell)
        closing(self._devices.close)
        self._clocks = Clocks(self.send, self._position, self._tell)
        closing(self._clocks.close)
        self.osc = OscDoor(
            lambda message: self.front.send(message),
            lambda: replace(self.front.snapshot(), takes=(), models=()),  # too long for a packet
            self._tell,
        )
        self._open_midi()
        closing(self._clocks.send_out, False)  # while there is a port
        self.osc.open(settings.osc, [settings.osc_to] if settings.osc_to else [])
        closing(self.osc.close)
        closing(self._keeper.close)
        self.supervisor.start()
        self.output.start()

    def _open_playout(self) -> Playout:
        wanted = self.settings.audio_device
        try:
            return open_playout(wanted, CAPACITY_MS)
        except InputError as problem:
            if wanted is not None and NO_PORTAUDIO not in str(problem):
                raise
            self.notices.append(f"{problem}; playing to a file instead")
            return ClockPlayout(SAMPLE_RATE, round(SAMPLE_RATE * CAPACITY_MS / 1000.0))

    def _open_midi(self) -> None:
        try:
            home = self.settings.home
            folder = home / "midi" if home is not None else None
            port = self.settings.midi_port
            self._desk = MidiDesk(self.send, self.snapshot, port, folder, self._tell)
            self._resources.callback(self._desk.close)
            self._clocks.use_midi(self._desk.clock, self._desk.send)
        except InputError as problem:
            if self.settings.midi_port is not None:
                raise
            self.notices.append(str(problem))

    def _begin(self) -> None:
        if not self.supervisor.wait_ready(LOAD_TIMEOUT) or not self.opened:
            return
        if self.supervisor.snapshot().status != "failed":
            try:
                heap.settle()
                if self._take_wanted:
                    self._takes.start(self._take_folder, self._header())
                self._keeper.begin(self._to_keep)
                self._dropouts.begin()
                self._player.begin()
            except InputError as problem:  # the disk refuses the take
                self._problem = problem
        self._playing.set()

    def wait_playing(self) -> None:
        """Waits until the sound begins.

        Raises:
            InputError: the model cannot be loaded, by the user's mistake.
            RuntimeError: the engine failed.
        """
        if not self._playing.wait(LOAD_TIMEOUT):
            raise RuntimeError(f"the engine was not ready within {LOAD_TIMEOUT:.0f} s")
        self.check()

    def check(self) -> None:
        """Raises the engine's failure, if it has failed for good."""
        if self._problem is not None:
            raise self._problem
        if self.supervisor.snapshot().status == "failed":
            raise failure(self.supervisor)

    # --- controls ------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Does what a control message asks.

        Raises:
            InputError: what is asked for is not there (a take's folder, a scene, a device, a port),
                or only the engine may say it.
        """
        m.from_a_hand(message)
        self.osc.mirror(message)
        if self._desk is not None:
            self._desk.observe(message)
            if self._desk.handle(message):
                return
        if self._now(message):
            return
        if isinstance(message, m.SetTempo):
            self._clocks.set_bpm(message.bpm)
        match message:
            case m.SelectInput(device=device):
                self._live_input.select(device)
            case m.FadeOut(seconds=seconds):
                self._fading.begin(seconds)
            case m.Play() | m.Pause() | m.Stop():
                self._move(message)
            case m.Tap():
                self._tap()
            case m.Quit():
                self.quitting.set()
            case m.StartRecording(folder=folder):
                self._record(Path(folder) if folder else None)
            case m.StopRecording():
                self._take_wanted = False
                self._takes.stop()
            case m.SelectOutput(device=device):
                self._devices.select(device or None)
            case m.SetBuffer(milliseconds=milliseconds):
                self.output.set_buffer_ms(milliseconds)
            case m.SetOsc(port=port, reply_host=host, reply_port=reply_port):
                replies = [(host, reply_port)] if host else []
                self.osc.open((LOOPBACK, port) if port else None, replies)
            case m.LookAround():
                self._devices.scan()
            case m.SetClockSource(source=source):
                self._clocks.select(source)
            case m.SetClockOut(on=on):
                self._clocks.send_out(on)
            case m.UndoChange() | m.RedoChange():
                self._edit(isinstance(message, m.UndoChange))
            case m.SetBassMute(on=on):
                if m.kind_of(m.SetBassMute) not in self.supervisor.snapshot().heard_kinds:
                    self._now(m.SetHighPass(BASS_HZ if on else None))
                self._to_engine(message)
            case _ if not self._scene(message):
                self._to_engine(message)

    def _to_engine(self, message: Message) -> None:
        if isinstance(message, (m.Prime, m.SetStyle)) and message.file:
            check_sound(Path(message.file))
            message = replace(message, file=str(Path(message.file).resolve()))
        if isinstance(message, m.SetStyle):
            self._style = message.file
        heard = self._heard_position()
        if isinstance(message, m.SetClock) and message.heard is None:
            message = replace(message, heard=heard)
        if message.lane != "instant":
            self._edits.note(self.supervisor.controls(), message, time.monotonic())
        if message.lane != "instant" or isinstance(message, (m.SetLead, m.SetGovernor)):
            self.supervisor.send(message, heard=heard)

    def _now(self, message: Message) -> bool:
        """Does what acts in the audio path; False if the message is about something else."""
        if not self._instant.do(message):
            return False
        if isinstance(message, m.Panic):
            self.supervisor.send(m.AllNotesOff())
        stats = self.output.stats()
        buffered = round(stats.buffered_ms * SAMPLE_RATE / 1000.0)
        self._latency.add(round((stats.latency_ms - stats.buffered_ms) * SAMPLE_RATE / 1000.0))
        self._takes.applied(Applied(max(0, self._player.position - buffered), message))
        self._fading.observe(message)
        return True

    def _record(self, folder: Path | None) -> None:
        """Begins a take, or lets it begin with the music while that has yet to begin."""
        if self._playing.is_set():
            self._takes.start(folder, self._header())
            return
        if folder is not None:
            check_no_take(folder)
        self._take_wanted, self._take_folder = True, folder

    def _move(self, message: Message) -> None:
        """Play, pause and stop."""
        if isinstance(message, m.Play):
            if self._transport == "stopped":
                self._player.hush(self.supervisor.landed_at("set_beat"))
            self._transport = "playing"
            self._player.pause(False)
            return
        self._player.pause(True)
        if isinstance(message, m.Stop) and self._transport != "stopped":
            for change in (m.AllNotesOff(), m.ResetContext(), m.SetBeat(0.0)):
                self.supervisor.send(change, heard=self._heard_position())
        self._transport = "stopped" if isinstance(message, m.Stop) else "paused"

    def _tap(self) -> None:
        bpm = self._taps.tap(time.monotonic())
        if bpm is not None:
            heard = self._heard_position()
            beat = max(0, round(self.supervisor.beat(heard)))
            self._to_engine(m.SetClock(round(bpm, 2), float(beat), heard))

    def _edit(self, undo: bool) -> None:
        present = self.supervisor.controls()
        change = self._edits.undo(present) if undo else self._edits.redo(present)
        if change is not None:
            self.supervisor.send(change, heard=self._heard_position())

    def _scene(self, message: Message) -> bool:
        """Does what a message about scenes asks; False if it is about something else."""
        if not isinstance(message, SCENE_MESSAGES):
            return False
        recalled = self._keeper.do(message, self.supervisor.controls())
        if recalled is not None:
            self._to_engine(recalled)
        return True

    def _remark(self, position: int, text: str) -> None:
        """Something went wrong and was mended: it is told, and noted in the take."""
        self._tell(text)
        self._takes.remarked(position, text)

    def _tell(self, text: str) -> None:
        self._told, self._told_until = text, time.monotonic() + TOLD_SECONDS

    def _line(self, base: Snapshot) -> str:
        """The one line that the musician is to know now."""
        told = self._told if time.monotonic() < self._told_until else ""
        return base.text if base.status == "failed" else self._takes.error or told or base.text

    # --- where the music is --------------------------------------------------------------------

    def _heard_position(self) -> int:
        """The stream position whose sound reaches the ear now."""
        return self._heard.position()

    def _look_heard(self) -> int:
        late = round(self.output.stats().latency_ms * SAMPLE_RATE / 1000.0)
        return self._ring.read_total - late

    def _position(self) -> Position:
        base = self.supervisor.snapshot()
        running = self._transport == "playing" and self._playing.is_set()
        return Position(max(0.0, self.supervisor.beat(self._heard_position())), base.bpm, running)

    def _header(self) -> TakeHeader:
        return TakeHeader(
            model=self._model_path(),
            model_sha256=self.supervisor.model_sha256,
            controls=self.controls,
            block_frames=self.supervisor.block_frames,
            versions=versions(),
        )

    def _model_path(self) -> str:
        path = Path(self.settings.model)
        return str(path.resolve()) if path.is_dir() else self.settings.model

    def _to_keep(self, ended: bool) -> Saved | None:
        remembered = self.supervisor.remembered()
        if remembered is None:
            return None
        model, take = self._model_path(), self._takes.folder
        return Saved(
            model,
            self.supervisor.model_sha256,
            *remembered,
            time.time(),
            ended,
            str(Path(take).resolve()) if take else "",
        )

    # --- looking -------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything the musician is shown."""
        base, stats = self.supervisor.snapshot(), self.output.stats()
        heard = max(0, self._heard_position())
        clocks, edits = self._clocks, self._edits
        return replace(
            base,
            text=self._line(base),
            heard=heard,
            heard_beat=max(0.0, self.supervisor.beat(heard)),
            style=self._style,
            horizon_ms=round(base.horizon_ms + stats.latency_ms, 1),
            latency={**base.latency, "instant": self._latency.summary()},
            device_ms=round(stats.latency_ms, 1),
            underruns=self._dropouts.count,
            underrun_history=self._dropouts.history,
            restored=self.supervisor.restored,
            limiter_db=-stats.gain_reduction_db,
            level_db=stereo_decibels(self._meter.rms),
            peak_db=stereo_decibels(self._meter.peak),
            transport=self._transport,
            clock_source=clocks.source,
            clock_out=clocks.out,
            clock_text=clocks.text(),
            scenes=self._keeper.scenes.names,
            undoable=edits.undoable,
            redoable=edits.redoable,
            recording=self._takes.folder,
            disk_seconds=self._takes.disk_seconds(),
            device=stats.device,
            device_rate=stats.rate,
            device_lost=stats.device_lost,
            buffer_ms=stats.buffer_ms,
            outputs=tuple(d.name for d in self._devices.devices if d.output_channels > 0),
            inputs=tuple(d.name for d in self._devices.devices if d.input_channels > 0),
            osc=self.osc.text,
            **self._instant.fields(),
            **self._live_input.fields(),
            **(self._desk.fields() if self._desk is not None else {}),
        )

    def add_listener(self, tap: Any) -> None:
        """Lets `tap(pcm, position)` hear the stream, in the output thread."""
        self._player.add_tap(tap)

    def close(self) -> dict[str, Any]:
        """Fades out and ends everything; returns the figures of the performance.

        Nothing is done, and there are no figures, where it is not open.
        """
        if not self.opened:
            return {}
        self.opened = False
        last = self.snapshot()  # before anything is closed: what ends is no underrun
        self.output.set_mute(True)
        self._takes.stop()
        self._resources.close()
        heap.end()
        return {
            "seconds": round(self._player.position / SAMPLE_RATE, 3),
            **figures(last),
            "take": self._takes.last or None,
            "model": self.supervisor.model_name,
            "model_sha256": self.supervisor.model_sha256,
            "notices": self.notices,
        }
