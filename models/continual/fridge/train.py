"""Train a forecaster of a fridge's temperature whose error tells trouble, and export it to ONNX.

    python models/continual/fridge/train.py

A causal network reads the last 29 readings and forecasts the next one and the eighth. It sees calm fridges only. The
exported network compares: it takes 37 readings, forecasts the newest one from those before it, and from those that
lie eight readings back, and gives both errors, divided by what calm fridges hardly ever exceed. Above 1 is trouble.
Nothing is padded, so a stream of readings is answered with the work of one.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import common  # noqa: E402
from generate import Trouble, fridges  # noqa: E402

CHANNELS, AHEAD = 24, (1, 8)
FIELD = 29  # readings that a forecast sees
WINDOW = FIELD + max(AHEAD)
# Calm readings that exceed the limit, per head; both heads together about twice that.
RARE = 2e-5


class Forecaster(nn.Module):
    """Readings [N, 1, T], degrees -> how far the readings 1 and 8 later differ from now [N, 2, T - 28]."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(1, CHANNELS, 5)
        self.depthwise = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 5, dilation=d, groups=CHANNELS) for d in (2, 4))
        self.pointwise = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 1) for _ in range(2))
        self.head = nn.Conv1d(CHANNELS, len(AHEAD), 1)

    def forward(self, readings):
        x = F.relu(self.stem(readings - 4))
        for depthwise, pointwise in zip(self.depthwise, self.pointwise):
            x = F.relu(pointwise(F.relu(depthwise(x))))
        return self.head(x)


class Scores(nn.Module):
    """37 readings [1, 1, 37] -> scores [1, 2, 1]: errors of both forecasts of the newest, by their limits."""

    def __init__(self, forecaster, limits):
        super().__init__()
        self.forecaster = forecaster
        self.scale = nn.Conv1d(len(AHEAD), len(AHEAD), 1, groups=len(AHEAD), bias=False)
        self.scale.weight.data = torch.tensor([1 / limit for limit in limits]).reshape(-1, 1, 1)

    def forward(self, readings):
        return torch.abs(self.scale(readings[:, :, WINDOW - 1:] - forecast(self.forecaster, readings)))


def forecast(network, readings):
    """[N, 1, T] -> forecasts of the readings from WINDOW - 1 on, made AHEAD readings before each [N, 2, T - 36]."""
    steps, count = network(readings), readings.shape[2] - WINDOW + 1
    parts = []
    for i, ahead in enumerate(AHEAD):
        made, now = max(AHEAD) - ahead, WINDOW - 1 - ahead
        parts.append(steps[:, i:i + 1, made:made + count] + readings[:, :, now:now + count])
    return torch.cat(parts, 1)


def main():
    args = parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    log = (HERE / "train.log").open("w", buffering=1)
    network = Forecaster()
    adam, schedule = common.optimizer(network, args.lr, args.weight_decay, args.steps)
    common.say(log, f"# seed {args.seed}, {args.steps} steps of {args.batch} fridges, {args.readings} readings each, "
                    f"lr {args.lr}, weight decay {args.weight_decay}, "
                    f"{sum(p.numel() for p in network.parameters())} parameters")
    common.say(log, "#   step      loss  seconds")
    started, total = time.time(), 0.0
    for step in range(args.steps):
        readings = as_tensor(fridges(rng, args.batch, args.readings))
        loss = F.huber_loss(forecast(network, readings), readings[:, :, WINDOW - 1:].expand(-1, 2, -1), delta=0.3)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        schedule.step()
        total += loss.item()
        if (step + 1) % 500 == 0:
            common.say(log, f"{step + 1:8d}  {total / 500:8.5f}  {time.time() - started:7.1f}")
            started, total = time.time(), 0.0
    network.eval()
    calm = fridges(np.random.default_rng(args.seed + 1), 4000, 500)
    linear = Linear(fridges(np.random.default_rng(args.seed + 2), 400, 500))
    limits = [limit(log, name, errors(p, calm)) for name, p in (("network", network), ("linear", linear))]
    judge(log, network, limits[0], linear, limits[1], args.seed)
    common.export(Scores(network, limits[0]), HERE / "fridge.onnx", (1, 1, WINDOW), log)
    (HERE / "labels.txt").write_text("next\neighth\n")


