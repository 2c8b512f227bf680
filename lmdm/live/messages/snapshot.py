"""Snapshots: what the engine and the audio path tell the musician, about twenty times a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lmdm.live.messages.message import built, plain

Status = Literal["loading", "playing", "restarting", "stopped", "failed"]
Transport = Literal["playing", "paused", "stopped"]


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a control to the first sample it changed, over the last controls."""

    p50: float = 0.0
    p95: float = 0.0
    count: int = 0


@dataclass(frozen=True)
class Waiting:
    """A quantised change that waits for its boundary."""

    kind: str  # of the change
    text: str  # in a few words, such as the scene's name
    boundary: str
    beats: float  # from what is heard now until it is heard


@dataclass(frozen=True)
class Landed:
    """A control that took effect, and where in the sound: a marker for the views."""

    kind: str
    text: str
    sample: int  # stream position of the first sample it changed
    latency_ms: float  # from the musician's hand to the ear


@dataclass(frozen=True)
class Dropout:
    """The sound ran out, or quality was given up so that it did not."""

    seconds: float  # of playing, when it happened
    reason: str


@dataclass(frozen=True)
class Memorization:
    """The memorization light (docs/safety.md).

    state: empty without a light; "unknown", nothing can be said yet, or not with these steps and
    guidance; "clear"; "unusual", the sampler's updates are; "near", what is played is close to a
    passage of the training set. score: the updates'; similarity: of the nearest passage, at most 1.
    """

    state: str = ""
    text: str = ""
    score: float | None = None
    similarity: float | None = None


@dataclass(frozen=True)
class ControllerMapping:
    """A controller's mapping; fields as in `SetMapping`, and where the controller is."""

    source: str
    target: str
    low: float = 0.0
    high: float = 1.0
    takeover: str = "pickup"
    encoding: str = "absolute"
    hand: float | None = None  # share of the target's range at which the controller is, if known
    holds: bool = False  # False: it has yet to pass where the control stands (soft takeover)


@dataclass(frozen=True)
class TakeSummary:
    """A take that was recorded earlier."""

    folder: str
    name: str
    seconds: float
    when: str  # date and time, as ISO 8601
    model: str
    prompts: tuple[str, ...] = ()
    rendered: str = ""  # the file of its newest rendering, empty when none
    whole: bool = True  # False: it was cut off, and ends where the log does


@dataclass(frozen=True)
class Preset:
    """Scenes kept under a name."""

    name: str
    scenes: tuple[str, ...]
    words: str = ""  # its prompts, to search in
    own: bool = True  # the musician's own, not one that came with the program


@dataclass(frozen=True)
class ModelOffer:
    """A model that is on this machine."""

    name: str
    says: str  # size and licence, in a few words
    verdict: str = ""  # the doctor's, empty when it was not asked
    fits: bool | None = None  # whether it can be played here; None unknown


