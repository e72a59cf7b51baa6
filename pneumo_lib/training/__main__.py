"""Trains on several GPUs or nodes: `torchrun --nproc-per-node 4 -m pneumo_lib.training --exp exp4 --profile paper`.

With Slurm: `srun --nodes 1 --ntasks-per-node 4 python -m pneumo_lib.training ...`, one task a GPU; Lightning refuses srun's
`-n`. Same parameters and the same folder as notebooks/train, which afterwards finds the weights and shows curves, cost and
predictions.
"""

import argparse
import sys

from pneumo_lib import runs, training
from pneumo_lib.errors import PneumoError


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit status is 1 after an error, which is printed as one sentence."""
    parser = argparse.ArgumentParser(prog="python -m pneumo_lib.training", description=__doc__.partition("\n")[0])
    for name, default, meaning in (
        ("exp", "exp4", "exp1 ... exp5, or a variant"),
        ("data", "phantom", "phantom, or the folder of a copy of SIIM-ACR"),
        ("profile", "demo", "paper, half, demo, smoke"),
        ("split", "auto", "patient, deck, follow-up, auto"),
        ("patients", "", "CSV of image ids and NIH file names"),
        ("weights", "auto", "auto, imagenet, none, or a .safetensors file"),
        ("precision", "auto", "auto, 32, bf16"),
    ):
        parser.add_argument(f"--{name}", default=default, help=f"{meaning} (default: {default or 'none'})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--accumulate", type=int, default=1, help="forward passes an optimiser step (default: 1)")
    parser.add_argument("--force", action="store_true", help="train from the beginning whatever is there")
    options = vars(parser.parse_args(arguments))
    try:
        run = runs.start(**options)
        first = run.first_stage()
        training.train(
            run.experiment,
            run.dataset,
            run.folder,
            run.seed,
            first,
            options["force"],
            initial=run.initial,
            accumulate=options["accumulate"],
            precision=options["precision"],
        )
    except PneumoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
