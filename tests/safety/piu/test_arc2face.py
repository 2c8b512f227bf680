"""The Arc2Face adapter on the real classes, tiny and random."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lmdm.errors import InputError
from lmdm.safety.piu.arc2face import Arc2Face
from lmdm.safety.piu.identities import Anchor, labelled, split
from lmdm.safety.piu.scope import STABLE_DIFFUSION
from lmdm.safety.piu.unlearning import Settings, unlearn

WORDS = ["photo</w>", "of</w>", "a</w>", "id</w>", "person</w>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("arc2face")
    letters = sorted({c for w in WORDS for c in w.removesuffix("</w>")})
    vocabulary = [*letters, *(f"{c}</w>" for c in letters), *WORDS]
    merges = ["#version: 0.2"]
    for word in WORDS:
        parts = [*word.removesuffix("</w>")[:-1], word.removesuffix("</w>")[-1] + "</w>"]
        while len(parts) > 1:
            merges.append(f"{parts[0]} {parts[1]}")
            parts[:2] = [parts[0] + parts[1]]
            vocabulary.append(parts[0])
    vocabulary = list(dict.fromkeys([*vocabulary, "<|startoftext|>", "<|endoftext|>"]))
    numbers = {word: index for index, word in enumerate(vocabulary)}
    (made / "vocab.json").write_text(json.dumps(numbers))
    (made / "merges.txt").write_text("\n".join(dict.fromkeys(merges)) + "\n")
    tokenizer = CLIPTokenizer(str(made / "vocab.json"), str(made / "merges.txt"))
    tokenizer.model_max_length = 77
    tokenizer.save_pretrained(made / "tokenizer")
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            bos_token_id=numbers["<|startoftext|>"],
            eos_token_id=numbers["<|endoftext|>"],
        )
    ).save_pretrained(made / "encoder")
    UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
    ).save_pretrained(made / "unet")
    AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    ).save_pretrained(made / "vae")
    DDPMScheduler().save_pretrained(made / "scheduler")
    return made


def recogniser(images: torch.Tensor) -> torch.Tensor:
    flat = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)
    return torch.nn.functional.normalize(flat, dim=1)


@pytest.fixture
def model(folder: Path) -> Arc2Face:
    return Arc2Face.load(folder, recogniser)


def test_the_identity_stands_where_the_token_id_stood(model: Arc2Face) -> None:
    one, other = torch.randn(2, 12)
    states = model.condition(torch.stack([one, other]))
    assert states.shape == (2, 77, 16)
    tokens = model.tokenizer("photo of a id person").input_ids
    assert [model.tokenizer.decode([t]).strip() for t in tokens[1:-1]] == [
        "photo", "of", "a", "id", "person",
    ]  # fmt: skip
    place = tokens.index(model.tokenizer.encode("id", add_special_tokens=False)[0])
    # causal: what stands before the identity does not see it, what stands there does
    assert torch.allclose(states[0, :place], states[1, :place], atol=1e-6)
    assert not torch.allclose(states[0, place], states[1, place], atol=1e-3)
    own = model.encoder.get_input_embeddings().weight[tokens[place]]
    plain = model.encoder(input_ids=torch.tensor([tokens])).last_hidden_state
    same = model.condition(own[None])
    assert torch.allclose(same[:, : len(tokens)], plain, atol=1e-5)


def test_an_embedding_wider_than_the_encoder_is_refused(model: Arc2Face) -> None:
    with pytest.raises(InputError, match="the encoder takes 16"):
        model.condition(torch.randn(1, 17))


def test_unlearning_moves_surgical_parameters_only(model: Arc2Face, tmp_path: Path) -> None:
    people = torch.nn.functional.normalize(torch.randn(24, 12), dim=1).numpy()
    identities = labelled(people, torch.arange(8).repeat_interleave(3).numpy())
    settings = Settings(steps=1, batch=2, accumulation=1)
    student = unlearn(
        model, identities, split(identities, 0), Anchor(3, 0.2), settings, STABLE_DIFFUSION,
        tmp_path, quiet=True,
    )  # fmt: skip
    before = dict(model.denoiser.named_parameters())
    scope = STABLE_DIFFUSION["surgical"]
    moved = {n for n, p in student.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {name for name in before if scope.holds(name)}
    image = model.sample(student, torch.randn(1, 12), seed=0)
    assert image.shape == (1, 3, model.image_size, model.image_size)
    assert float(image.abs().max()) <= 1.0


def test_a_folder_without_its_parts_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="UNet2DConditionModel"):
        Arc2Face.load(tmp_path, recogniser)
