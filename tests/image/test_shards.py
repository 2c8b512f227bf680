from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.errors import InputError
from lmdm.image.autoencoder import AutoencoderConfig, RepresentationAutoencoder, encode
from lmdm.image.backbones.small_vit import SmallViTBackbone
from lmdm.image.folder import as_tensor, read_image
from lmdm.image.run import accelerator_for
from lmdm.image.shards import LatentShards, encode_folder


@pytest.fixture
def autoencoder(vit: SmallViTBackbone) -> RepresentationAutoencoder:
    config = AutoencoderConfig(
        resolution=32, queries=3, taps=(0, 2), decoder_dim=16, decoder_depth=1, decoder_heads=2
    )
    return RepresentationAutoencoder(config, vit)


def test_rows_are_the_pictures_latents_in_any_order(
    tmp_path: Path, pictures: Path, vit: SmallViTBackbone, autoencoder: RepresentationAutoencoder
) -> None:
    latents = encode_folder(
        pictures, tmp_path / "z", autoencoder, vit, "hash", accelerator_for("cpu", "no"),
        batch=3, shard=4,
    )  # fmt: skip
    assert len(latents) == 12 and len(latents.skipped) == 3
    rows = np.array([11, 0, 7, 0])
    images = as_tensor([read_image(pictures / latents.names[row], 32) for row in rows])
    wanted, found = encode(autoencoder, vit, images), latents.rows(rows)
    assert torch.allclose(found.z, wanted.z, atol=1e-5)
    assert found.q is not None and wanted.q is not None
    assert torch.allclose(found.q, wanted.q, atol=1e-5)
    whole = torch.cat([part.z for part in LatentShards(tmp_path / "z").batches(5)])
    assert torch.equal(whole[rows], found.z)


def test_latents_of_another_model_are_not_mixed_in(
    tmp_path: Path, pictures: Path, vit: SmallViTBackbone, autoencoder: RepresentationAutoencoder
) -> None:
    accelerator = accelerator_for("cpu", "no")
    encode_folder(pictures, tmp_path / "z", autoencoder, vit, "one", accelerator)
    with pytest.raises(InputError, match="autoencoder_sha256"):
        encode_folder(pictures, tmp_path / "z", autoencoder, vit, "two", accelerator)


def test_a_damaged_shard_is_told(
    tmp_path: Path, pictures: Path, vit: SmallViTBackbone, autoencoder: RepresentationAutoencoder
) -> None:
    accelerator = accelerator_for("cpu", "no")
    encode_folder(pictures, tmp_path / "z", autoencoder, vit, "one", accelerator)
    path = tmp_path / "z" / "latents-00000.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="latents-00000"):
        encode_folder(pictures, tmp_path / "z", autoencoder, vit, "one", accelerator)
