"""make.py: golden numbers for ft-eval and ft-search: small documents as ft-cat's text, and what a brute force finds in them.

Needs numpy and scikit-learn. Each case is NAME.docs (queries), maybe NAME.index and NAME.qrels, and NAME.json as ft-eval --json prints it; the
file `cases` has one line a case: name, then ft-eval's options. Embeddings are made so that 32-bit scores are exact and ties are ties:
whole numbers for dot and euclidean, +-1 in 16 dimensions (length 4) for cosine.

The brute force follows the definitions in lib/eval/metrics.h, not the code; where scikit-learn has the metric it must agree.
"""
import base64, json, os, random
import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(5)
K = 5


def tensor(v):
    return {"$tensor": "<f4", "shape": [len(v)], "data": base64.b64encode(np.asarray(v, "<f4").tobytes()).decode()}


def document(d):
    out = {}
    for key in ("id", "text"):
        if key in d:
            out[key] = d[key]
    tags = {}
    if d.get("label") is not None:
        tags["finetuner_label"] = d["label"]
    if "role" in d:
        tags["role"] = d["role"]
    if tags:
        out["tags"] = tags
    if "chunks" in d:
        out["chunks"] = [document(c) for c in d["chunks"]]
    if "v" in d:
        out["embedding"] = tensor(d["v"])
    return out


def write_docs(name, docs):
    with open(f"{here}/{name}", "w") as f:
        for d in docs:
            f.write(json.dumps(document(d), separators=(",", ":")) + "\n")


def scores(distance, q, x):
    q, x = np.asarray(q, float), np.asarray(x, float)
    if distance == "euclidean":
        return -((q[None] - x) ** 2).sum(1)
    if distance == "cosine":
        return x @ q / np.linalg.norm(x, axis=1) / np.linalg.norm(q)
    return x @ q


def evaluate(distance, queries, index, gain, is_self, label_of=lambda d: d.get("label")):
    """gain(q, d) > 0: relevant. Everything by full sorts."""
    total, n, voted = {}, 0, 0
    names = ["acc@1", f"precision@{K}", f"recall@{K}", f"hit@{K}", "mrr", "map", "rprecision", f"ndcg@{K}", f"knn@{K}"]
    sums = dict.fromkeys(names, 0.0)
    graded = False
    for qi, q in enumerate(queries):
        s = scores(distance, q["v"], [d["v"] for d in index])
        order = [i for i in np.argsort(-s, kind="stable") if not is_self(qi, q, i, index[i])]
        g = np.array([max(gain(q, index[i]), 0.0) for i in order])
        rel = g > 0
        if not rel.any():
            continue
        n += 1
        ranks = np.flatnonzero(rel) + 1
        r = len(ranks)
        discount = 1 / np.log2(np.arange(2, len(g) + 2))
        ndcg = (g[:K] * discount[:K]).sum() / (np.sort(g)[::-1][:K] * discount[:K]).sum()
        place = -np.arange(len(g), dtype=float)
        ap = np.mean(np.arange(1, r + 1) / ranks)
        assert abs(ap - average_precision_score(rel, place)) < 1e-12
        if len(g) > 1:
            assert abs(ndcg - ndcg_score([g], [place], k=K)) < 1e-12
        values = [float(rel[0]), rel[:K].sum() / K, rel[:K].sum() / r, float(rel[:K].any()), 1 / ranks[0], ap, rel[:r].sum() / r, ndcg]
        for name, value in zip(names, values):
            sums[name] += value
        if label_of(q) is not None:
            voted += 1
            labels = [label_of(index[i]) for i in order[:K]]
            labels = [l for l in labels if l is not None]
            most = max((labels.count(l) for l in labels), default=0)
            winner = next((l for l in labels if labels.count(l) == most), None)
            sums[names[-1]] += winner == label_of(q)
    metrics = {m: v / n for m, v in sums.items()}
    metrics[names[-1]] = sums[names[-1]] / voted if voted else None
    return n, metrics


def number(v):
    return "null" if v is None else "%.10g" % v


cases = []


def case(name, options, distance, queries, index, gain, is_self, label_of=lambda d: d.get("label")):
    n, metrics = evaluate(distance, queries, index, gain, is_self, label_of)
    with open(f"{here}/{name}.json", "w") as f:
        f.write('{"queries": %d, "k": %d, "metrics": {%s}}\n' % (n, K, ", ".join(f'"{m}": {number(v)}' for m, v in metrics.items())))
    cases.append(f"{name} -k {K} --distance {distance} {options}".strip())


def vector(distance):
    return rng.choice([-1, 1], 16) if distance == "cosine" else rng.integers(-2, 3, 3)


