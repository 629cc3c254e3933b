#!/usr/bin/env python3
"""Golden numbers for losses over rows and of second models: python3 make-rows.py > rows.jsonl

Reference, in float64: sentence-transformers (infonce, gist, mega-batch-margin, cosent, angle, margin-mse, distill-kl, mse) and
pytorch-metric-learning (vicreg). What they do not take - rows of several positives, rows of unlike numbers of negatives, the guide's filter in
other directions - is computed by the definition, written out here in torch, which is first held against them wherever they do.

Vectors are made by the formula of make.py, so only their seeds are stored. A case in which single precision might decide otherwise - a guide's
similarity at its limit, two negatives as near - is refused."""
import json

import torch
import torch.nn.functional as F
from pytorch_metric_learning import losses as pml
from sentence_transformers import SentenceTransformer  # noqa: F401  (loads the package in the right order)
from sentence_transformers.sentence_transformer import losses as st
from sentence_transformers.sentence_transformer.losses import embed_distill, gist_embed
from sentence_transformers.util import pairwise_cos_sim, pairwise_dot_score

from vectors import ANCHOR, NEGATIVE, POSITIVE, inputs, setting

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
INF = float("inf")


def same(ours, theirs, limit=1e-12):
    assert abs(ours.item() - theirs.item()) <= limit * max(1, abs(theirs.item())), (ours.item(), theirs.item())


