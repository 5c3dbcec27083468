"""The three networks for pictures of 32x32, built from timm's blocks: an EfficientFormer, a TinyNet, a MobileNet.

Each follows its family in everything but the resolutions: a picture of 32x32 leaves no room for the five halvings of
networks that are made for 224x224.
"""

import torch
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientformer import Attention, EfficientFormer, MetaBlock1d, MetaBlock2d
from timm.models.efficientformer_v2 import ConvMlpWithNorm
from timm.models.efficientnet import EfficientNet
from torch import nn
from torch.nn import functional as F


def efficientformer(classes=10):
    """EfficientFormer: stages of 48, 96 and 144 channels at 16x16, 8x8 and 4x4, two attention blocks at the end.

    Blocks of the first stages are those of V2: positions are mixed by a depthwise convolution between the two 1x1
    convolutions with GELU, where V1 pools before them. Strided convolutions stand between stages. The last two blocks
    are V1's: layer norm and attention over 16 positions with a learnt bias for every distance. Layer scale, which lets
    very deep networks start, is left out.
    """
    network = EfficientFormer(
        depths=(1, 3, 3), embed_dims=(48, 96, 144), downsamples=(False, True, True), num_vit=2, mlp_ratios=2,
        num_classes=classes,
    )
    network.stem = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 48, 3, 2, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
    )
    for block in network.modules():
        if isinstance(block, (MetaBlock1d, MetaBlock2d)):
            block.ls1 = block.ls2 = nn.Identity()
        if isinstance(block, MetaBlock1d):
            block.token_mixer = attention(144, side=4)
    for stage in network.stages:
        for index, block in enumerate(stage.blocks):
            if isinstance(block, MetaBlock2d):
                stage.blocks[index] = mixing_block(block.mlp.fc1.in_channels)
    # The answer is the mean of two heads, the second for a teacher's answers. Without a teacher's token one is enough.
    network.head_dist = network.head
    return network


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def mixing_block(channels):
    """V2's block without attention: 1x1 to twice the channels, depthwise 3x3, 1x1 back, around it the input."""
    block = ConvMlpWithNorm(channels, 2 * channels, norm_layer=nn.BatchNorm2d, mid_conv=True)
    # Batch norm behind it takes any bias out again.
    block.mid.conv.bias = None
    return Residual(block)


def attention(channels, side):
    """Attention over side x side positions; it keeps all distances, so that smaller pictures can use some of them."""
    layer = Attention(channels, key_dim=16, num_heads=4, attn_ratio=2, resolution=side)
    layer.side, layer.distances = side, layer.attention_bias_idxs
    return layer


def set_size(network, size):
    """Makes attention fit pictures of another size: it then uses the distances of a corner of its positions."""
    for layer in network.modules():
        if isinstance(layer, Attention):
            used = -(-size * layer.side // 32)
            corner = torch.arange(layer.side ** 2).view(layer.side, layer.side)[:used, :used].flatten()
            layer.attention_bias_idxs = layer.distances[corner][:, corner]


def tinynet(classes=10):
    """EfficientNet's inverted bottlenecks with squeeze-excite and swish throughout, at 16x16, 8x8 and 4x4."""
    return _efficientnet(classes, 32, nn.SiLU, 256, [
        ["ds_r1_k3_s1_e1_c16_se0.25"], ["ir_r2_k3_s2_e4_c32_se0.25"], ["ir_r1_k5_s1_e4_c48_se0.25"],
        ["ir_r2_k3_s2_e4_c80_se0.25"], ["ir_r1_k3_s1_e6_c96_se0.25"],
    ])


def mobilenet(classes=10):
    """MobileNetV1's pairs of depthwise and 1x1 convolutions, 64 to 512 channels, at 16x16, 8x8 and 4x4."""
    network = _efficientnet(classes, 16, nn.ReLU, 0, [
        ["dsa_r1_k3_s2_c64"], ["dsa_r1_k3_s1_c64"], ["dsa_r1_k3_s2_c128"], ["dsa_r2_k3_s1_c256"],
        ["dsa_r1_k3_s2_c512"], ["dsa_r1_k3_s1_c512"],
    ])
    network.conv_stem.stride = (1, 1)
    return network


def _efficientnet(classes, stem, activation, head, blocks):
    return EfficientNet(
        block_args=decode_arch_def(blocks), num_classes=classes, num_features=head, stem_size=stem, fix_stem=True,
        act_layer=activation,
    )


def depthwise_in_float32(network):
    """Computes depthwise convolutions in float32 under autocast: their bfloat16 gradients are many times slower."""
    def patched(layer):
        def forward(x):
            with torch.autocast("cpu", enabled=False):
                y = F.conv2d(x.float(), layer.weight, layer.bias, layer.stride, layer.padding, 1, layer.groups)
            return y.to(x.dtype)
        return forward

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer.forward = patched(layer)
    return network


def depthwise_as_defined(network):
    """Takes what `depthwise_in_float32` did back."""
    for layer in network.modules():
        vars(layer).pop("forward", None)
    return network