@dataclass(frozen=True)
class Job:
    """Something that runs in the background."""

    name: str
    text: str
    progress: float = 0.0  # 0 to 1
    done: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Snapshot:
    """What the musician sees. All fields are plain values.

    Levels are dB full scale of the last block (-120 is silence); `latency` maps a lane to its
    measured latency and `control_latency` a message kind; `beat` counts beats from the first
    downbeat at the sound that is now generated, `heard_beat` at the sound that is now heard.
    """

    # the engine
    status: Status = "loading"
    text: str = ""  # one line for the musician: what is happening, or why it is not
    progress: float = 0.0  # of loading, 0 to 1
    model: str = ""
    heard_kinds: tuple[str, ...] = ()  # kinds of messages that this model hears
    block: int = 0  # blocks generated
    samples: int = 0  # samples generated at 44.1 kHz
    committed: int = 0  # samples that no control can change any more
    heard: int = 0  # samples heard
    real_time_factor: float = 0.0  # generation time / duration, over the last blocks; under 1 plays
    generation_ms: float = 0.0  # time a block takes, as the commit horizon reckons with it
    block_ms: float = 0.0  # duration of a block
    lead_ms: float = 0.0  # sound generated and not yet heard
    lead_target_ms: float = 0.0  # what `SetLead` and the governor ask for
    horizon_ms: float = 0.0  # from now to the first sound that a control could change
    device_ms: float = 0.0  # latency the device reports
    latency: Mapping[str, Latency] = field(default_factory=dict)
    control_latency: Mapping[str, Latency] = field(default_factory=dict)
    landed: tuple[Landed, ...] = ()  # the newest, oldest first
    underruns: int = 0
    underrun_history: tuple[Dropout, ...] = ()  # the newest, oldest first
    restarts: int = 0
    governor: str = ""  # what quality was given up, and why; empty when nothing was
    governor_level: int = 0  # how many measures are taken; 0 none
    governor_on: bool = True
    memorization: Memorization = Memorization()  # to the training set
    restored: str = ""  # what an earlier session was restored from; empty when nothing was

    # the output
    limiter_db: float = 0.0  # gain reduction, 0 or below
    level_db: tuple[float, float] = (-120.0, -120.0)  # RMS, left and right
    peak_db: tuple[float, float] = (-120.0, -120.0)
    gain_db: float = 0.0
    muted: bool = False
    low_pass: float | None = None
    high_pass: float | None = None

    # time
    transport: Transport = "playing"
    bpm: float = 120.0
    beat: float = 0.0
    heard_beat: float = 0.0
    beats_per_bar: int = 4
    bars_per_phrase: int = 8
    clock_source: str = "internal"
    clock_out: bool = False
    clock_text: str = ""  # what the external clock does, such as "no clock for 3 s"
    quantise: str = "now"
    waiting: tuple[Waiting, ...] = ()  # quantised changes, soonest first

    # what the model is asked for
    prompts: tuple[tuple[str, float], ...] = ()
    blend: float | None = None
    pad: tuple[float, float] | None = None
    blend_mode: str = "linear"
    glide: float = 0.0  # beats
    gliding: float = 1.0  # how far the running glide is, 0 to 1
    negative_prompt: str = ""
    style: str = ""  # the style's file
    style_weight: float = 1.0
    style_text: str = ""  # the known prompts that stand for it
    guidance: float = 1.0
    steps: int = 4
    drums: bool | None = None
    bass_mute: bool = False
    bass_and_drums_only: bool = False
    density: float | None = None
    brightness: float | None = None
    chord: tuple[int, ...] | None = None
    key: tuple[int, str] | None = None
    loudness_db: float | None = None
    notes_mode: str = "auto"
    held: tuple[int, ...] = ()  # pitches that sound
    sustain: bool = False
    pitch_bend: float = 0.0
    seed: int = 0
    seed_mode: str = "run"
    section: str = ""
    recall: float = 0.0
    recalled: tuple[int, ...] = ()  # numbers of the bars that memory gave to the last block
    remembered: int = 0  # bars in memory
    freeze: float | None = None
    scenes: tuple[str, ...] = ()
    scene: str = ""  # the one recalled last
    undoable_bars: int = 0  # how far `UndoBars` can go back
    undoable: bool = False  # whether `UndoChange` has something to take back
    redoable: bool = False

    # live input
    input_device: str = ""
    input_ms: float = 0.0  # latency of the input, which the engine compensates
    input_level_db: tuple[float, float] = (-120.0, -120.0)
    input_gain_db: float = 0.0
    jam_mode: str = "off"
    future_visibility: float = 0.0
    transform: float = 0.7
    delay_beats: float = 4.0
    feedback: float = 0.0
    feedback_guard_db: float = 0.0  # what the guard takes off, 0 or below
    dry: float = 0.0
    wet: float = 1.0

    # take
    recording: str = ""  # the take's folder, empty when none
    disk_seconds: float | None = None  # how long the disk lasts at this rate; None unknown

    # devices and ports
    device: str = ""
    device_rate: int = 0
    device_lost: bool = False
    buffer_ms: float = 0.0
    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    midi: str = ""
    midi_out: str = ""
    midi_inputs: tuple[str, ...] = ()
    midi_outputs: tuple[str, ...] = ()
    channel_roles: tuple[str, ...] = ()  # of channels 1 to 16
    learning: str = ""  # the target that waits for a controller
    last_controller: str = ""  # the controller that moved last, such as cc:1:74 = 63
    mappings: tuple[ControllerMapping, ...] = ()
    osc: str = ""  # where we listen and whom we send to; empty when off

    # the desk
    models: tuple[ModelOffer, ...] = ()
    presets: tuple[Preset, ...] = ()
    takes: tuple[TakeSummary, ...] = ()  # newest first
    take_playing: str = ""  # the folder of the take that is played, empty when none
    jobs: tuple[Job, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Snapshot:
        """The snapshot of a JSON form. Raises InputError on an unknown field."""
        return built(cls, {name: _restored(name, v) for name, v in values.items()}, "snapshot")


_RECORDS: dict[str, type[Any]] = {
    "waiting": Waiting,
    "landed": Landed,
    "underrun_history": Dropout,
    "mappings": ControllerMapping,
    "models": ModelOffer,
    "presets": Preset,
    "takes": TakeSummary,
    "jobs": Job,
}


def _restored(name: str, value: Any) -> Any:
    if name in ("latency", "control_latency") and isinstance(value, Mapping):
        return {key: built(Latency, each, name) for key, each in value.items()}
    if name == "memorization" and isinstance(value, Mapping):
        return built(Memorization, value, name)
    if name in _RECORDS and isinstance(value, (list, tuple)):
        return tuple(built(_RECORDS[name], _tuples(each), name) for each in value)
    if name == "prompts" and isinstance(value, (list, tuple)):
        return tuple((str(text), float(weight)) for text, weight in value)
    return tuple(value) if isinstance(value, list) else value


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples they were."""
    return {key: tuple(each) if isinstance(each, list) else each for key, each in values.items()}
