"""Real diffusers pipelines with random weights, small enough to run in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def _text_parts(family: str) -> tuple[Any, Any]:
    """Tokenizer and encoder, of family "UMT5" or "T5"."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<pad>", "</s>", "<unk>", "a", "cat", "dog", "rain"]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(words), d_model=32, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return wrapped, getattr(transformers, f"{family}EncoderModel")(config).eval()


def wan_transformer(seed: int = 0) -> Any:
    from diffusers import WanTransformer3DModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16,
            out_channels=16, text_dim=32, freq_dim=32, ffn_dim=32, num_layers=2,
            cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=64,
        ).eval()  # fmt: skip


def wan_pipeline() -> Any:
    """WanPipeline with every part; frames in fours, pixels in eights."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer, text_encoder = _text_parts("UMT5")
        vae = AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ).eval()  # fmt: skip
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    pipe = WanPipeline(
        tokenizer=tokenizer, text_encoder=text_encoder, vae=vae, transformer=wan_transformer(),
        scheduler=scheduler,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def wan_folder(folder: Path) -> Path:
    """The Wan pipeline saved as users have it."""
    wan_pipeline().save_pretrained(folder, safe_serialization=True)
    return folder


def ltx_pipeline() -> Any:
    """LTXPipeline with every part: packed tokens, its own schedule; 8 frames, 32 pixels a cell."""
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXPipeline,
        LTXVideoTransformer3DModel,
    )

    scaled = (True, True, True, False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformer = LTXVideoTransformer3DModel(
            in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=16,
            cross_attention_dim=32, num_layers=1, caption_channels=32,
        ).eval()  # fmt: skip
        tokenizer, text_encoder = _text_parts("T5")
        vae = AutoencoderKLLTXVideo(
            latent_channels=8, block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
            layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 5,
            spatio_temporal_scaling=scaled, decoder_spatio_temporal_scaling=scaled,
        ).eval()  # fmt: skip
        vae.latents_mean, vae.latents_std = torch.linspace(-1, 1, 8), torch.linspace(1, 2, 8)
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.1)
    pipe = LTXPipeline(
        scheduler=scheduler, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer,
        transformer=transformer,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def ltx_folder(folder: Path) -> Path:
    """The LTX pipeline saved as users have it."""
    ltx_pipeline().save_pretrained(folder, safe_serialization=True)
    return folder
