"""Goldens for crates/nets: plain and residual encoder-decoders of the PyPI package.

Run with Python 3, torch 2.13, safetensors and dynamic-network-architectures 0.4.4:
    python tests/golden/dynamic_networks.py
It writes, next to itself, for each of four small networks
    nets/<network>.safetensors           weights, all under the package's own names
    nets/<network>.expected.safetensors  what the network makes of them
with, computed in float64 and stored as float32,
    train.output.<i>  the i-th output in training mode, finest first
    output            logits in evaluation mode
    grad.<name>       gradient of the sum over i of
                      sum(train.output.<i> * pattern(train.output.<i>.shape))
Inputs are pattern(shape) of nets.py.
"""

import torch
import torch.nn as nn
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from safetensors.torch import save_file

from nets import FOLDER, fill_statistics, pattern

CHANNELS, CLASSES = 2, 3


def fill(model, generator):
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        if p.dim() > 1:
            value = noise * (2.0 / p[0].numel()) ** 0.5
        elif name.endswith("norm.weight"):
            value = 1.0 + 0.1 * noise
        else:
            value = 0.1 * noise
        p.data = value.float().double()
    fill_statistics(model, generator)


def golden(file, model, shape, gradients):
    model = model.double()
    fill(model, torch.Generator().manual_seed(2020))
    weights = {k: v.float().clone().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, FOLDER / f"{file}.safetensors")
    x = pattern(shape)
    model.eval()
    with torch.no_grad():
        expected = {"output": model(x)[0]}
    model.train()
    outputs = model(x)
    for i, y in enumerate(outputs):
        expected[f"train.output.{i}"] = y.detach()
    sum((y * pattern(y.shape)).sum() for y in outputs).backward()
    named = dict(model.named_parameters())
    for name in gradients:
        expected[f"grad.{name}"] = named[name].grad
    save_file({k: v.float().contiguous() for k, v in expected.items()}, FOLDER / f"{file}.expected.safetensors")
    print(file, tuple(shape), "->", [tuple(y.shape) for y in outputs])


def network(kind, axes, features, kernels, strides, down, up, norm):
    conv = nn.Conv2d if axes == 2 else nn.Conv3d
    norms = {"instance": (nn.InstanceNorm2d, nn.InstanceNorm3d), "batch": (nn.BatchNorm2d, nn.BatchNorm3d)}
    blocks = {"n_conv_per_stage" if kind is PlainConvUNet else "n_blocks_per_stage": down}
    return kind(
        CHANNELS, len(features), features, conv, kernels, strides, num_classes=CLASSES, n_conv_per_stage_decoder=up,
        conv_bias=True, norm_op=norms[norm][axes - 2], norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU, nonlin_kwargs={"negative_slope": 0.01}, deep_supervision=True, **blocks,
    )


def main():
    golden(
        "plain_conv_unet_3d",
        network(PlainConvUNet, 3, (4, 6, 8), ((1, 3, 3), (3, 3, 3), (3, 3, 3)), ((1, 1, 1), (1, 2, 2), (2, 2, 2)),
                (2, 1, 2), (1, 2), "instance"),
        (2, CHANNELS, 4, 16, 12),
        ["encoder.stages.0.0.convs.0.conv.weight", "encoder.stages.2.0.convs.0.conv.weight",
         "encoder.stages.1.0.convs.0.norm.weight", "decoder.transpconvs.0.weight", "decoder.seg_layers.0.bias",
         "decoder.stages.1.convs.0.norm.bias"],
    )
    golden(
        "plain_conv_unet_2d",
        network(PlainConvUNet, 2, (4, 6, 8), 3, (1, 2, 2), 2, 1, "batch"),
        (2, CHANNELS, 16, 20),
        ["encoder.stages.0.0.convs.1.conv.weight", "encoder.stages.2.0.convs.0.conv.weight",
         "decoder.transpconvs.1.bias", "decoder.seg_layers.1.weight"],
    )
    golden(
        "residual_encoder_unet_3d",
        network(ResidualEncoderUNet, 3, (4, 6, 6), ((3, 3, 1), (3, 3, 3), (3, 3, 3)), ((1, 1, 1), (2, 2, 1), (2, 2, 2)),
                (1, 2, 2), (1, 1), "instance"),
        (2, CHANNELS, 8, 12, 6),
        ["encoder.stem.convs.0.conv.weight", "encoder.stages.1.blocks.0.skip.1.conv.weight",
         "encoder.stages.1.blocks.0.conv1.conv.weight", "encoder.stages.2.blocks.1.conv2.norm.bias",
         "decoder.transpconvs.0.weight"],
    )
    golden(
        "residual_encoder_unet_2d",
        network(ResidualEncoderUNet, 2, (4, 6, 8), 3, (1, 2, 2), (2, 1, 1), 1, "instance"),
        (2, CHANNELS, 12, 16),
        ["encoder.stem.convs.0.norm.weight", "encoder.stages.2.blocks.0.skip.1.norm.weight",
         "encoder.stages.0.blocks.1.conv1.conv.weight", "decoder.stages.0.convs.0.conv.weight"],
    )


if __name__ == "__main__":
    main()
