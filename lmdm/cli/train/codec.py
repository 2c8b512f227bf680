"""`lmdm train codec`: a VAE between sound and latents, or the spectral codec."""

from __future__ import annotations

import argparse

from lmdm.cli.train.options import add_run, need_training, say, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the run, and the commonest settings by name."""
    parser.add_argument("--audio", metavar="DIR", help="folder of music")
    parser.add_argument("--model", metavar="M", help="begin from this model's codec")
    parser.add_argument("--kind", choices=("oobleck", "spectral"), help="fresh weights of a kind")
    add_run(parser)


def run(options: argparse.Namespace) -> int:
    """Trains, or goes on."""
    need_training()
    from training.codec.train import train_codec

    settings = settings_of(options, "audio", "model", "kind")
    outcome = train_codec(options.run_folder, options.config, settings, options.minutes)
    say(outcome, options.json)
    return 0
