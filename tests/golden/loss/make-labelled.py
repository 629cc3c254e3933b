#!/usr/bin/env python3
"""Golden numbers for losses over labels and their miners: python3 make-labelled.py > labelled.txt

Reference, in float64: pytorch-metric-learning 2.8.1; sentence-transformers where it is named. The inputs are made by the formula of
vectors.py, so only their seeds are stored. Items are put at unit length first where PML forgets to (its AngularLoss and AngularMiner).

Cases that hang on rounding are refused: what a miner chooses, and how many terms are not zero, must be the same when the embeddings are
moved by a few parts in a million."""
import itertools
import numpy as np
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners, reducers

from sentence_transformers import SentenceTransformer  # noqa: F401  (loads the package in the right order)
from sentence_transformers.sentence_transformer import losses as st
from sentence_transformers.sentence_transformer.losses.contrastive import SiameseDistanceMetric

from vectors import ANCHOR, NEGATIVE, POSITIVE, inputs, setting

try:
    from pml_1_6.losses import CentroidTripletLoss      # an old version by another name, where there is one
except ImportError:
    CentroidTripletLoss = None

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


class PerAnchor(reducers.PerAnchorReducer):
    """PML's takes a pair once however often it was chosen, but then its gradient each time; and TupletMarginLoss gives it a column."""
    def tuple_reduction_helper(self, values, pairs, embeddings, labels):
        _, first = np.unique((pairs[0] * len(embeddings) + pairs[1]).numpy(), return_index=True)
        return super().tuple_reduction_helper(values.flatten()[first], (pairs[0][first], pairs[1][first]), embeddings, labels)


DISTANCES = {"euclidean": distances.LpDistance, "sqeuclidean": lambda: distances.LpDistance(power=2), "cosine": distances.CosineSimilarity,
             "dot": distances.DotProductSimilarity, "snr": distances.SNRDistance}
REDUCERS = {"mean": reducers.MeanReducer, "sum": reducers.SumReducer, "nonzero": reducers.AvgNonZeroReducer,
            "per-anchor": PerAnchor, "divisor": reducers.DivisorReducer, "joint-mean": None}


def as_peer(keys):
    """ft's keys to PML's arguments."""
    keys = dict(keys)
    out = {}
    if "distance" in keys:
        out["distance"] = DISTANCES[keys.pop("distance")]()
    if "reducer" in keys:
        r = REDUCERS[keys.pop("reducer")]
        if r:
            out["reducer"] = r()
    for flag, name in (("smooth", "smooth_loss"), ("swap", "swap")):
        if flag in keys:
            out[name] = bool(keys.pop(flag))
    keys.pop("squared", None)
    return {**out, **keys}


class Squared(losses.ContrastiveLoss):
    def pos_calc(self, d, m):
        return super().pos_calc(d, m) ** 2 / 2

    def neg_calc(self, d, m):
        return super().neg_calc(d, m) ** 2 / 2


PEERS = {"triplet": losses.TripletMarginLoss, "supcon": losses.SupConLoss, "ntxent": losses.NTXentLoss, "contrastive": losses.ContrastiveLoss,
         "multi-similarity": losses.MultiSimilarityLoss, "circle": losses.CircleLoss, "margin": losses.MarginLoss,
         "tuplet-margin": losses.TupletMarginLoss, "nca": losses.NCALoss, "generalized-lifted": losses.GeneralizedLiftedStructureLoss,
         "lifted": losses.LiftedStructureLoss, "angular": losses.AngularLoss, "fastap": losses.FastAPLoss,
         "snr-contrastive": losses.SignalToNoiseRatioContrastiveLoss, "intra-pair-variance": losses.IntraPairVarianceLoss,
         "n-pairs": losses.NPairsLoss}
MINERS = {"batch-hard": miners.BatchHardMiner, "batch-easy-hard": miners.BatchEasyHardMiner, "triplet-margin": miners.TripletMarginMiner,
          "multi-similarity": miners.MultiSimilarityMiner, "pair-margin": miners.PairMarginMiner, "angular": miners.AngularMiner,
          "hdc": miners.HDCMiner}


def make_miner(name, keys):
    keys = as_peer(keys)
    for side in ("pos", "neg"):
        if side + "_low" in keys:
            keys[f"allowed_{side}_range"] = (keys.pop(side + "_low"), keys.pop(side + "_high"))
    return MINERS[name](**keys)


