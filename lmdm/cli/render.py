"""`lmdm render`: the live stream into a file, offline and exact."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import long_form
from lmdm.cli import options as shared
from lmdm.errors import InputError
from lmdm.live.clock import SAMPLE_RATE
from lmdm.live.controls import Controls
from lmdm.live.messages import Message
from lmdm.outputs import check_file

if TYPE_CHECKING:
    import numpy as np

    from lmdm.checkpoints import Model
    from lmdm.live.session import Session
    from lmdm.live.take import Take

DEFAULT_SECONDS = 30.0
TAIL_SECONDS = 2.0  # sound after the end of a MIDI file
_SOURCES = ("midi", "input", "prime", "scene")
_SETTINGS = (
    "prompt", "blend", "guidance", "steps", "seed", "bpm", "drums", "density", "brightness",
    "mute_bass", "loudness", "notes_mode", "future_visibility",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".wav or .flac")
    parser.add_argument(
        "--seconds",
        type=shared.duration,
        metavar="N",
        help="length (default: the MIDI file's or the take's, else 30)",
    )
    parser.add_argument("--midi", type=Path, metavar="FILE", help="notes and tempo to follow")
    parser.add_argument("--input", type=Path, metavar="FILE", help="sound to accompany")
    parser.add_argument(
        "--future-visibility",
        type=shared.number(-8, 8),
        metavar="BEATS",
        help="of --input after a block's beginning that the block hears (all that sounds with it)",
    )
    parser.add_argument("--prime", type=Path, metavar="FILE", help="sound to go on from")
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="DIR",
        help="a take's folder, played again (with --steps in that quality)",
    )
    shared.add_controls(parser)
    shared.add_model(parser)
    long_form.add_arguments(parser)
    shared.add_json(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


@dataclass(frozen=True)
class _Plan:
    """What is to be rendered."""

    model: str
    controls: Controls
    events: tuple[tuple[int, Message], ...]
    samples: int
    prime: np.ndarray | None  # [n, 2]
    input: np.ndarray | None  # a part to accompany, or a take's live input [n, 2]
    take: Take | None


def run(options: argparse.Namespace) -> int:
    """Renders; prints one line, or one JSON object with --json."""
    from lmdm.cli.sound_file import SUFFIXES, write_sound

    check_file(options.out, SUFFIXES)
    plan = _replay_plan(options) if options.replay is not None else _plan(options)

    import torch

    from lmdm.checkpoints import load
    from lmdm.live.engine import torch_threads
    from lmdm.live.session import Session

    torch.set_num_threads(torch_threads(options.threads))
    model = load(plan.model, precision=options.precision)
    _check_asked(options, plan, model)
    controls = plan.controls
    begun = time.perf_counter()
    facts: dict[str, Any] = {}
    if options.long or options.sections is not None:
        pieces, facts = long_form.run(options, model, controls, plan.events, plan.samples)
    else:
        session = Session(model, controls)
        if plan.prime is not None:
            session.prime(_encoded(model, plan.prime, session.context_frames))
        heard = _heard(options, plan, model)
        pieces = _progress(_pieces(session, plan, heard), plan.samples, options.quiet)
    samples, peak = write_sound(options.out, pieces)
    seconds = time.perf_counter() - begun
    _tell(options, model, controls, samples, peak, seconds, facts)
    return 0


def _plan(options: argparse.Namespace) -> _Plan:
    from lmdm.live.sound_file import read_sound

    defaults: dict[str, Any] = {}
    events: tuple[tuple[int, Message], ...] = ()
    seconds = options.seconds
    if options.midi is not None:
        from lmdm.live.midi_file import read_score

        score = read_score(options.midi, options.bpm)
        events = score.events
        defaults["bpm"] = score.bpm
        if score.notes:
            defaults["notes_mode"] = "follow"
        if score.drums:
            defaults["drums"] = True
        if seconds is None and score.samples:
            seconds = score.samples / SAMPLE_RATE + TAIL_SECONDS
    controls = shared.controls_from(options, defaults)
    samples = round((seconds or DEFAULT_SECONDS) * SAMPLE_RATE)
    prime = read_sound(options.prime) if options.prime is not None else None
    part = None
    if options.input is not None:
        part = read_sound(options.input)
        controls = replace(controls, jam_mode="context")
        if seconds is None:
            samples = len(part)
    elif options.future_visibility is not None:
        raise InputError("--future-visibility is about the sound of --input, which is not given")
    return _Plan(options.model, controls, events, samples, prime, part, None)


def _replay_plan(options: argparse.Namespace) -> _Plan:
    """The plan of a take; options that would make it another performance are refused."""
    from lmdm.live.sound_file import read_sound
    from lmdm.live.take import AUDIO_NAME, INPUT_NAME, read_take

    fixed = [name for name in (*_SOURCES, *_SETTINGS) if name != "steps"]
    contrary = [name for name in fixed if getattr(options, name) is not None]
    if contrary:
        flag = "--" + contrary[0].replace("_", "-")
        raise InputError(f"--replay plays a take as it was; leave out {flag}")
    take = read_take(options.replay)
    samples = take.samples
    if samples is None:  # the take ended in a crash: as long as its sound
        samples = len(read_sound(options.replay / AUDIO_NAME))
    if options.seconds is not None:
        samples = min(samples, round(options.seconds * SAMPLE_RATE))
    take = take.with_samples(samples)
    if options.steps is not None:
        take = take.with_steps(options.steps)
    model = options.model if options.model != "starter" else take.header.model
    file = options.replay / INPUT_NAME
    live = read_sound(file) if file.exists() else None
    return _Plan(model, take.header.controls, (), samples, None, live, take)


def _check_asked(options: argparse.Namespace, plan: _Plan, model: Model) -> None:
    """Refuses what this model cannot honour, rather than leave it out in silence."""
    from lmdm.live.accompaniment import hears_accompaniment

    names = model.conditioning.names if model.conditioning is not None else ()
    wordless = model.text_encoder is None  # else these two are said in words
    asked = {
        "accompaniment": ("--input", options.input is not None and not hears_accompaniment(model)),
        "density": ("--density", options.density is not None and wordless),
        "brightness": ("--brightness", options.brightness is not None and wordless),
        "bass": ("--mute-bass", options.mute_bass is not None),
        "drums": ("--drums", options.drums is not None),
        "loudness": ("--loudness", options.loudness is not None),
        "notes": ("--midi", options.midi is not None),
        "beat": ("--bpm", options.bpm is not None),
    }
    for control, (flag, given) in asked.items():
        if given and control not in names:
            heard = ", ".join(names) or "text only"
            raise InputError(
                f"the model {model.name} has no {control} control, so {flag} cannot be honoured; "
                f"it hears: {heard}"
            )
    if plan.take is not None and plan.take.header.model_sha256 != model.sha256:
        raise InputError(
            f"the take {options.replay} was played with another version of the model "
            f"{plan.take.header.model}; name that one with --model"
        )
    if plan.take is not None and plan.take.header.block_frames != model.stream_config.block_frames:
        raise InputError(f"the take {options.replay} was played with blocks of another length")


def _encoded(model: Model, sound: np.ndarray, context_frames: int) -> Any:
    """The newest frames of a sound as latents [C, n], at most what the context holds."""
    import torch

    frame = model.codec.frame_samples
    frames = len(sound) // frame
    if not frames:
        raise InputError(f"--prime needs at least {frame} samples ({1000 * frame // 44100} ms)")
    whole = torch.from_numpy(sound[len(sound) - frames * frame :].T.copy())[None]
    with torch.inference_mode():
        return model.codec.encode(whole)[0, :, -context_frames:]


def _heard(
    options: argparse.Namespace, plan: _Plan, model: Model
) -> tuple[tuple[int, Message], ...]:
    """What the blocks hear of the part to accompany."""
    from lmdm.live.input_file import heard_input

    if plan.input is None or plan.take is not None:
        return ()
    visible = model.stream_config.block_frames
    if options.future_visibility is not None:
        frames_a_beat = 60.0 * SAMPLE_RATE / plan.controls.bpm / model.codec.frame_samples
        visible = round(options.future_visibility * frames_a_beat)
    return tuple(heard_input(model, plan.input, visible, plan.samples))


def _pieces(
    session: Session, plan: _Plan, heard: tuple[tuple[int, Message], ...]
) -> Iterator[np.ndarray]:
    from lmdm.cli.stage.mastering import mastering
    from lmdm.live import offline

    if plan.take is not None:
        return offline.replay(session, plan.take, *mastering(), plan.input)
    return offline.render(session, (*plan.events, *heard), plan.samples, *mastering())


def _progress(pieces: Iterable[np.ndarray], samples: int, quiet: bool) -> Iterator[np.ndarray]:
    from tqdm import tqdm

    with tqdm(
        total=round(samples / SAMPLE_RATE, 1),
        unit="s",
        desc="rendering",
        disable=quiet or not (sys.stderr.isatty() or os.environ.get("LMDM_PROGRESS")),
        bar_format="{desc} {percentage:3.0f}% |{bar}| {n:.1f}/{total:.1f} s, {rate_fmt}",
    ) as bar:
        for piece in pieces:
            yield piece
            bar.update(len(piece) / SAMPLE_RATE)


def _tell(
    options: argparse.Namespace,
    model: Model,
    controls: Controls,
    samples: int,
    peak: float,
    seconds: float,
    facts: dict[str, Any],
) -> None:
    sound = samples / SAMPLE_RATE
    if options.json:
        report = {
            "out": str(options.out),
            "seconds": round(sound, 3),
            "samples": samples,
            "peak": round(peak, 4),
            "real_time_factor": round(seconds / sound, 4),
            "model": model.name,
            "model_sha256": model.sha256,
            "settings": controls.to_dict(),
        } | facts
        print(json.dumps(report))
    else:
        print(f"{options.out}: {sound:.1f} s, real-time factor {seconds / sound:.2f}")
