"""Codec losses in closed form; both codecs learn, with every term logged apart."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import stft

from lmdm.checkpoints import load_codec
from lmdm.cli.main import main
from tests.training.conftest import write_tone
from training.codec import losses
from training.codec.discriminator import MultiScaleDiscriminator

SMALL = (
    "oobleck.encoder_channels=4", "oobleck.encoder_multiples=[1, 2, 2, 4, 4]",
    "oobleck.decoder_channels=4", "oobleck.decoder_multiples=[1, 2, 2, 4, 4]",
    "oobleck.latent_channels=4", "oobleck.encoder_outputs=8", "oobleck.decoder_inputs=4",
)  # fmt: skip
TINY = (
    "spectral.encoder_dim=16", "spectral.encoder_depth=1", "spectral.decoder_dim=16",
    "spectral.decoder_depth=1", "spectral.frame_dim=16", "spectral.frame_depth=1",
    "spectral.tonal_bins=64", "spectral.noise_bands=8",
)  # fmt: skip


def test_stft_loss_is_the_independent_one() -> None:
    """Against scipy: spectral convergence and log magnitudes, one resolution."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1, 4096, generator=generator, dtype=torch.float64) for _ in range(2))
    found = float(losses.stft_loss(a, b, [512]))
    spectra = []
    for sound in (a, b):
        padded = np.pad(sound[0].numpy(), 256, mode="reflect")
        window = np.hanning(513)[:-1]
        _, _, bins = stft(padded, nperseg=512, noverlap=384, window=window, boundary=None,
                          padded=False)  # fmt: skip
        spectra.append(np.abs(bins))
    got, want = spectra
    convergence = np.linalg.norm(got - want) / np.linalg.norm(want)
    logs = np.abs(np.log(np.maximum(got, 1e-5)) - np.log(np.maximum(want, 1e-5))).mean()
    assert found == pytest.approx(convergence + logs, rel=1e-6)
    assert float(losses.stft_loss(a, a)) == 0.0


def test_kl_is_zero_at_the_standard_normal_and_closed_elsewhere() -> None:
    one = math.log(math.expm1(1 - 1e-4))  # softplus(one) + 1e-4 = 1
    parameters = torch.cat([torch.zeros(2, 3, 5), torch.full((2, 3, 5), one)], dim=1)
    assert float(losses.kl_to_normal(parameters)) == pytest.approx(0.0, abs=1e-5)
    parameters[:, :3] = 2.0
    assert float(losses.kl_to_normal(parameters)) == pytest.approx(3 * 4.0, rel=1e-5)


def test_hinge_and_feature_matching_in_closed_form() -> None:
    real, fake = [torch.tensor([2.0, 0.5])], [torch.tensor([-2.0, 0.5])]
    assert float(losses.hinge_discriminator(real, fake)) == pytest.approx(0.25 + 0.75)
    assert float(losses.hinge_generator(fake)) == pytest.approx(0.75)
    of_real, of_fake = [[torch.tensor([1.0, -3.0])]], [[torch.tensor([0.0, -1.0])]]
    assert float(losses.feature_matching(of_real, of_fake)) == pytest.approx(1.5 / 2.0)


def test_the_discriminator_sees_every_resolution() -> None:
    judge = MultiScaleDiscriminator((512, 128), 4)
    logits, features = judge(torch.randn(2, 2, 4096))
    assert len(logits) == len(features) == 2
    assert all(len(each) == 5 for each in features)
    assert logits[0].shape[0] == 2


@pytest.mark.parametrize(
    ("kind", "sizes", "terms"),
    [
        ("oobleck", SMALL, {"stft", "kl", "adversarial", "feature_matching"}),
        ("spectral", TINY, {"stft", "spectral", "spectral/partials", "spectral/noise",
                            "adversarial", "feature_matching"}),
    ],
)  # fmt: skip
def test_a_codec_learns_and_its_terms_are_logged_apart(
    kind: str, sizes: tuple[str, ...], terms: set[str], tmp_path: Path
) -> None:
    for index in range(3):
        write_tone(tmp_path / f"music/{index}.wav", 2.0, 200.0 * (index + 1))
    (tmp_path / "music/broken.wav").write_bytes(b"no")
    run = tmp_path / "run"
    begun = [
        "train", "codec", "--run", str(run), "--audio", str(tmp_path / "music"), "--kind", kind,
        "--steps", "8", "--set", "frames=4", "engine.batch_size=2", "engine.log_steps=1",
        "engine.validate_steps=0", "discriminator.sizes=[256]", "discriminator.filters=4",
        "discriminator.after=4", "optimizer.learning_rate=3e-3", "optimizer.warmup_steps=0",
        "ema=0.5", *sizes,
    ]  # fmt: skip
    assert main(begun) == 0
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert not any("adversarial" in key for key in rows[2])
    assert {f"codec/{term}" for term in terms} <= set(rows[-1])
    assert "discriminator/loss" in rows[-1]
    learnt = "codec/spectral" if kind == "spectral" else "codec/stft"
    assert rows[-1][learnt] < rows[0][learnt]
    starts = json.loads((run / "environment.json").read_text())
    assert any("broken.wav" in path for path in starts[0]["skipped"])
    codec = load_codec(run / "model")[0]
    assert codec.decode(codec.encode(torch.zeros(1, 2, 4 * 2048))).shape == (1, 2, 4 * 2048)


def test_a_frozen_encoder_keeps_its_latents(tiny_model: Path, tmp_path: Path) -> None:
    for index in range(2):
        write_tone(tmp_path / f"music/{index}.wav", 2.0, 200.0 * (index + 1))
    run = tmp_path / "run"
    assert main([
        "train", "codec", "--run", str(run), "--audio", str(tmp_path / "music"), "--model",
        str(tiny_model), "--steps", "2", "--set", "frames=4", "engine.batch_size=2",
        "freeze_encoder=true", "weights.adversarial=0", "weights.feature_matching=0",
        "engine.validate_steps=0",
    ]) == 0  # fmt: skip
    before, after = load_codec(tiny_model)[0], load_codec(run / "model")[0]
    sound = torch.randn(1, 2, 4 * 2048, generator=torch.Generator().manual_seed(1))
    assert torch.equal(before.encode(sound), after.encode(sound))
    assert not torch.equal(before.decode(before.encode(sound)), after.decode(after.encode(sound)))
