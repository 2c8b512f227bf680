"""Trained models on disk: config.json and model.safetensors, one folder each.

RUN/autoencoder   condenser and decoder; names its backbone, and the hash of its weights
RUN/generator     joint DiT; names the autoencoder's hash, and holds the latents' statistics
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lmdm.config import from_dict, read_json, write_json
from lmdm.errors import InputError
from lmdm.image.autoencoder import AutoencoderConfig, RepresentationAutoencoder
from lmdm.image.backbones import registry
from lmdm.image.backbones.protocol import VisionBackbone
from lmdm.image.joint_dit import JointDiT, JointDiTConfig
from lmdm.image.statistics import LatentStatistics
from lmdm.weights import load_into, save_module, sha256

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def save_autoencoder(folder: Path, autoencoder: RepresentationAutoencoder) -> None:
    """Writes config.json and the weights."""
    save_module(autoencoder, folder / WEIGHTS, half=False)
    write_json(folder / CONFIG, {"type": "decq-autoencoder", **asdict(autoencoder.config)})


def read_config(folder: Path, kind: str) -> dict[str, Any]:
    """config.json without its type.

    Raises:
        InputError: there is none, or it is of another kind.
    """
    if not (folder / CONFIG).exists():
        raise InputError(f"{folder} holds no {kind} ({CONFIG} is missing); fit it first")
    values = read_json(folder / CONFIG)
    found = values.pop("type", None)
    if found != kind:
        raise InputError(f"{folder / CONFIG} is of type {found!r}, not {kind!r}")
    return values


def load_autoencoder(
    folder: Path, backbone: VisionBackbone | None = None
) -> tuple[RepresentationAutoencoder, VisionBackbone]:
    """An autoencoder in evaluation mode and its frozen backbone.

    backbone: one that is loaded already; None loads the one that config.json names.

    Raises:
        InputError: the folder is no autoencoder, or the backbone has other weights than then.
    """
    values = read_config(folder, "decq-autoencoder")
    config = from_dict(AutoencoderConfig, values, str(folder / CONFIG))
    if backbone is None:
        backbone = registry.load(config.backbone, config.backbone_size)
    if backbone.fingerprint != config.backbone_fingerprint:
        raise InputError(
            f"{folder} was trained on a backbone {config.backbone} of other weights than the one "
            "that is there now"
        )
    autoencoder = RepresentationAutoencoder(config, backbone)
    load_into(autoencoder, folder / WEIGHTS)
    return autoencoder.eval().requires_grad_(False), backbone


def save_generator(
    folder: Path, dit: JointDiT, statistics: LatentStatistics, about: Mapping[str, Any]
) -> None:
    """Writes the generator's weights, the statistics and config.json, the config last."""
    save_module(dit, folder / WEIGHTS, half=False)
    save_module(statistics, folder / "statistics.safetensors", half=False)
    write_json(folder / CONFIG, {"type": "decq-generator", "dit": asdict(dit.config), **about})


def load_generator(
    folder: Path, autoencoder: RepresentationAutoencoder, autoencoder_folder: Path
) -> tuple[JointDiT, LatentStatistics, dict[str, Any]]:
    """A generator in evaluation mode, its latents' statistics, and the rest of its config.json.

    Raises:
        InputError: the folder is no generator, or one for another autoencoder.
    """
    about = read_config(folder, "decq-generator")
    config = from_dict(JointDiTConfig, about["dit"], f"{folder / CONFIG}: dit")
    if about["autoencoder_sha256"] != sha256(autoencoder_folder / WEIGHTS):
        raise InputError(f"{folder} was trained on another autoencoder than {autoencoder_folder}")
    dit = JointDiT(config, autoencoder.token_dim, autoencoder.grid, autoencoder.config.queries)
    load_into(dit, folder / WEIGHTS)
    statistics = LatentStatistics.empty(autoencoder)
    load_into(statistics, folder / "statistics.safetensors")
    return dit.eval().requires_grad_(False), statistics.eval(), about
