"""peers.py: what others compute for ft-eval's other tasks and for rankings: small documents as ft-cat's text, and NAME.golden, "figure value" a line.

Needs numpy, scipy, scikit-learn, sentence-transformers, pytrec_eval (-terrier), ranx, and DocArray 0.21's docarray/math/evaluation.py (loaded
as a file: the package itself does not run on numpy 2). Last run with pytrec_eval-terrier 0.5.11, ranx 0.3.21, sentence-transformers 6.2.0,
DocArray 0.21.0, scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6.

Ties: documents of the index have ids that fall as they come, so that trec_eval's rule (of equal scores the later id first) is ft-eval's (of
equal scores the document that came first). ranx and sentence-transformers get ranks for scores.
"""
import base64, importlib.util, json, os, site, sys, warnings
import numpy as np

warnings.filterwarnings("ignore")
here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(11)
DIM = 8


def tensor(v):
    return {"$tensor": "<f4", "shape": [len(v)], "data": base64.b64encode(np.asarray(v, "<f4").tobytes()).decode()}


def document(id, v=None, label=None, score=None, chunks=None):
    out = {"id": id}
    if v is not None:
        out["text"] = "text of " + id
        out["embedding"] = tensor(v)
    tags = {}
    if label is not None:
        tags["finetuner_label"] = label
    if score is not None:
        tags["finetuner_score"] = score
    if tags:
        out["tags"] = tags
    if chunks:
        out["chunks"] = [{"text": t, "embedding": tensor(v), **({"tags": {"role": r}} if r else {})} for t, v, r in chunks]
    return out


def write(name, docs):
    with open(f"{here}/{name}", "w") as f:
        for d in docs:
            f.write(json.dumps(d, separators=(",", ":")) + "\n")


def golden(name, figures):
    with open(f"{here}/{name}.golden", "w") as f:
        for k, v in figures.items():
            f.write(f"{k} {float(v):.10g}\n")


def whole(n):
    return rng.integers(-1, 2, size=(n, DIM)).astype(np.float32)       # dot products are exact, and tie often


# ---- rankings: pytrec_eval, ranx, sentence-transformers ----
import pytrec_eval, ranx

Q, D = 24, 90
qv, dv = whole(Q), whole(D)
qid, did = [f"q{i}" for i in range(Q)], [f"d{D - i:03d}" for i in range(D)]
qrels = {q: {did[j]: int(rng.integers(0, 4)) for j in rng.choice(D, 12, replace=False)} for q in qid}
write("rank.docs", [document(q, v) for q, v in zip(qid, qv)])
write("rank.index", [document(d, v) for d, v in zip(did, dv)])
with open(f"{here}/rank.qrels", "w") as f:
    f.writelines(f"{q} 0 {d} {g}\n" for q, r in qrels.items() for d, g in r.items())
score = (qv @ dv.T).astype(float)


def trec(run, qrels, ks):
    want = {"map", "recip_rank", "Rprec"}
    for m in ("P", "recall", "ndcg_cut", "map_cut", "success"):
        want.add(m + "." + ",".join(map(str, ks)))
    each = pytrec_eval.RelevanceEvaluator(qrels, want).evaluate(run)
    mean = {m: np.mean([each[q][m] for q in each]) for m in next(iter(each.values()))}
    out = {"map": mean["map"], "mrr": mean["recip_rank"], "rprecision": mean["Rprec"]}
    for k in ks:
        out |= {f"precision@{k}": mean[f"P_{k}"], f"recall@{k}": mean[f"recall_{k}"], f"ndcg@{k}": mean[f"ndcg_cut_{k}"],
                f"map@{k}": mean[f"map_cut_{k}"], f"hit@{k}": mean[f"success_{k}"]}
    return out


def by_ranks(run):
    out = {}
    for q, r in run.items():
        order = sorted(r, key=lambda d: (r[d], d), reverse=True)       # trec_eval's
        out[q] = {d: float(len(order) - i) for i, d in enumerate(order)}
    return out


def with_ranx(run, qrels, ks):
    names = [f"{m}@{k}" for k in ks for m in ("f1", "mrr", "dcg", "ndcg", "recall", "precision")] + ["mrr", "map", "r-precision"]
    got = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(by_ranks(run)), names, make_comparable=True)
    return {k.replace("r-precision", "rprecision"): v for k, v in got.items()}


def agree(a, b, tolerance=1e-9):
    for k in a.keys() & b.keys():
        assert abs(a[k] - b[k]) < tolerance, (k, a[k], b[k])


relevant_only = {q: {d: g for d, g in r.items() if g > 0} for q, r in qrels.items()}
run = {q: {d: score[i, j] for j, d in enumerate(did)} for i, q in enumerate(qid)}
ks = (1, 3, 10)
a, b = trec(run, qrels, ks), with_ranx(run, relevant_only, ks)
agree(a, b, 1e-6)                                                      # ranx sums in float32 here and there
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

