#!/usr/bin/env python3
"""Golden numbers for losses and miners: python3 make.py > losses.txt

Reference, in float64: pytorch-metric-learning (triplet, its miners, supcon), sentence-transformers (infonce, cosine).
The inputs are made by a formula that tests/train/test-loss.c shares, so only their seeds are stored.

Cases that hang on rounding are refused: where a miner chooses by comparing two distances, or a term begins to count, the float64
numbers must be far enough apart that single precision decides the same."""
import itertools
import numpy as np
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners
from sentence_transformers import SentenceTransformer  # noqa: F401  (loads the package in the right order)
from sentence_transformers.sentence_transformer import losses as st

from vectors import ANCHOR, NEGATIVE, POSITIVE, inputs, setting

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

KINDS = ["classes", "pairs", "triplets", "scored", "random"]

def distance(name):
    return {"cosine": distances.CosineSimilarity(), "euclidean": distances.LpDistance(),
            "sqeuclidean": distances.LpDistance(power=2)}[name]


def make_miner(name, keys, dist):
    if name == "hard":
        return miners.BatchHardMiner(distance=dist)
    if name == "semihard":
        return miners.TripletMarginMiner(margin=keys.get("margin", .2), type_of_triplets="semihard", distance=dist)
    if name == "easy-hard":
        return miners.BatchEasyHardMiner(keys.get("pos", "easy"), keys.get("neg", "semihard"), distance=dist)
    return None


def decided(x, labels, dist, margin, gaps, mined, smooth):
    """Refuse a case in which single precision might choose otherwise."""
    with torch.no_grad():
        m = dist(x)
        m = 1 - m if dist.is_inverted else m
    y = np.array(labels)
    for a in range(len(y)):
        p = [j for j in range(len(y)) if j != a and y[j] == y[a]]
        q = [j for j in range(len(y)) if y[j] != y[a]]
        if mined:
            for s in (p, q):
                v = np.sort(m[a, s].numpy())
                assert len(v) < 2 or np.diff(v).min() > 1e-5, "two items as near"
        gap = (m[a, q][None, :] - m[a, p][:, None]).numpy().ravel()
        for g in ([] if smooth else [margin]) + gaps:
            assert gap.size == 0 or np.abs(gap - g).min() > 1e-5, f"a gap of {g}"


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

    def triplet(self, miner, miner_keys, check=True, **keys):
        dist, smooth = distance(keys.get("distance", "euclidean")), keys.get("smooth", 0)
        margin = keys.get("margin", .05)
        f = losses.TripletMarginLoss(margin=margin, smooth_loss=bool(smooth), distance=dist)
        f.reducer.collect_stats = True
        x = self.x()
        if self.kind == "triplets":
            triplets = [(self.where(r, ANCHOR)[0], p, q)
                        for r in range(self.count) for p in self.where(r, POSITIVE) for q in self.where(r, NEGATIVE)]
            value = f(x, indices_tuple=tuple(torch.tensor(t) for t in zip(*triplets)))
        else:
            known = [i for i in range(self.n) if self.labels[i] >= 0]
            y = torch.tensor([self.labels[i] for i in known])
            m = make_miner(miner, miner_keys, dist)
            if check:
                decided(x[known].detach(), y.tolist(), dist, margin, [0, miner_keys.get("margin", .2)] if miner == "semihard" else [],
                        miner in ("hard", "easy-hard"), smooth)
            value = f(x[known], y, m(x[known], y) if m else None)
        counted = getattr(f.reducer, "num_past_filter", 0) if value.item() else 0
        self.write(setting("triplet", keys), setting(miner, miner_keys) if miner else None, x, value, counted)

    def supcon(self, **keys):
        f = losses.SupConLoss(**keys)
        f.reducer.collect_stats = True
        x = self.x()
        known = [i for i in range(self.n) if self.labels[i] >= 0]
        value = f(x[known], torch.tensor([self.labels[i] for i in known]))
        counted = getattr(f.reducer, "num_past_filter", 0) if value.item() else 0
        self.write(setting("supcon", keys), None, x, value, counted)

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


