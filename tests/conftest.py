"""A model small enough to play in tests, in the real folder format."""

from __future__ import annotations

import os
from pathlib import Path

# Runs are compared bit for bit, also across processes: sums depend on the number of threads.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

# Tests assert no times: a busy machine must not fail them.
settings.register_profile("lmdm", deadline=None)
settings.load_profile("lmdm")

CONTROLS = ("notes", "beat", "chord", "loudness", "drums")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the long proofs (tests/soak, tests/faults, tests/fuzz)."""
    parser.addoption("--minutes", type=float, default=30.0, help="how long a soak lasts (30)")
    parser.addoption("--figures", default="", help="file that a long proof writes its figures to")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds or leaves anything in the user's own folders."""
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random model of some ten thousand parameters, with text and five controls."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_tiny_model(folder, CONTROLS)
    return folder


@pytest.fixture(scope="session")
def tiny_accompanist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with controls that the other lacks."""
    folder = tmp_path_factory.mktemp("models") / "tiny-accompanist"
    save_tiny_model(folder, ("notes", "beat", "density", "brightness", "bass", "accompaniment"))
    return folder


def save_tiny_model(folder: Path, controls: tuple[str, ...]) -> None:
    """Writes a random model of a few parameters."""
    import torch

    from lmdm.checkpoints import save
    from lmdm.codec.spectral import SpectralCodec, SpectralCodecConfig
    from lmdm.conditioning.local import LocalConditioning
    from lmdm.dit.config import DiTConfig
    from lmdm.dit.model import DiT
    from lmdm.stream.config import StreamConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dit = DiT(
            DiTConfig(
                dim=32,
                depth=2,
                heads=1,
                text_dim=384,
                global_dim=0,
                local_channels=LocalConditioning(controls).channels,
                feedforward_multiplier=2,
                timestep_features=16,
            )
        )
        for parameter in dit.parameters():  # zero-initialised outputs would hide every control
            torch.nn.init.normal_(parameter, std=0.2)
        codec = SpectralCodec(
            SpectralCodecConfig(
                encoder_dim=16,
                encoder_depth=1,
                decoder_dim=16,
                decoder_depth=1,
                frame_dim=16,
                frame_depth=1,
                tonal_bins=64,
                noise_bands=8,
            )
        )
        # loud enough to hear: partials and noise some 40 dB below full scale
        torch.nn.init.constant_(codec.to_partial_level.bias, -2.5)
        torch.nn.init.constant_(codec.to_noise_level.bias, -2.5)
    stream_config = StreamConfig(context_frames=16, block_frames=4, window_blocks=4, steps=2)
    save(folder, dit=dit, codec=codec, stream_config=stream_config, controls=controls, half=False)