class Case:
    def __init__(self, name, kind, d, seed, rows, roles=None, scores=None, items=None, teacher=None, guide=None, near=()):
        self.name, self.kind, self.d, self.seed, self.rows, self.roles = name, kind, d, seed, rows, roles
        self.scores, self.items, self.teacher, self.guide, self.near = scores, items, teacher, guide, list(near)
        self.n, self.count = len(rows), max(rows) + 1

    def x(self):
        return inputs(self.n, self.d, self.seed, self.near)

    def second(self, which):
        d, seed = which
        return inputs(self.n, d, seed, []).detach()

    def where(self, row, role):
        return [i for i in range(self.n) if self.rows[i] == row and self.roles[i] == role]

    def all(self, role):
        return [i for r in range(self.count) for i in self.where(r, role)]

    def columns(self, x):
        """[anchors, positives, negatives...] where each row has as many as the others, else None: what sentence-transformers takes."""
        a, p = self.all(ANCHOR), self.all(POSITIVE)
        counts = {len(self.where(r, NEGATIVE)) for r in range(self.count)}
        if len(p) != self.count or len(counts) != 1:
            return None
        return [x[a], x[p]] + [x[[self.where(r, NEGATIVE)[k] for r in range(self.count)]] for k in range(counts.pop())]

    def write(self, name, keys, x, value, counted, scores=True):
        value.backward()
        g = x.grad if x.grad is not None else torch.zeros_like(x)
        assert torch.isfinite(g).all() and torch.isfinite(value)
        case = dict(name=self.name, loss=setting(name, keys), kind=self.kind, d=self.d, seed=self.seed, rows=self.rows)
        for field in ("roles", "scores", "teacher", "guide", "near"):
            if getattr(self, field):
                case[field] = getattr(self, field)
        if self.items and scores:
            case["items"] = self.items
        case.update(value=float(f"{value.item():.10g}"), counted=counted, gradient=[float(f"{v:.7g}") for v in g.flatten().tolist()])
        print(json.dumps(case, separators=(",", ":")))

    # ---- infonce and gist

    def contrast(self, x, scale, directions, per_direction=False, positives_only=False, hardness="none", strength=0.,
                 strategy="none", margin=0.):
        """The definition. Gives the loss and how many terms have anything to compare with."""
        u, g = F.normalize(x), F.normalize(self.second(self.guide)) if strategy != "none" else None
        anchors, positives, negatives = self.all(ANCHOR), self.all(POSITIVE), self.all(NEGATIVE)
        terms, counted = [], 0
        for p in positives:
            r = self.rows[p]
            a = self.where(r, ANCHOR)[0]
            limit = None
            if g is not None:
                s = g[a] @ g[p]
                limit = s - margin * (s.abs() if strategy == "relative" else 1)

            def kept(i, j):
                if limit is None:
                    return True
                assert abs(g[i] @ g[j] - limit) > 1e-6, "the guide's similarity is at its limit"
                return bool(g[i] @ g[j] <= limit)

            first, second = [], []
            for j in positives + negatives:
                mine = self.rows[j] == r
                if j == p or (mine and j in positives) or not kept(a, j):
                    continue
                c = u[a] @ u[j]
                weighted = hardness == "all_negatives" or (hardness == "hard_negatives" and mine) or \
                    (hardness == "in_batch_negatives" and not mine)
                first.append(scale * c + (strength * c.detach() if weighted else 0))
            if "q2q" in directions:
                first += [scale * u[a] @ u[j] for j in anchors if j != a and kept(a, j)]
            if "d2q" in directions:
                second += [scale * u[p] @ u[j] for j in anchors if j == a or kept(p, j)]
            if "d2d" in directions:
                second += [scale * u[p] @ u[j] for j in positives + ([] if positives_only else negatives)
                           if self.rows[j] != r and kept(p, j)]
            own = scale * u[a] @ u[p]
            if per_direction:
                terms.append((torch.logsumexp(torch.stack([own] + first), 0) + torch.logsumexp(torch.stack(second), 0)) / 2 - own)
                counted += (len(first) > 0) + (len(second) > 1)
            else:
                terms.append(torch.logsumexp(torch.stack([own] + first + second), 0) - own)
                counted += len(first + second) > 0
        return torch.stack(terms).mean(), counted

    def infonce(self, **keys):
        x = self.x()
        directions = keys.get("directions", "q2d").split("+")
        value, counted = self.contrast(x, keys.get("scale", 20.), directions, keys.get("partition_mode") == "per_direction",
                                       hardness=keys.get("hardness_mode", "none"), strength=keys.get("hardness_strength", 0.),
                                       strategy=keys.get("margin_strategy", "none"), margin=keys.get("margin", 0.))
        columns = self.columns(x)
        if columns and keys.get("margin_strategy", "none") == "none":
            long = {"q2d": "query_to_doc", "d2q": "doc_to_query", "q2q": "query_to_query", "d2d": "doc_to_doc"}
            mode = keys.get("hardness_mode", "none")
            peer = st.MultipleNegativesRankingLoss(
                None, scale=keys.get("scale", 20.), directions=tuple(long[d] for d in directions),
                partition_mode=keys.get("partition_mode", "joint"), hardness_mode=None if mode == "none" else mode,
                hardness_strength=keys.get("hardness_strength", 0.)).compute_loss_from_embeddings(columns, None)
            same(value, peer)
            value = peer
        self.write("infonce", keys, x, value, counted)

    def gist(self, **keys):
        x = self.x()
        anchors, positives = keys.get("contrast_anchors", 1), keys.get("contrast_positives", 1)
        strategy, margin, t = keys.get("margin_strategy", "absolute"), keys.get("margin", 0.), keys.get("temperature", .01)
        value, counted = self.contrast(x, 1 / t, ["q2d"] + ["q2q"] * anchors + ["d2d"] * positives, positives_only=True,
                                       strategy=strategy, margin=margin)
        columns = self.columns(x)
        if columns and len(columns) <= 3:
            guide = self.columns(self.second(self.guide))
            gist_embed.embed_columns = lambda model, features: columns if model == "model" else guide
            loss = st.GISTEmbedLoss.__new__(st.GISTEmbedLoss)   # its constructor asks both for tokenizers
            torch.nn.Module.__init__(loss)
            loss.model, loss.guide, loss.must_retokenize, loss.gather_across_devices = "model", "guide", False, False
            loss.temperature, loss.margin_strategy, loss.margin = t, strategy, margin
            loss.contrast_anchors, loss.contrast_positives = bool(anchors), bool(positives)
            loss.similarity_fct, loss.cross_entropy_loss = torch.nn.CosineSimilarity(dim=-1), torch.nn.CrossEntropyLoss()
            peer = loss([{}], None)
            same(value, peer)
            value = peer
        self.write("gist", keys, x, value, counted)

    # ---- other losses over pairs

    def megabatch(self, **keys):
        x = self.x()
        f = st.MegaBatchMarginLoss(None, use_mini_batched_version=False, **keys)
        columns = self.columns(x)
        value = f.calculate_loss([[c] for c in columns])
        s = F.normalize(columns[0]) @ F.normalize(columns[1]).T
        off = s.masked_fill(torch.eye(self.count, dtype=torch.bool), -INF).sort(1).values
        assert (off[:, -1] - off[:, -2] > 1e-6).all(), "two negatives as near"
        counted = int((s.diag() < f.positive_margin).sum() + (off[:, -1] > f.negative_margin).sum())
        self.write("mega-batch-margin", keys, x, value, counted)

    def vicreg(self, **keys):
        x = self.x()
        a = [self.where(self.rows[p], ANCHOR)[0] for p in self.all(POSITIVE)]
        value = pml.VICRegLoss(**keys)(x[a], ref_emb=x[self.all(POSITIVE)])
        self.write("vicreg", keys, x, value, self.count)

    # ---- scores

    def ranked(self, name, **keys):
        x = self.x()
        f = (st.CoSENTLoss if name == "cosent" else st.AnglELoss)(None, **keys)
        if self.kind == "triplets":
            labels = [1. if self.roles[i] == POSITIVE else 0. for i in range(self.n) if self.roles[i] != ANCHOR]
            pairs = [(self.where(self.rows[i], ANCHOR)[0], i) for i in range(self.n) if self.roles[i] != ANCHOR]
            a, b = (torch.tensor(v) for v in zip(*pairs))
            value = st.CoSENTLoss.compute_loss_from_embeddings(f, [x[a], x[b]], torch.tensor(labels))
            if self.columns(x):
                same(value, f.compute_loss_from_embeddings(self.columns(x), None))
        else:
            items = [[i for i in range(self.n) if self.rows[i] == r] for r in range(self.count)]
            a, b = (torch.tensor([i[k] for i in items]) for k in (0, 1))
            labels = self.scores
            value = f.compute_loss_from_embeddings([x[a], x[b]], torch.tensor(labels))
        assert value.dtype == torch.float64
        if name == "cosent":   # the definition, without their sorting
            s, y = keys.get("scale", 20.) * torch.cosine_similarity(x[a], x[b]), torch.tensor(labels)
            d = (s[:, None] - s[None, :])[y[:, None] < y[None, :]]
            same(value, torch.logsumexp(torch.cat([torch.zeros(1), d]), 0))
        self.write(name, keys, x, value, sum(v < w for v in labels for w in labels))

    def targets(self, similarity):
        """What scores, or else the teacher, say of each item and its row's anchor."""
        if self.items:
            return torch.tensor(self.items)
        t = self.second(self.teacher)
        f = pairwise_cos_sim if similarity == "cosine" else pairwise_dot_score
        return torch.stack([f(t[None, self.where(self.rows[i], ANCHOR)[0]], t[None, i])[0] if self.roles[i] != ANCHOR else torch.tensor(0.)
                            for i in range(self.n)])

    def margin_mse(self, **keys):
        x, y = self.x(), self.targets(keys.get("similarity"))
        f = pairwise_cos_sim if keys.get("similarity") == "cosine" else pairwise_dot_score
        terms = []
        for r in range(self.count):
            a = self.where(r, ANCHOR)[0]
            s = {i: f(x[None, a], x[None, i])[0] for i in range(self.n) if self.rows[i] == r and i != a}
            terms += [(s[p] - s[q] - (y[p] - y[q])) ** 2 for p in self.where(r, POSITIVE) for q in self.where(r, NEGATIVE)]
        value, columns = torch.stack(terms).mean(), self.columns(x)
        if columns:
            labels = torch.stack(self.columns(y)[1:], 1)
            peer = st.MarginMSELoss(None, similarity_fct=f).compute_loss_from_embeddings(columns, labels)
            margins = st.MarginMSELoss(None, similarity_fct=f).compute_loss_from_embeddings(columns, labels[:, :1] - labels[:, 1:])
            same(value, peer)
            same(margins, peer)
            value = peer
        self.write("margin-mse", keys, x, value, len(terms))

    def distill_kl(self, **keys):
        x, y = self.x(), self.targets(keys.get("similarity"))
        f = pairwise_cos_sim if keys.get("similarity") == "cosine" else pairwise_dot_score
        t = keys.get("temperature", 1.)
        mine, theirs = keys.get("student_temperature", t), keys.get("teacher_temperature", t)
        terms = []
        for r in range(self.count):
            a, rest = self.where(r, ANCHOR)[0], self.where(r, POSITIVE) + self.where(r, NEGATIVE)
            s = torch.cat([f(x[None, a], x[None, i]) for i in rest])
            terms.append(F.kl_div(F.log_softmax(s / mine, 0), F.softmax(y[rest] / theirs, 0), reduction="sum"))
        value, columns = torch.stack(terms).mean() * mine ** 2, self.columns(x)
        if columns:
            peer = st.DistillKLDivLoss(None, similarity_fct=f, **{k: v for k, v in keys.items() if k != "similarity"})
            peer = peer.compute_loss_from_embeddings(columns, torch.stack(self.columns(y)[1:], 1))
            same(value, peer)
            value = peer
        self.write("distill-kl", keys, x, value, self.count)

    def mse(self, **keys):
        x, y = self.x(), self.second(self.teacher)
        f = embed_distill.EmbedDistillLoss.__new__(embed_distill.EmbedDistillLoss)
        torch.nn.Module.__init__(f)
        f.distance_metric, f.projection = keys.get("distance_metric", "mse"), None
        self.write("mse", keys, x, f.compute_loss_from_embeddings([x], [y]), self.n)


