#!/usr/bin/env python3
"""Golden numbers for clip and siglip: python3 make-clip.py > clip.jsonl

Reference: open_clip's ClipLoss and SigLipLoss in float64 on one process, with normalised features, logit_scale.exp() and logit_bias as its models
give them; the gradients by the features and by logit_scale and logit_bias. Rows of several positives, which open_clip has not, are the definition,
written out here and first held against it. Vectors are made by the formula of make.py, so only their seeds are stored."""
import json

import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss, SigLipLoss

from vectors import ANCHOR, POSITIVE, inputs, setting

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def clip(a, p, owner, scale):
    """Mean over positives of the mean of two terms: the anchor's own positive against the positives of other rows, the positive's anchor against all."""
    logits = scale * a @ p.T
    terms = []
    for j, r in enumerate(owner):
        others = [k for k, o in enumerate(owner) if k == j or o != r]
        terms.append((logits[r, others].logsumexp(0) + logits[:, j].logsumexp(0)) / 2 - logits[r, j])
    return sum(terms) / len(terms)


def siglip(a, p, owner, scale, bias):
    sign = 2 * torch.tensor([[float(o == r) for o in owner] for r in range(len(a))]) - 1
    return -F.logsigmoid(sign * (scale * a @ p.T + bias)).sum() / len(a)


def write(name, loss, keys, d, seed, rows, roles, near, weights):
    x = inputs(len(rows), d, seed, near)
    u = F.normalize(x)
    a, p = u[[i for i, r in enumerate(roles) if r == ANCHOR]], u[[i for i, r in enumerate(roles) if r == POSITIVE]]
    owner = [rows[i] for i, r in enumerate(roles) if r == POSITIVE]
    temperature, bias = keys.get("temperature", .07 if loss == "clip" else .1), keys.get("bias", -10.)
    start = [torch.tensor(1 / temperature).log(), torch.tensor(bias)][:1 if loss == "clip" else 2]
    learnt = [(torch.tensor(w) if weights else s).requires_grad_() for w, s in zip(weights or start, start)]
    scale = learnt[0].exp()
    value = clip(a, p, owner, scale) if loss == "clip" else siglip(a, p, owner, scale, learnt[1])
    if len(a) == len(p):
        theirs = ClipLoss()(a, p, scale) if loss == "clip" else SigLipLoss()(a, p, scale, learnt[1])
        assert abs(theirs - value) <= 1e-12 * max(1, abs(value))
        value = theirs
    value.backward()
    case = dict(name=name, loss=setting(loss, keys), kind="pairs", d=d, seed=seed, rows=rows, roles=roles)
    if near:
        case["near"] = near
    # infonce counts the softmaxes that compare anything, siglip every anchor with every positive
    counted = 2 * len(p) if loss == "clip" else len(a) * len(p)
    case.update(value=float(f"{value.item():.10g}"), counted=counted, gradient=[float(f"{v:.7g}") for v in x.grad.flatten().tolist()])
    if weights:
        case.update(weights=weights, learnt=[float(f"{w.grad.item():.8g}") for w in learnt])
    print(json.dumps(case, separators=(",", ":")))


def pairs(n):
    return [i // 2 for i in range(2 * n)], [ANCHOR, POSITIVE] * n


batches = [
    ("pairs", 5, 13, *pairs(6), []),
    ("near", 6, 17, *pairs(5), [(1, 0, 5), (3, 2, 100), (4, 0, 1), (7, 0, 20)]),
    ("positives first", 4, 19, [0, 0, 1, 1, 2, 2, 3, 3], [POSITIVE, ANCHOR] * 4, []),
    ("many", 3, 23, *pairs(45), []),    # more than one piece of work holds: 32 rows
    ("captions", 5, 29, [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3], [ANCHOR, 1, 1, ANCHOR, 1, ANCHOR, 1, 1, 1, ANCHOR, 1], []),
]
# What float32 holds exactly: logit_scale as it begins in CLIP, at its bounds, and between.
for name, d, seed, rows, roles, near in batches:
    for weights in [2.65625], [0.], [4.60516357421875], [3.5]:
        if name != "many" or weights[0] == 2.65625:
            write(name, "clip", {}, d, seed, rows, roles, near, weights)
    for weights in [2.302734375, -10.], [0., 0.], [4.60516357421875, -12.5], [1.5, 3.]:
        if name != "many" or weights[0] == 1.5:
            write(name, "siglip", {}, d, seed, rows, roles, near, weights)
    if name != "many":
        write(name, "clip", {"learn": 0}, d, seed, rows, roles, near, None)
        write(name, "clip", {"temperature": .2, "learn": 0}, d, seed, rows, roles, near, None)
        write(name, "siglip", {"learn": 0}, d, seed, rows, roles, near, None)
        write(name, "siglip", {"temperature": .25, "bias": -1.5, "learn": 0}, d, seed, rows, roles, near, None)