same = lambda q, d: q.get("id") is not None and q.get("id") == d.get("id") and q["text"] == d["text"]
by_label = lambda q, d: float(q.get("label") is not None and q.get("label") == d.get("label"))


def labelled(n, distance, prefix, labels):
    return [{"id": f"{prefix}:{i}", "text": f"{prefix} text {i}", "label": rng.choice(labels).item() if labels else None, "v": vector(distance)}
            for i in range(n)]


# Queries are the index; a label with one document, documents without label, copies under another id, the same document twice.
for distance in ("cosine", "dot", "euclidean"):
    docs = labelled(70, distance, "a", ["x", "y", "z", "w"])
    docs[3]["label"] = "alone"
    docs[7]["label"] = docs[8]["label"] = None
    docs[20] = dict(docs[10], id="copy")                 # the same content, another id: an answer like any other
    docs[30] = dict(docs[11])                            # the same document twice: left out both times
    docs[40] = dict(docs[12], text="another text")       # the same id, another content: an answer
    docs[41] = {k: v for k, v in docs[41].items() if k != "id"}
    docs[42] = dict(docs[41])                            # no id: only the place says which is itself
    write_docs(f"self-{distance}.docs", docs)
    case(f"self-{distance}", "", distance, docs, docs, by_label, lambda qi, q, i, d: qi == i or same(q, d))

# Another index, which holds two of the queries' documents, and labels that only one side knows; numbers as labels.
queries, index = labelled(25, "dot", "q", [1, 2, 3]), labelled(90, "dot", "i", [1, 2, 2.5])
index[5], index[60] = dict(queries[2]), dict(queries[4], text="changed")
write_docs("index.docs", queries)
write_docs("index.index", index)
case("index", "--index index.index", "dot", queries, index, by_label, lambda qi, q, i, d: same(q, d))

# Judgements: graded, with zeros and negative ones, a query without any. TREC's four columns and tabs.
queries, index = labelled(15, "euclidean", "q", []), labelled(50, "euclidean", "i", [])
queries[14]["id"] = "q with blanks"
index[0]["id"] = "i with blanks"
judged = {(q["id"], d["id"]): int(rng.integers(-1, 4)) for q in queries[1:] for d in rng.choice(index, 8, replace=False).tolist()}
gain = lambda q, d: float(judged.get((q["id"], d["id"]), 0))
write_docs("qrels.docs", queries)
write_docs("qrels.index", index)
with open(f"{here}/qrels.qrels", "w") as f:
    f.write("query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{g}\n" for (q, d), g in judged.items()))
case("qrels", "--index qrels.index --qrels qrels.qrels", "euclidean", queries, index, gain, lambda qi, q, i, d: same(q, d))

queries, index = labelled(10, "dot", "q", ["a", "b"]), labelled(40, "dot", "i", ["a", "b"])
judged = {(q["id"], d["id"]): 1 for q in queries for d in rng.choice(index, 4, replace=False).tolist()}
write_docs("trec.docs", queries)
write_docs("trec.index", index)
with open(f"{here}/trec.qrels", "w") as f:
    f.write("".join(f"{q} 0  {d} {g}\r\n" for (q, d), g in judged.items()))
case("trec", "--index trec.index --qrels trec.qrels", "dot", queries, index, gain, lambda qi, q, i, d: same(q, d))

# Pairs and triplets: groups by union over contents, every content one item, anchors the queries.
texts = [{"text": f"t{i}", "v": vector("cosine")} for i in range(40)]
rows, parent = [], list(range(40))


def root(i):
    while parent[i] != i:
        i = parent[i]
    return i


random.seed(1)
for r in range(30):
    a, p, n = random.sample(range(40), 3)
    p = a if r == 4 else p
    parent[max(root(a), root(p))] = min(root(a), root(p))
    chunks = [dict(texts[a], role="anchor"), dict(texts[p], role="positive")] + ([dict(texts[n], role="negative")] if r % 2 else [])
    rows.append((a, {"id": f"p:{r}", "chunks": chunks}, [a, p] + ([n] if r % 2 else [])))
    if r == 15:                                           # few rows are joined: most groups stay small
        break
write_docs("pairs.docs", [row[1] for row in rows])
order = list(dict.fromkeys(i for row in rows for i in row[2]))
group = {i: root(i) for i in order}
index = [dict(texts[i], n=i) for i in order]
queries = [dict(texts[a], n=a) for a in dict.fromkeys(row[0] for row in rows)]
case("pairs", "", "cosine", queries, index, lambda q, d: float(group[q["n"]] == group[d["n"]]), lambda qi, q, i, d: q["n"] == d["n"],
     label_of=lambda d: group[d["n"]])

open(f"{here}/cases", "w").write("\n".join(cases) + "\n")
