"""Makes stable_audio.safetensors: what stable-audio-tools gives for drawn weights and inputs.

    python -m tests.formats.golden.make_stable_audio FOLDER [FOLDER …]

FOLDER: where stable_audio_tools, einops and einops_exts lie (see `reference`). The golden file
holds inputs and outputs; configurations and the shapes of all tensors lie beside it as JSON, and
the weights are drawn again wherever the test runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.formats.golden.reference import built, import_reference

HERE = Path(__file__).parent
STEPS = 4
SAMPLED = ("small", "open", "other")  # models of which whole walks are kept
VALUES = [-3.0, 0.0, 11.5, 256.0, 300.0]


def oobleck(latents: int, **decoder: Any) -> dict[str, Any]:
    """A tiny autoencoder as Stable Audio has it, frames of 12 samples."""
    shape = {"channels": 4, "c_mults": [1, 2, 3], "strides": [2, 2, 3], "use_snake": True}
    return {
        "type": "autoencoder",
        "iterate_batch": True,
        "config": {
            "encoder": {
                "type": "oobleck",
                "requires_grad": False,
                "config": shape | {"in_channels": 2, "latent_dim": 2 * latents},
            },
            "decoder": {
                "type": "oobleck",
                "config": shape
                | {"out_channels": 2, "latent_dim": latents, "final_tanh": False}
                | decoder,
            },
            "bottleneck": {"type": "vae"},
            "latent_dim": latents,
            "downsampling_ratio": 12,
            "io_channels": 2,
        },
    }


def number(name: str, high: int) -> dict[str, Any]:
    return {"id": name, "type": "number", "config": {"min_val": 0, "max_val": high}}


def model(
    objective: str,
    dit: dict[str, Any],
    numbers: list[dict[str, Any]],
    cond_dim: int,
    **decoder: Any,
) -> dict[str, Any]:
    """A whole model_config.json."""
    text = {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": 8}}
    names = [each["id"] for each in numbers]
    return {
        "model_type": "diffusion_cond",
        "sample_size": 12 * 40,
        "sample_rate": 44100,
        "audio_channels": 2,
        "model": {
            "pretransform": oobleck(dit["io_channels"], **decoder),
            "conditioning": {"configs": [text, *numbers], "cond_dim": cond_dim},
            "diffusion": {
                "cross_attention_cond_ids": ["prompt", *names],
                "global_cond_ids": names,
                "diffusion_objective": objective,
                "type": "dit",
                "config": dit | {"transformer_type": "continuous_transformer"},
            },
            "io_channels": dit["io_channels"],
        },
    }


MODELS = {
    "small": model(
        "rf_denoiser",
        {
            "io_channels": 8, "embed_dim": 128, "depth": 3, "num_heads": 2, "cond_token_dim": 48,
            "global_cond_dim": 48, "project_cond_tokens": True, "attn_kwargs": {"qk_norm": "ln"},
        },
        [number("seconds_total", 256)],
        48,
    ),
    "open": model(
        "v",
        {
            "io_channels": 6, "embed_dim": 768, "depth": 1, "num_heads": 24, "cond_token_dim": 384,
            "global_cond_dim": 768, "project_cond_tokens": False, "project_global_cond": True,
        },
        [number("seconds_start", 512), number("seconds_total", 512)],
        384,
    ),
    "other": model(
        "rectified_flow",
        {
            "io_channels": 5, "embed_dim": 64, "depth": 2, "num_heads": 2, "cond_token_dim": 20,
            "global_cond_dim": 20, "global_cond_type": "adaLN", "patch_size": 2,
            "num_memory_tokens": 2, "attn_kwargs": {"qk_norm": "l2"}, "layer_scale": True,
        },
        [number("seconds_total", 30)],
        20,
        use_nearest_upsample=True,
        final_tanh=True,
        use_snake=False,
    ),
    "inpainting": model(
        "rectified_flow",
        {
            "io_channels": 4, "embed_dim": 64, "depth": 2, "num_heads": 2, "cond_token_dim": 12,
            "global_cond_dim": 12, "input_concat_dim": 5, "patch_size": 2,
            "attn_kwargs": {"qk_norm": "ln"}, "num_memory_tokens": 1,
        },
        [number("seconds_total", 30)],
        12,
    ),
    "prepended": model(
        "rectified_flow",
        {
            "io_channels": 4, "embed_dim": 64, "depth": 2, "num_heads": 2, "cond_token_dim": 12,
            "global_cond_dim": 12, "prepend_cond_dim": 6, "num_memory_tokens": 1,
        },
        [number("seconds_total", 30)],
        12,
    ),
    "variants": model(
        "v",
        {
            "io_channels": 4, "embed_dim": 64, "depth": 2, "num_heads": 2, "cond_token_dim": 32,
            "project_cond_tokens": False, "global_cond_dim": 12, "global_cond_type": "adaLN",
            "prepend_cond_dim": 6, "conformer": True, "layer_scale": True,
            "attn_kwargs": {"qk_norm": "ln", "differential": True},
        },
        [number("seconds_total", 30)],
        12,
    ),
}  # fmt: skip
MODELS["inpainting"]["model"]["diffusion"]["input_concat_ids"] = [
    "inpaint_mask", "inpaint_masked_input",
]  # fmt: skip


def drawn_inputs(config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Noise of the shapes that a model takes."""
    dit = config["model"]["diffusion"]["config"]
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    given = {
        "latents": noise(2, dit["io_channels"], 10),
        "timestep": torch.tensor([0.15, 0.8]),
        "text": noise(2, 5, dit["cond_token_dim"]),
        "global": noise(2, dit["global_cond_dim"]),
        "audio": noise(1, 2, 12 * 9) / 4,
    }
    if "input_concat_dim" in dit:  # half as long: the network stretches them
        given["concatenated"] = noise(2, dit["input_concat_dim"], 5)
    if "prepend_cond_dim" in dit:
        given["prepended"] = noise(2, 3, dit["prepend_cond_dim"])
    return given


