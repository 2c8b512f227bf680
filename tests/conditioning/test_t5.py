"""T5 through transformers, from a tiny random one beside the model, and number tokens around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.conditioning.numbers import Conditioner, ConditionerConfig, NumberConfig
from lmdm.conditioning.t5 import T5TextEncoder
from lmdm.errors import InputError

transformers = pytest.importorskip("transformers")

WORDS = ["<pad>", "</s>", "<unk>", "felt", "piano", "choir"]
DIM = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 of six words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    root = tmp_path_factory.mktemp("t5") / "t5-base"
    words = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(root)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = T5Config(
            vocab_size=len(WORDS), d_model=DIM, d_kv=4, d_ff=16, num_layers=1, num_heads=2
        )
        T5EncoderModel(config).save_pretrained(root)
    return root


def test_padding_is_zero_and_a_prompt_is_read_once(folder: Path) -> None:
    encoder = T5TextEncoder([folder], length=6, dim=DIM)
    tokens = encoder.encode("felt piano")
    assert tokens.shape == (6, DIM) and tokens.dtype == np.float32
    assert np.abs(tokens[:3]).min(axis=1).max() > 0  # two words and their end
    assert np.array_equal(tokens[3:], np.zeros((3, DIM)))
    assert encoder.encode("felt piano") is tokens
    assert not np.array_equal(encoder.encode("choir"), tokens)


def test_words_are_the_networks_own(folder: Path) -> None:
    from transformers import T5EncoderModel

    network = T5EncoderModel.from_pretrained(folder).eval()
    ids = torch.tensor([[3, 4, 1]])
    with torch.no_grad():
        theirs = network(input_ids=ids).last_hidden_state[0].numpy()
    ours = T5TextEncoder([folder], length=6, dim=DIM).encode("felt piano")
    assert np.abs(ours[:3] - theirs).max() < 1e-5


def test_an_empty_prompt_is_no_text_and_loads_nothing(tmp_path: Path) -> None:
    encoder = T5TextEncoder([tmp_path / "nothing"], length=4, dim=DIM, after=[torch.ones(1, DIM)])
    assert np.array_equal(encoder.encode("  "), np.zeros((5, DIM)))


def test_numbers_stand_around_the_words_in_order(folder: Path) -> None:
    numbers = {name: NumberConfig(DIM, 0, 10) for name in ("a", "b")}
    conditioner = Conditioner(ConditionerConfig(numbers, ("a", "prompt", "b"), ("b",)))
    with torch.no_grad():
        made = conditioner.tokens({"a": 1.0, "b": 2.0})
    encoder = T5TextEncoder([folder], 4, DIM, before=[made["a"]], after=[made["b"]])
    tokens = encoder.encode("choir")
    assert tokens.shape == (6, DIM)
    assert np.array_equal(tokens[0], made["a"][0].numpy())
    assert np.array_equal(tokens[5], made["b"][0].numpy())


def test_a_projection_widens_the_words_and_padding_stays_zero(folder: Path) -> None:
    matrix = torch.nn.Linear(DIM, 12).requires_grad_(False)
    tokens = T5TextEncoder([folder], 6, 12, matrix).encode("felt")
    assert tokens.shape == (6, 12)
    assert np.array_equal(tokens[2:], np.zeros((4, 12)))


def test_an_absent_encoder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="play without prompts"):
        T5TextEncoder([tmp_path / "t5-base"], 4, DIM).encode("felt piano")


def test_another_width_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=f"gives {DIM} channels, but the model wants 5"):
        T5TextEncoder([folder], 4, 5).encode("felt piano")
