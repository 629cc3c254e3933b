#!/usr/bin/env python3
"""The same as make.py, of operations on maps: make-maps.py > maps.bin. An item's map follows from the lengths of make.py, as in tests/tensor/ops-maps.h."""
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_num_threads(1)
LENGTHS, W, H, O = [5, 1, 9], 24, 3, 11
R, S = sum(LENGTHS), len(LENGTHS)
HEIGHT, ACROSS = 5 + R % 3, 7 + R % 2


def maps(rows):
    return rows.reshape(S, HEIGHT, ACROSS, W).permute(0, 3, 1, 2)


def rows(maps):
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def convolution(kernel, stride):
    def function(x, w, b):
        return rows(F.conv2d(maps(x), w.reshape(O, kernel, kernel, W).permute(0, 3, 1, 2), b, stride, kernel // 2))
    return function, [PLACES, (O, kernel * kernel * W), (O,)]


def depthwise(kernel, stride):
    def function(x, w, b):
        return rows(F.conv2d(maps(x), w.reshape(kernel, kernel, W).permute(2, 0, 1)[:, None], b, stride, kernel // 2, groups=W))
    return function, [PLACES, (kernel * kernel, W), (W,)]


def affine(activation):
    zero, one = torch.zeros(W).double(), torch.ones(W).double()
    return lambda x, scale, shift: activation(F.batch_norm(x, zero, one, scale, shift, eps=0)), [(R, W), (W,), (W,)]


PLACES = (S * HEIGHT * ACROSS, W)
OPS = {
    "relu6": (F.relu6, [(R, W)]),
    "convolution 3 x 3": convolution(3, 1),
    "depthwise 3 x 3": depthwise(3, 1),
    "depthwise 3 x 3 / 2": depthwise(3, 2),
    "depthwise 5 x 5": depthwise(5, 1),
    "depthwise 5 x 5 / 2": depthwise(5, 2),
    "max pool 3 x 3 / 2": (lambda x: rows(F.max_pool2d(maps(x), 3, 2, 1)), [PLACES]),
    "affine": affine(lambda x: x),
    "affine relu": affine(F.relu),
    "affine silu": affine(F.silu),
    "batch_norm": (lambda x, g, b: F.batch_norm(x, None, None, g, b, training=True), [PLACES, (W,), (W,)]),
    "scale": (lambda x, s: rows(maps(x) * s[:, :, None, None]), [PLACES, (S, W)]),
}

for name, (function, shapes) in OPS.items():
    inputs = [(torch.randn(s) * 1.5).double().requires_grad_() for s in shapes]
    y = function(*inputs)
    dy = torch.randn(y.shape).double()
    y.backward(dy)
    out = sys.stdout.buffer
    out.write(name.encode().ljust(32, b"\0"))
    out.write(np.array([len(shapes), S] + LENGTHS + [0] * (8 - S) + [W, H, O], "<i4").tobytes())
    out.write(np.zeros(R, "<i4").tobytes())
    for n in [*inputs, dy, y, *(i.grad for i in inputs)]:
        out.write(n.detach().numpy().astype("<f4").tobytes())
