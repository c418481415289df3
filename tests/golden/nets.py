"""Goldens for crates/nets: the networks written independently in PyTorch.

Run with Python 3, torch 2.13 and safetensors, from anywhere:
    python tests/golden/nets.py
It writes, next to itself, for each network at a small width
    nets/<network>.safetensors           weights, under the names of crates/nets
    nets/<network>.expected.safetensors  what the network makes of them
and, for the networks at full width (3 channels in, 2 classes),
nets/parameter_counts.json and
    nets/unet_full_width.expected.safetensors  the output of the UNet with weights
                                               that are a pattern too (patterned)

Expected tensors, all computed in float64 and stored as float32:
    output          logits in evaluation mode (running statistics)
    train.output    logits in training mode (batch statistics)
    grad.<name>     gradient of sum(train.output * pattern(train.output.shape))
    running.<name>  running statistics after that one training pass, momentum
                    0.1, with the variance divided by n (PyTorch: n - 1)
Inputs are not stored: they are pattern(shape), with the shapes below.
"""

import json
import pathlib
import re

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "nets"
EPSILON = 1e-5


def pattern(shape, start=0):
    """Reproducible values in [-0.5, 0.5), exact in float32; from the `start`-th on."""
    i = np.arange(start, start + int(np.prod(shape)), dtype=np.uint64)
    bits = (i * np.uint64(2654435761) + np.uint64(12345)) % np.uint64(2**32)
    bits ^= bits >> np.uint64(15)
    bits = (bits * np.uint64(2246822519)) % np.uint64(2**32)
    values = (bits >> np.uint64(8)).astype(np.float64) / 2**24 - 0.5
    return torch.from_numpy(values).reshape(shape)


def scaled(channels, width):
    return max(1, int(np.floor(channels * width + 0.5)))


# UNet ---------------------------------------------------------------------


def double_conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3), nn.ReLU(), nn.Conv2d(o, o, 3), nn.ReLU())


def centre(x, like):
    top = (x.shape[2] - like.shape[2]) // 2
    left = (x.shape[3] - like.shape[3]) // 2
    return x[:, :, top : top + like.shape[2], left : left + like.shape[3]]


class UNet(nn.Module):
    def __init__(self, channels, classes, width):
        super().__init__()
        a, b, c = (scaled(f, width) for f in (64, 128, 256))
        self.enc1, self.enc2, self.mid = double_conv(channels, a), double_conv(a, b), double_conv(b, c)
        self.up2, self.dec2 = nn.ConvTranspose2d(c, b, 2, stride=2), double_conv(2 * b, b)
        self.up1, self.dec1 = nn.ConvTranspose2d(b, a, 2, stride=2), double_conv(2 * a, a)
        self.out = nn.Conv2d(a, classes, 1)

    def forward(self, x):
        e1 = self.enc1(x)
        e2 = self.enc2(F.max_pool2d(e1, 2))
        m = self.up2(self.mid(F.max_pool2d(e2, 2)))
        d = self.up1(self.dec2(torch.cat([centre(e2, m), m], 1)))
        return self.out(self.dec1(torch.cat([centre(e1, d), d], 1)))


UNET_NAMES = [
    (r"^enc1\.0", "down.0.convs.0"), (r"^enc1\.2", "down.0.convs.1"),
    (r"^enc2\.0", "down.1.convs.0"), (r"^enc2\.2", "down.1.convs.1"),
    (r"^mid\.0", "down.2.convs.0"), (r"^mid\.2", "down.2.convs.1"),
    (r"^up2", "up.0.grow"), (r"^dec2\.0", "up.0.block.convs.0"), (r"^dec2\.2", "up.0.block.convs.1"),
    (r"^up1", "up.1.grow"), (r"^dec1\.0", "up.1.block.convs.0"), (r"^dec1\.2", "up.1.block.convs.1"),
    (r"^out", "classifier"),
]


# Padded UNet --------------------------------------------------------------


def padded_conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.Conv2d(o, o, 3, padding=1), nn.ReLU())