DISTANCES = ["cosine", "euclidean", "sqeuclidean"]
STRATEGIES = [(p, q) for p in ("easy", "hard", "semihard", "all") for q in ("easy", "hard", "semihard", "all")
              if not (p == q == "semihard") and {p, q} != {"semihard", "all"}]

# Uneven classes, one of a single item, not sorted by class.
uneven = [0, 1, 0, 2, 1, 0, 3, 2, 2, 0, 1, 2]
plain = Case("uneven", "classes", 12, 5, 7, labels=uneven)
for d in DISTANCES:
    for smooth in (0, 1):
        for margin in (.05, .3):
            plain.triplet(None, {}, distance=d, margin=margin, smooth=smooth)
        plain.triplet("hard", {}, distance=d, smooth=smooth)
        plain.triplet("semihard", {}, distance=d, smooth=smooth)
        plain.triplet("semihard", {"margin": .4}, distance=d, margin=.3, smooth=smooth)
        plain.triplet("easy-hard", {}, distance=d, smooth=smooth, margin=.3)
    for p, q in STRATEGIES:
        plain.triplet("easy-hard", {"pos": p, "neg": q}, distance=d, margin=.2)
plain.triplet(None, {})
for t in (.05, .1, 1.0):
    plain.supcon(temperature=t)
plain.supcon()

# Equal vectors in a class and across classes, and near ones. Only losses that need not choose between equals.
equal = Case("equal", "classes", 10, 5, 5, [(3, 0, 0), (7, 0, 0), (8, 4, 30), (9, 4, 80)], labels=[0, 1, 2, 0, 1, 0, 2, 1, 1, 2])
for d in DISTANCES:
    for smooth in (0, 1):
        equal.triplet(None, {}, check=False, distance=d, margin=.2, smooth=smooth)
equal.supcon()

# Nothing to compare.
one = Case("one-class", "classes", 5, 4, 9, labels=[4] * 5)
alone = Case("all-single", "classes", 5, 4, 9, labels=[3, 1, 4, 0, 5])
for c in one, alone:
    for m in (None, "hard", "semihard", "easy-hard"):
        c.triplet(m, {})
    c.supcon()
met = Case("met", "classes", 4, 4, 3, [(1, 0, 50), (3, 2, 50)], labels=[0, 0, 1, 1])
met.triplet(None, {})
met.triplet("hard", {})

# Labels not known.
unknown = Case("unknown", "random", 9, 4, 11, labels=[0, -1, 1, 0, -1, 1, 1, 0, -1])
unknown.triplet("hard", {})
unknown.triplet(None, {}, distance="cosine")
unknown.supcon()

# More items than one piece of work holds (32 rows, 128 columns), and classes of 1 to 12.
many = Case("many", "classes", 150, 4, 21, labels=[(i * i + i // 7) % 29 for i in range(150)])
many.triplet(None, {}, check=False, smooth=1)
many.triplet("hard", {}, check=False, distance="cosine", margin=.3)
many.supcon()

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
for c in triplets, several, multiple:
    for d in DISTANCES:
        for smooth in (0, 1):
            c.triplet(None, {}, distance=d, margin=.2, smooth=smooth)
# A negative equal to the anchor, and a positive equal to it.
same = Case("same", "triplets", 6, 5, 18, [(2, 0, 0), (4, 3, 0)], **rows_of(6, ANCHOR, POSITIVE, NEGATIVE))
for d in DISTANCES:
    same.triplet(None, {}, distance=d, margin=.2)

scored = Case("scored", "scored", 10, 5, 19, [(3, 2, 0), (9, 8, 10)], rows=[i // 2 for i in range(10)], scores=[0.5, 1.0, 0.0, -0.25, 0.75])
scored.cosine()
