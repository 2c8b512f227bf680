"""Models in and out: a folder of safetensors and JSON, read strictly.

    model = load("starter")
    save(folder, dit=model.dit, codec=model.codec, stream_config=model.stream_config, ...)

A model folder:

    config.json         what the files hold; see `save`
    dit.safetensors     the backbone, 16-bit on disk
    codec.safetensors   the codec, 16-bit on disk
    tokenizer.json      word pieces of the text encoder
    README.md           the model card: what it was trained on, its licence, its figures
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from lmdm.codec.spectral import SpectralCodec, SpectralCodecConfig
from lmdm.conditioning.local import LocalConditioning
from lmdm.conditioning.text import MiniLMTextEncoder, TextEncoder
from lmdm.dit.config import DiTConfig
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.stream.config import StreamConfig
from lmdm.weights import load_into, read_header, refuse_pickle, save_module, sha256, write_beside

VERSION = 1
STARTER = Path(__file__).parent / "starter"
CODECS: dict[str, tuple[type[SpectralCodec], type[SpectralCodecConfig]]] = {
    "spectral": (SpectralCodec, SpectralCodecConfig),
}
MINILM = {"encoder": "minilm", "dim": MiniLMTextEncoder.dim}

Config = TypeVar("Config")


@dataclass(frozen=True)
class Model:
    """Everything that a session needs to play. Modules are in evaluation mode, in float32."""

    name: str
    folder: Path
    dit: DiT
    codec: SpectralCodec
    conditioning: LocalConditioning | None  # None: the model hears no local controls
    text_encoder: TextEncoder | None  # None: the model hears no text; loads at its first prompt
    stream_config: StreamConfig
    config: Mapping[str, Any]  # config.json as read
    sha256: str  # of config.json and both weight files


def known_models() -> dict[str, Path]:
    """Name -> folder of the models that need no path: the starter, and the user's model folder."""
    import platformdirs

    folders = platformdirs.user_data_path("lmdm").glob("models/*/config.json")
    return {path.parent.name: path.parent for path in sorted(folders)} | {"starter": STARTER}


def find(path_or_name: str | Path) -> Path:
    """The folder of a known model, or of a path to one.

    Raises:
        InputError: no such model; the sentence lists the known ones.
    """
    known = known_models()
    if str(path_or_name) in known:
        return known[str(path_or_name)]
    path = Path(path_or_name)
    refuse_pickle(path)
    if not path.exists():
        raise InputError(
            f"there is no model {str(path_or_name)!r}: give a model folder, or one of "
            f"{', '.join(known)}"
        )
    if not path.is_dir():
        raise InputError(f"{path} is a file; give the model folder that holds config.json")
    return path


def load(path_or_name: str | Path = "starter", device: str | torch.device = "cpu") -> Model:
    """Loads a model folder.

    Raises:
        InputError: the model is unknown, incomplete, damaged, or not of this format.
    """
    folder = find(path_or_name)
    where = _device(device)
    config = read_config(folder)
    conditioning = _conditioning(config, folder)
    text_encoder = _text_encoder(config, folder)
    stream_config = _from_config(
        StreamConfig, config["stream"], f"{folder / 'config.json'}: stream"
    )
    dit, codec = _dit(config, folder), load_codec(folder, where)[0]
    local_channels = conditioning.channels if conditioning else 0
    for what, of_dit, of_other in (
        ("latent channels", dit.config.latent_channels, codec.latent_channels),
        ("local channels", dit.config.local_channels, local_channels),
        ("text dim", dit.config.text_dim, text_encoder.dim if text_encoder else None),
    ):
        if of_other is not None and of_dit != of_other:
            raise InputError(
                f"{folder / 'config.json'}: the dit has {what} {of_dit}, but what feeds it has "
                f"{of_other}"
            )
    return Model(
        name=str(config.get("name") or folder.name),
        folder=folder,
        dit=dit.to(where).eval(),
        codec=codec,
        conditioning=conditioning,
        text_encoder=text_encoder,
        stream_config=stream_config,
        config=config,
        sha256=sha256(*(folder / name for name in ("config.json", *WEIGHTS))),
    )