class PaddedUNet(nn.Module):
    def __init__(self, channels, classes, width):
        super().__init__()
        w = [scaled(f, width) for f in (64, 128, 256, 512, 1024)]
        self.enc = nn.ModuleList(padded_conv(i, o) for i, o in zip([channels] + w, w))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in reversed(list(zip(w, w[1:]))))
        self.dec = nn.ModuleList(padded_conv(2 * a, a) for a in reversed(w[:-1]))
        self.out = nn.Conv2d(w[0], classes, 1)

    def forward(self, x):
        skips = []
        for i, enc in enumerate(self.enc):
            x = enc(x if i == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for up, dec in zip(self.up, self.dec):
            x = dec(torch.cat([skips.pop(), up(x)], 1))
        return self.out(x)


PADDED_UNET_NAMES = [
    (r"^enc\.(\d)\.0", r"down.\1.convs.0"), (r"^enc\.(\d)\.2", r"down.\1.convs.1"),
    (r"^up\.(\d)\.(weight|bias)", r"up.\1.grow.\2"),
    (r"^dec\.(\d)\.0", r"up.\1.block.convs.0"), (r"^dec\.(\d)\.2", r"up.\1.block.convs.1"),
    (r"^out", "classifier"),
]


# TwoPathCNN ---------------------------------------------------------------


class TwoPath(nn.Module):
    def __init__(self, channels, classes, width, sudre):
        super().__init__()
        self.sudre = sudre
        n, g = scaled(64, width), scaled(160, width)
        self.l1 = nn.Conv2d(channels, 2 * n, 7)
        self.l2 = nn.Conv2d(n, 2 * n, 5 if sudre else 3)
        self.g = nn.Conv2d(channels, 2 * g, 13)
        self.head = nn.Conv2d(n + g, classes, 19 if sudre else 21)

    @staticmethod
    def maxout(x):
        half = x.shape[1] // 2
        return torch.maximum(x[:, :half], x[:, half:])

    def forward(self, x):
        a = F.max_pool2d(self.maxout(self.l1(x)), 4, stride=1)
        a = F.max_pool2d(self.maxout(self.l2(a)), 2, stride=1)
        b = self.maxout(self.g(x))
        if self.sudre:
            b = F.max_pool2d(b, 2, stride=1)[:, :, :-1, :-1]
        return self.head(torch.cat([a, b], 1))


TWO_PATH_NAMES = [
    (r"^l1", "local.0.conv"), (r"^l2", "local.1.conv"), (r"^g\.", "global.conv."), (r"^head", "classifier"),
]


# DeepMedic ----------------------------------------------------------------


def unit(i, o, k):
    return nn.Sequential(nn.Conv3d(i, o, k, bias=False), nn.BatchNorm3d(o, eps=EPSILON), nn.PReLU(o))


class DeepMedic(nn.Module):
    def __init__(self, channels, classes, width):
        super().__init__()
        w = [channels] + [scaled(f, width) for f in (30, 30, 40, 40, 40, 40, 50, 50)]
        fc = scaled(150, width)
        self.high = nn.Sequential(*[unit(w[i], w[i + 1], 3) for i in range(8)])
        self.low = nn.Sequential(*[unit(w[i], w[i + 1], 3) for i in range(8)])
        self.fc = nn.Sequential(unit(2 * w[-1], fc, 1), unit(fc, fc, 1))
        self.out = nn.Conv3d(fc, classes, 1)

    def forward(self, x):
        high = self.high(x[:, :, 16:-16, 16:-16, 16:-16])
        low = self.low(x[:, :, 1::3, 1::3, 1::3])
        low = low.repeat_interleave(3, 2).repeat_interleave(3, 3).repeat_interleave(3, 4)
        return self.out(self.fc(torch.cat([high, low], 1)))


DEEP_MEDIC_NAMES = [
    (r"^high\.", "normal."), (r"^low\.", "context."), (r"^fc\.", "full."), (r"^out", "classifier"),
    (r"\.(\d)\.0\.weight", r".\1.conv.weight"),
    (r"\.(\d)\.1\.weight", r".\1.norm.gamma"), (r"\.(\d)\.1\.bias", r".\1.norm.beta"),
    (r"\.(\d)\.1\.running", r".\1.norm.running"), (r"\.(\d)\.2\.weight", r".\1.activation.alpha"),
]


# HighRes3DNet -------------------------------------------------------------


class Res(nn.Module):
    def __init__(self, i, o, d):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm3d(i, eps=EPSILON), nn.BatchNorm3d(o, eps=EPSILON)
        self.c1 = nn.Conv3d(i, o, 3, padding=d, dilation=d, bias=False)
        self.c2 = nn.Conv3d(o, o, 3, padding=d, dilation=d, bias=False)
        self.more = o - i

    def forward(self, x):
        y = self.c2(F.relu(self.bn2(self.c1(F.relu(self.bn1(x))))))
        before = self.more // 2
        return y + F.pad(x, (0, 0, 0, 0, 0, 0, before, self.more - before))


class HighRes(nn.Module):
    def __init__(self, channels, classes, width):
        super().__init__()
        c = scaled(16, width)
        self.c0, self.bn0 = nn.Conv3d(channels, c, 3, padding=1, bias=False), nn.BatchNorm3d(c, eps=EPSILON)
        res = []
        for f, d in ((16, 1), (32, 2), (64, 4)):
            for _ in range(3):
                res.append(Res(c, scaled(f, width), d))
                c = scaled(f, width)
        self.res = nn.Sequential(*res)
        t = scaled(80, width)
        self.c1, self.bn1, self.out = nn.Conv3d(c, t, 1, bias=False), nn.BatchNorm3d(t, eps=EPSILON), nn.Conv3d(t, classes, 1)

    def forward(self, x):
        x = self.res(F.relu(self.bn0(self.c0(x))))
        x = self.out(F.relu(self.bn1(self.c1(x))))
        return x[:, :, 18:-18, 18:-18, 18:-18]


HIGH_RES_NAMES = [
    (r"^c0", "stem"), (r"^bn0", "stem_norm"), (r"^c1", "tail"), (r"^bn1", "tail_norm"), (r"^out", "classifier"),
    (r"^res\.(\d)\.c1", r"blocks.\1.convs.0"), (r"^res\.(\d)\.c2", r"blocks.\1.convs.1"),
    (r"^res\.(\d)\.bn1", r"blocks.\1.norms.0"), (r"^res\.(\d)\.bn2", r"blocks.\1.norms.1"),
    (r"(norm|norms\.\d)\.weight", r"\1.gamma"), (r"(norm|norms\.\d)\.bias", r"\1.beta"),
]


# --------------------------------------------------------------------------


def renamed(name, names):
    for old, new in names:
        name = re.sub(old, new, name)
    return name


def fill(model, generator):
    """Weights that keep activations of order one, and statistics that are not 0 and 1."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        if p.dim() > 1:
            value = noise * (2.0 / p[0].numel()) ** 0.5
        elif name.endswith("bias"):
            value = 0.1 * noise
        else:  # batch norm scale, PReLU slope
            slope = name.split(".")[-2] == "2"
            value = (0.2 if slope else 1.0) + 0.1 * noise
        p.data = value.float().double()
    fill_statistics(model, generator)


def fill_statistics(model, generator):
    for name, b in model.named_buffers():
        noise = torch.randn(b.shape, generator=generator, dtype=torch.float64)
        if name.endswith("running_mean"):
            b.copy_((0.3 * noise).float())
        elif name.endswith("running_var"):
            b.copy_((0.5 + noise.abs()).float())


def golden(file, model, names, shape, gradients):
    model = model.double()
    fill(model, torch.Generator().manual_seed(1706))
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file({renamed(k, names): v.float().contiguous() for k, v in state.items()}, FOLDER / f"{file}.safetensors")

    x = pattern(shape)
    model.eval()
    with torch.no_grad():
        expected = {"output": model(x)}
    model.train()
    counts = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm3d):
            module.register_forward_hook(
                lambda m, i, o, name=name: counts.__setitem__(name, i[0].numel() // i[0].shape[1]))
    before = {k: v.clone() for k, v in model.named_buffers()}
    y = model(x)
    expected["train.output"] = y.detach()
    (y * pattern(y.shape)).sum().backward()
    for name, p in model.named_parameters():
        if renamed(name, names) in gradients:
            expected[f"grad.{renamed(name, names)}"] = p.grad
    for name, b in model.named_buffers():
        if name.endswith("running_var"):
            n = counts[name.removesuffix(".running_var")]
            b.copy_(0.9 * before[name] + (b - 0.9 * before[name]) * (n - 1) / n)
        if name.endswith(("running_mean", "running_var")):
            expected[f"running.{renamed(name, names)}"] = b
    missing = [g for g in gradients if f"grad.{g}" not in expected]
    assert not missing, missing
    save_file({k: v.float().contiguous() for k, v in expected.items()}, FOLDER / f"{file}.expected.safetensors")
    print(file, tuple(shape), "->", tuple(y.shape), "rms", float(expected["output"].std()))


def patterned(model, names):
    """Gives a model weights that need no file: the pattern, going on from tensor to
    tensor in the order of their names in crates/nets, of mean square 2 / fan-in in
    kernels and a fifth of it in biases."""
    start = 0
    for name, p in sorted(model.named_parameters(), key=lambda item: renamed(item[0], names)):
        factor = (24.0 / p[0].numel()) ** 0.5 if p.dim() > 1 else 0.2
        p.data = (pattern(p.shape, start) * factor).float().double()
        start += p.numel()


def full_width(file, model, names, shape):
    model = model.double()
    patterned(model, names)
    with torch.no_grad():
        y = model(pattern(shape))
    save_file({"output": y.float().contiguous()}, FOLDER / f"{file}_full_width.expected.safetensors")
    print(file, tuple(shape), "->", tuple(y.shape), "rms", float(y.std()))


def main():
    FOLDER.mkdir(exist_ok=True)
    golden("unet", UNet(2, 3, 0.04), UNET_NAMES, (2, 2, 44, 52),
           ["down.0.convs.0.weight", "up.0.grow.weight", "up.1.block.convs.0.bias"])
    golden("padded_unet", PaddedUNet(2, 3, 0.02), PADDED_UNET_NAMES, (2, 2, 32, 48),
           ["down.0.convs.0.weight", "down.3.convs.1.bias", "up.0.grow.weight", "up.3.block.convs.0.weight"])
    golden("two_path_cnn_havaei", TwoPath(2, 2, 0.03, False), TWO_PATH_NAMES, (2, 2, 34, 37),
           ["local.0.conv.bias", "local.1.conv.weight", "global.conv.bias"])
    golden("two_path_cnn_sudre_text", TwoPath(2, 2, 0.03, True), TWO_PATH_NAMES, (2, 2, 34, 37),
           ["local.0.conv.bias", "local.1.conv.weight", "global.conv.bias"])
    golden("deep_medic", DeepMedic(2, 2, 0.05), DEEP_MEDIC_NAMES, (2, 2, 51, 57, 51),
           ["normal.0.conv.weight", "context.0.conv.weight", "context.3.activation.alpha", "normal.7.norm.gamma"])
    golden("high_res_3d_net", HighRes(2, 3, 0.1), HIGH_RES_NAMES, (2, 2, 38, 40, 39),
           ["stem.weight", "blocks.3.convs.0.weight", "blocks.6.norms.0.beta"])
    full_width("unet", UNet(3, 2, 1.0), UNET_NAMES, (2, 3, 44, 52))
    full = {
        "unet": UNet(3, 2, 1.0), "padded_unet": PaddedUNet(3, 2, 1.0), "two_path_cnn_havaei": TwoPath(3, 2, 1.0, False),
        "two_path_cnn_sudre_text": TwoPath(3, 2, 1.0, True), "deep_medic": DeepMedic(3, 2, 1.0),
        "high_res_3d_net": HighRes(3, 2, 1.0),
    }
    counts = {k: sum(p.numel() for p in m.parameters()) for k, m in full.items()}
    (FOLDER / "parameter_counts.json").write_text(json.dumps(counts, indent=2) + "\n")
    print(counts)


if __name__ == "__main__":
    main()
