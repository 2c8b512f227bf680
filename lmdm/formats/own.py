"""The program's own form: a folder of safetensors and JSON.

config.json               what the files hold; see `save`
dit.safetensors           the backbone, 16-bit on disk
codec.safetensors         the codec, 16-bit on disk
conditioner.safetensors   numbers as tokens, where the model hears numbers
text.safetensors          the matrix after the text encoder, where there is one
tokenizer.json            word pieces of the starter's text encoder
README.md                 the model card: what it was trained on, its licence, its figures
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lmdm.codec.oobleck import Oobleck, OobleckConfig
from lmdm.codec.spectral import SpectralCodec, SpectralCodecConfig
from lmdm.conditioning.local import LocalConditioning
from lmdm.conditioning.numbers import Conditioner, ConditionerConfig
from lmdm.conditioning.text import MiniLMTextEncoder, TextEncoder
from lmdm.dit.config import DiTConfig
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.formats import foreign
from lmdm.formats.building import built, config_of
from lmdm.formats.model import Codec, Model
from lmdm.stream.config import StreamConfig
from lmdm.weights import (
    fill,
    load_into,
    read_header,
    read_tensors,
    save_module,
    sha256,
    write_beside,
)

VERSION = 1
STARTER = Path(__file__).parents[1] / "starter"
CODECS: dict[str, tuple[type[Codec], type[Any]]] = {
    "spectral": (SpectralCodec, SpectralCodecConfig),
    "oobleck": (Oobleck, OobleckConfig),
}
MINILM = {"encoder": "minilm", "dim": MiniLMTextEncoder.dim}
WEIGHTS = ("dit.safetensors", "codec.safetensors")
OPTIONAL_WEIGHTS = ("conditioner.safetensors", "text.safetensors")
_KEYS = {
    "format", "version", "name", "dit", "codec", "stream", "conditioning", "conditioner", "text",
}  # fmt: skip
_TOKENIZER = STARTER / "tokenizer.json"


def load_folder(folder: Path, where: torch.device) -> Model:
    """Loads a model folder.

    Raises:
        InputError: it is incomplete, damaged, or not of this form.
    """
    config = read_config(folder)
    place = folder / "config.json"
    conditioning = _conditioning(config, folder)
    stream_config = config_of(StreamConfig, config["stream"], f"{place}: stream")
    dit, codec = _dit(config, folder), codec_of(folder, where)[0]
    conditioner = _conditioner(config, folder)
    text_encoder = _text_encoder(config, folder, conditioner, codec, stream_config)
    local_channels = conditioning.channels if conditioning else 0
    if isinstance(codec, Oobleck) and conditioning is None:
        local_channels = dit.config.local_channels  # accompaniment, which needs no encoder here
    for what, of_dit, of_other in (
        ("latent channels", dit.config.latent_channels, codec.latent_channels),
        ("local channels", dit.config.local_channels, local_channels),
        ("text dim", dit.config.text_dim, text_encoder.dim if text_encoder else None),
    ):
        if of_other is not None and of_dit != of_other:
            raise InputError(
                f"{place}: the dit has {what} {of_dit}, but what feeds it has {of_other}"
            )
    window = foreign.window_seconds(stream_config, codec)
    return Model(
        name=str(config.get("name") or folder.name),
        folder=folder,
        dit=dit.to(where).eval(),
        codec=codec,
        conditioning=conditioning,
        text_encoder=text_encoder,
        stream_config=stream_config,
        config=config,
        sha256=sha256(place, *weights_of(folder)),
        conditioner=conditioner.to(where).eval() if conditioner else None,
        global_condition=foreign.global_condition(conditioner, window) if conditioner else None,
    )


def weights_of(folder: Path) -> list[Path]:
    """The weight files of a model folder: those it must have, and of the others those it has."""
    optional = [folder / name for name in OPTIONAL_WEIGHTS]
    return [folder / name for name in WEIGHTS] + [path for path in optional if path.exists()]


def codec_of(folder: Path, where: torch.device) -> tuple[Codec, str]:
    """The codec of a model folder, which may have no backbone yet, and the hash of its weights."""
    values = dict(read_config(folder)["codec"])
    place = f"{folder / 'config.json'}: codec"
    kind = values.pop("type", None)
    if kind not in CODECS:
        raise InputError(f"{place} has type {kind!r}; the types are {', '.join(CODECS)}")
    codec_class, config_class = CODECS[kind]
    weights = folder / "codec.safetensors"
    if codec_class is Oobleck:
        codec = built(Oobleck, config_of(config_class, values, place), place, on_paper=True)
        read_header(weights)
        fill(codec, read_tensors(weights), str(weights), "config.json")
    else:  # its fixed tables are no weights, so it is built with them
        _refuse_oversized(values, weights, place)
        codec = built(codec_class, config_of(config_class, values, place), place)
        load_into(codec, weights)
    return codec.to(where).eval(), sha256(weights)


def save(
    folder: Path,
    *,
    dit: DiT | None,
    codec: Codec,
    stream_config: StreamConfig,
    controls: Sequence[str],
    text: Mapping[str, Any] | None = MINILM,
    conditioner: Conditioner | None = None,
    projection: nn.Linear | None = None,
    name: str | None = None,
    card: str | None = None,
    half: bool = True,
) -> None:
    """Writes a model folder. Each file is written beside and renamed, config.json last.

    dit: None while only the codec is trained; such a folder is for `load_codec`.
    text: the text encoder's entry of config.json; None for a model without text.
    conditioner: the numbers that the model hears. projection: the matrix after the text encoder.
    card: the model card, README.md; None leaves the one that is there.
    half: weights in 16 bits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_module(codec, folder / "codec.safetensors", half=half)
    if dit is not None:
        save_module(dit, folder / "dit.safetensors", half=half)
    for part, file in zip((conditioner, projection), OPTIONAL_WEIGHTS, strict=True):
        if part is not None:
            save_module(part, folder / file, half=half)
    if text == MINILM and not (folder / "tokenizer.json").exists():
        write_beside(folder / "tokenizer.json", lambda part: shutil.copy(_TOKENIZER, part))
    if card is not None:
        write_beside(folder / "README.md", lambda part: part.write_text(card))
    config = {
        "format": "lmdm",
        "version": VERSION,
        "name": name or folder.name,
        "dit": None if dit is None else dit.config.to_dict(),
        "codec": {"type": _codec_type(codec)} | codec.config.to_dict(),
        "stream": stream_config.to_dict(),
        "conditioning": {"controls": list(LocalConditioning(controls).names)},
        "text": None if text is None else dict(text),
    }
    if conditioner is not None:
        config["conditioner"] = conditioner.config.to_dict()
    document = json.dumps(config, indent=2) + "\n"
    write_beside(folder / "config.json", lambda part: part.write_text(document))


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder, checked as far as its format, version and main keys.

    Raises:
        InputError: it is missing, is no JSON, or is of another format or version.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{folder} is not a model folder: it has no config.json") from None
    except (OSError, ValueError) as problem:
        raise InputError(f"{path} cannot be read as JSON: {problem}") from None
    if not isinstance(config, dict) or config.get("format") != "lmdm":
        raise InputError(f'{path} does not say "format": "lmdm"; it is no model of this program')
    if config.get("version") != VERSION:
        raise InputError(
            f"{path} is of version {config.get('version')!r}; this program reads version {VERSION}"
        )
    unknown = sorted(config.keys() - _KEYS)
    if unknown:
        raise InputError(f"{path} has unknown key {unknown[0]!r}; known: {sorted(_KEYS)}")
    for key in ("codec", "stream", "conditioning"):
        if not isinstance(config.get(key), dict):
            raise InputError(f"{path} lacks its part {key!r}")
    return config


