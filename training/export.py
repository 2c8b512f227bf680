"""Training runs -> a model folder that `lmdm` plays.

python -m training.export --codec RUN --diffusion RUN --out FOLDER
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors.torch import load_file

from lmdm import checkpoints
from lmdm.codec.spectral import SpectralCodec, SpectralCodecConfig
from lmdm.conditioning.local import LocalConditioning
from lmdm.dit.model import DiT
from lmdm.stream.config import StreamConfig
from training.checkpoint import under
from training.diffusion import STARTER_CONTROLS, DiffusionTraining, starter_config


def read_codec(run: Path) -> SpectralCodec:
    """The newest codec of a `training.codec` run."""
    codec = SpectralCodec(SpectralCodecConfig())
    codec.load_state_dict(under(load_file(run / "state.safetensors"), "model."))
    return codec.eval()


def read_diffusion(run: Path) -> tuple[DiT, DiffusionTraining]:
    """The averaged transformer of a `training.diffusion` run, and the plan it was trained by."""
    plan = DiffusionTraining(**json.loads((run / "plan.json").read_text()))
    dit = DiT(starter_config(plan, LocalConditioning(STARTER_CONTROLS).channels))
    dit.load_state_dict(under(load_file(run / "state.safetensors"), "average."))
    return dit.eval(), plan


def export(codec_run: Path, diffusion_run: Path | None, out: Path) -> None:
    """Write the model folder; without a diffusion run, one that holds only the codec."""
    dit, plan = (None, DiffusionTraining())
    if diffusion_run is not None:
        dit, plan = read_diffusion(diffusion_run)
    # Steps and sampler are those that measured best on held-out pieces (model card).
    stream_config = StreamConfig(
        steps=4,
        sampler="ping-pong",
        context_frames=plan.context,
        block_frames=plan.block,
        window_blocks=plan.context // plan.block,
        guided=True,
    )
    checkpoints.save(
        out,
        dit=dit,
        codec=read_codec(codec_run),
        stream_config=stream_config,
        controls=STARTER_CONTROLS,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="write a model folder from training runs")
    parser.add_argument("--codec", type=Path, required=True, help="run of training.codec")
    parser.add_argument("--diffusion", type=Path, help="run of training.diffusion")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    arguments = parser.parse_args()
    export(arguments.codec, arguments.diffusion, arguments.out)


if __name__ == "__main__":
    main()
