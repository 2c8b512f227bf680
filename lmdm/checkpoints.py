"""Models in and out, in every form they come in.

    model = load("starter")                      # a known model
    model = load("stable-audio-open-small/")     # a folder: stable-audio-tools, diffusers, our own
    model = load("model.safetensors")            # with model_config.json beside it
    save(folder, dit=model.dit, codec=model.codec, stream_config=model.stream_config, ...)

The surface that is compared with the reference implementations, and stays:

    model.dit.velocity(latents, timestep, text_tokens, global_condition)
    model.codec.encode_parameters(audio)         # of Oobleck
    model.codec.decode(latents)
    model.conditioner.number(name, values)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from lmdm.errors import InputError
from lmdm.formats import diffusers, foreign, hub, own, stable_audio
from lmdm.formats.building import device_of
from lmdm.formats.model import Codec, Model
from lmdm.formats.own import MINILM, STARTER, VERSION, WEIGHTS, read_config, save
from lmdm.formats.parts import Parts
from lmdm.precision import backbone_at, dtype_of
from lmdm.stream.block_stream import check_network
from lmdm.stream.config import StreamConfig
from lmdm.weights import refuse_pickle

__all__ = [
    "MINILM",
    "STARTER",
    "VERSION",
    "WEIGHTS",
    "Model",
    "convert",
    "find",
    "is_model",
    "known_models",
    "load",
    "load_codec",
    "parts_of",
    "read_config",
    "save",
]


def known_models() -> dict[str, Path]:
    """Name -> folder of the models that need no path: the starter, and the user's model folder."""
    folders = [path for path in hub.models_folder().glob("*") if _form(path) is not None]
    return {path.name: path for path in sorted(folders)} | {"starter": STARTER}


def find(path_or_name: str | Path) -> Path:
    """The folder (or weight file) of a known model, of a path to one, or of a model of the hub.

    A name such as "stabilityai/stable-audio-open-small" that is no path here is fetched from the
    hub once.

    Raises:
        InputError: no such model; the sentence lists the known ones.
    """
    known = known_models()
    if str(path_or_name) in known:
        return known[str(path_or_name)]
    path = Path(path_or_name)
    refuse_pickle(path)
    if path.exists():
        if path.is_file() and path.suffix != ".safetensors":
            raise InputError(
                f"{path} is a file; give the model folder that holds config.json, or a "
                ".safetensors file with its model_config.json beside it"
            )
        return path
    if hub.is_id(str(path_or_name)):
        return hub.fetch(str(path_or_name))
    raise InputError(
        f"there is no model {str(path_or_name)!r}: give a model folder, or one of "
        f"{', '.join(known)}"
    )


def load(
    path_or_name: str | Path = "starter",
    device: str | torch.device = "cpu",
    precision: str = "float32",
) -> Model:
    """Loads a model of any form.

    precision: of the backbone's weights. "auto" is bfloat16 for a large one where that is faster;
    of "bfloat16" and "float16" a stream's decoder is as well; "int8" is smaller and less exact (see
    `precision`).

    Raises:
        InputError: the model is unknown, incomplete, damaged, or describes what is not built here.
    """
    path = find(path_or_name)
    where = device_of(device)
    parts = parts_of(path)
    model = foreign.assemble(parts, where) if parts else own.load_folder(path, where)
    decoder = torch.float32 if precision in ("auto", "int8") else dtype_of(precision)
    return replace(model, dit=backbone_at(model.dit, precision), decoder_dtype=decoder)


def parts_of(path: Path) -> Parts | None:
    """A checkpoint of another program taken apart; None for a folder of our own form."""
    if _form(path) == "own":
        return None
    files = stable_audio.files_of(path)
    if files is not None:
        return stable_audio.read(*files)
    if diffusers.is_folder(path):
        return diffusers.read(path)
    return None


def convert(
    path_or_name: str | Path,
    folder: Path,
    stream: Callable[[StreamConfig], StreamConfig] = lambda config: config,
    *,
    name: str | None = None,
    half: bool = False,
) -> None:
    """Writes a checkpoint of another program in our own form, with what lies beside it of T5.

    stream: how it is to be streamed, from how it would be.

    Raises:
        InputError: the checkpoint cannot be loaded, has our form already, or a setting is wrong.
    """
    path = find(path_or_name)
    parts = parts_of(path)
    if parts is None:
        raise InputError(f"{path} has this program's own form already")
    parts = replace(parts, stream=stream(parts.stream))
    check_network(parts.dit, parts.stream)
    model = foreign.assemble(parts, torch.device("cpu"))
    own.save(
        folder,
        dit=model.dit,
        codec=model.codec,
        stream_config=model.stream_config,
        controls=(),
        text=parts.text,
        conditioner=model.conditioner,
        projection=foreign.projection_of(model),
        name=name or parts.name,
        half=half,
    )
    for beside in foreign.text_folders(parts):
        shutil.copytree(beside, folder / beside.name, dirs_exist_ok=True)


def load_codec(path_or_name: str | Path, device: str | torch.device = "cpu") -> tuple[Codec, str]:
    """The codec of a model, which may have no backbone yet, and the hash of its weights."""
    path = find(path_or_name)
    parts = parts_of(path)
    if parts is None:
        return own.codec_of(path, device_of(device))
    model = foreign.assemble(parts, device_of(device))
    return model.codec, model.sha256


def is_model(path: Path) -> bool:
    """Whether a folder holds a model's configuration, of whatever form."""
    return _form(path) is not None


def _form(path: Path) -> str | None:
    """Which form a folder has, by the configuration that it holds; None if it has none."""
    for form, config in (
        ("own", "config.json"),
        ("stable-audio-tools", stable_audio.CONFIG),
        ("diffusers", diffusers.CONFIG),
    ):
        if (path / config).exists():
            return form
    return None