def _dit(config: Mapping[str, Any], folder: Path) -> DiT:
    place = f"{folder / 'config.json'}: dit"
    if not isinstance(config.get("dit"), dict):
        raise InputError(f"{folder} has a codec but no dit yet; train one, or give another model")
    weights = folder / "dit.safetensors"
    _refuse_oversized(config["dit"], weights, place)
    dit = built(DiT, config_of(DiTConfig, config["dit"], place), place)
    load_into(dit, weights)
    return dit


def _conditioning(config: Mapping[str, Any], folder: Path) -> LocalConditioning | None:
    controls = config["conditioning"].get("controls")
    if not isinstance(controls, list):
        raise InputError(f"{folder / 'config.json'}: conditioning has no list of controls")
    return LocalConditioning(controls) if controls else None


def _conditioner(config: Mapping[str, Any], folder: Path) -> Conditioner | None:
    values = config.get("conditioner")
    if values is None:
        return None
    place = f"{folder / 'config.json'}: conditioner"
    try:
        conditioner_config = ConditionerConfig.from_dict(values)
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{place} does not describe the numbers of a model") from None
    conditioner = built(Conditioner, conditioner_config, place)
    load_into(conditioner, folder / OPTIONAL_WEIGHTS[0])
    return conditioner.requires_grad_(False)


def _text_encoder(
    config: Mapping[str, Any],
    folder: Path,
    conditioner: Conditioner | None,
    codec: Codec,
    stream: StreamConfig,
) -> TextEncoder | None:
    text = config.get("text")
    if text is None:
        return None
    if isinstance(text, dict) and text.get("encoder") == "t5" and conditioner is not None:
        return _t5(text, folder, conditioner, foreign.window_seconds(stream, codec))
    if text != MINILM:
        raise InputError(f"{folder / 'config.json'}: text is {text!r}; this program knows {MINILM}")
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.exists():
        raise InputError(f"{tokenizer} is missing; copy it from {_TOKENIZER}")
    return MiniLMTextEncoder(tokenizer)


def _t5(
    text: dict[str, Any], folder: Path, conditioner: Conditioner, window: float
) -> TextEncoder | None:
    place, weights = f"{folder / 'config.json'}: text", folder / OPTIONAL_WEIGHTS[1]
    missing = {"name", "model", "length", "dim"} - text.keys()
    if missing:
        raise InputError(f"{place} lacks {sorted(missing)[0]!r}")
    projection = None
    if weights.exists():
        inputs = read_header(weights)["weight"].shape[-1]
        projection = built(lambda size: nn.Linear(*size), (inputs, int(text["dim"])), place)
        load_into(projection, weights)
    return foreign.text_encoder(text, folder, conditioner, projection, window)


def _codec_type(codec: nn.Module) -> str:
    return next(name for name, (each, _) in CODECS.items() if isinstance(codec, each))


def _refuse_oversized(values: Mapping[str, Any], weights: Path, place: str) -> None:
    """Raises InputError if a size in the config exceeds everything in the weight file.

    So a network is only ever built about as large as the file that fills it.
    """
    tensors = read_header(weights)
    largest = max((max(each.shape, default=1) for each in tensors.values()), default=1)
    for key, value in values.items():
        limit = len(tensors) if "depth" in key else largest
        if isinstance(value, int) and value > limit:
            raise InputError(f"{place}: {key} is {value}, which is more than {weights} holds")