def make_loss(name, keys):
    if name == "snr-contrastive":
        keys = dict(keys, distance="snr")
    return (Squared if keys.get("squared") else PEERS[name])(**as_peer(keys))


def number(d, name, embeddings, labels, joint):
    """The loss and how many of its terms are not zero."""
    counted = 0
    for part in d.values():
        if torch.is_tensor(part["losses"]):
            counted += int((part["losses"] > {"nca": 1e-15, "fastap": 1e-12}.get(name, 0)).sum())     # 1 by a sum of quotients
    if joint:
        parts = [p["losses"] for p in d.values() if torch.is_tensor(p["losses"])]
        return torch.cat(parts).mean(), counted
    return None, counted


class Case:
    def __init__(self, name, kind, n, d, seed, near=(), labels=None, roles=None, rows=None):
        self.name, self.kind, self.n, self.d, self.seed, self.near = name, kind, n, d, seed, list(near)
        self.labels, self.roles = labels, roles
        self.rows = rows if rows is not None else list(range(n))
        self.count = max(self.rows) + 1

    def where(self, row, role):
        return [i for i in range(self.n) if self.rows[i] == row and self.roles[i] == role]

    def write(self, loss, miner, x, value, counted):
        if value.requires_grad:
            value.backward()
        g = x.grad if x.grad is not None else torch.zeros_like(x)
        assert torch.isfinite(g).all() and torch.isfinite(value)
        print("case", self.name, self.kind, self.n, self.d, self.count, self.seed, loss, miner or "-")
        print("near", len(self.near), *itertools.chain(*self.near))
        for name, v in (("labels", self.labels), ("roles", self.roles), ("rows", self.rows), ("scores", None)):
            print(name, 1 if v is not None else 0, *(v if v is not None else []))
        print("value", f"{value.item():.10g}", counted)
        print("gradient", *(f"{v:.7g}" for v in g.flatten().tolist()))

    def evaluate(self, x, name, keys, miner, miner_keys):
        """Value, counted, and what was chosen."""
        unit = F.normalize(x)
        f = make_loss(name, keys)
        chosen = None
        if self.kind == "triplets":
            chosen = tuple(torch.tensor(t) for t in zip(*[(self.where(r, ANCHOR)[0], p, q) for r in range(self.count)
                                                          for p in self.where(r, POSITIVE) for q in self.where(r, NEGATIVE)]))
            y = torch.arange(self.n)
        elif self.kind == "pairs":
            y = torch.tensor(self.rows)
        else:
            known = [i for i in range(self.n) if self.labels[i] >= 0]
            unit, y = unit[known], torch.tensor([self.labels[i] for i in known])
            if miner:
                chosen = make_miner(miner, miner_keys)(unit.detach(), y)
        d = f.compute_loss(unit, y, chosen, unit, y)
        value, counted = number(d, name, unit, y, keys.get("reducer") == "joint-mean")
        if value is None:
            value = f(unit, y, chosen)
        if name == "margin" and torch.is_tensor(d["margin_loss"]["losses"]):
            counted = int(d["margin_loss"]["divisor"])
        return value, counted, chosen

    def loss(self, name, miner=None, miner_keys={}, check=True, **keys):
        x = inputs(self.n, self.d, self.seed, self.near)
        value, counted, chosen = self.evaluate(x, name, keys, miner, miner_keys)
        g = torch.Generator().manual_seed(0)
        for _ in range(3 if check else 0):
            with torch.no_grad():
                moved = x * (1 + 2e-6 * torch.randn(x.shape, generator=g))
                _, again, other = self.evaluate(moved, name, keys, miner, miner_keys)
            assert again == counted, f"{self.name} {name} {keys} {miner} {miner_keys}: {counted} or {again} terms"
            if chosen is not None:
                assert [sorted(zip(*(t.tolist() for t in side))) for side in sides(chosen)] == \
                    [sorted(zip(*(t.tolist() for t in side))) for side in sides(other)], f"{self.name} {miner} {miner_keys}: it depends"
        self.write(setting(name, keys), setting(miner, miner_keys) if miner else None, x, value, counted)

    def online(self, **keys):
        """sentence-transformers' OnlineContrastiveLoss of all pairs, and its margin; over labels, rows, or rows of triplets."""
        x = inputs(self.n, self.d, self.seed, self.near)
        unit = F.normalize(x)
        if self.kind == "triplets":
            pair = sorted({(self.where(r, ANCHOR)[0], i, int(role == POSITIVE)) for r in range(self.count) for role in (POSITIVE, NEGATIVE)
                           for i in self.where(r, role)})
        else:
            y = self.rows if self.kind == "pairs" else self.labels
            pair = [(i, j, int(y[i] == y[j])) for i in range(self.n) for j in range(i + 1, self.n) if y[i] >= 0 and y[j] >= 0]
        a, b, same = (torch.tensor(t) for t in zip(*pair))
        metric = {"cosine": SiameseDistanceMetric.COSINE_DISTANCE, "euclidean": lambda u, v: (u - v).norm(dim=1)}[keys.get("distance", "cosine")]
        value = st.OnlineContrastiveLoss(None, metric, keys.get("margin", .5)).compute_loss_from_embeddings([unit[a], unit[b]], same)
        d = metric(unit[a], unit[b])
        p, n = d[same == 1], d[same == 0]
        hard_n = n[n < (p.max() if len(p) else n.mean())]
        hard_p = p[p > (n.min() if len(n) else p.mean())]
        self.write(setting("online-contrastive", keys), None, x, value, len(hard_p) + int((hard_n < keys.get("margin", .5)).sum()))

    def centroid(self, check=False, **keys):
        """By the definition; PML's, of version 1.6, had it, and with up to four classes of one size it agrees (check: that version is here)."""
        x = inputs(self.n, self.d, self.seed, self.near)
        known = [i for i in range(self.n) if self.labels[i] >= 0]
        y = torch.tensor([self.labels[i] for i in known])
        v, classes = x[known], sorted(set(y.tolist()))
        items, triplets = list(v) + [v[y == c].mean(0) for c in classes], []
        for a in range(len(y)):
            rest = [j for j in range(len(y)) if j != a and y[j] == y[a]]
            if rest:
                items.append(v[rest].mean(0))
                triplets += [(a, len(items) - 1, len(y) + k) for k, c in enumerate(classes) if c != y[a]]
        f = losses.TripletMarginLoss(**as_peer(keys))
        e, t = F.normalize(torch.stack(items)), tuple(torch.tensor(t) for t in zip(*triplets))
        d = f.compute_loss(e, torch.arange(len(e)), t, e, None)
        value, counted = number(d, "centroid-triplet", e, None, False)
        value = f(e, indices_tuple=t)
        if check and CentroidTripletLoss:
            assert abs(CentroidTripletLoss(**as_peer(keys))(v, y).item() - value.item()) < 1e-12
        self.write(setting("centroid-triplet", keys), None, x, value, counted)

    def nothing(self, name):
        x = inputs(self.n, self.d, self.seed, self.near)
        self.write(name, None, x, (x * 0).sum(), 0)


