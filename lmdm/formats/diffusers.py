"""Folders of diffusers' StableAudioPipeline: transformer, vae, projection_model, text_encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lmdm.codec.oobleck import OobleckConfig
from lmdm.conditioning.numbers import ConditionerConfig, NumberConfig
from lmdm.dit.config import DiTConfig
from lmdm.errors import InputError
from lmdm.formats.parts import Parts, Recipe, as_it_is, folded, rows, stream_of
from lmdm.formats.stable_audio import read_json
from lmdm.formats.stable_audio_config import Section
from lmdm.weights import read_header, refuse_pickle

CONFIG = "model_index.json"
START, END = "seconds_start", "seconds_total"
WEIGHTS = "diffusion_pytorch_model"
TEXT_LENGTH = 128  # tokens; the pipeline asks the tokenizer, which says 512, for Stable Audio 128

DIT_NAMES = (
    ("time_proj.", "timestep_features."),
    ("timestep_proj.", "to_timestep_embed."),
    ("global_proj.", "to_global_embed."),
    ("cross_attention_proj.", "to_cond_embed."),
    ("proj_in.", "transformer.project_in."),
    ("proj_out.", "transformer.project_out."),
    ("transformer_blocks.", "transformer.layers."),
    ("preprocess_conv.", "preprocess_conv."),
    ("postprocess_conv.", "postprocess_conv."),
)
LAYER_NAMES = (
    (".norm1.weight", ".pre_norm.gamma"),
    (".norm1.bias", ".pre_norm.beta"),
    (".norm2.weight", ".cross_attend_norm.gamma"),
    (".norm2.bias", ".cross_attend_norm.beta"),
    (".norm3.weight", ".ff_norm.gamma"),
    (".norm3.bias", ".ff_norm.beta"),
    (".attn1.to_out.0.", ".self_attn.to_out."),
    (".attn2.to_out.0.", ".cross_attn.to_out."),
    (".attn2.to_q.", ".cross_attn.to_q."),
    (".ff.net.0.proj.", ".ff.ff.0.proj."),
    (".ff.net.2.", ".ff.ff.2."),
)


def is_folder(path: Path) -> bool:
    """Whether a folder says that it is such a pipeline."""
    return (path / CONFIG).exists()


def read(folder: Path) -> Parts:
    """Takes a pipeline apart; reads no weights.

    Raises:
        InputError: it is of another kind, or incomplete.
    """
    kind = read_json(folder / CONFIG).get("_class_name")
    if kind != "StableAudioPipeline":
        raise InputError(f"{folder / CONFIG}: _class_name is {kind!r}, not 'StableAudioPipeline'")
    configs = {part: folder / part / "config.json" for part in _CLASSES}
    sections = {part: _section(path, _CLASSES[part]) for part, path in configs.items()}
    files = {part: _weights(folder / part) for part in _CLASSES}
    sample_frames = sections["transformer"].size("sample_size", 1024)
    headers = {
        part: [name for path in paths for name in read_header(path)]
        for part, paths in files.items()
    }
    dit = _dit(sections["transformer"], _objective(folder))
    codec = _codec(sections["vae"])
    conditioner, text = _conditioner(sections["projection_model"], folder)
    recipes = {
        "dit": _dit_recipes(headers["transformer"], dit),
        "codec": folded({_codec_name(name, codec): name for name in headers["vae"]}),
        "conditioner": {
            _number_name(name): Recipe((name,))
            for name in headers["projection_model"]
            if not name.startswith("text_projection.")
        },
        "text": {
            name.replace("text_projection.", "proj_out."): Recipe((name,))
            for name in headers["projection_model"]
            if name.startswith("text_projection.")
        },
    }
    return Parts(
        name=folder.resolve().name,
        folder=folder,
        files=(*configs.values(), *(path for paths in files.values() for path in paths)),
        config="config.json",
        dit=dit,
        codec=codec,
        conditioner=conditioner,
        text=text,
        stream=stream_of(dit, sample_frames, distilled=False),
        recipes=recipes,
    )


_CLASSES = {
    "transformer": "StableAudioDiTModel",
    "vae": "AutoencoderOobleck",
    "projection_model": "StableAudioProjectionModel",
}


def _section(path: Path, kind: str) -> Section:
    values = read_json(path)
    if values.get("_class_name") != kind:
        raise InputError(f"{path}: _class_name is {values.get('_class_name')!r}, not {kind!r}")
    return Section({k: v for k, v in values.items() if not k.startswith("_")}, str(path))


def _weights(folder: Path) -> list[Path]:
    """The safetensors file of a part, or its pieces."""
    index = folder / f"{WEIGHTS}.safetensors.index.json"
    if index.exists():
        return [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    files = sorted(folder.glob("*.safetensors"))
    if folder / f"{WEIGHTS}.safetensors" in files:
        return [folder / f"{WEIGHTS}.safetensors"]
    if not files:
        for pickle in sorted(folder.glob("*")):
            refuse_pickle(pickle)
    if len(files) != 1:
        raise InputError(f"{folder} holds {len(files)} .safetensors files where one is wanted")
    return files


def _objective(folder: Path) -> str:
    """What the network predicts, as the scheduler has it."""
    path = folder / "scheduler" / "scheduler_config.json"
    kind = json.loads(path.read_text()).get("prediction_type") if path.exists() else None
    if kind in (None, "v_prediction"):
        return "v"
    if kind in ("flow_prediction", "flow"):
        return "rectified_flow"
    raise InputError(f"{path}: prediction_type is {kind!r}; this program knows 'v_prediction'")


def _dit(c: Section, objective: str) -> DiTConfig:
    heads, head_dim = c.size("num_attention_heads", 24), c.size("attention_head_dim", 64)
    channels = c.size("in_channels", 64)
    c.only("out_channels", (channels,), 64)
    config = DiTConfig(
        latent_channels=channels,
        dim=heads * head_dim,
        depth=c.size("num_layers", 24),
        heads=heads,
        text_dim=c.size("cross_attention_input_dim", 768),
        text_width=c.size("cross_attention_dim", 768),
        kv_heads=c.size("num_key_value_attention_heads", 12),
        global_dim=c.size("global_states_input_dim", 1536),
        routed=False,
        qk_norm="none",
        rotary_channels=head_dim // 2,
        timestep_features=c.size("time_proj_dim", 256),
        objective=objective,
    )
    c.close()
    return config


def _codec(c: Section) -> OobleckConfig:
    strides = c.sizes("downsampling_ratios", [2, 4, 4, 8, 8])
    multiples = c.sizes("channel_multiples", [1, 2, 4, 8, 16])
    hidden, audio = c.size("encoder_hidden_size", 128), c.size("audio_channels", 2)
    latents = c.size("decoder_input_channels", 64)
    config = OobleckConfig(
        latent_channels=latents,
        sample_rate=c.size("sampling_rate", 44100),
        encoder_inputs=audio,
        encoder_channels=hidden,
        encoder_multiples=multiples,
        encoder_strides=strides,
        encoder_outputs=hidden,
        decoder_inputs=latents,
        decoder_channels=c.size("decoder_channels", 128),
        decoder_multiples=multiples,
        decoder_strides=strides,
        decoder_outputs=audio,
    )
    c.close()
    return config


def _conditioner(c: Section, folder: Path) -> tuple[ConditionerConfig, dict[str, Any]]:
    dim, low, high = c.size("conditioning_dim"), c.take("min_value"), c.take("max_value")
    projected = c.size("text_encoder_dim") != dim
    c.close()
    number = NumberConfig(dim, low, high)
    text = {
        "encoder": "t5",
        "name": "prompt",
        "model": "t5-base",
        "length": TEXT_LENGTH,
        "dim": dim,
        "projected": projected,
    }
    path = folder / "tokenizer" / "tokenizer_config.json"
    length = read_json(path).get("model_max_length") if path.exists() else None
    if isinstance(length, int) and 0 < length < 10**6:
        text["length"] = length
    return ConditionerConfig(
        {START: number, END: number}, ("prompt", START, END), (START, END)
    ), text


def _dit_recipes(names: list[str], config: DiTConfig) -> dict[str, Recipe]:
    recipes: dict[str, Recipe] = {}
    for name in names:
        ours = next(
            (new + name.removeprefix(old) for old, new in DIT_NAMES if name.startswith(old)), name
        )
        for old, new in LAYER_NAMES:
            ours = ours.replace(old, new)
        if ".attn1.to_q." in ours:
            q, k, v = (name.replace("to_q", part) for part in ("to_q", "to_k", "to_v"))
            recipes[ours.replace(".attn1.to_q.", ".self_attn.to_qkv.")] = Recipe((q, k, v), rows)
        elif ".attn2.to_k." in ours:
            value = name.replace("to_k", "to_v")
            recipes[ours.replace(".attn2.to_k.", ".cross_attn.to_kv.")] = Recipe(
                (name, value), rows
            )
        elif not any(part in ours for part in (".attn1.to_k.", ".attn1.to_v.", ".attn2.to_v.")):
            make = _column if name == "time_proj.weight" else as_it_is
            recipes[ours] = Recipe((name,), make)
    if config.rotary_dim:  # diffusers computes it; stable-audio-tools stores it
        recipes["transformer.rotary_pos_emb.inv_freq"] = Recipe((), _frequencies(config))
    return recipes


def _column(weight: Tensor) -> Tensor:
    return weight[:, None]


def _frequencies(config: DiTConfig) -> Any:
    from lmdm.dit.rotary import RotaryPositions

    return lambda: RotaryPositions(config.rotary_dim, config.rope_base).inv_freq


def _codec_name(name: str, config: OobleckConfig) -> str:
    """encoder.block.1.res_unit2.conv1.weight_g -> encoder.layers.2.layers.1.layers.1.weight_g."""
    side, *rest = name.split(".")
    last = len(config.encoder_strides)
    units: Mapping[str, int] = (
        {"res_unit1": 0, "res_unit2": 1, "res_unit3": 2, "snake1": 3, "conv1": 4}
        if side == "encoder"
        else {"snake1": 0, "conv_t1": 1, "res_unit1": 2, "res_unit2": 3, "res_unit3": 4}
    )
    within = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
    ends = {"conv1": 0, "snake1": last + 1, "conv2": last + 2}
    try:
        if rest[0] == "block":
            path = [str(int(rest[1]) + 1), str(units[rest[2]])]
            tail = rest[3:]
            if rest[2].startswith("res_unit"):
                path, tail = [*path, str(within[rest[3]])], rest[4:]
        else:
            path, tail = [str(ends[rest[0]])], rest[1:]
    except (KeyError, IndexError, ValueError):
        raise InputError(f"the vae has a tensor {name!r} that has no place") from None
    return f"{side}.layers." + ".layers.".join(path) + "." + ".".join(tail)


def _number_name(name: str) -> str:
    for old, new in (("start_number_conditioner", START), ("end_number_conditioner", END)):
        name = name.replace(
            f"{old}.time_positional_embedding.", f"conditioners.{new}.embedder.embedding."
        )
    return name
