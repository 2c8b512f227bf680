"""model_config.json of stable-audio-tools, read strictly into this program's configurations.

What is absent has the reference's own default. A key that would change the network in a way that is
not built here is refused by its name, never overlooked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lmdm.codec.oobleck import OobleckConfig
from lmdm.conditioning.numbers import ConditionerConfig, NumberConfig
from lmdm.dit.config import DiTConfig
from lmdm.errors import InputError

MODEL_TYPES = ("diffusion_cond", "diffusion_cond_inpaint")
OBJECTIVES = {
    "v": "v",
    "v_denoiser": "v",
    "rectified_flow": "rectified_flow",
    "rf_denoiser": "rectified_flow",
}
INPAINTING = ["inpaint_mask", "inpaint_masked_input"]  # beside the latents at the input
DISTILLED = ("rf_denoiser", "v_denoiser")


class Section:
    """One JSON object of a configuration, whose every key must be asked for."""

    def __init__(self, values: Any, place: str) -> None:
        if not isinstance(values, Mapping):
            raise InputError(f"{place} is no JSON object")
        self.place = place
        self._left = dict(values)

    def take(self, key: str, default: Any = ...) -> Any:
        """The value of a key; without a default it must be there.

        A value must be of its default's type (a number for a number).
        """
        if key not in self._left:
            if default is ...:
                raise InputError(f"{self.place} lacks {key!r}")
            return default
        value = self._left.pop(key)
        if default is ... or default is None or (value is None and default is None):
            return value
        numeric = isinstance(default, int | float) and not isinstance(default, bool)
        kind: Any = (int, float) if numeric else type(default)
        if not isinstance(value, kind) or (numeric and isinstance(value, bool)):
            raise InputError(f"{self.place}: {key} is {value!r}, which is no {_kind(default)}")
        return value

    def size(self, key: str, default: Any = ..., least: int = 1) -> int:
        """A whole number, `least` or more."""
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{self.place}: {key} is {value!r}, not a whole number of {least} up")
        return value

    def sizes(self, key: str, default: list[int]) -> tuple[int, ...]:
        """A list of whole numbers, 1 or more."""
        values = self.take(key, default)
        if not values or any(type(each) is not int or each < 1 for each in values):
            raise InputError(f"{self.place}: {key} is {values!r}, not a list of sizes")
        return tuple(values)

    def section(self, key: str, default: Any = ...) -> Section:
        """The object under a key."""
        return Section(self.take(key, default), f"{self.place}.{key}")

    def only(self, key: str, allowed: tuple[Any, ...], default: Any) -> Any:
        """The value of a key of which only some values are built here."""
        value = self._left.pop(key, default)
        if value not in allowed:
            raise InputError(
                f"{self.place}: {key} is {value!r}, which this program does not build "
                f"(it builds {', '.join(repr(each) for each in allowed)})"
            )
        return value

    def ignore(self, *keys: str) -> None:
        """Keys that matter in training alone."""
        for key in keys:
            self._left.pop(key, None)

    def close(self) -> None:
        """Raises InputError, by name, if a key was not asked for."""
        for key in sorted(self._left):
            raise InputError(
                f"{self.place} has {key!r}, which this program does not know; the network it "
                "describes cannot be rebuilt exactly"
            )


def _kind(value: Any) -> str:
    names = {bool: "truth value", str: "text", list: "list", dict: "JSON object"}
    return names.get(type(value), "number")


def dit_config(diffusion: Section, stem_inputs: int | None) -> DiTConfig:
    """The part `model.diffusion`. stem_inputs: of `to_input_add_embed`, if the weights have it."""
    objective = diffusion.only("diffusion_objective", tuple(OBJECTIVES), "v")
    diffusion.only("type", ("dit",), None)
    inpainting = diffusion.take("input_concat_ids", []) == INPAINTING
    diffusion.ignore(
        "distribution_shift_options", "input_add_ids", "prepend_cond_ids",
        "cross_attention_cond_ids", "global_cond_ids",
    )  # fmt: skip
    c = diffusion.section("config")
    diffusion.close()
    heads = c.size("num_heads", 8)
    attention, ff, norm = (
        c.section(key, {}) for key in ("attn_kwargs", "ff_kwargs", "norm_kwargs")
    )
    final_reader = c.take("final_cross_attn_ix", -1)
    channels = c.size("io_channels", 32)
    config = DiTConfig(
        latent_channels=channels,
        dim=c.size("embed_dim", 768),
        depth=c.size("depth", 12),
        heads=heads,
        text_dim=c.size("cond_token_dim", 0, least=0),
        project_text=c.take("project_cond_tokens", True),
        global_dim=c.size("global_cond_dim", 0, least=0),
        global_projected=c.take("project_global_cond", True),
        local_channels=0 if stem_inputs is None else stem_inputs - 1 - channels,
        routed=stem_inputs is not None,
        objective=OBJECTIVES[objective],
        modulated=c.only("global_cond_type", ("prepend", "adaLN"), "prepend") == "adaLN",
        patch=c.size("patch_size", 1),
        rotary_channels=None if c.take("rotary_pos_emb", True) else 0,
        memory_tokens=c.size("num_memory_tokens", 0, least=0),
        cross_layers=None if final_reader == -1 else final_reader + 1,
        layer_scale=c.take("layer_scale", False),
        norm="tanh" if c.take("remove_norms", False) else "layer",
        norm_eps=norm.take("eps", 1e-5),
        qk_norm=attention.only("qk_norm", ("none", "ln", "l2", "dyt"), "none"),
        feedforward_multiplier=ff.take("mult", 4),
        feedforward_bias=not ff.take("no_bias", False),
        concatenated=c.size("input_concat_dim", 0, least=0),
        inpainting=inpainting,
        prepended_dim=c.size("prepend_cond_dim", 0, least=0),
        differential=attention.take("differential", False),
        conformer=c.take("conformer", False),
    )
    c.only("transformer_type", ("continuous_transformer",), "continuous_transformer")
    c.only("timestep_cond_type", ("global",), "global")
    for key in ("causal", "use_sinusoidal_emb", "use_abs_pos_emb", "add_rope"):
        c.only(key, (False,), False)
    c.only("sliding_window", (None,), None)
    # what shapes no tensor and no output: initial values, positions of the stream's own token
    c.ignore(
        "zero_init_branch_outputs", "abs_pos_emb_max_length", "timestep_embed_dim", "postpend",
        "split_qkv", "input_add_dims",
    )  # fmt: skip
    norm.ignore("bias", "fix_scale", "force_fp32")  # the same function, learnt or not
    for key in ("feat_scale", "causal"):
        attention.only(key, (False,), False)
    attention.ignore("zero_init_output")
    ff.only("glu", (True,), True)
    ff.only("use_conv", (False,), False)
    ff.ignore("conv_kernel_size", "zero_init_output")
    for section in (attention, ff, norm, c):
        section.close()
    return config


def codec_config(pretransform: Section, sample_rate: int) -> OobleckConfig:
    """The part `model.pretransform`."""
    pretransform.only("type", ("autoencoder",), None)
    scale = pretransform.take("scale", 1.0)
    iterate_batch = pretransform.take("iterate_batch", False)
    pretransform.ignore("model_half", "chunked", "enable_grad")
    model = pretransform.section("config")
    pretransform.close()
    sides = {side: model.section(side) for side in ("encoder", "decoder")}
    bottleneck, tanh_scale = _bottleneck(model)
    latents = model.size("latent_dim")
    ratio = model.size("downsampling_ratio")
    model.only("pretransform", (None,), None)
    model.ignore("io_channels", "in_channels", "out_channels")
    soft_clip = sides["decoder"].take("soft_clip", False)
    inner = {}
    for side, section in sides.items():
        section.only("type", ("oobleck",), None)
        section.ignore("requires_grad")
        inner[side] = section.section("config")
        section.close()
    encoder, decoder = inner["encoder"], inner["decoder"]
    for section in (encoder, decoder):
        section.only("antialias_activation", (False,), False)
    config = OobleckConfig(
        latent_channels=latents,
        sample_rate=sample_rate,
        encoder_inputs=encoder.size("in_channels", 2),
        encoder_channels=encoder.size("channels", 128),
        encoder_multiples=encoder.sizes("c_mults", [1, 2, 4, 8]),
        encoder_strides=encoder.sizes("strides", [2, 4, 8, 8]),
        encoder_outputs=encoder.size("latent_dim", 32),
        encoder_snake=encoder.take("use_snake", False),
        decoder_inputs=decoder.size("latent_dim", 32),
        decoder_channels=decoder.size("channels", 128),
        decoder_multiples=decoder.sizes("c_mults", [1, 2, 4, 8]),
        decoder_strides=decoder.sizes("strides", [2, 4, 8, 8]),
        decoder_outputs=decoder.size("out_channels", 2),
        decoder_snake=decoder.take("use_snake", False),
        nearest_upsample=decoder.take("use_nearest_upsample", False),
        final_tanh=decoder.take("final_tanh", True),
        soft_clip=soft_clip,
        bottleneck=bottleneck,
        tanh_scale=tanh_scale,
        scale=scale,
        iterate_batch=iterate_batch,
    )
    for section in (encoder, decoder, model):
        section.close()
    if ratio != config.frame_samples:
        raise InputError(
            f"{model.place}: downsampling_ratio is {ratio}, but the strides multiply to "
            f"{config.frame_samples}"
        )
    return config


def _bottleneck(model: Section) -> tuple[str, float]:
    """Kind, and the scale of its tanh (0: none)."""
    values = model.take("bottleneck", None)
    if values is None:
        return "none", 0.0
    section = Section(values, f"{model.place}.bottleneck")
    kind = section.only("type", ("vae", "tanh", "l2_norm", "wasserstein"), None)
    section.ignore("requires_grad")
    settings = section.section("config", {})
    section.close()
    scale = 0.0
    if kind == "tanh":
        scale = settings.take("scale", 1.0)
    elif kind == "wasserstein":
        settings.only("noise_augment_dim", (0,), 0)
        settings.ignore("bypass_mmd")
        scale = settings.take("tanh_scale", 5.0)
        scale = scale if settings.take("use_tanh", False) else 0.0
    settings.close()
    return kind, float(scale)


def conditioner_config(
    conditioning: Section | None, diffusion: Mapping[str, Any]
) -> tuple[ConditionerConfig, dict[str, Any] | None]:
    """The part `model.conditioning`: numbers, and the text encoder's entry of our config.json.

    diffusion: the part `model.diffusion`, for the order in which conditions are read.
    """
    orders = tuple(
        tuple(diffusion.get(key, ())) for key in ("cross_attention_cond_ids", "global_cond_ids")
    )
    numbers: dict[str, NumberConfig] = {}
    text: dict[str, Any] | None = None
    for index, entry in enumerate(conditioning.take("configs") if conditioning else []):
        assert conditioning is not None
        each = Section(entry, f"{conditioning.place}.configs[{index}]")
        name = each.take("id")
        kind = each.only("type", ("t5", "number", "int"), None)
        settings = each.section("config")
        each.close()
        dim = settings.take("output_dim", None)
        if kind == "t5":
            if text is not None:
                raise InputError(f"{each.place} is a second text encoder; one is built here")
            text = {
                "encoder": "t5",
                "name": name,
                "model": settings.take("t5_model_name", "t5-base"),
                "length": settings.size("max_length", 128),
                "dim": dim,
                "projected": settings.take("project_out", False),
            }
            settings.only("enable_grad", (False,), False)
        else:
            whole = kind == "int"
            low, high = settings.take("min_val", 0), settings.take("max_val", 512 if whole else 1)
            if not math.isfinite(high - low) or high <= low:
                raise InputError(f"{settings.place}: the range {low} to {high} is empty")
            numbers[name] = NumberConfig(dim or 0, low, high, whole)
        settings.close()
    if conditioning is not None:
        dim = conditioning.size("cond_dim")
        conditioning.ignore("default_keys", "pre_encoded_keys")
        conditioning.close()
        numbers = {
            name: NumberConfig(each.dim or dim, each.low, each.high, each.whole)
            for name, each in numbers.items()
        }
        if text is not None:
            text["dim"] = text["dim"] or dim
    return ConditionerConfig(numbers, *orders), text