def as_tensor(readings):
    return torch.from_numpy(readings.astype(np.float32))[:, None]


class Linear:
    """The best linear forecast from the same readings, to compare with."""

    def __init__(self, readings):
        steps = np.lib.stride_tricks.sliding_window_view(readings, WINDOW, 1).reshape(-1, WINDOW)
        come = [steps[:, FIELD - 1 + ahead] - steps[:, FIELD - 1] for ahead in AHEAD]
        self.weights = [np.linalg.lstsq(self.inputs(steps[:, :FIELD]), c, rcond=None)[0] for c in come]

    @staticmethod
    def inputs(past):
        now = past[:, -1:]
        return np.concatenate([past[:, :-1] - now, now, np.ones_like(now)], 1)

    def forecast(self, readings):
        past = np.lib.stride_tricks.sliding_window_view(readings, FIELD, 1)
        steps = [(self.inputs(past.reshape(-1, FIELD)) @ w).reshape(past.shape[:2]) for w in self.weights]
        count = readings.shape[1] - WINDOW + 1
        return np.stack([step[:, max(AHEAD) - ahead:][:, :count] + readings[:, WINDOW - 1 - ahead:][:, :count]
                         for step, ahead in zip(steps, AHEAD)], 1)


@torch.no_grad()
def errors(predictor, readings):
    """Errors of both forecasts of the readings from WINDOW - 1 on, degrees [N, 2, readings - 36]."""
    parts = []
    for part in np.array_split(readings, max(len(readings) // 200, 1)):
        linear = isinstance(predictor, Linear)
        forecasts = predictor.forecast(part) if linear else forecast(predictor, as_tensor(part)).numpy()
        parts.append(np.abs(part[:, None, WINDOW - 1:] - forecasts))
    return np.concatenate(parts)


def limit(log, name, calm):
    limits = [float(np.quantile(calm[:, i], 1 - RARE)) for i in range(len(AHEAD))]
    middle = np.sqrt((calm**2).mean((0, 2)))
    common.say(log, f"# {name}: errors on calm fridges, degrees: next {middle[0]:.3f}, limit {limits[0]:.3f}; "
                    f"eighth {middle[1]:.3f}, limit {limits[1]:.3f}")
    return limits


def judge(log, network, network_limits, linear, linear_limits, seed):
    """New fridges: false flags of calm ones, and after how many readings trouble is flagged."""
    def flags(predictor, limits, readings):
        return (errors(predictor, readings) / np.array(limits)[:, None]).max(1) > 1

    both = (("network", network, network_limits), ("linear", linear, linear_limits))
    calm = fridges(np.random.default_rng(seed + 3), 2000, 500)
    for name, predictor, limits in both:
        found = flags(predictor, limits, calm)
        common.say(log, f"# {name}: {found.sum()} of {found.size} calm readings above the limit")
    start = 100
    for trouble in (Trouble("step", start, 1.0, 40), Trouble("step", start, 2.0, 40), Trouble("spike", start, 1.0),
                    Trouble("spike", start, -2.0), Trouble("drift", start, 0.05, 60), Trouble("drift", start, 0.1, 40),
                    Trouble("drift", start, 0.2, 40), Trouble("stuck", start, 0.0, 60), Trouble("dead", start)):
        readings = fridges(np.random.default_rng(seed + 4), 1000, 220, trouble)
        for name, predictor, limits in both:
            found = flags(predictor, limits, readings)[:, start - WINDOW + 1:][:, :60]
            delay = np.where(found.any(1), found.argmax(1) + 1, 999)
            shares = ", ".join(f"{(delay <= n).mean():6.1%} by {n}" for n in (1, 4, 8, 16, 32, 60))
            common.say(log, f"# {name:7s} {trouble.kind:5s} {trouble.size:+.2f}: flagged {shares}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--readings", type=int, default=128)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--weight-decay", type=float, default=0.001)
    parser.add_argument("--seed", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
