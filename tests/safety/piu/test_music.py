"""The music carry-over on a tiny model: what the method feeds on, and what the judge hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.safety.piu.identities import Anchor, labelled, split
from lmdm.safety.piu.music import SCOPES, MusicSettings, MusicStyles
from lmdm.safety.piu.style_judge import StyleJudge, statistics
from lmdm.safety.piu.unlearning import Settings, unlearn


@pytest.fixture(scope="module")
def people():
    generator = np.random.default_rng(0)
    return labelled(generator.normal(size=(15, 384)), np.arange(5).repeat(3))


@pytest.fixture(scope="module")
def music(people) -> MusicStyles:
    from lmdm.checkpoints import load

    settings = MusicSettings(context_frames=8, contexts=1, judged_frames=8)
    return MusicStyles(load("starter"), people, settings)


def test_the_context_stays_clean_and_the_target_is_noised(music: MusicStyles) -> None:
    generator = torch.Generator().manual_seed(0)
    clean = music.data_free(6, generator)
    noise = torch.randn(clean.shape, generator=generator)
    t = torch.tensor([0, 999, 500, 10, 20, 30])
    noised = music.noised(clean, noise, t)
    assert torch.equal(noised[..., :-4], clean[..., :-4])
    share = ((t + 0.5) / 1000)[:, None, None]
    expected = (1 - share) * clean[..., -4:] + share * noise[..., -4:]
    assert torch.allclose(noised[..., -4:], expected)
    assert float(clean[..., -4:].std()) == pytest.approx(1.0, abs=0.1)


def test_predictions_are_the_streams_own(music: MusicStyles, people) -> None:
    """The batched pass equals what an encoder-decoder stream computes at the same latents."""
    from lmdm.stream.context import Context
    from lmdm.stream.strategies import Rows, encoder_decoder_network

    dit, config = music.denoiser, music._config
    channels = dit.config.local_channels
    generator = torch.Generator().manual_seed(0)
    latents = music.data_free(2, generator)
    rows = torch.tensor(people.embeddings[:2], dtype=torch.float32)
    t = torch.tensor([300, 700])
    with torch.no_grad():
        batched = music.predict(dit, latents, t, rows)
        for number in range(2):
            context = Context(latents[number, :, :-4], latents.new_zeros(channels, 8))
            text = dit.text_keys_values(rows[number][None, None])
            one = Rows(text, latents.new_zeros(1, channels, 4), None)
            network, _ = encoder_decoder_network(dit, config, context, one)
            alone, _ = network(
                latents[number : number + 1, :, -4:], (float(t[number]) + 0.5) / 1000
            )
            assert torch.allclose(batched[number], alone[0], atol=1e-4)


def test_unlearning_moves_the_scope_and_samples_follow_the_seed(
    music: MusicStyles, people, tmp_path: Path
) -> None:
    rows = torch.tensor(people.centroids[:2], dtype=torch.float32)
    sound = music.sample(music.denoiser, rows, seed=3)
    assert sound.shape == (2, 2, 8 * 2048)
    assert torch.equal(sound, music.sample(music.denoiser, rows, seed=3))
    assert not torch.equal(sound, music.sample(music.denoiser, rows, seed=4))
    settings = Settings(steps=1, batch=2, accumulation=1, scope="surgical")
    student = unlearn(
        music, people, split(people, 0), Anchor(2, 0.1), settings, SCOPES, tmp_path, quiet=True
    )
    before = dict(music.denoiser.named_parameters())
    moved = {n for n, p in student.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {name for name in before if SCOPES["surgical"].holds(name)}


def test_the_judge_tells_noise_from_tones() -> None:
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(22050) / 44100
    tones = [torch.sin(6.283 * (300 + 20 * n) * time) for n in range(6)]
    noises = [torch.randn(22050, generator=generator) for _ in range(6)]
    sweeps = [torch.sin(6.283 * (200 + 4000 * time) * time * (1 + 0.02 * n)) for n in range(6)]
    sound = torch.stack([*tones, *noises, *sweeps])[:, None].expand(-1, 2, -1)
    labels = np.arange(3).repeat(6)
    known = np.arange(18) % 6 < 4
    judge = StyleJudge.fit(sound[torch.from_numpy(known)], labels[known])
    made = judge(sound)
    assert np.allclose(np.linalg.norm(made, axis=1), 1.0)
    centroids = labelled(made[known], labels[known]).centroids
    assert ((made[~known] @ centroids.T).argmax(axis=1) == labels[~known]).all()
    assert np.isfinite(statistics(torch.zeros(1, 2, 22050))).all()
