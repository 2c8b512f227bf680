"""`lmdm train finetune`: stage 1, a model learns to go on from clean context."""

from __future__ import annotations

import argparse

from lmdm.cli.train.options import add_run, need_training, say, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the run, and the commonest settings by name."""
    parser.add_argument("--model", metavar="M", help="known model or folder to begin from")
    parser.add_argument("--latents", metavar="DIR", help="what `lmdm train encode` wrote")
    parser.add_argument(
        "--strategy",
        choices=("encoder-decoder", "block-causal", "parallel-blocks", "outpainting"),
        help="which mask is trained (block-causal)",
    )
    add_run(parser)


def run(options: argparse.Namespace) -> int:
    """Trains, or goes on."""
    need_training()
    from training.finetune.train import finetune

    settings = settings_of(options, "model", "latents", "strategy")
    outcome = finetune(options.run_folder, options.config, settings, options.minutes)
    say(outcome, options.json)
    return 0
