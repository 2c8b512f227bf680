"""A stream's decoder changes precision without a break."""

from __future__ import annotations

import torch

from lmdm.codec.streaming import streaming_decoder
from lmdm.codec.two_precisions import TwoPrecisionsDecoder
from tests.codec.test_oobleck import LATENTS, codec_of, noise


def test_the_sound_goes_on_in_another_precision_and_back() -> None:
    codec = codec_of((2, 4))
    latents = noise(LATENTS, 240)
    exact, two = streaming_decoder(codec), TwoPrecisionsDecoder(codec, torch.float32)
    assert two.has_coarse
    errors = []
    for number, piece in enumerate(latents.split(40, dim=1)):
        wanted, given = exact.decode(piece), two.decode(piece, coarse=number in (2, 3))
        assert given.shape == wanted.shape and given.dtype == wanted.dtype
        errors.append(float((given - wanted).norm() / wanted.norm()))
    assert errors[:2] == [0.0, 0.0]
    assert 0.0 < max(errors[2:4]) < 0.05
    assert errors[5] < 1e-5  # what was heard coarsely is over


def test_a_snapshot_of_one_precision_is_gone_on_from_in_the_other() -> None:
    codec = codec_of((2, 4))
    latents = noise(LATENTS, 80)
    two = TwoPrecisionsDecoder(codec, torch.float32)
    two.decode(latents[:, :40])
    before = two.snapshot()
    coarse = two.decode(latents[:, 40:], coarse=True)
    two.restore(before)
    assert torch.equal(two.decode(latents[:, 40:], coarse=True), coarse)
    two.restore(before)
    assert not torch.equal(two.decode(latents[:, 40:]), coarse)


def test_a_decoder_that_is_coarse_already_has_no_other() -> None:
    assert not TwoPrecisionsDecoder(codec_of((2, 4)), torch.bfloat16).has_coarse
