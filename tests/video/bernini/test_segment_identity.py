"""Segment ids tell references apart; nothing else can."""

from __future__ import annotations

import pytest
import torch

from lmdm.video.bernini import segment_identity
from lmdm.video.dit import VideoDiT


def test_without_ids_the_references_order_cannot_be_known():
    """A law, not a training: swapping two references changes nothing unless they are tagged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VideoDiT(segment_identity.CONFIG)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    (a, b), _, prompts = segment_identity.batch(4, 2, 0)
    with torch.no_grad():
        plain = [
            segment_identity.copied(network, each, prompts, tagged=False)
            for each in ((a, b), (b, a))
        ]
        tagged = [
            segment_identity.copied(network, each, prompts, tagged=True)
            for each in ((a, b), (b, a))
        ]
    torch.testing.assert_close(plain[0], plain[1], rtol=1e-4, atol=1e-4)
    assert (tagged[0] - tagged[1]).abs().max() > 1e-2


@pytest.mark.slow
def test_the_dossiers_segment_table():
    """§7: 0.56/0.28 with plain RoPE (chance .50/.33), 1.00/1.00 with SA-RoPE."""
    tagged = dict(segment_identity.train(tagged=True, steps=2500))
    plain = dict(segment_identity.train(tagged=False, steps=500))
    assert tagged[2] > 0.95 and tagged[3] > 0.95
    assert abs(plain[2] - 1 / 2) < 0.12 and abs(plain[3] - 1 / 3) < 0.12
