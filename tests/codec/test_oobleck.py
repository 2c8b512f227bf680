"""Oobleck: one function whole, in pieces, and packed; each way for any strides."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmdm.codec.oobleck import Oobleck, OobleckConfig
from lmdm.codec.packed import packed_decoder
from lmdm.codec.streaming import streaming_decoder
from lmdm.codec.streaming_oobleck import OobleckStreamingDecoder, OobleckStreamingEncoder
from lmdm.errors import InputError

LATENTS = 3


def codec_of(strides: tuple[int, ...], **changes: object) -> Oobleck:
    """Tiny and random; Snakes with frequencies and sizes of their own."""
    multiples = tuple(range(1, len(strides) + 1))
    settings = {
        "latent_channels": LATENTS,
        "encoder_channels": 3,
        "encoder_outputs": 2 * LATENTS,
        "decoder_inputs": LATENTS,
        "decoder_channels": 4,
    } | {f"{side}_{what}": value for side in ("encoder", "decoder")
         for what, value in (("strides", strides), ("multiples", multiples))}  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = Oobleck(OobleckConfig(**(settings | changes)))
        for name, parameter in codec.named_parameters():
            if name.endswith(("alpha", "beta")):
                torch.nn.init.normal_(parameter, std=0.3)
    return codec.eval().requires_grad_(False)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def in_pieces(decoder: OobleckStreamingDecoder, latents: torch.Tensor, block: int) -> torch.Tensor:
    pieces = [decoder.decode(piece) for piece in latents.split(block, dim=1)]
    return torch.cat([*pieces, decoder.flush()], dim=1)


WAYS = [
    ((2, 4, 4, 8, 8), {}),
    ((5, 3), {}),
    ((4,), {"nearest_upsample": True, "final_tanh": True, "decoder_snake": False}),
    ((2, 3), {"bottleneck": "l2_norm", "encoder_outputs": LATENTS, "scale": 2.0}),
    ((3, 2), {"decoder_outputs": 1, "soft_clip": True}),
]


@pytest.mark.parametrize(("strides", "changes"), WAYS)
@pytest.mark.parametrize("block", [1, 4, 50])
def test_a_stream_is_one_pass(
    strides: tuple[int, ...], changes: dict[str, object], block: int
) -> None:
    codec = codec_of(strides, **changes)
    latents = noise(LATENTS, 30)
    whole = codec.decode(latents[None])[0].expand(2, -1)
    stream = in_pieces(OobleckStreamingDecoder(codec), latents, block)
    assert stream.shape == whole.shape
    assert (stream - whole).abs().max() < 2e-5 * whole.abs().max()


def test_a_stream_lags_by_ten_frames_at_the_published_strides() -> None:
    decoder = OobleckStreamingDecoder(codec_of((2, 4, 4, 8, 8)))
    assert 9 * 2048 < decoder.delay_samples <= 10 * 2048
    first = decoder.decode(noise(LATENTS, 12))
    assert first.shape == (2, 12 * 2048 - decoder.delay_samples)
    assert decoder.decode(noise(LATENTS, 3)).shape == (2, 3 * 2048)


def test_a_sound_depends_on_no_more_than_the_stream_waits_for() -> None:
    """The look-ahead is right: what comes later than it changes nothing."""
    codec = codec_of((2, 4, 4, 8, 8))
    decoder = OobleckStreamingDecoder(codec)
    latents = noise(1, LATENTS, 24)
    other = latents.clone()
    other[..., 20:] += 1.0
    same, changed = (codec.decode(each)[0] for each in (latents, other))
    first = int((same != changed).any(dim=0).nonzero()[0])
    assert first >= 20 * 2048 - decoder.delay_samples
    assert first < 20 * 2048 - decoder.delay_samples + 2048  # and it waits for little more


def test_error_falls_with_hold_back() -> None:
    codec = codec_of((2, 4, 4, 8, 8))
    latents = noise(LATENTS, 40)
    whole = codec.decode(latents[None])[0]
    errors = []
    for frames in (0, 4, 8, 10):
        decoder = OobleckStreamingDecoder(codec, frames)
        assert decoder.delay_samples <= frames * 2048
        stream = in_pieces(decoder, latents, 10)
        assert stream.shape == whole.shape
        errors.append(float((stream - whole).square().mean() / whole.square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6  # -60 dB; what a stream does unless it is told otherwise
    assert OobleckStreamingDecoder(codec).delay_samples <= 10 * 2048


def test_the_join_of_two_decodings_adds_no_level() -> None:
    """Where both are one sound, the crossfade is that sound: its gains sum to 1."""
    codec = codec_of((2, 4, 4, 8, 8))
    latents = noise(LATENTS, 1).expand(-1, 60)
    held = in_pieces(OobleckStreamingDecoder(codec, 8), latents, 10)
    exact = codec.decode(latents[None])[0]
    middle = slice(20 * 2048, 40 * 2048)
    assert (held[:, middle] - exact[:, middle]).abs().max() < 0.02 * exact.abs().max()


def test_snapshot_and_restore_are_exact() -> None:
    for hold_back in (None, 3):
        decoder = OobleckStreamingDecoder(codec_of((2, 3)), hold_back)
        decoder.decode(noise(LATENTS, 20))
        kept = decoder.snapshot()
        first = decoder.decode(noise(LATENTS, 7, seed=1))
        decoder.decode(noise(LATENTS, 5, seed=2))
        decoder.restore(kept)
        assert torch.equal(decoder.decode(noise(LATENTS, 7, seed=1)), first)


@settings(max_examples=12, deadline=None)
@given(
    strides=st.lists(st.integers(2, 6), min_size=1, max_size=3),
    pieces=st.lists(st.integers(1, 400), min_size=1, max_size=6),
)
def test_live_sound_encodes_as_one_pass(strides: list[int], pieces: list[int]) -> None:
    codec = codec_of(tuple(strides))
    length = max(codec.frame_samples, sum(pieces) // codec.frame_samples * codec.frame_samples)
    audio = noise(2, length) / 4
    whole = codec.encode(audio[None])[0]
    encoder = OobleckStreamingEncoder(codec)
    found, place = [], 0
    for count in [*pieces, length]:
        found.append(encoder.encode(audio[:, place : place + count]))
        place += count
    certain = torch.cat(found, dim=1)
    assert certain.shape[1] >= whole.shape[1] - encoder.delay_frames - 1
    joined = torch.cat([certain, encoder.newest()], dim=1)[:, : whole.shape[1]]
    assert (joined - whole).abs().max() < 1e-4 * max(1.0, float(whole.abs().max()))


@pytest.mark.parametrize(("strides", "changes"), WAYS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_packed_decoder_is_the_same_function(
    strides: tuple[int, ...], changes: dict[str, object], channels_last: bool
) -> None:
    codec = codec_of(strides, **changes)
    latents = codec.prepared(noise(1, LATENTS, 9))
    plain = codec.decoder(latents)
    twin = packed_decoder(codec, channels_last=channels_last)
    assert (twin(latents) - plain).abs().max() < 1e-4 * plain.abs().max()


def test_a_stream_in_bfloat16_is_near() -> None:
    codec = codec_of((2, 4, 4, 8, 8))
    latents = noise(LATENTS, 16)
    exact = codec.decode(latents[None])[0]
    decoder = streaming_decoder(codec, torch.bfloat16)
    near = torch.cat([decoder.decode(latents), decoder.flush()], dim=1)
    assert near.dtype == torch.float32
    assert float((near - exact).square().mean() / exact.square().mean()) < 1e-3


def test_the_bottleneck_samples_only_from_a_generator() -> None:
    codec = codec_of((2, 3))
    audio = noise(1, 2, 60)
    mean, scale = codec.encode_parameters(audio).chunk(2, dim=1)
    assert torch.equal(codec.encode(audio), mean)
    drawn = codec.encode(audio, torch.Generator().manual_seed(0))
    deviation = torch.nn.functional.softplus(scale) + 1e-4
    expected = mean + deviation * noise(*mean.shape)
    assert torch.allclose(drawn, expected, atol=1e-6)


def test_other_shapes_are_refused_by_name() -> None:
    codec = codec_of((2, 3))
    with pytest.raises(InputError, match=r"must be \[batch, 2, samples\]"):
        codec.encode(noise(1, 1, 60))
    with pytest.raises(InputError, match="a frame is 6"):
        codec.encode(noise(1, 2, 5))
