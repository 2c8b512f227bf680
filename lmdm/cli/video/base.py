"""`lmdm video base train`: the small text-to-video model, in some minutes."""

from __future__ import annotations

import argparse

from lmdm.cli.video import common


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the action."""
    actions = parser.add_subparsers(dest="action", metavar="train", required=True)
    train = actions.add_parser("train", help="on moving shapes, of several grid sizes")
    train.set_defaults(run_action=_train)
    common.add_training(train, steps=3000)
    common.add_start(train)


def _train(options: argparse.Namespace) -> int:
    from lmdm.video import base

    return common.train_video_dit(options, base.KIND, base.CONFIG, base.loss_of)
