"""Checkpoints of stable-audio-tools: model_config.json and one .safetensors file.

Weights may stand as `model.model.*`, `pretransform.model.*` and `conditioner.conditioners.*`, or
deeper, as training wrappers save them (`state_dict.`, `diffusion.`, EMA): the parts are found by a
tensor that each must have, and whatever stands beside them is accounted for by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lmdm.errors import InputError
from lmdm.formats.parts import Parts, Recipe, folded, rows, stream_of
from lmdm.formats.stable_audio_config import (
    DISTILLED,
    MODEL_TYPES,
    Section,
    codec_config,
    conditioner_config,
    dit_config,
)
from lmdm.weights import read_header, refuse_pickle

CONFIG = "model_config.json"
DIT_ANCHOR = "timestep_features.weight"
CODEC_ANCHORS = tuple(
    f"encoder.layers.0.{name}"
    for name in ("weight_v", "weight", "parametrizations.weight.original1")
)
NUMBERS = "conditioners."
TRAINING = ("losses.", "discriminator", "diffusion_ema.", "autoencoder_ema.", "teacher_model.")
# what a training wrapper saves beside the model: optimiser-like state, judges, the EMA's twin


def files_of(path: Path) -> tuple[Path, Path] | None:
    """(configuration, weights) of a folder or of a .safetensors file; None if it is no such form.

    Raises:
        InputError: there is a configuration, but no weights, several, or only a pickle.
    """
    if path.is_file():
        refuse_pickle(path)
        if path.suffix != ".safetensors":
            return None
        for name in (f"{path.stem}_config.json", f"{path.stem}.json", CONFIG):
            if path.with_name(name).exists():
                return path.with_name(name), path
        raise InputError(
            f"{path} has no {CONFIG} beside it; put it there, or give the model folder"
        )
    if not (path / CONFIG).exists():
        return None
    weights = sorted(path.glob("*.safetensors"))
    if path / "model.safetensors" in weights:
        weights = [path / "model.safetensors"]
    if len(weights) > 1:
        names = ", ".join(each.name for each in weights)
        raise InputError(f"{path} holds several weights ({names}): give one of these files")
    if not weights:
        for pickle in sorted(each for each in path.iterdir() if each.is_file()):
            refuse_pickle(pickle)
        raise InputError(f"{path} has a {CONFIG}, but no .safetensors file")
    return path / CONFIG, weights[0]


def read(config_path: Path, weights: Path) -> Parts:
    """Takes a checkpoint apart; reads no weights.

    Raises:
        InputError: the configuration describes what is not built here, or a tensor has no place.
    """
    config = read_json(config_path)
    place = str(config_path)
    top = Section(config, place)
    kind = top.take("model_type")
    if kind not in MODEL_TYPES:
        raise InputError(
            f"{place}: model_type is {kind!r}; this program plays {' and '.join(MODEL_TYPES)}"
        )
    sample_rate = top.size("sample_rate")
    sample_size = top.take("sample_size", None)
    model = Section(top.take("model"), f"{place}: model")
    header = read_header(weights)
    prefixes = find_parts(header, weights)
    stem = header.get(f"{prefixes['dit']}to_input_add_embed.weight")
    diffusion = model.take("diffusion")
    dit = dit_config(
        Section(diffusion, f"{model.place}.diffusion"), stem.shape[1] if stem else None
    )
    if "pretransform" not in config["model"]:
        raise InputError(f"{model.place} has no pretransform; without a codec nothing sounds")
    codec = codec_config(model.section("pretransform"), sample_rate)
    has_conditioning = config["model"].get("conditioning") is not None
    conditioner, text = conditioner_config(
        model.section("conditioning") if has_conditioning else None, diffusion
    )
    model.ignore("io_channels", "conditioning")
    model.close()
    recipes, unused = place_tensors(header, prefixes, weights, text)
    frames = sample_size // codec.frame_samples if isinstance(sample_size, int) else None
    folder = config_path.parent
    return Parts(
        name=folder.resolve().name if weights.name == "model.safetensors" else weights.stem,
        folder=folder,
        files=(config_path, weights),
        config=config_path.name,
        dit=dit,
        codec=codec,
        conditioner=conditioner,
        text=text,
        stream=stream_of(dit, frames, diffusion.get("diffusion_objective") in DISTILLED),
        recipes=recipes,
        prefixes=prefixes,
        unused=unused,
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{path} cannot be read as JSON: {problem}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} is no JSON object")
    return values


def find_parts(names: Iterable[str], weights: Path) -> dict[str, str]:
    """The prefixes of "dit", "codec" and "conditioner" in a file.

    Of two backbones, of which one is the exponential moving average, the average is taken.
    """
    names = list(names)
    found = {each.removesuffix(DIT_ANCHOR) for each in names if each.endswith(DIT_ANCHOR)}
    average = {each for each in found if "ema_model." in each or each.startswith("ema.")}
    online = {each for each in found if "online_model." in each}
    dits = average or found - online
    codecs = {
        name.removesuffix(anchor)
        for name in names
        for anchor in CODEC_ANCHORS
        if name.endswith(anchor) and NUMBERS not in name
    }
    for what, prefixes in (("backbone", dits), ("codec", codecs)):
        if len(prefixes) > 1:
            raise InputError(f"{weights} holds more than one {what}: {', '.join(sorted(prefixes))}")
    if not dits:
        raise InputError(f"{weights} holds no backbone: no tensor is named …{DIT_ANCHOR!r}")
    if not codecs:
        raise InputError(f"{weights} holds no codec: no tensor is named …{CODEC_ANCHORS[0]!r}")
    numbers = {
        name[: name.index(NUMBERS)]
        for name in names
        if name.startswith(NUMBERS) or f".{NUMBERS}" in name
    }
    if len(numbers) > 1:
        raise InputError(f"{weights} holds more than one conditioner: {', '.join(sorted(numbers))}")
    return {"dit": dits.pop(), "codec": codecs.pop(), "conditioner": "".join(numbers)}


def place_tensors(
    names: Iterable[str],
    prefixes: Mapping[str, str],
    weights: Path,
    text: Mapping[str, Any] | None,
) -> tuple[dict[str, dict[str, Recipe]], tuple[str, ...]]:
    """Every tensor's recipe, and those that belong to training alone.

    Raises:
        InputError: a tensor that has no place.
    """
    names = list(names)
    given: dict[str, dict[str, str]] = {"dit": {}, "codec": {}, "conditioner": {}, "text": {}}
    unused, other = [], []
    of_text = f"{prefixes['conditioner']}{NUMBERS}{text['name']}." if text else None
    for name in names:
        if of_text is not None and name.startswith(of_text):
            given["text"][name.removeprefix(of_text)] = name
        elif name.startswith(prefixes["conditioner"] + NUMBERS):
            given["conditioner"][name.removeprefix(prefixes["conditioner"])] = name
        elif name.startswith(prefixes["dit"]) and _is_dit(name.removeprefix(prefixes["dit"])):
            given["dit"][name.removeprefix(prefixes["dit"])] = name
        elif name.startswith((prefixes["codec"] + "encoder.", prefixes["codec"] + "decoder.")):
            given["codec"][name.removeprefix(prefixes["codec"])] = name
        elif name.startswith(TRAINING) or _is_twin(name, prefixes["dit"]):
            unused.append(name)
        else:
            other.append(name)
    if other:
        more = f" and {len(other) - 1} more" if len(other) > 1 else ""
        raise InputError(f"{weights} has a tensor {sorted(other)[0]!r}{more} that has no place")
    recipes = {
        "dit": _fused(given["dit"]),
        "codec": folded(given["codec"]),
        "conditioner": {name: Recipe((each,)) for name, each in given["conditioner"].items()},
        "text": {name: Recipe((each,)) for name, each in given["text"].items()},
    }
    return recipes, tuple(sorted(unused))


DIT_PARTS = (
    "timestep_features.", "to_timestep_embed.", "to_cond_embed.", "to_global_embed.",
    "preprocess_conv.", "postprocess_conv.", "transformer.", "to_input_add_embed.",
    "to_prepend_embed.",
)  # fmt: skip


def _is_dit(name: str) -> bool:
    return name.startswith(DIT_PARTS)


def _is_twin(name: str, chosen: str) -> bool:
    """Whether a tensor is of a backbone that another one, its average, stands for."""
    return "ema" in chosen and any(f"model.{part}" in name for part in DIT_PARTS)


def _fused(names: Mapping[str, str]) -> dict[str, Recipe]:
    """Recipes of the backbone; self-attention split as in LMDM's fine-tunes becomes fused."""
    recipes = {}
    for name, given in names.items():
        if name.endswith("self_attn.to_q.weight"):
            stem = name.removesuffix("to_q.weight")
            if stem + "to_kv.weight" not in names:
                raise InputError(f"the tensor {given!r} has no to_kv.weight beside it")
            recipes[stem + "to_qkv.weight"] = Recipe((given, names[stem + "to_kv.weight"]), rows)
        elif not name.endswith("self_attn.to_kv.weight"):
            recipes[name] = Recipe((given,))
    return recipes
