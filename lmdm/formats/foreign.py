"""From a checkpoint's parts to a model that plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmdm.codec.oobleck import Oobleck
from lmdm.conditioning.numbers import Conditioner
from lmdm.conditioning.t5 import T5TextEncoder, seconds
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.formats.building import built
from lmdm.formats.model import Codec, Model
from lmdm.formats.parts import Parts, Recipe
from lmdm.stream.config import StreamConfig
from lmdm.weights import fill, read_tensors, sha256


def assemble(parts: Parts, device: torch.device) -> Model:
    """Reads the weights of a checkpoint, strictly.

    Raises:
        InputError: a tensor is missing, unknown, of another shape, or not finite.
    """
    place = str(parts.files[0])
    if parts.dit.latent_channels != parts.codec.latent_channels:
        raise InputError(
            f"{place}: the dit has latent channels {parts.dit.latent_channels}, but what feeds it "
            f"has {parts.codec.latent_channels}"
        )
    tensors: dict[str, Tensor] = {}
    for path in parts.weights:
        tensors |= read_tensors(path)
    dit = _filled(parts, "dit", DiT, parts.dit, tensors)
    codec = _filled(parts, "codec", Oobleck, parts.codec, tensors)
    conditioner = _filled(parts, "conditioner", Conditioner, parts.conditioner, tensors)
    projection = _projection(parts, tensors)
    window = window_seconds(parts.stream, codec)
    return Model(
        name=parts.name,
        folder=parts.folder,
        dit=dit.to(device).eval(),
        codec=codec.to(device).eval(),
        conditioning=None,
        text_encoder=text_encoder(parts.text, parts.folder, conditioner, projection, window),
        stream_config=parts.stream,
        config=config_of(parts),
        sha256=sha256(*parts.files),
        conditioner=conditioner.to(device).eval(),
        global_condition=global_condition(conditioner, window),
        unused=parts.unused,
    )


def config_of(parts: Parts) -> dict[str, Any]:
    """What config.json says of the model in this program's own form."""
    return {
        "format": "lmdm",
        "version": 1,
        "name": parts.name,
        "dit": parts.dit.to_dict(),
        "codec": {"type": "oobleck"} | parts.codec.to_dict(),
        "stream": parts.stream.to_dict(),
        "conditioning": {"controls": []},
        "conditioner": parts.conditioner.to_dict(),
        "text": dict(parts.text) if parts.text else None,
    }


def window_seconds(stream: StreamConfig, codec: Codec) -> float:
    """Seconds that context and block last."""
    frames = stream.context_frames + stream.block_frames
    return frames * codec.frame_samples / codec.sample_rate


def global_condition(conditioner: Conditioner, window: float) -> Tensor | None:
    """The stream's own global condition [G]."""
    with torch.no_grad():
        return conditioner.global_condition(_values(conditioner, window))


def text_encoder(
    text: Mapping[str, Any] | None,
    folder: Path,
    conditioner: Conditioner,
    projection: nn.Linear | None,
    window: float,
) -> T5TextEncoder | None:
    """The text encoder, which looks for T5 beside the model first, then on the hub.

    None if cross-attention reads no text.
    """
    order = conditioner.config.cross_attention
    if text is None or text["name"] not in order:
        return None
    with torch.no_grad():
        tokens = conditioner.tokens(_values(conditioner, window))
    place = order.index(text["name"])
    model = str(text["model"])
    sources: list[str | Path] = [folder / Path(model).name]
    if (folder / "text_encoder").is_dir():
        sources.insert(0, folder)
    if not Path(model).is_absolute():
        sources.append(model)
    return T5TextEncoder(
        sources,
        int(text["length"]),
        int(text["dim"]),
        projection,
        before=[tokens[name] for name in order[:place] if name in tokens],
        after=[tokens[name] for name in order[place + 1 :] if name in tokens],
    )


def projection_of(model: Model) -> nn.Linear | None:
    """The matrix after a model's T5, if it has one."""
    encoder = model.text_encoder
    return encoder.projection if isinstance(encoder, T5TextEncoder) else None


def text_folders(parts: Parts) -> list[Path]:
    """Folders beside a checkpoint in which its text encoder looks for T5."""
    if parts.text is None:
        return []
    names = (Path(str(parts.text["model"])).name, "text_encoder", "tokenizer")
    return [parts.folder / name for name in names if (parts.folder / name).is_dir()]


def _values(conditioner: Conditioner, window: float) -> dict[str, float]:
    numbers = conditioner.config.numbers
    return seconds(list(numbers), {name: each.low for name, each in numbers.items()}, window)


def _filled(
    parts: Parts, part: str, cls: type[Any], config: Any, tensors: Mapping[str, Tensor]
) -> Any:
    recipes, place = parts.recipes[part], f"{parts.files[0]}: {part}"
    if getattr(config, "depth", 0) > len(recipes):
        raise InputError(f"{place}: depth is {config.depth}, which is more than the weights hold")
    module = built(cls, config, place, on_paper=True)
    fill(module, _made(recipes, tensors), _source(parts), parts.config, _named(parts, part))
    return module.requires_grad_(False)


def _made(recipes: Mapping[str, Recipe], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    made = {}
    for name, recipe in recipes.items():
        try:
            made[name] = recipe.make(*(tensors[each] for each in recipe.names))
        except RuntimeError as problem:
            reason = str(problem).splitlines()[0]
            raise InputError(f"{' and '.join(recipe.names)} do not fit: {reason}") from None
    return made


def _named(parts: Parts, part: str) -> Callable[[str], str]:
    """Our tensor's name -> the checkpoint's, for sentences."""
    recipes, prefix = parts.recipes[part], parts.prefixes.get(part, "")
    return lambda name: " + ".join(recipes[name].names) if name in recipes else prefix + name


def _source(parts: Parts) -> str:
    return ", ".join(str(path) for path in parts.weights)


def _projection(parts: Parts, tensors: Mapping[str, Tensor]) -> nn.Linear | None:
    """The matrix after T5, if the checkpoint has one."""
    made = _made(parts.recipes["text"], tensors)
    weight = made.get("proj_out.weight")
    foreign = sorted(made.keys() - {"proj_out.weight", "proj_out.bias"})
    if foreign:
        raise InputError(
            f"{_source(parts)} has a tensor {_named(parts, 'text')(foreign[0])!r} that "
            f"{parts.config} does not ask for: its text encoder was fine-tuned, which is not built"
        )
    if weight is None:
        return None
    with torch.device("meta"):
        projection = nn.Linear(weight.shape[-1], int((parts.text or {})["dim"]))
    fill(projection, {name.removeprefix("proj_out."): made[name] for name in made},
         _source(parts), parts.config, lambda name: f"proj_out.{name}")  # fmt: skip
    return projection.requires_grad_(False)