def rows_of(rows, *roles):
    return dict(rows=[r for r in range(rows) for _ in roles], roles=[role for _ in range(rows) for role in roles])


DIRECTIONS = ["q2d", "q2d+d2d", "q2d+q2q", "q2d+q2q+d2d", "q2d+d2q", "q2d+d2q+d2d", "q2d+d2q+q2q", "q2d+d2q+q2q+d2d"]
A, P, N = ANCHOR, POSITIVE, NEGATIVE
pairs = Case("pairs", "pairs", 5, 13, **rows_of(6, A, P), guide=(4, 71), teacher=(5, 61))
mixed = Case("mixed", "pairs", 5, 14, rows=[0, 0, 1, 1, 2, 2, 3, 3], roles=[A, P, P, A, A, P, P, A], near=[(3, 0, 0), (5, 4, 20)],
             guide=(3, 72), teacher=(5, 62))
triplets = Case("triplets", "triplets", 5, 16, **rows_of(4, A, P, N), guide=(4, 73), teacher=(5, 63))
quadruplets = Case("quadruplets", "triplets", 6, 26, **rows_of(4, A, P, N, N), guide=(4, 74), teacher=(3, 64))
several = Case("several", "triplets", 5, 17, rows=[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2], roles=[A, P, P, N, P, A, P, N, N, P, A, P, N],
               guide=(6, 75), teacher=(4, 65))