ranked = [[{"corpus_id": d, "score": s} for d, s in r.items()] for r in by_ranks(run).values()]
st = InformationRetrievalEvaluator({q: q for q in qid}, {d: d for d in did}, {q: set(r) for q, r in relevant_only.items()}, mrr_at_k=list(ks),
                                   ndcg_at_k=list(ks), accuracy_at_k=list(ks), precision_recall_at_k=list(ks), map_at_k=list(ks))
c = st.compute_metrics(ranked)
agree(a | b, {f"{ours}@{k}": c[theirs][k] for k in ks for ours, theirs in
              (("mrr", "mrr@k"), ("hit", "accuracy@k"), ("precision", "precision@k"), ("recall", "recall@k"))}, 1e-6)
golden("rank", {**{k: b[k] for k in b if k not in a}, **a})
# Gains of 1 in sentence-transformers' ndcg: judged by a qrels of ones.
with open(f"{here}/rank-ones.qrels", "w") as f:
    f.writelines(f"{q}\t{d}\t1\n" for q, r in relevant_only.items() for d in r)
golden("rank-ones", {f"ndcg@{k}": c["ndcg@k"][k] for k in ks} | {f"mrr@{k}": c["mrr@k"][k] for k in ks} | {f"hit@{k}": c["accuracy@k"][k] for k in ks})

# ---- a run as a file: short rankings, equal scores, ids in no order; a second run ----
for name, noise in (("judge", 0), ("judge-before", 2)):
    entries = {}
    for i, q in enumerate(qid):
        some = rng.choice(D, 30, replace=False)
        entries[q] = {did[j]: float(np.round(score[i, j] + noise * rng.normal(), 1)) for j in some}
    with open(f"{here}/{name}.run", "w") as f:
        for q, r in entries.items():
            f.writelines(f"{q} Q0 {d} {n} {s:g} peers\n" for n, (d, s) in enumerate(r.items()))
    a, b = trec(entries, qrels, (5, 20)), with_ranx(entries, relevant_only, (5, 20))
    agree(a, b, 1e-6)
    golden(name, {**{k: b[k] for k in b if k not in a}, **a})

# ---- Finetuner's names: DocArray ----
path = next(p for d in site.getsitepackages() + sys.path for p in [f"{d}/docarray/math/evaluation.py"] if os.path.exists(p))
spec = importlib.util.spec_from_file_location("evaluation", path)
docarray = importlib.util.module_from_spec(spec)
spec.loader.exec_module(docarray)
np.asfarray = lambda x: np.asarray(x, float)
LIMIT = 7
figures = {}
for q in qid:
    order = sorted(run[q], key=lambda d: (run[q][d], d), reverse=True)[:LIMIT]
    binary = [int(qrels[q].get(d, 0) > 0) for d in order]
    most = len(relevant_only[q])
    for m in ("precision_at_k", "hit_at_k", "average_precision", "reciprocal_rank", "dcg_at_k"):
        figures.setdefault(m, []).append(getattr(docarray, m)(binary, k=LIMIT) if m.endswith("_k") else getattr(docarray, m)(binary))
    for m in ("recall_at_k", "f1_score_at_k"):
        figures.setdefault(m, []).append(getattr(docarray, m)(binary, most, k=LIMIT))
golden("finetuner", {m: np.mean(v) for m, v in figures.items()})

# ---- pairs and triplets: sentence-transformers ----
from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator, EmbeddingSimilarityEvaluator, TripletEvaluator
import torch

DISTANCES = ["cosine", "dot", "euclidean"]
known = {}


def texts(prefix, v):
    names = [f"{prefix}{i}" for i in range(len(v))]
    known.update(zip(names, v))
    return names


def without_model(cls):
    class Evaluator(cls):
        def embed_inputs(self, model, sentences, **kwargs):
            return torch.tensor(np.stack([known[s] for s in sentences]))

    return Evaluator


class Model:                                                           # what evaluators write their results to
    similarity_fn_name = "cosine"

    class model_card_data:
        set_evaluation_metrics = staticmethod(lambda *a: None)


N = 60
one = rng.normal(size=(N, DIM)).astype(np.float32)
two = (one + 1.5 * rng.normal(size=(N, DIM))).astype(np.float32)
two[10:20] = two[10]                                                   # equal similarities
one[10:20] = one[10]
gold = np.round(2.5 + (one * two).sum(1) / 6 - 1 + rng.normal(size=N)).clip(0, 5)      # equal scores
a, b = texts("a", one), texts("b", two)
write("sts.docs", [document(f"p{i}", score=float(gold[i]), chunks=[(a[i], one[i], "anchor"), (b[i], two[i], "positive")]) for i in range(N)])
got = without_model(EmbeddingSimilarityEvaluator)(a, b, [float(g) for g in gold], similarity_fn_names=DISTANCES)
golden("sts", {k: v for k, v in got(Model()).items() if k.split("_")[-1] in DISTANCES and len(k.split("_")) == 2})

