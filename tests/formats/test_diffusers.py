"""Folders of diffusers' StableAudioPipeline, against diffusers' own modules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lmdm import checkpoints
from lmdm.errors import InputError

diffusers = pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.nn.Module]]:
    """A folder as `StableAudioPipeline.save_pretrained` writes it, but for the text encoder."""
    from diffusers import AutoencoderOobleck, StableAudioDiTModel
    from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel

    folder = tmp_path_factory.mktemp("diffusers") / "tiny"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = {
            "transformer": StableAudioDiTModel(
                sample_size=40,
                in_channels=4,
                out_channels=4,
                num_layers=2,
                attention_head_dim=16,
                num_attention_heads=4,
                num_key_value_attention_heads=2,
                cross_attention_dim=24,
                cross_attention_input_dim=20,
                global_states_input_dim=40,
                time_proj_dim=32,
            ),
            "vae": AutoencoderOobleck(
                encoder_hidden_size=8,
                downsampling_ratios=[2, 3],
                channel_multiples=[1, 2],
                decoder_channels=6,
                decoder_input_channels=4,
            ),
            "projection_model": StableAudioProjectionModel(12, 20, 0, 300),
        }
        for name, part in parts.items():
            for parameter in part.parameters():
                if parameter.dim() == 1:
                    torch.nn.init.normal_(parameter, mean=0.1, std=0.2)
            part.eval().requires_grad_(False).save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableAudioPipeline"}))
    return folder, parts


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_backbone_is_diffusers_own(pipeline: tuple[Path, dict[str, torch.nn.Module]]) -> None:
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    folder, parts = pipeline
    dit = checkpoints.load(folder).dit
    latents, text = noise(2, 4, 9, seed=1), noise(2, 5, 20, seed=2)
    time, condition = torch.tensor([0.2, 0.9]), noise(2, 40, seed=3)
    rotary = get_1d_rotary_pos_embed(8, 10, use_real=True, repeat_interleave_real=False)
    theirs = parts["transformer"](
        latents, time, text, condition[:, None], rotary_embedding=rotary, return_dict=False
    )[0]
    assert dit.config.objective == "v"
    assert (dit.velocity(latents, time, text, condition) - theirs).abs().max() < 1e-5


def test_the_codec_is_diffusers_own(pipeline: tuple[Path, dict[str, torch.nn.Module]]) -> None:
    folder, parts = pipeline
    codec, vae = checkpoints.load(folder).codec, parts["vae"]
    audio, latents = noise(1, 2, 60, seed=1) / 4, noise(1, 4, 9, seed=2)
    assert torch.equal(codec.encode_parameters(audio), vae.encoder(audio))
    assert (codec.encode(audio) - vae.encode(audio).latent_dist.mode()).abs().max() < 1e-6
    assert (codec.decode(latents) - vae.decode(latents).sample).abs().max() < 1e-5


def test_numbers_are_diffusers_own(pipeline: tuple[Path, dict[str, torch.nn.Module]]) -> None:
    folder, parts = pipeline
    conditioner = checkpoints.load(folder).conditioner
    values = torch.tensor([-5.0, 0.0, 47.5, 300.0, 1e6])
    theirs = parts["projection_model"](start_seconds=values, end_seconds=values)
    start = conditioner.number("seconds_start", values)
    total = conditioner.number("seconds_total", values)
    assert (start - theirs.seconds_start_hidden_states).abs().max() < 1e-6
    assert (total - theirs.seconds_end_hidden_states).abs().max() < 1e-6
    with pytest.raises(InputError, match="hears no number 'bpm'"):
        conditioner.number("bpm", [120.0])


def test_another_pipeline_is_refused(
    pipeline: tuple[Path, dict[str, torch.nn.Module]], tmp_path: Path
) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(InputError, match="'FluxPipeline', not 'StableAudioPipeline'"):
        checkpoints.load(tmp_path)
