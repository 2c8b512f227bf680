"""`lmdm train arc-forcing`: stage 2, few steps and little drift, by adversarial rollouts."""

from __future__ import annotations

import argparse

from lmdm.cli.train.options import add_run, need_training, say, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the run, and the commonest settings by name."""
    parser.add_argument("--model", metavar="M", help="known model or folder to begin from")
    parser.add_argument("--latents", metavar="DIR", help="what `lmdm train encode` wrote")
    add_run(parser)


def run(options: argparse.Namespace) -> int:
    """Trains, or goes on."""
    need_training()
    from training.arc_forcing.train import arc_forcing

    settings = settings_of(options, "model", "latents")
    outcome = arc_forcing(options.run_folder, options.config, settings, options.minutes)
    say(outcome, options.json)
    return 0
