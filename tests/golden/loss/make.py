#!/usr/bin/env python3
"""Golden numbers for losses over rows: python3 make.py > losses.txt; those over labels are make-labelled.py's.

Reference, in float64: sentence-transformers (infonce, cosine). The inputs are made by a formula that tests/train/test-loss.c shares, so only
their seeds are stored."""
import itertools
import numpy as np
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer  # noqa: F401  (loads the package in the right order)
from sentence_transformers.sentence_transformer import losses as st

from vectors import ANCHOR, NEGATIVE, POSITIVE, inputs, setting

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

KINDS = ["classes", "pairs", "triplets", "scored", "random"]


class Case:
    def __init__(self, name, kind, n, d, seed, near=(), labels=None, roles=None, rows=None, scores=None):
        self.name, self.kind, self.n, self.d, self.seed, self.near = name, kind, n, d, seed, list(near)
        self.labels, self.roles, self.scores = labels, roles, scores
        self.rows = rows if rows is not None else list(range(n))
        self.count = max(self.rows) + 1

    def x(self):
        return inputs(self.n, self.d, self.seed, self.near)

    def write(self, loss, miner, x, value, counted):
        if value.requires_grad:
            value.backward()
        g = x.grad if x.grad is not None else torch.zeros_like(x)
        assert torch.isfinite(g).all() and torch.isfinite(value)
        print("case", self.name, self.kind, self.n, self.d, self.count, self.seed, loss, miner or "-")
        print("near", len(self.near), *itertools.chain(*self.near))
        for name, v in (("labels", self.labels), ("roles", self.roles), ("rows", self.rows), ("scores", self.scores)):
            print(name, 1 if v is not None else 0, *(v if v is not None else []))
        print("value", f"{value.item():.10g}", counted)
        print("gradient", *(f"{v:.7g}" for v in g.flatten().tolist()))

    def where(self, row, role):
        return [i for i in range(self.n) if self.rows[i] == row and self.roles[i] == role]

    def infonce(self, **keys):
        x = self.x()
        both = keys.get("directions") == "q2d+d2q"
        f = st.MultipleNegativesRankingLoss(None, scale=keys.get("scale", 20),
                                            **(dict(directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction") if both else {}))
        if any(len(self.where(r, POSITIVE)) != 1 for r in range(self.count)):
            return self.infonce_several(x, keys, both)
        a, p = ([self.where(r, role)[0] for r in range(self.count)] for role in (ANCHOR, POSITIVE))
        q = [i for r in range(self.count) for i in self.where(r, NEGATIVE)]
        value = f.compute_loss_from_embeddings([x[a], x[p]] + ([x[q]] if q else []), None)
        if both:  # is it CLIP's?
            u = F.normalize(x)
            s = keys.get("scale", 20) * u[a] @ torch.cat([u[p], u[q]]).T
            t = torch.arange(self.count)
            clip = (F.cross_entropy(s, t) + F.cross_entropy(s[:, :self.count].T, t)) / 2
            assert abs(clip.item() - value.item()) < 1e-12
        self.write(setting("infonce", keys), None, x, value, self.count * (2 if both else 1))

    def infonce_several(self, x, keys, both):
        """Rows of several positives: no peer takes them, so this is the definition: a term for each, without the row's others."""
        u, scale = F.normalize(x), keys.get("scale", 20)
        positives = [i for i in range(self.n) if self.roles[i] == POSITIVE]
        negatives = [i for i in range(self.n) if self.roles[i] == NEGATIVE]
        terms, back = [], []
        for p in positives:
            a = self.where(self.rows[p], ANCHOR)[0]
            rest = [j for j in positives if self.rows[j] != self.rows[p]] + negatives
            terms.append(torch.logsumexp(scale * u[[p] + rest] @ u[a], 0) - scale * u[p] @ u[a])
            anchors = [a] + [i for i in range(self.n) if self.roles[i] == ANCHOR and i != a]
            back.append(torch.logsumexp(scale * u[anchors] @ u[p], 0) - scale * u[p] @ u[a])
        value = torch.stack(terms).mean()
        if both:
            value = (value + torch.stack(back).mean()) / 2
        self.write(setting("infonce", keys), None, x, value, len(terms) * (2 if both else 1))

    def cosine(self):
        x = self.x()
        items = [[i for i in range(self.n) if self.rows[i] == r] for r in range(self.count)]
        f = st.CosineSimilarityLoss(None)
        a, b = (torch.tensor([i[k] for i in items]) for k in (0, 1))
        value = F.mse_loss(torch.cosine_similarity(x[a], x[b]), torch.tensor(self.scores))
        peer = f.compute_loss_from_embeddings([x[a], x[b]], torch.tensor(self.scores))   # its scores are rounded to single
        assert abs(peer.item() - value.item()) < 1e-6
        counted = sum(abs(c - s) > 1e-9 for c, s in zip(torch.cosine_similarity(x[a], x[b]).tolist(), self.scores))
        self.write("cosine", None, x, value, counted)


def rows_of(n, *roles):
    return dict(rows=[i // len(roles) for i in range(n)], roles=[roles[i % len(roles)] for i in range(n)])

BOTH = {"directions": "q2d+d2q", "partition_mode": "per_direction"}
pairs = Case("pairs", "pairs", 12, 5, 13, **rows_of(12, ANCHOR, POSITIVE))
mixed = Case("mixed", "pairs", 8, 5, 14, [(3, 0, 0), (5, 4, 20)], rows=[0, 1, 2, 0, 1, 2, 3, 3], roles=[0, 1, 0, 1, 0, 1, 1, 0])
single = Case("single", "pairs", 2, 5, 15, **rows_of(2, ANCHOR, POSITIVE))
triplets = Case("triplets", "triplets", 12, 5, 16, **rows_of(12, ANCHOR, POSITIVE, NEGATIVE))
several = Case("several", "triplets", 13, 5, 17, [(12, 9, 40)], rows=[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2],
               roles=[0, 1, 2, 2, 2, 0, 1, 1, 2, 2, 0, 2, 2])
multiple = Case("multiple", "triplets", 13, 5, 17, rows=[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2],
                roles=[0, 1, 1, 2, 1, 0, 1, 1, 2, 1, 0, 1, 2])
for c in pairs, mixed, triplets, several, multiple:
    for keys in ({}, {"scale": 5}, {"scale": 50, "directions": "q2d"}, BOTH, {"scale": 1, **BOTH}):
        c.infonce(**keys)
wide = Case("wide", "pairs", 160, 3, 23, **rows_of(160, ANCHOR, POSITIVE))
wide.infonce(**BOTH)
x = single.x()   # one row: the only candidate is right, and the loss is 0
single.write("infonce", None, x, (x * 0).sum(), 0)
scored = Case("scored", "scored", 10, 5, 19, [(3, 2, 0), (9, 8, 10)], rows=[i // 2 for i in range(10)], scores=[0.5, 1.0, 0.0, -0.25, 0.75])
scored.cosine()
