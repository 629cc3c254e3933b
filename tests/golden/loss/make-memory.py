#!/usr/bin/env python3
"""Golden numbers for losses that remember batches: python3 make-memory.py > memory.jsonl

Reference, in float64: pytorch-metric-learning's CrossBatchMemory around its losses, over several batches one after another, embeddings of one
not depending on those before. Vectors are made by the formula of make.py, batch b's with the seed + b."""
import json

import torch
from pytorch_metric_learning import distances, losses

from vectors import inputs, setting

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

D = 5
BATCHES = [[0, 1, 0, 2, 1, 0], [2, 2, 1, 3, 3, 0], [4, 4, 1], [0, 3, 4, 2, 2, 1, 0], [1, 1, 1, 1, 0, 2]]


def case(name, make, size, seed, **keys):
    f = losses.CrossBatchMemory(make(), D, memory_size=size)
    values, gradients = [], []
    for b, labels in enumerate(BATCHES):
        x = inputs(len(labels), D, seed + b, [])
        value = f(x, torch.tensor(labels))
        if value.requires_grad:
            value.backward()
        g = x.grad if x.grad is not None else torch.zeros_like(x)
        assert torch.isfinite(g).all()
        values.append(float(f"{value.item():.10g}"))
        gradients.append([float(f"{v:.7g}") for v in g.flatten().tolist()])
    keys["memory_size"] = size
    print(json.dumps(dict(loss=setting(name, keys), d=D, seed=seed, labels=BATCHES, values=values, gradients=gradients), separators=(",", ":")))


for size in (7, 11, 1024):
    case("supcon", losses.SupConLoss, size, 31)
    case("supcon", lambda: losses.SupConLoss(temperature=.5), size, 37, temperature=.5)
    case("contrastive", losses.ContrastiveLoss, size, 41)
    case("contrastive", lambda: losses.ContrastiveLoss(pos_margin=.9, neg_margin=.3, distance=distances.CosineSimilarity()), size, 41,
         pos_margin=.9, neg_margin=.3, distance="cosine")
    case("ntxent", lambda: losses.NTXentLoss(temperature=.2), size, 43, temperature=.2)
    case("multi-similarity", losses.MultiSimilarityLoss, size, 47)
    case("circle", lambda: losses.CircleLoss(gamma=8), size, 53, gamma=8)
    case("margin", losses.MarginLoss, size, 59)
    case("tuplet-margin", lambda: losses.TupletMarginLoss(scale=8), size, 61, scale=8)
    case("generalized-lifted", losses.GeneralizedLiftedStructureLoss, size, 67)
    case("triplet", lambda: losses.TripletMarginLoss(margin=.2), size, 71, margin=.2)
    case("triplet", lambda: losses.TripletMarginLoss(smooth_loss=True), size, 73, smooth=1)