def conditions(given: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What the reference's network is called with beside latents and time."""
    found: dict[str, Any] = {"cross_attn_cond": given["text"], "global_cond": given["global"]}
    if "concatenated" in given:
        found["input_concat_cond"] = given["concatenated"]
    if "prepended" in given:
        found["prepend_cond"] = given["prepended"]
        found["prepend_cond_mask"] = torch.ones(given["prepended"].shape[:2])
    return found


def samplers(factory: Any, reference: Any, given: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Whole walks from noise to data: Euler, ping-pong, and DDIM of v-prediction."""
    from stable_audio_tools.inference import sampling

    text, condition = given["text"][:1], given["global"][:1]

    def network(x: torch.Tensor, t: torch.Tensor, **_: Any) -> torch.Tensor:
        return reference.model(
            x, t, cross_attn_cond=text, global_cond=condition, use_checkpointing=False
        )

    generator = torch.Generator().manual_seed(1)
    sampling.torch.randn_like = lambda x: torch.randn(x.shape, generator=generator)
    noise = given["latents"][:1]
    if reference.diffusion_objective == "v":
        return {"ddim": sampling.sample(network, noise, STEPS, eta=0.0)}
    logsnr = torch.linspace(-6, 2, STEPS + 1)
    sigmas = torch.sigmoid(-logsnr)
    sigmas[0], sigmas[-1] = 1.0, 0.0
    return {
        "euler": sampling.sample_discrete_euler(network, noise, sigmas=sigmas, disable_tqdm=True),
        "ping-pong": sampling.sample_flow_pingpong(network, noise, sigmas=sigmas),
    }


def main() -> None:
    """Writes the golden file and the configurations."""
    factory = import_reference(*(Path(each) for each in sys.argv[1:]))
    golden: dict[str, torch.Tensor] = {}
    described: dict[str, Any] = {}
    for name, config in MODELS.items():
        reference = built(factory, config)
        given = drawn_inputs(config)
        made = {
            "velocity": reference.model(
                given["latents"], given["timestep"], **conditions(given), use_checkpointing=False
            ),
            "parameters": reference.pretransform.model.encoder(given["audio"]),
            "decoded": reference.pretransform.decode(given["latents"]),
        }
        if name in SAMPLED:
            made |= samplers(factory, reference, given)
        for each in config["model"]["conditioning"]["configs"][1:]:
            conditioner = reference.conditioner.conditioners[each["id"]]
            made[each["id"]] = conditioner(VALUES, device="cpu")[0]
        golden |= {f"{name}.{key}": value.contiguous() for key, value in (given | made).items()}
        shapes = {key: list(value.shape) for key, value in reference.state_dict().items()}
        described[name] = {"config": config, "shapes": shapes}
    save_file(golden, HERE / "stable_audio.safetensors")
    (HERE / "stable_audio.json").write_text(json.dumps(described, indent=1) + "\n")


if __name__ == "__main__":
    main()
