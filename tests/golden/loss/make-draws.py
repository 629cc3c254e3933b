#!/usr/bin/env python3
"""What the miners that draw draw from: python3 make-draws.py > draws.txt

The chances of each negative by pytorch-metric-learning 2.8.1's DistanceWeightedMiner, in float64, caught where it is about to draw; and its
UniformHistogramMiner's bins: how many pairs of each kind it draws, and from which bin each pair."""
import numpy as np
import torch
import torch.nn.functional as F
from pytorch_metric_learning import miners
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu

from vectors import inputs

torch.set_default_dtype(torch.float64)
N, D, SEED = 12, 6, 41
labels = [0, 1, 0, 2, 1, 0, 3, 2, 2, 0, 1, 2]
x = F.normalize(inputs(N, D, SEED, []).detach())
y = torch.tensor(labels)


def chances(**keys):
    caught = {}
    draw = lmu.get_random_triplet_indices
    lmu.get_random_triplet_indices = lambda labels, ref_labels=None, weights=None: caught.update(w=weights) or draw(labels, ref_labels, weights=weights)
    miners.DistanceWeightedMiner(**keys)(x, y)
    lmu.get_random_triplet_indices = draw
    return torch.nan_to_num(caught["w"])


print("batch", N, D, SEED, *labels)
for keys in {}, dict(cutoff=.9, nonzero_loss_cutoff=1.3):
    w = chances(**keys)
    print("weights", ",".join(f"{k}={v}" for k, v in keys.items()) or "-", *(f"{v:.9g}" for v in w.flatten().tolist()))
m = torch.cdist(x, x)
a1, p, a2, n = lmu.get_all_pairs_indices(y)
for bins, per in (5, 7), (20, 3):
    f = miners.UniformHistogramMiner(num_bins=bins, pos_per_bin=per, neg_per_bin=per)
    for name, a, b in ("positives", a1, p), ("negatives", a2, n):
        edges = f.get_bins(m[a, b])
        where = np.full((N, N), -1)
        where[a, b] = np.clip(np.searchsorted(edges.numpy(), m[a, b].numpy(), side="right") - 1, 0, bins - 1)
        drawn, _ = f.get_uniformly_distributed_pairs(m[a, b], a, b, per)
        gap = np.abs(m[a, b].numpy()[:, None] - edges.numpy()[None, 1:-1]).min()
        assert gap > 1e-6, "on the edge of a bin"
        print(name, bins, per, len(drawn), *where.flatten().tolist())
