"""Prune the trained MobileNet's 1x1 convolutions gradually to 80 % and on to 90 % zeros, and export both.

    python models/mobilenet/cifar10/prune.py --data <dir> [--block 4]

Starts from the checkpoint that `train.py` left. The dense network teaches the sparse ones. With `--block 4` four
consecutive output channels share their zeros.
"""

import copy
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "training"))

import common  # noqa: E402
import sparsity  # noqa: E402


def main():
    parser = common.arguments(__doc__, epochs=9, optimizer="sgd", lr=0.05, weight_decay=1e-4, seed=10, compile=True)
    parser.add_argument("--block", type=int, choices=[1, 4], default=1, help="output channels that share their zeros")
    parser.set_defaults(sizes=[32])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    splits = common.load(args.data, args.checkpoints)
    dense = common.trained(args, "mobilenet")
    teacher = common.answering(copy.deepcopy(dense), args)

    suffix = "" if args.block == 1 else f"_block{args.block}"
    network, initial = dense, 0.0
    for final in (0.8, 0.9):
        name = f"mobilenet_sparse{round(100 * final)}{suffix}"
        with (HERE / f"prune{suffix}.log").open("a" if args.resume or initial else "w", buffering=1) as log:
            steps = args.epochs * (len(splits["train"][1]) // args.batch)
            pruner = sparsity.Pruner(network, initial, final, steps // 2, args.block)
            common.fit(network, args, splits, name, log, teacher, pruner)
            common.say(log, f"# {name}: {100 * sparsity.share_of_zeros(network):.2f} % of the 1x1 weights are zero")
            path = HERE / f"{name}_cifar10.onnx"
            common.export(network, path, log)
            sparsity.halve(path)
            common.say(log, f"# {path.name}: {path.stat().st_size} bytes with sparse weights in float16, "
                            f"{common.score_file(path, splits['test']):.4f} right in ONNX Runtime")
        initial = final


if __name__ == "__main__":
    main()