wide = Case("wide", "pairs", 3, 23, **rows_of(80, A, P))

for c in pairs, mixed, triplets, quadruplets, several:
    for directions in DIRECTIONS:
        c.infonce(directions=directions)
    c.infonce(directions="q2d+d2q", partition_mode="per_direction", scale=5.)
    for mode in "in_batch_negatives", "hard_negatives", "all_negatives":
        c.infonce(hardness_mode=mode, hardness_strength=9.)
        c.infonce(hardness_mode=mode, hardness_strength=5., directions=DIRECTIONS[-1], scale=50.)
    c.infonce(hardness_mode="in_batch_negatives", hardness_strength=9., directions="q2d+d2q", partition_mode="per_direction")
    for strategy in "absolute", "relative":
        for margin in 0., .1:
            c.infonce(margin_strategy=strategy, margin=margin)
            c.gist(margin_strategy=strategy, margin=margin)
            c.gist(margin_strategy=strategy, margin=margin, temperature=.1)
        c.infonce(margin_strategy=strategy, margin=.05, directions=DIRECTIONS[-1])
        c.infonce(margin_strategy=strategy, margin=.05, directions="q2d+d2q", partition_mode="per_direction")
    for a, p in (0, 0), (0, 1), (1, 0):
        c.gist(contrast_anchors=a, contrast_positives=p, temperature=.05)
    c.gist()
wide.infonce(directions=DIRECTIONS[-1])
for c in pairs, mixed, wide:
    c.megabatch()
    c.megabatch(positive_margin=.5, negative_margin=-.2)
for c in pairs, mixed:
    c.vicreg()
    c.vicreg(invariance_lambda=1., variance_mu=2., covariance_v=3., eps=.01)
wide.vicreg(variance_mu=100.)

scored = Case("scored", "scored", 5, 19, rows=[i // 2 for i in range(10)], scores=[0.5, 1.0, 0.0, -0.25, 0.75], near=[(3, 2, 0), (9, 8, 10)],
              teacher=(5, 66))
ties = Case("ties", "scored", 6, 20, rows=[i // 2 for i in range(16)], scores=[0.5, 0., 1., 0.5, 0., 0.5, 3., 1.])
equal = Case("equal", "scored", 4, 22, rows=[0, 0, 1, 1], scores=[1., 1.])
for c in scored, ties, equal:
    for name in "cosent", "angle":
        c.ranked(name)
        c.ranked(name, scale=1.)
        c.ranked(name, scale=500.)
for c in triplets, quadruplets, several:
    c.ranked("angle")

taught = Case("taught", "triplets", 5, 31, **rows_of(4, A, P, N), items=[0., .9, .1, 0., .5, .75, 0., 1., -1., 0., .25, .25])
taught_two = Case("taught-two", "triplets", 5, 32, **rows_of(3, A, P, N, N), items=[0., 2., .5, -1., 0., 0., 1., .5, 0., 9.5, 4., 2.])
taught_several = Case("taught-several", "triplets", 5, 17, rows=several.rows, roles=several.roles,
                      items=[0., 1., .5, -.5, 2., 0., 1., .25, 0., 1., 0., .5, .125])
for c in triplets, quadruplets, several, taught, taught_two, taught_several:
    for similarity in "dot", "cosine":
        c.margin_mse(similarity=similarity)
        c.distill_kl(similarity=similarity)
        c.distill_kl(similarity=similarity, temperature=2.)
        c.distill_kl(similarity=similarity, temperature=3., student_temperature=.5)
        c.distill_kl(similarity=similarity, student_temperature=2., teacher_temperature=.5)
taught.margin_mse()
taught.distill_kl()

labelled = Case("labelled", "random", 5, 41, rows=list(range(7)), teacher=(5, 67))
for c in labelled, pairs, scored, triplets:
    for metric in "mse", "l2", "cosine":
        c.mse(distance_metric=metric)
labelled.mse()
