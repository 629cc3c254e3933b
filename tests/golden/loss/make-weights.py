#!/usr/bin/env python3
"""Golden numbers for losses with weights of their own: python3 make-weights.py > weights.txt

Reference, in float64: pytorch-metric-learning 2.8.1. Embeddings and weights are made by a formula that tests/train/test-loss-weights.c shares,
so only their seeds are stored. Its W are [d, classes]; ours, and these numbers, [classes, d]."""
import itertools
import math

import numpy as np
import pytorch_metric_learning
import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import CosineSimilarity

assert pytorch_metric_learning.__version__ == "2.8.1"
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def words(seed):
    state = seed
    while True:
        state = (state * 1103515245 + 12345) % 2**31
        yield (state >> 8) % 2001 - 1000


def matrix(rows, d, seed):
    """Row i is d numbers in -1..1, times (i % 5 + 1) / 2."""
    w = words(seed)
    x = np.array([[next(w) / 1000 * ((i % 5 + 1) / 2) for _ in range(d)] for i in range(rows)], dtype=np.float32)
    return torch.tensor(x.astype(np.float64))


def setting(name, keys):
    return name + (":" + ",".join(f"{k}={v}" for k, v in keys.items()) if keys else "")


class Case:
    """near: (item, weight row, e): the item becomes a weight's row + e / 1000 * noise, so that angles near 0, and with e < 0 near pi, are there."""

    def __init__(self, name, d, seed, labels, classes, near=()):
        self.name, self.d, self.seed, self.labels, self.classes, self.near = name, d, seed, labels, classes, list(near)

    def tensors(self, rows, d):
        weights = matrix(rows, d, self.seed + 1)
        x = matrix(len(self.labels), self.d, self.seed)
        w = words(self.seed + 2)
        for item, row, e in self.near if d == self.d else []:
            for k in range(self.d):
                x[item, k] = float(np.float32(math.copysign(1, e) * weights[row, k].item() + e / 1000 * (next(w) / 1000)))
        return x.requires_grad_(), weights

    def check(self, name, make, attribute, rows, transposed, counted, **keys):
        """make(keys) is the loss; `attribute` its parameter."""
        f = make(num_classes=self.classes, embedding_size=self.d, **keys)
        x, weights = self.tensors(rows, self.d)
        parameter = getattr(f, attribute)
        assert tuple(parameter.shape) == ((self.d, rows) if transposed else (rows, self.d))
        parameter.data = (weights.T if transposed else weights).clone()
        value = f(x, torch.tensor(self.labels))
        value.backward()
        g = parameter.grad.T if transposed else parameter.grad
        self.write(setting(name, keys), x, weights, value, counted, g)

    def write(self, loss, x, weights, value, counted, g):
        assert torch.isfinite(x.grad).all() and torch.isfinite(g).all() and torch.isfinite(value)
        print("case", self.name, len(self.labels), self.d, self.classes, self.seed, loss)
        print("labels", *self.labels)
        near = self.near if weights.shape[1] == self.d else []
        print("near", len(near), *itertools.chain(*near))
        print("weights", *weights.shape)
        print("value", f"{value.item():.10g}", counted)
        print("gradient", *(f"{v:.7g}" for v in x.grad.flatten().tolist()))
        print("learnt", *(f"{v if abs(v) > 1e-14 else 0:.7g}" for v in g.flatten().tolist()))


plain = Case("uneven", 5, 7, [0, 1, 0, 2, 1, 0, 3, 2, 2, 0, 1, 2], 5)
near = Case("near", 6, 11, [0, 1, 2, 3, 0, 1, 2, 3], 4, [(0, 0, 5), (1, 1, 100), (4, 0, -5), (5, 1, -100), (6, 1, 20)])
single = Case("single", 4, 13, [1], 3)
many = Case("many", 3, 17, [(i * i + i // 7) % 29 for i in range(40)], 150)   # more than one piece of work holds: 32 rows, 128 columns

for name, f, attribute, transposed, several, settings in [
    ("normalized-softmax", losses.NormalizedSoftmaxLoss, "W", True, None, [{}, {"temperature": .5}]),
    ("proxy-nca", losses.ProxyNCALoss, "proxies", False, None, [{}, {"softmax_scale": 3}]),
    ("cosface", losses.CosFaceLoss, "W", True, None, [{}, {"margin": .1}, {"scale": 16}, {"margin": .5, "scale": 4}]),
    ("arcface", losses.ArcFaceLoss, "W", True, None,
     [{}, {"margin": 10}, {"scale": 16}, {"margin": 57.3, "scale": 4}, {"margin": 0}, {"margin": 120, "scale": 8}]),
    ("sub-center-arcface", losses.SubCenterArcFaceLoss, "W", True, ("sub_centers", 3),
     [{}, {"sub_centers": 2, "scale": 8}, {"sub_centers": 1}, {"margin": 40, "scale": 4, "sub_centers": 4}]),
    ("sphereface", losses.SphereFaceLoss, "W", True, None,
     [{}, {"margin": 1}, {"margin": 2, "scale": .5}, {"margin": 3, "scale": 2}, {"margin": 5}, {"margin": 8, "scale": .25}]),
    ("large-margin-softmax", losses.LargeMarginSoftmaxLoss, "W", True, None,
     [{}, {"margin": 1}, {"margin": 2, "scale": .5}, {"margin": 3, "scale": 2}, {"margin": 5}, {"margin": 8, "scale": .25}]),
    ("proxy-anchor", losses.ProxyAnchorLoss, "proxies", False, None, [{}, {"margin": .3}, {"alpha": 8}, {"margin": 0, "alpha": 2}]),
    ("soft-triple", losses.SoftTripleLoss, "fc", True, ("centers_per_class", 10),
     [{"centers_per_class": 2}, {}, {"centers_per_class": 1}, {"centers_per_class": 3, "la": 5}, {"gamma": 1, "centers_per_class": 4},
      {"margin": .2, "centers_per_class": 2}]),
]:
    for c in plain, near, single, many:
        for keys in settings[:1] if c is many else settings:
            rows = c.classes * (keys.get(*several) if several else 1)
            counted = len(c.labels)
            if name == "proxy-anchor":   # proxies with items of their class, and with items of others
                counted = len(set(c.labels)) + sum(any(y != k for y in c.labels) for k in range(c.classes))
            c.check(name, f, attribute, rows, transposed, counted, **keys)

# beta of the margin loss: one, or one a class.
for c in plain, near, single:
    for per_class in (False, True):
        for keys in ({}, {"nu": .1}, {"margin": .5, "nu": 1}, {"distance": "cosine", "margin": .1, "nu": .2}):
            how = {k: v for k, v in keys.items() if k != "distance"}
            if "distance" in keys:
                how["distance"] = CosineSimilarity()
            f = losses.MarginLoss(learn_beta=True, num_classes=c.classes if per_class else None, **how)
            rows = c.classes if per_class else 1
            x, weights = c.tensors(rows, 1)
            f.beta.data = weights.flatten().clone()
            y = torch.tensor(c.labels)
            value, terms = f(x, y), f.compute_loss(x, y, None, x, y)["margin_loss"]
            value.backward()
            if x.grad is None:
                x.grad = torch.zeros_like(x)
            g = f.beta.grad if f.beta.grad is not None else torch.zeros(rows)
            c.write(setting("margin", dict(learn_beta="per_class" if per_class else 1, **keys)), x, weights, value,
                    int(terms.get("divisor", 0)), g.reshape(rows, 1))