def load_codec(
    path_or_name: str | Path, device: str | torch.device = "cpu"
) -> tuple[SpectralCodec, str]:
    """The codec of a model folder, which may have no backbone yet, and the hash of its weights."""
    folder = find(path_or_name)
    values = dict(read_config(folder)["codec"])
    place = f"{folder / 'config.json'}: codec"
    kind = values.pop("type", None)
    if kind not in CODECS:
        raise InputError(f"{place} has type {kind!r}; the types are {', '.join(CODECS)}")
    codec_class, config_class = CODECS[kind]
    weights = folder / "codec.safetensors"
    _refuse_oversized(values, weights, place)
    codec = _built(codec_class, _from_config(config_class, values, place), place)
    load_into(codec, weights)
    return codec.to(_device(device)).eval(), sha256(weights)


def save(
    folder: Path,
    *,
    dit: DiT | None,
    codec: SpectralCodec,
    stream_config: StreamConfig,
    controls: Sequence[str],
    text: Mapping[str, Any] | None = MINILM,
    name: str | None = None,
    card: str | None = None,
    half: bool = True,
) -> None:
    """Writes a model folder. Each file is written beside and renamed, config.json last.

    dit: None while only the codec is trained; such a folder is for `load_codec`.
    text: the text encoder's entry of config.json; None for a model without text.
    card: the model card, README.md; None leaves the one that is there.
    half: weights in 16 bits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_module(codec, folder / "codec.safetensors", half=half)
    if dit is not None:
        save_module(dit, folder / "dit.safetensors", half=half)
    if text is not None and not (folder / "tokenizer.json").exists():
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


_KEYS = {"format", "version", "name", "dit", "codec", "stream", "conditioning", "text"}
WEIGHTS = ("dit.safetensors", "codec.safetensors")
_TOKENIZER = STARTER / "tokenizer.json"


def _dit(config: Mapping[str, Any], folder: Path) -> DiT:
    place = f"{folder / 'config.json'}: dit"
    if not isinstance(config.get("dit"), dict):
        raise InputError(f"{folder} has a codec but no dit yet; train one, or give another model")
    weights = folder / "dit.safetensors"
    _refuse_oversized(config["dit"], weights, place)
    dit = _built(DiT, _from_config(DiTConfig, config["dit"], place), place)
    load_into(dit, weights)
    return dit


def _conditioning(config: Mapping[str, Any], folder: Path) -> LocalConditioning | None:
    controls = config["conditioning"].get("controls")
    if not isinstance(controls, list):
        raise InputError(f"{folder / 'config.json'}: conditioning has no list of controls")
    return LocalConditioning(controls) if controls else None


def _text_encoder(config: Mapping[str, Any], folder: Path) -> TextEncoder | None:
    text = config.get("text")
    if text is None:
        return None
    if text != MINILM:
        raise InputError(f"{folder / 'config.json'}: text is {text!r}; this program knows {MINILM}")
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.exists():
        raise InputError(f"{tokenizer} is missing; copy it from {_TOKENIZER}")
    return MiniLMTextEncoder(tokenizer)


def _codec_type(codec: nn.Module) -> str:
    return next(name for name, (each, _) in CODECS.items() if isinstance(codec, each))


def _from_config(cls: type[Config], values: Mapping[str, Any], place: str) -> Config:
    """A config dataclass from JSON values whose types are those of its defaults.

    Raises:
        InputError: a key is unknown, or a value has the wrong type or an impossible size.
    """
    defaults = {each.name: each.default for each in fields(cls)}  # type: ignore[arg-type]
    for key, value in values.items():
        default = defaults.get(key, MISSING)
        if default is MISSING or default is None:
            continue  # an unknown key is refused by from_dict
        alike = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, alike) or isinstance(value, bool) != isinstance(default, bool):
            raise InputError(f"{place}: {key} is {value!r}, which is no {type(default).__name__}")
        if isinstance(value, int) and value < 0:
            raise InputError(f"{place}: {key} is {value}; it cannot be below 0")
    try:
        return cls.from_dict(dict(values))  # type: ignore[attr-defined]
    except ArithmeticError:
        raise InputError(f"{place}: a size is 0") from None
    except (ValueError, TypeError) as problem:
        raise InputError(f"{place}: {problem}") from None


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


def _built(cls: type[Any], config: Any, place: str) -> Any:
    """The network, built without touching torch's global random state."""
    try:
        with torch.random.fork_rng(devices=[]):
            return cls(config)
    except (RuntimeError, ValueError, ZeroDivisionError, IndexError) as problem:
        reason = str(problem).splitlines()[0]
        raise InputError(f"{place} does not describe a network: {reason}") from None


def _device(device: str | torch.device) -> torch.device:
    try:
        where = torch.device(device)
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used: {reason}") from None
    return where
