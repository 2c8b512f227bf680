"""Prompts through real Stable Diffusion classes (tiny, random), and the digits experiment."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.errors import InputError
from lmdm.safety.memorization.digits import (
    DigitsConfig,
    DigitsModel,
    from_pixels,
    plant,
    to_pixels,
)
from lmdm.safety.memorization.mitigation import Mitigation
from lmdm.safety.memorization.models import Sampling, StableDiffusion
from lmdm.safety.memorization.region import Region, calibrate
from lmdm.safety.memorization.runs import read_prompts, run_prompts
from lmdm.safety.memorization.watch import Watch


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from diffusers import (
        AutoencoderKL,
        PNDMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("sd")
    vocabulary = ["a", "b", "p", "h", "o", "t</w>", "a</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.model_max_length = 77
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            bos_token_id=7,
            eos_token_id=8,
        )
    )
    pipeline = StableDiffusionPipeline(
        vae, text, tokenizer, unet,
        PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                      skip_prk_steps=True),
        None, None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder / "model", safe_serialization=True)
    return folder / "model"


@pytest.mark.parametrize("scheduler", ["ddim", "pndm"])
def test_a_pipeline_is_calibrated_detected_and_mitigated(
    pipeline_folder: Path, tmp_path: Path, scheduler: str
) -> None:
    model = StableDiffusion.load(pipeline_folder)
    sampling = Sampling(scheduler, 6, 5.0)
    runs = run_prompts(
        model, ["a", "b", "p"], range(3), sampling, Watch(), tmp_path / "r", quiet=True
    )
    region = calibrate([t for run in runs for t in run.norms], model.setting(sampling))
    assert region.steps == 6 + (scheduler == "pndm")
    plain = model.generate("a b", [5, 6], sampling, Watch())
    wide = Region(region.mean, region.std * 1e6, region.setting, 9)
    untouched = Watch(wide, Mitigation())
    assert np.array_equal(model.generate("a b", [5, 6], sampling, untouched), plain)
    narrow = Region(region.mean * 0.5, region.std * 1e-3, region.setting, 9)
    touched = Watch(narrow, Mitigation())
    assert not np.array_equal(model.generate("a b", [5, 6], sampling, touched), plain)
    region.check(model.setting(sampling))
    with pytest.raises(InputError, match="guidance"):
        region.check(model.setting(Sampling(scheduler, 6, 7.5)))


def test_a_batch_gives_each_seed_what_it_gives_alone(pipeline_folder: Path) -> None:
    model = StableDiffusion.load(pipeline_folder)
    sampling, watch = Sampling("ddim", 4, 5.0), Watch()
    model.generate("a", [1, 2], sampling, watch)
    both = watch.traces()
    model.generate("a", [2], sampling, watch)
    assert torch.allclose(watch.traces()[0], both[1], rtol=1e-4)


def test_a_folder_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither the model_index\.json of a Stable Diffusion"):
        StableDiffusion.load(tmp_path)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(InputError, match="not a Stable Diffusion pipeline"):
        StableDiffusion.load(tmp_path)
    with pytest.raises(InputError, match="device 'nowhere' cannot be used"):
        StableDiffusion.load(tmp_path, "nowhere")


@pytest.mark.parametrize("values", [{"width": 10**9}, {"blocks": "4"}, {"seed": -1}])
def test_a_digits_config_with_impossible_sizes_is_refused(values: dict, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"config\.json.*whole number"):
        DigitsModel.load(tmp_path)


TINY = DigitsConfig(normal=6, planted=3, width=32, blocks=1, steps=30, batch=16)


def test_what_is_planted_is_where_it_should_be() -> None:
    data = plant(TINY)
    count = {p: int((data.labels == i).sum()) for i, p in enumerate(data.prompts)}
    for index in range(3):
        assert count[f"memorised {index:02d}"] == TINY.duplicates
        assert count[f"matched {index:02d}"] == 10
        assert count[f"single {index:02d}"] == 1
        rows = data.images[data.labels == data.prompts.index(f"memorised {index:02d}")]
        assert len(rows.unique(dim=0)) == 1
        rows = data.images[data.labels == data.prompts.index(f"matched {index:02d}")]
        assert len(rows.unique(dim=0)) == 10


def test_a_training_that_was_cut_ends_where_an_uncut_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = DigitsModel.train(tmp_path / "whole", TINY, quiet=True)
    kept, calls = DigitsModel._loss_of, 0

    def cut(self, step):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == 17:
            raise KeyboardInterrupt
        return kept(self, step)

    monkeypatch.setattr(DigitsModel, "_loss_of", cut)
    with pytest.raises(KeyboardInterrupt):
        DigitsModel.train(tmp_path / "cut", TINY, quiet=True)
    resumed = DigitsModel.train(tmp_path / "cut", TINY, quiet=True)
    assert calls == 17 + 14  # 16 done, the 17th cut, then it and 13 more
    for one, other in zip(whole.denoiser.parameters(), resumed.denoiser.parameters(), strict=True):
        assert torch.equal(one, other)
    loaded = DigitsModel.load(tmp_path / "cut")
    assert loaded.setting(Sampling()) == whole.setting(Sampling())


def test_another_configuration_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    DigitsModel.train(tmp_path, TINY, quiet=True)
    with pytest.raises(InputError, match="width was 32, not 16"):
        DigitsModel.train(tmp_path, DigitsConfig(**{**TINY.__dict__, "width": 16}), quiet=True)


def test_copies_are_near_a_training_image() -> None:
    data = plant(TINY)
    model = DigitsModel(TINY, data.prompts, data)
    image = data.images[:1]
    assert model.copies(torch.cat([image + 0.14, image + 5.0])).tolist() == [True, False]
    assert torch.allclose(from_pixels(to_pixels(image)), image, atol=1 / 127)


def test_runs_resume_and_refuse_what_is_not_theirs(tmp_path: Path) -> None:
    model = DigitsModel.train(tmp_path / "m", TINY, quiet=True)
    sampling = Sampling("ddim", 5, 3.0)
    prompts = list(model.prompts[:3])
    first = run_prompts(model, prompts, range(2), sampling, Watch(), tmp_path / "r", quiet=True)
    (tmp_path / "r" / "000001.safetensors").unlink()
    again = run_prompts(model, prompts, range(2), sampling, Watch(), tmp_path / "r", quiet=True)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.norms, other.norms) and np.array_equal(one.images, other.images)
    with pytest.raises(InputError, match="another model, prompt list or setting"):
        run_prompts(model, prompts, range(3), sampling, Watch(), tmp_path / "r", quiet=True)
    with pytest.raises(InputError, match="no prompt 'nobody'"):
        run_prompts(model, ["nobody"], range(2), sampling, Watch(), tmp_path / "r", quiet=True)


def test_prompt_files(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(" one \n\ntwo\n")
    assert read_prompts(path) == ["one", "two"]
    path.write_text("\n")
    with pytest.raises(InputError, match="0 prompts"):
        read_prompts(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_prompts(path)
