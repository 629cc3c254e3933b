#!/usr/bin/env python3
"""Golden numbers for several sizes of the embedding at once: python3 make-matryoshka.py > matryoshka.jsonl

Reference, in float64: sentence-transformers' MatryoshkaLoss, around its losses where they are ours, and, by its `shrink`, around
pytorch-metric-learning's. A line is as make-rows.py writes it."""
import json

import torch
from pytorch_metric_learning import losses as pml
from sentence_transformers import SentenceTransformer  # noqa: F401  (loads the package in the right order)
from sentence_transformers.sentence_transformer import losses as st
from sentence_transformers.sentence_transformer.losses.matryoshka import shrink

from vectors import ANCHOR, NEGATIVE, POSITIVE, inputs, setting

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


class Given(torch.nn.Module):
    """A model whose features are embeddings."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def get_embedding_dimension(self):
        return self.dim

    def forward(self, features):
        return {"sentence_embedding": features["x"]}


def matryoshka(make, columns, labels, dims, weights):
    model = Given(columns[0].shape[1])
    return st.MatryoshkaLoss(model, make(model), dims, weights)([{"x": x} for x in columns], labels)


class Case:
    def __init__(self, name, kind, d, seed, rows=None, roles=None, labels=None, scores=None, teacher=None):
        self.name, self.kind, self.d, self.seed, self.roles, self.labels = name, kind, d, seed, roles, labels
        self.rows = rows or list(range(len(labels)))
        self.scores, self.teacher = scores, teacher
        self.x = inputs(len(self.rows), d, seed, [])

    def of(self, role):
        return self.x[[i for i, r in enumerate(self.roles) if r == role]]

    def write(self, name, value, counted, dims, weights, **keys):
        value.backward()
        assert torch.isfinite(self.x.grad).all()
        keys["matryoshka_dims"] = "+".join(map(str, dims))
        if weights:
            keys["matryoshka_weights"] = "+".join(map(str, weights))
        case = dict(name=self.name, loss=setting(name, keys), kind=self.kind, d=self.d, seed=self.seed, rows=self.rows)
        for field in ("roles", "labels", "scores", "teacher"):
            if getattr(self, field):
                case[field] = getattr(self, field)
        case.update(value=float(f"{value.item():.10g}"), counted=counted * len(dims),
                    gradient=[float(f"{v:.7g}") for v in self.x.grad.flatten().tolist()])
        print(json.dumps(case, separators=(",", ":")))
        self.x.grad = None


SIZES = [((6, 4, 2), None), ((2, 6), (1, .5)), ((3,), (2,)), ((5, 1, 4), (0, 1, .25))]

pairs = Case("pairs", "pairs", 6, 5, [i // 2 for i in range(14)], [ANCHOR, POSITIVE] * 7)
triplets = Case("triplets", "triplets", 6, 6, [i // 3 for i in range(15)], [ANCHOR, POSITIVE, NEGATIVE] * 5)
for dims, weights in SIZES:
    for scale in (20, 5):
        make = lambda model: st.MultipleNegativesRankingLoss(model, scale=scale)
        pairs.write("infonce", matryoshka(make, [pairs.of(ANCHOR), pairs.of(POSITIVE)], None, dims, weights), 7, dims, weights, scale=scale)
        triplets.write("infonce", matryoshka(make, [triplets.of(r) for r in (ANCHOR, POSITIVE, NEGATIVE)], None, dims, weights), 5, dims, weights,
                       scale=scale)

scored = Case("scored", "scored", 6, 7, [i // 2 for i in range(12)], scores=[.5, 1, 0, -.25, .75, .1])
for dims, weights in SIZES:
    value = matryoshka(st.CosineSimilarityLoss, [scored.x[0::2], scored.x[1::2]], torch.tensor(scored.scores), dims, weights)
    # Its scores are rounded to single precision; ours here are not.
    exact = sum(w * torch.nn.functional.mse_loss(torch.cosine_similarity(scored.x[0::2, :k], scored.x[1::2, :k]), torch.tensor(scored.scores))
                for k, w in zip(dims, weights or [1] * len(dims)))
    assert abs(value.item() - exact.item()) < 1e-6
    scored.write("cosine", exact, 6, dims, weights)

teacher = Case("teacher", "pairs", 6, 8, [i // 2 for i in range(8)], [ANCHOR, POSITIVE] * 4, teacher=[6, 9])
target = inputs(8, 6, 9, []).detach()
for dims, weights in SIZES:
    teacher.write("mse", matryoshka(st.MSELoss, [teacher.x], target, dims, weights), 8, dims, weights)

labelled = Case("labelled", "classes", 6, 10, labels=[0, 1, 0, 2, 1, 0, 3, 2, 2, 0, 1, 2])
for dims, weights in SIZES:
    f = pml.SupConLoss(temperature=.1)
    y = torch.tensor(labelled.labels)
    value = sum(w * f(shrink(labelled.x, k), y) for k, w in sorted(zip(dims, weights or [1] * len(dims)), reverse=True))
    labelled.write("supcon", value, 11, dims, weights)
