"""`lmdm video base train`: the small text-to-video model, in some minutes."""

from __future__ import annotations

import argparse

from lmdm.cli.video import common


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the action."""
    actions = parser.add_subparsers(dest="action", metavar="train", required=True)
    train = actions.add_parser("train", help="on moving shapes, of several grid sizes")
    common.add_training(train, steps=3000)


def run(options: argparse.Namespace) -> int:
    """Trains, or goes on training."""
    import torch

    from lmdm.video import base, checkpoint
    from lmdm.video.dit import VideoDiT

    common.one_thread_a_core()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = VideoDiT(base.CONFIG)

    def finish() -> dict[str, object]:
        checkpoint.save(options.out, base.KIND, network, base.CONFIG)
        return {}

    return common.train(
        options, network, lambda net, step: base.loss_of(net, step, seed=options.seed), finish
    )
