"""Modules of cases.py: as small as shows the point. Weights are set by vectors.py."""

import torch
from torch import nn
from torch.nn import functional as F


class Padded(nn.Module):
    """A convolution or pool over the last axis with zeros at the stream's start and end."""

    def __init__(self, layer, start, end):
        super().__init__()
        self.layer, self.start, self.end = layer, start, end

    def forward(self, x):
        return self.layer(F.pad(x, (self.start, self.end)) if self.start or self.end else x)


class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(layer for k in (3, 2, 4) for layer in
                                      (Padded(nn.Conv1d(4, 4, k), k - 1, 0), nn.ReLU())))

    def forward(self, x):
        return self.layers(x)


class Head(nn.Module):
    """Layers, ReLU, something over all of time, a matrix."""

    def __init__(self, layers, over_time, length=1):
        super().__init__()
        self.layers, self.over_time, self.length = layers, over_time, length
        self.head = nn.Linear(6 * length, 3)

    def forward(self, x):
        x = F.relu(self.layers(x))
        if self.over_time == "mean":
            return self.head(x.mean(2))
        if self.over_time == "max":
            return self.head(x.amax(2))
        return self.head(x.reshape(1, 6 * self.length))


class Residual(nn.Module):
    """A valid convolution of extent 5 beside a skip path that drops `crop` frames at its start."""

    def __init__(self, crop):
        super().__init__()
        self.conv, self.crop = nn.Conv1d(6, 6, 5), crop

    def forward(self, x):
        end = self.crop - 4
        return F.relu(self.conv(x) + (x[:, :, self.crop:end] if end else x[:, :, self.crop:]))


class PaddedResidual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = Padded(nn.Conv1d(6, 6, 4), 3, 0)

    def forward(self, x):
        return F.relu(self.conv(x) + x)


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.inner, self.after = nn.Conv1d(6, 6, 3), Residual(2), nn.Conv1d(6, 6, 3)

    def forward(self, x):
        return self.after(self.inner(F.relu(self.before(x)))) + x[:, :, 4:-4]


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.three, self.five = (nn.Conv1d(6, 3, k) for k in (1, 3, 5))
        self.pool = nn.MaxPool1d(3, 1)

    def forward(self, x):
        branches = [self.one(x)[:, :, 2:-2], self.three(x)[:, :, 1:-1], self.five(x), self.pool(x)[:, :, 1:-1]]
        return F.relu(torch.cat(branches, 1))


class StridedInception(nn.Module):
    """Both branches start at the same frame, so the short one keeps its first frames."""

    def __init__(self):
        super().__init__()
        self.three, self.five = nn.Conv1d(6, 3, 3, 2), nn.Conv1d(6, 3, 5, 2)

    def forward(self, x):
        return torch.cat([self.three(x)[:, :, :-1], self.five(x)], 1)


class StridedResidual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv1d(6, 6, 3, 2), nn.Conv1d(6, 6, 3)

    def forward(self, x):
        x = F.relu(self.stem(x))
        return self.conv(x) + x[:, :, 1:-1]


