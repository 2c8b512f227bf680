"""`lmdm train encode`: folders of music into sharded latents with aligned conditioning."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmdm.cli import options as shared
from lmdm.cli.train.options import need_training, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares source, output and how to encode."""
    parser.add_argument("source", type=Path, metavar="SRC", help="folder of music")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of shards to write")
    parser.add_argument("--model", default="starter", metavar="M", help="model whose codec encodes")
    parser.add_argument(
        "--layout",
        default="auto",
        choices=("auto", "rendered", "musdb18", "jamendo", "slakh", "folder"),
        help="how the data set lies on disk (auto: found out)",
    )
    parser.add_argument(
        "--licence", default="unknown", metavar="TEXT", help="licence of files that do not say"
    )
    parser.add_argument("--no-stems", action="store_true", help="encode the mix alone")
    parser.add_argument(
        "--workers", type=shared.whole(0, 512), default=0, metavar="N", help="0: one a core"
    )
    parser.add_argument(
        "--shard-pieces", type=shared.whole(1, 10**6), default=64, metavar="N", help="of one shard"
    )
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Encodes what is not encoded yet."""
    need_training()
    from training.data.encode import Encoding, default_workers, encode

    plan = Encoding(
        model=options.model,
        layout=options.layout,
        licence=options.licence,
        stems=not options.no_stems,
        workers=options.workers or default_workers(),
        shard_pieces=options.shard_pieces,
    )
    outcome = encode(options.source, options.out, plan).to_dict()
    if not options.json:
        outcome["skipped"] = f"{len(outcome['skipped'])}, listed in {options.out / 'skipped.json'}"
    say(outcome, options.json)
    return 0
