"""`lmdm render --long`: a piece longer than the context, all of it denoised together (FlowLong).

Overlapping windows of the model's own length agree on one estimate of the clean piece at every
noise level, so the end weighs on the beginning. Latents are blended, never sound.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.errors import InputError
from lmdm.live.clock import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmdm.checkpoints import Model
    from lmdm.live.controls import Controls
    from lmdm.live.messages import Message
    from lmdm.video.flowlong.geometry import WindowGeometry

DEFAULT_STEPS = 16
Sections = list[tuple[float, tuple[tuple[str, float], ...]]]  # seconds, weighted prompts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--long and what belongs to it."""
    group = parser.add_argument_group("long forms")
    group.add_argument(
        "--long", action="store_true",
        help="denoise the whole piece together, in windows that agree (FlowLong)",
    )  # fmt: skip
    group.add_argument(
        "--sections", type=Path, metavar="FILE",
        help='prompts by section: JSON, [{"seconds": 0, "prompt": "felt piano:0.7"}, ...]',
    )  # fmt: skip
    group.add_argument(
        "--tstar", type=shared.number(0, 1), default=0.6, metavar="T",
        help="noise level down to which steps are stochastic (0.6)",
    )  # fmt: skip


def run(
    options: argparse.Namespace,
    model: Model,
    controls: Controls,
    events: tuple[tuple[int, Message], ...],
    samples: int,
) -> tuple[Iterator[np.ndarray], dict[str, Any]]:
    """The piece in pieces [n, 2], and what is to be said of how it was made.

    A killed render goes on from OUT.state.safetensors, which the finished one takes away.

    Raises:
        InputError: an input that long forms do not take, or a bad section file.
    """
    import torch

    from lmdm.diffusion.grid import logsnr_timesteps
    from lmdm.stream.long_form import WindowVelocity
    from lmdm.video.flowlong.kept import keep_state, kept_state
    from lmdm.video.flowlong.sampler import FlowLongConfig, begin, step

    for flag in ("input", "prime", "replay"):
        if getattr(options, flag) is not None:
            raise InputError(f"--long does not take --{flag}: the piece is made from its prompts")
    sections = [(0.0, controls.weighted_prompts())]
    if options.sections is not None:
        sections = read_sections(options.sections)
    frame = model.codec.frame_samples
    frames = -(-(samples + _delay(model)) // frame)
    geometry = geometry_of(model, frames)
    local, texts = _told(model, controls, events, sections, geometry)
    steps = controls.steps or DEFAULT_STEPS
    coupling = FlowLongConfig(t_star=options.tstar, seed=controls.seed, microbatch=4)
    settings = {
        "model": model.sha256, "samples": samples, "steps": steps, "coupling": asdict(coupling),
        "controls": controls.to_dict(), "sections": [list(map(_plain, each)) for each in sections],
        "midi": None if options.midi is None else str(options.midi),
    }  # fmt: skip
    kept = options.out.with_name(f"{options.out.name}.state.safetensors")
    shape = (model.codec.latent_channels, geometry.window)
    state = kept_state(kept, settings) or begin(shape, geometry, coupling)
    resumed = state.step
    network = WindowVelocity(
        model.dit, model.stream_config, texts, local, geometry.starts, controls.guidance,
        model.global_condition,
    )  # fmt: skip
    config = model.stream_config
    timesteps = logsnr_timesteps(steps, config.logsnr_min, config.logsnr_max).tolist()
    begun = time.perf_counter()
    with torch.inference_mode():
        for index in _progress(range(state.step, steps), steps, options.quiet):
            network.clean = state.clean
            state = step(network, state, timesteps[index], timesteps[index + 1], geometry, coupling)
            keep_state(kept, state, settings)
    assert state.timeline is not None
    facts = {
        "windows": geometry.windows,
        "window_frames": geometry.window,
        "stride_frames": geometry.stride,
        "resumed_at_step": resumed,
        "overlap_mismatch": state.reports[-1].after,
        "denoising_seconds": round(time.perf_counter() - begun, 2),
    }
    return _sound(model, state.timeline[:, :frames], samples, kept), facts


def geometry_of(model: Model, frames: int) -> WindowGeometry:
    """Windows of the model's context, in whole blocks, half of it apart."""
    from lmdm.video.flowlong.geometry import WindowGeometry

    block = model.stream_config.block_frames
    window = model.stream_config.context_frames // block * block
    stride = max(block, window // 2 // block * block)
    return WindowGeometry(window, stride, frames)


def read_sections(path: Path) -> Sections:
    """(seconds, weighted prompts) of a section file; a prompt is "text:weight, text:weight".

    Raises:
        InputError: it cannot be read, or is no such list, or does not start at 0.
    """
    from lmdm.cli.video.flowlong import read_timeline

    sections: Sections = []
    for seconds, prompt in read_timeline(path):
        parsed = [shared.parse_prompt(part.strip()) for part in prompt.split(",") if part.strip()]
        total = sum(weight for _, weight in parsed)
        if parsed and total <= 0:
            raise InputError(f"the sections {path}: the weights of {prompt!r} are not above 0")
        sections.append((seconds, tuple((text, weight / total) for text, weight in parsed)))
    starts = [seconds for seconds, _ in sections]
    if starts[0] != 0 or starts != sorted(set(starts)):
        raise InputError(f"the sections {path} must start at 0 seconds and rise")
    return sections


def _told(
    model: Model,
    controls: Controls,
    events: tuple[tuple[int, Message], ...],
    sections: Sections,
    geometry: WindowGeometry,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """Local controls over the whole timeline [L, N], and the text of every window's middle."""
    import torch

    from lmdm.live.clock import MusicalClock
    from lmdm.live.hearing import Hearing, asked_db
    from lmdm.live.notes import HeldNotes

    hearing = Hearing(model, lambda values: torch.from_numpy(values.copy()))
    frame = model.codec.frame_samples
    centres = [(index + 0.5) * frame for index in range(geometry.timeline)]
    notes = None
    if controls.notes_mode != "free":
        heard = [
            (sample // frame, message)
            for sample, message in sorted(events, key=lambda event: event[0])
            if HeldNotes.hears(message) and sample // frame < geometry.timeline
        ]
        if heard or controls.notes_mode == "follow":
            notes = HeldNotes().block(heard, geometry.timeline)
    clock, level = MusicalClock.at_tempo(controls.bpm), asked_db(controls, notes)
    local = hearing.local(controls, notes, clock, centres, level)
    texts = []
    for start in geometry.starts:
        seconds = (start + geometry.window / 2) * frame / SAMPLE_RATE
        weighted = next(prompts for at, prompts in reversed(sections) if at <= seconds)
        texts.append(hearing.text(weighted, controls.blend_mode))
    return local, texts


def _sound(model: Model, latents: Tensor, samples: int, kept: Path) -> Iterator[np.ndarray]:
    """The decoded, mastered piece; the kept state goes when all of it has been given out."""
    from lmdm.cli.stage.mastering import mastering
    from lmdm.codec.streaming import streaming_decoder
    from lmdm.live.mixdown import Mixdown

    decoder, mixdown = streaming_decoder(model.codec), Mixdown(*mastering())
    left = samples
    for piece in latents.split(64, dim=1):
        pcm = decoder.decode(piece).T.float().cpu().numpy()[:left]
        left -= len(pcm)
        yield mixdown.process(pcm)
    yield mixdown.flush()
    kept.unlink(missing_ok=True)


def _delay(model: Model) -> int:
    from lmdm.codec.streaming import streaming_decoder

    return streaming_decoder(model.codec).delay_samples


def _progress(steps: range, total: int, quiet: bool) -> Iterator[int]:
    from tqdm import tqdm

    hidden = quiet or not sys.stderr.isatty()
    yield from tqdm(steps, desc="denoising", initial=steps.start, total=total, disable=hidden)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