def sides(t):
    return [t] if len(t) == 3 else [t[:2], t[2:]]


# What each loss may be told, beside its default.
ELEMENT, PAIR = ("mean", "sum", "nonzero"), ("mean", "sum", "nonzero", "per-anchor")
ANY = list(DISTANCES)
OPTIONS = {
    "triplet": ([dict(margin=.3), dict(margin=.3, smooth=1), dict(margin=.3, swap=1), dict(margin=.2, smooth=1, swap=1)], ANY, ELEMENT),
    "supcon": ([dict(temperature=.05), dict(temperature=1.0)], ANY, ELEMENT),
    "ntxent": ([dict(temperature=.2), dict(temperature=1.0)], ANY, PAIR),
    "contrastive": ([dict(pos_margin=.2, neg_margin=.9), dict(squared=1), dict(squared=1, pos_margin=.1)], ANY, PAIR + ("joint-mean",)),
    "multi-similarity": ([dict(alpha=1, beta=20, base=.2), dict(alpha=5)], ANY, ELEMENT),
    "circle": ([dict(m=.25, gamma=20)], [], ELEMENT),
    "margin": ([dict(margin=.1, beta=.9), dict(margin=.4)], ANY, ("mean", "sum", "divisor")),
    "tuplet-margin": ([dict(margin=20, scale=10)], [], PAIR),
    "nca": ([dict(softmax_scale=5)], ANY, ELEMENT),
    "generalized-lifted": ([dict(pos_margin=.3, neg_margin=.7)], ANY, ELEMENT),
}
OPTIONS.update({
    "lifted": ([dict(pos_margin=.3, neg_margin=.7)], ANY, PAIR),
    "angular": ([dict(alpha=30)], [], PAIR),
    "fastap": ([dict(num_bins=7)], ["euclidean", "sqeuclidean"], ELEMENT),
    "snr-contrastive": ([dict(pos_margin=.4, neg_margin=1.7), dict(squared=1)], [], PAIR + ("joint-mean",)),
    "intra-pair-variance": ([dict(pos_eps=.2, neg_eps=.3)], ANY, PAIR),
    "n-pairs": ([dict()], ANY, ELEMENT),
})
LABELLED = {"nca", "angular", "fastap", "n-pairs"}     # those that triplets do not fit

