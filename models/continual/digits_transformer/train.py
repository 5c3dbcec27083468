"""Train the one-layer continual transformer for spoken digits, and export it to ONNX.

    python models/continual/digits_transformer/train.py --data ../shared/data/fsdd/fsdd-wav.tar.xz

One token per frame: a convolution over five frames, and a position from a *recycling* table: the
token of frame t has row t mod (2 N - 1), where N is the number of tokens in a window, so a token keeps
its position for as long as it lives, and two tokens of a window never share one. Training starts each
window at a random row, for in a stream every row comes first once. Attention has one query, the newest
token; keys and values of older tokens are stored and never computed again.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import common  # noqa: E402
import fsdd  # noqa: E402

KERNEL, WIDTH, HEADS, HIDDEN = 5, 48, 4, 96
TOKENS = fsdd.WINDOW - KERNEL + 1
POSITIONS = 2 * TOKENS - 1
# Embedding, four projections, scores and mixture, feed-forward, head: one token each.
MACS_PER_STEP = (KERNEL * fsdd.DIGITS.mels * WIDTH + 4 * WIDTH**2 + 2 * TOKENS * WIDTH + 2 * WIDTH * HIDDEN
                 + WIDTH * len(fsdd.LABELS))


class DigitsTransformer(nn.Module):
    """Frames [N, 32, 64] and the row of the first token -> logits [N, 11]."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(nn.Conv1d(fsdd.DIGITS.mels, WIDTH, KERNEL, bias=False), nn.BatchNorm1d(WIDTH))
        self.positions = nn.Parameter(0.1 * torch.randn(POSITIONS, WIDTH))
        self.layer = Layer()
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(WIDTH, len(fsdd.LABELS))
        self.register_buffer("order", torch.arange(TOKENS), persistent=False)

    def forward(self, frames, first=0):
        return self.at_rows(frames, (self.order + first) % POSITIONS)

    def at_rows(self, frames, rows):
        tokens = F.relu(self.embed(frames)).transpose(1, 2)
        return self.head(self.drop(self.layer(tokens + self.positions[rows])))


class FirstWindow(nn.Module):
    """The window at the start of a stream, for the export: a Gather of the rows 0 .. N - 1 of the table."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, frames):
        return self.network.at_rows(frames, self.network.order)


class Layer(nn.Module):
    """Transformer encoder layer, norms behind the sums, whose only output belongs to the last token."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.first, self.second = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.drop = nn.Dropout(0.1)

    def forward(self, tokens):
        last = tokens[:, -1:]
        query, key, value = (
            heads(linear(x), count)
            for linear, x, count in ((self.query, last, 1), (self.key, tokens, TOKENS), (self.value, tokens, TOKENS)))
        weights = torch.softmax(query @ key.transpose(2, 3) * (WIDTH // HEADS) ** -0.5, -1)
        mixed = (weights @ value).transpose(1, 2).reshape(-1, 1, WIDTH)
        x = self.norm1(last + self.drop(self.out(mixed)))
        x = self.norm2(x + self.drop(self.second(F.relu(self.first(x)))))
        return x.reshape(-1, WIDTH)


def heads(x, count):
    """[N, count, width] -> [N, heads, count, width / heads]."""
    return x.reshape(-1, count, HEADS, WIDTH // HEADS).transpose(1, 2)


def main():
    args = fsdd.arguments(__doc__, epochs=100, batch=64, lr=3e-3, weight_decay=0.02, seed=4)
    # One random first row per window.
    network, test, log = fsdd.fit(DigitsTransformer, args, HERE,
                                  lambda network, batch: network(batch, torch.randint(POSITIONS, (len(batch), 1))))
    every_row(network, *test, log)
    if not args.hold_out:
        common.export(FirstWindow(network), HERE / "digits_transformer.onnx", (1, fsdd.DIGITS.mels, fsdd.WINDOW), log,
                      lambda model: whole_table(model, network.positions.detach().numpy()))
        prove_streaming(network, log)
        (HERE / "labels.txt").write_text("\n".join(fsdd.LABELS) + "\n")


@torch.no_grad()
def every_row(network, inputs, targets, log):
    """Accuracy for every row at which a window of a stream can start."""
    network.eval()
    scores = [(network(inputs, first).argmax(1) == targets).float().mean().item() for first in range(POSITIONS)]
    common.say(log, f"# test accuracy over all {POSITIONS} first rows: mean {np.mean(scores):.4f}, "
                    f"least {min(scores):.4f}, most {max(scores):.4f}")


def whole_table(model, table):
    """Put back the Gather that the exporter folded: a stream needs the rows that its first window does not."""
    graph = model.graph
    folded = [t for t in graph.initializer if np.array_equal(numpy_helper.to_array(t), table[:TOKENS])]
    assert len(folded) == 1
    graph.initializer.remove(folded[0])
    graph.initializer.append(numpy_helper.from_array(table, "positions"))
    graph.initializer.append(numpy_helper.from_array(np.arange(TOKENS), "position_rows"))
    gather = helper.make_node("Gather", ["positions", "position_rows"], [folded[0].name], "recycling_positions", axis=0)
    graph.node.insert(0, gather)


@torch.no_grad()
def prove_streaming(network, log):
    """Frame by frame, with the attention of `continual-inference` on its own rings, against whole windows."""
    import continual as co

    network.eval()
    layer = network.layer
    attention = co.SingleOutputMultiheadAttention(WIDTH, HEADS, sequence_len=TOKENS, batch_first=False,
                                                  embed_dim_second=True, query_index=-1, dropout=0.0)
    parts = (layer.query, layer.key, layer.value)
    attention.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
    attention.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
    attention.out_proj.weight.copy_(layer.out.weight)
    attention.out_proj.bias.copy_(layer.out.bias)
    attention.eval()

    earlier = []

    def step(frame, t):
        earlier.append(frame)
        if t < KERNEL - 1:
            return None
        token = F.relu(network.embed(torch.stack(earlier[-KERNEL:], 2)))[:, :, 0]
        token = token + network.positions[(t - KERNEL + 1) % POSITIONS]
        mixed = attention.forward_step(token)
        if not isinstance(mixed, torch.Tensor):
            return None
        x = layer.norm1(token + mixed.reshape(1, WIDTH))
        return network.head(layer.norm2(x + layer.second(F.relu(layer.first(x)))))

    frames = torch.rand(1, fsdd.DIGITS.mels, 300, generator=torch.Generator().manual_seed(2))
    common.prove(step, lambda window, start: network(window, start % POSITIONS), frames, fsdd.WINDOW, MACS_PER_STEP, log)


if __name__ == "__main__":
    main()