alike = (gold >= 3).astype(int)
write("classes.docs", [document(f"p{i}", score=float(alike[i]), chunks=[(a[i], one[i], None), (b[i], two[i], None)]) for i in range(N)])
got = without_model(BinaryClassificationEvaluator)(a, b, alike.tolist(), similarity_fn_names=DISTANCES).compute_metrics(None)
golden("classes", {f"{d}_{m}": v for d, r in got.items() for m, v in r.items()})

three = (one + 1.6 * rng.normal(size=(N, DIM))).astype(np.float32)
three[:5] = two[:5]                                                    # equally near: wrong
c = texts("c", three)
write("triplets.docs", [document(f"t{i}", chunks=[(a[i], one[i], "anchor"), (b[i], two[i], "positive"), (c[i], three[i], "negative")]) for i in range(N)])
evaluator = without_model(TripletEvaluator)(a, b, c, similarity_fn_names=DISTANCES)
golden("triplets", {k: v for k, v in evaluator(Model()).items()
                    if k.endswith("accuracy") and k.split("_")[0] in DISTANCES})

# ---- linear probe and clusters: scikit-learn ----
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn import metrics


def blobs(n, classes, spread):
    centre = rng.normal(size=(classes, DIM))
    label = rng.integers(0, classes, n)
    return (centre[label] + spread * rng.normal(size=(n, DIM))).astype(np.float32), label


for name, classes in (("probe", 5), ("probe-two", 2)):
    x, y = blobs(150, classes, 1.1)
    train, test = slice(0, 90), slice(90, 150)
    write(f"{name}.index", [document(f"i{i}", x[i], f"class {y[i]}") for i in range(90)])
    write(f"{name}.docs", [document(f"q{i}", x[i], f"class {y[i]}") for i in range(90, 150)])
    usual, exact = LogisticRegression(max_iter=100), LogisticRegression(max_iter=10000, tol=1e-10)
    for model in (usual, exact):
        model.fit(x[train], y[train])
    given = exact.predict(x[test])
    assert (given == usual.predict(x[test])).all()
    golden(name, {"accuracy": (given == y[test]).mean(), "macro_f1": metrics.f1_score(y[test], given, average="macro")})

# Clusters that are given: the numbers are compared in tests/eval/test-clustering.c, which has these two lists too.
label, cluster = rng.integers(0, 6, 80), rng.integers(0, 5, 80)
cluster[:40] = label[:40] % 5
h, c, v = metrics.homogeneity_completeness_v_measure(label, cluster)
purity = sum(np.bincount(label[cluster == k]).max() for k in range(5)) / 80
with open(f"{here}/clusters.golden", "w") as f:
    f.write(" ".join(map(str, label)) + "\n" + " ".join(map(str, cluster)) + "\n")
    for value in (metrics.normalized_mutual_info_score(label, cluster), v, h, c, metrics.adjusted_rand_score(label, cluster), purity):
        f.write(f"{value:.12g}\n")
x, y = blobs(200, 6, .25)
write("clusters.docs", [document(f"c{i}", x[i], f"class {y[i]}") for i in range(200)])
best = max((KMeans(6, n_init=1, random_state=s).fit(x) for s in range(20)), key=lambda m: -m.inertia_)
golden("clusters-found", {"nmi": metrics.normalized_mutual_info_score(y, best.labels_), "ari": metrics.adjusted_rand_score(y, best.labels_)})

# ---- intervals: scipy's bootstrap of means and of their difference, and its permutation test ----
from scipy import stats

x = rng.beta(2, 1, 120)
y = x + rng.normal(.03, .12, 120)
z = x + rng.normal(0, .12, 120)
draws = dict(n_resamples=200000, method="percentile", batch=1000, rng=np.random.default_rng(3))
interval = stats.bootstrap((x,), np.mean, **draws).confidence_interval
change = stats.bootstrap((y, x), lambda a, b, axis=-1: np.mean(a, axis=axis) - np.mean(b, axis=axis), paired=True, vectorized=True, **draws).confidence_interval
swap = lambda a, b: stats.permutation_test((a, b), lambda p, q, axis: np.mean(p, axis=axis) - np.mean(q, axis=axis), permutation_type="samples",
                                           vectorized=True, n_resamples=200000, batch=1000, rng=np.random.default_rng(4)).pvalue
with open(f"{here}/intervals.golden", "w") as f:
    for row in (x, y, z):
        f.write(" ".join(f"{v:.9g}" for v in row) + "\n")
    f.write(" ".join(f"{v:.9g}" for v in (interval.low, interval.high, change.low, change.high, swap(y, x), swap(z, x))) + "\n")