CHOOSERS = [("batch-hard", {}), ("batch-easy-hard", {}), ("triplet-margin", dict(type_of_triplets="semihard")), ("multi-similarity", {}),
            ("pair-margin", {}), ("angular", {}), ("hdc", dict(filter_percentage=.25)), ("triplet-margin", {})]
MINER_OPTIONS = [("batch-hard", dict(distance=d)) for d in ("cosine", "snr")]
MINER_OPTIONS += [("batch-easy-hard", dict(pos_strategy=p, neg_strategy=q)) for p, q in itertools.product(("easy", "hard", "semihard", "all"), repeat=2)
                  if not (p == q == "semihard") and {p, q} != {"semihard", "all"}]
MINER_OPTIONS += [("batch-easy-hard", dict(pos_strategy="hard", neg_strategy="hard", pos_low=.2, pos_high=1.2, neg_low=.6, neg_high=1.5)),
                  ("batch-easy-hard", dict(distance="cosine", neg_strategy="easy", pos_low=-.5, pos_high=.9, neg_low=-.6, neg_high=1))]
MINER_OPTIONS += [("triplet-margin", dict(margin=m, type_of_triplets=t)) for t in ("all", "hard", "semihard", "easy") for m in (.1, .5)]
MINER_OPTIONS += [("triplet-margin", dict(margin=.3, distance=d)) for d in ("sqeuclidean", "cosine", "snr")]
MINER_OPTIONS += [("multi-similarity", k) for k in (dict(epsilon=.4), dict(epsilon=.05, distance="euclidean"), dict(distance="snr"))]
MINER_OPTIONS += [("pair-margin", k) for k in (dict(pos_margin=.9, neg_margin=1.3), dict(pos_margin=.6, neg_margin=-.2, distance="cosine"))]
MINER_OPTIONS += [("angular", dict(angle=35)), ("hdc", dict(filter_percentage=.3)), ("hdc", dict(filter_percentage=.3, distance="cosine"))]