class TwoStrides(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv1d(4, 6, 3, 2), nn.Conv1d(6, 6, 5, 3), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(F.relu(self.second(F.relu(self.first(x)))).mean(2))


class Recurrent(nn.Module):
    """All states of a recurrent layer, from an initial state that is a constant of the network."""

    def __init__(self, layer, directions=1):
        super().__init__()
        self.layer = layer
        self.hidden = nn.Parameter(torch.zeros(directions, 1, 6))
        self.cell = nn.Parameter(torch.zeros(directions, 1, 6)) if isinstance(layer, nn.LSTM) else None

    def forward(self, x):
        state = self.hidden if self.cell is None else (self.hidden, self.cell)
        return self.layer(x, state)[0]


class ConvGru(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.layer = Padded(nn.Conv1d(4, 5, 3), 2, 0), Recurrent(nn.GRU(5, 6))

    def forward(self, x):
        return self.layer(F.relu(self.conv(x)).permute(2, 0, 1))


class LastState(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = Recurrent(nn.GRU(5, 6)), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.layer(x)[-1])


class Attention(nn.Module):
    """Multi-head attention over the window for one of its tokens; width 12, 3 heads."""

    def __init__(self, tokens, query=-1):
        super().__init__()
        self.tokens, self.at = tokens, query % tokens
        self.query, self.key, self.value, self.out = (nn.Linear(12, 12) for _ in range(4))

    def forward(self, x):
        return self.attend(x[:, self.at:self.at + 1], x, 1).reshape(1, 12)

    def attend(self, asking, x, count):
        query, key, value = (linear(y).reshape(1, n, 3, 4).transpose(1, 2) for linear, y, n in (
            (self.query, asking, count), (self.key, x, self.tokens), (self.value, x, self.tokens)))
        weights = torch.softmax(query @ key.transpose(2, 3) * 0.5, -1)
        return self.out((weights @ value).transpose(1, 2).reshape(1, count, 12))


class AllAttention(Attention):
    def forward(self, x):
        return self.attend(x, x, self.tokens)


class Encoder(nn.Module):
    """Encoder layers, norms behind the sums; the last layer answers for the newest token only."""

    def __init__(self, tokens, layers):
        super().__init__()
        self.tokens = tokens
        self.layers = nn.ModuleList(EncoderLayer(tokens) for _ in range(layers))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x, x, self.tokens)
        return self.layers[-1](x[:, self.tokens - 1:], x, 1).reshape(1, 12)


class EncoderLayer(nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.attention = Attention(tokens)
        self.first, self.second = nn.Linear(12, 20), nn.Linear(20, 12)
        self.norm1, self.norm2 = nn.LayerNorm(12), nn.LayerNorm(12)

    def forward(self, asking, x, count):
        y = self.norm1(asking + self.attention.attend(asking, x, count))
        return self.norm2(y + self.second(F.relu(self.first(y))))


class Recycling(nn.Module):
    """An encoder layer over tokens whose positions come from a table of 2 N - 1 rows, in turn."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens, self.encoder = tokens, Encoder(tokens, 1)
        self.table = nn.Parameter(torch.zeros(2 * tokens - 1, 12))

    def forward(self, x, start=None):
        rows = torch.arange(self.tokens) if start is None else (torch.arange(self.tokens) + start) % len(self.table)
        return self.encoder(x + self.table[rows])


class Absolute(nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.encoder, self.table = Encoder(tokens, 1), nn.Parameter(torch.zeros(tokens, 12))

    def forward(self, x):
        return self.encoder(x + self.table)


class GraphBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.edges = nn.ParameterList(torch.zeros(7, 7) for _ in range(2))
        self.mix = nn.ModuleList(nn.Conv2d(4, 6, 1) for _ in range(2))
        self.temporal, self.skip = nn.Conv2d(6, 6, (9, 1)), nn.Conv2d(4, 6, 1)

    def forward(self, x):
        first, second = (mix(torch.matmul(x, edge)) for mix, edge in zip(self.mix, self.edges))
        return F.relu(self.temporal(F.relu(first + second)) + self.skip(x[:, :, 4:-4]))


class X3dBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.expand, self.project = nn.Conv3d(6, 10, 1), nn.Conv3d(10, 6, 1)
        self.depthwise = nn.Conv3d(10, 10, 3, 1, (0, 1, 1), groups=10)
        self.squeeze, self.excite = nn.Conv3d(10, 4, 1), nn.Conv3d(4, 10, 1)

    def forward(self, x):
        y = self.depthwise(F.relu(self.expand(x)))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((3, 4), keepdim=True)))))
        return F.relu(self.project(F.silu(y * gate)) + x[:, :, 1:-1])


class Shuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 4, 3), nn.Linear(4, 3)
        self.register_buffer("order", torch.tensor([1, 0, 3, 2, 5, 4, 7, 6, 9, 8]))

    def forward(self, x):
        return self.head(F.relu(self.conv(x) + x.index_select(2, self.order)).mean(2))


class Cumulative(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 3), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(F.relu(torch.cumsum(self.conv(x), 2)).mean(2))


class ClipGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.squeeze, self.excite = nn.Conv1d(4, 6, 3), nn.Conv1d(6, 2, 1), nn.Conv1d(2, 6, 1)
        self.after, self.head = nn.Conv1d(6, 6, 3), nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(2, keepdim=True)))))
        return self.head(F.relu(self.after(x)).mean(2))


class ClipNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 6, 3), nn.InstanceNorm1d(6, affine=True)
        self.after, self.head = nn.Conv1d(6, 6, 3), nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        return self.head(F.relu(self.after(x)).mean(2))