uneven = Case("uneven", "classes", 11, 4, 7, labels=[0, 1, 0, 2, 1, 0, 3, 2, 2, 0, 1])
equal = Case("equal", "classes", 10, 4, 5, [(3, 0, 0), (7, 0, 0), (8, 4, 30), (9, 4, 80)], labels=[0, 1, 2, 0, 1, 0, 2, 1, 1, 2])
one = Case("one-class", "classes", 5, 4, 9, labels=[4] * 5)
alone = Case("all-single", "classes", 5, 4, 9, labels=[3, 1, 4, 0, 5])
unknown = Case("unknown", "random", 9, 4, 11, labels=[0, -1, 1, 0, -1, 1, 1, 0, -1])
views = Case("views", "random", 8, 4, 12, [(i + 4, i, 200) for i in range(4)], labels=[0, 1, 2, 3, 0, 1, 2, 3])     # SimCSE
many = Case("many", "classes", 150, 3, 21, labels=[(i * i + i // 7) % 29 for i in range(150)])
pairs = Case("pairs", "pairs", 10, 4, 13, rows=[i // 2 for i in range(10)], roles=[i % 2 for i in range(10)])
several = Case("several", "triplets", 13, 4, 17, rows=[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2], roles=[0, 1, 2, 2, 2, 0, 1, 1, 2, 2, 0, 2, 1])

for name, (options, dist, red) in OPTIONS.items():
    for keys in [{}] + [k for k in options if k]:
        uneven.loss(name, **keys)
    for d in dist:
        uneven.loss(name, distance=d, **options[-1])
    for r in red:
        uneven.loss(name, reducer=r, **options[0])
    for case in one, alone, unknown, views, pairs:
        if name in ("nca", "fastap") and case in (one, alone):     # PML's are rounding, and the mean of nothing
            case.nothing(name)
        else:
            case.loss(name)
    if name not in LABELLED:
        several.loss(name, **options[0])
        for r in red:
            several.loss(name, reducer=r)
    for miner, keys in CHOOSERS:
        if (name, miner) != ("n-pairs", "multi-similarity"):     # PML takes the first pair, and the miner gives them by distance
            uneven.loss(name, miner, keys, **options[0])
    for r in red:
        uneven.loss(name, "triplet-margin", {}, reducer=r)
    if dist:
        for d in dist[:1] + dist[-1:]:
            uneven.loss(name, "triplet-margin", {}, distance=d)
for d in ANY:     # equal vectors need no choice here
    for keys in (dict(margin=.2), dict(margin=.2, smooth=1), dict(margin=.2, swap=1)):
        equal.loss("triplet", check=False, distance=d, **keys)
    equal.loss("contrastive", check=False, distance=d)
equal.loss("supcon")
equal.loss("ntxent")
equal.loss("multi-similarity")
for miner, keys in MINER_OPTIONS:
    for name, more in ("triplet", dict(margin=.4)), ("contrastive", {}), ("nca", {}):
        uneven.loss(name, miner, keys, **more)
for keys in (dict(smooth=1), dict(swap=1), dict(distance="snr"), dict(reducer="mean")):
    for miner in ("angular", {}), ("triplet-margin", dict(margin=.4)), ("batch-easy-hard", dict(pos_strategy="all", neg_strategy="hard")):
        uneven.loss("triplet", *miner, **keys)
for miner, keys in CHOOSERS[:-1]:
    one.loss("triplet", miner, keys)
    alone.loss("contrastive", miner, keys)
views.loss("contrastive", "hdc")      # an even number of pairs: each comes twice, and an odd half would be drawn by lot
many.loss("triplet", check=False, smooth=1)
many.loss("triplet", check=False, reducer="mean")
# So many positives that triplets go by runs.
large = Case("large", "classes", 48, 3, 33, labels=[int(i % 5 < 2) for i in range(48)])
for d in ANY:
    large.loss("triplet", check=False, distance=d, margin=.2)
    large.loss("triplet", "triplet-margin", {}, check=False, distance=d, margin=.2)
for r in ELEMENT:
    large.loss("triplet", check=False, reducer=r)
    large.loss("triplet", "triplet-margin", dict(margin=.3, type_of_triplets="semihard"), check=False, reducer=r)
for t in "all", "hard", "easy", "semihard":
    large.loss("triplet", "triplet-margin", dict(type_of_triplets=t, distance="cosine"), check=False, margin=.5)
    large.loss("contrastive", "triplet-margin", dict(type_of_triplets=t), check=False)
large.loss("triplet", "hdc", dict(filter_percentage=.25), check=False)
large.loss("triplet", "batch-easy-hard", dict(pos_strategy="all", neg_strategy="hard"), check=False)
large.loss("triplet", "triplet-margin", dict(distance="snr"), check=False)
many.loss("supcon")
many.loss("lifted")
many.loss("fastap")
many.loss("angular")
for case in uneven, one, alone, unknown, views, pairs, several, equal:
    case.online()
for keys in dict(margin=1), dict(distance="euclidean", margin=1.2):
    uneven.online(**keys)
    several.online(**keys)
even = Case("even", "classes", 9, 4, 31, labels=[0, 1, 2, 2, 1, 0, 0, 1, 2])
for case in even, uneven, unknown, views:
    case.centroid(margin=.2)
even.centroid(check=True)
even.centroid(check=True, margin=.3, smooth=1)
for d in ANY:
    even.centroid(distance=d, margin=.4)
for keys in dict(smooth=1), dict(swap=1), dict(reducer="mean"), dict(reducer="sum"):
    uneven.centroid(margin=.2, **keys)
many.loss("ntxent")
