"""make.py: golden numbers for ft-mine: small embedded pairs and a corpus as ft-cat's text, and the triplets that sentence-transformers'
mine_hard_negatives makes of the same embeddings.

Needs sentence-transformers, torch and datasets; run in this directory. `cases` has one line a case: name, distance, whether the index is
given, ft-mine's options. NAME.expect has one line for each pair that gets negatives: anchor, positive, negatives, nearest first; sorted.
NAME.scores likewise the similarities (minus the distance for euclidean).

Embeddings are random, so nothing ties and no similarity is within 1e-5 of a bound (checked here): 32-bit rounding decides nothing.
"""
import base64, json, os
import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import __version__
from sentence_transformers.util import cos_sim, dot_score, euclidean_sim, mine_hard_negatives
from sentence_transformers.util.similarity import pairwise_cos_sim, pairwise_dot_score, pairwise_euclidean_sim

rng = np.random.default_rng(11)
DIM, QUERIES, OTHERS = 6, 40, 50
center = rng.normal(size=(8, DIM))
vector, pairs = {}, []
for q in range(QUERIES):
    vector[f"q{q}"] = (center[q % 8] + .7 * rng.normal(size=DIM)).astype("<f4")
    for p in range(1 + (q % 5 == 0) + (q % 10 == 0)):
        vector[f"d{q}x{p}"] = (vector[f"q{q}"] + .8 * rng.normal(size=DIM)).astype("<f4")
        pairs.append((f"q{q}", f"d{q}x{p}"))
rng.shuffle(pairs)
others = [f"o{i}" for i in range(OTHERS)]
for i, name in enumerate(others):
    vector[name] = (center[i % 8] + .7 * rng.normal(size=DIM)).astype("<f4")


def tensor(v):
    return {"$tensor": "<f4", "shape": [len(v)], "data": base64.b64encode(v.tobytes()).decode()}


def chunk(name, **tags):
    return {"text": name, **({"tags": tags} if tags else {}), "embedding": tensor(vector[name])}


def write(name, docs):
    with open(name, "w") as f:
        for d in docs:
            f.write(json.dumps(d, separators=(",", ":")) + "\n")


write("pairs.docs", [{"id": f"pairs:{i + 1}", "chunks": [chunk(a, role="anchor"), chunk(p, role="positive")]} for i, (a, p) in enumerate(pairs)])
# Two texts of the input are in the index too, and one of the index is there twice: each is in the corpus once.
write("index.docs", [{"id": f"index:{i + 1}", **chunk(n)} for i, n in enumerate(others[:9] + [pairs[3][1]] + others[9:] + [others[4], pairs[8][1]])])


class Model:
    """What mine_hard_negatives asks of a model."""
    device = torch.device("cpu")
    functions = {"cosine": (cos_sim, pairwise_cos_sim), "dot": (dot_score, pairwise_dot_score), "euclidean": (euclidean_sim, pairwise_euclidean_sim)}

    def __init__(self, distance):
        self.similarity, self.similarity_pairwise = self.functions[distance]

    def encode_query(self, texts, **options):
        return np.stack([vector[t] for t in texts])

    encode_document = encode_query


def decided(distance, corpus, bounds):
    """No similarity is so near a bound that rounding could decide."""
    _, pairwise = Model.functions[distance]
    sim = lambda a, b: pairwise(torch.tensor(vector[a][None]).double(), torch.tensor(vector[b][None]).double()).item()
    for q in range(QUERIES):
        positive = min(sim(f"q{q}", p) for a, p in pairs if a == f"q{q}")
        s = sorted(sim(f"q{q}", c) for c in corpus)
        assert min(np.diff(s)) > 1e-6
        for bound in bounds(positive):
            assert min(abs(x - bound) for x in s if x != positive) > 1e-5, (distance, q)


CASES = [
    ("plain", "cosine", True, {}),
    ("own", "cosine", False, {"num_negatives": 5}),
    ("range", "cosine", True, {"range_min": 4, "range_max": 20, "num_negatives": 6}),
    ("relative", "cosine", True, {"relative_margin": .05}),
    ("absolute", "cosine", True, {"absolute_margin": .3, "num_negatives": 2}),
    ("zero", "cosine", False, {"absolute_margin": 0, "range_min": 2}),
    ("bounds", "cosine", True, {"max_score": .7, "min_score": .2, "num_negatives": 4}),
    ("all", "cosine", True, {"range_min": 1, "range_max": 9, "relative_margin": .1, "absolute_margin": .05, "max_score": .9, "min_score": -.1}),
    ("dot", "dot", True, {"relative_margin": .2, "num_negatives": 4}),
    ("euclidean", "euclidean", True, {"relative_margin": .1, "num_negatives": 4}),
    ("far", "euclidean", False, {"absolute_margin": .25, "max_score": -.5, "range_min": 3}),
    ("more", "cosine", True, {"num_negatives": 200}),
]
OPTION = {"relative_margin": "--relative-margin", "absolute_margin": "--absolute-margin", "max_score": "--max-score", "min_score": "--min-score",
          "num_negatives": "--negatives"}

with open("cases", "w") as cases:
    for name, distance, index, options in CASES:
        corpus = list(dict.fromkeys((others if index else []) + [p for _, p in pairs]))
        decided(distance, corpus, lambda s: [s - options.get("absolute_margin", 0), s - abs(s) * options.get("relative_margin", 0),
                                             options.get("max_score", 1e9), options.get("min_score", -1e9)])
        mined = mine_hard_negatives(Dataset.from_dict({"anchor": [a for a, _ in pairs], "positive": [p for _, p in pairs]}), Model(distance),
                                    corpus=others if index else None, output_format="triplet", output_scores=True, verbose=False, **options)
        rows = {}
        for t in mined:
            row = rows.setdefault((t["anchor"], t["positive"]), ([], [t["scores"][0]]))
            row[0].append(t["negative"]), row[1].append(t["scores"][1])
        rows = sorted(rows.items())
        with open(f"{name}.expect", "w") as f, open(f"{name}.scores", "w") as g:
            for (a, p), (negatives, scores) in rows:
                f.write(" ".join([a, p] + negatives) + "\n")
                g.write(" ".join("%.6f" % s for s in scores) + "\n")
        words = [f"{OPTION[k]} {v}" for k, v in options.items() if k in OPTION]
        if "range_min" in options:
            words.append(f"--range {options['range_min']}:{options.get('range_max', '')}")
        cases.write(" ".join([name, distance, "index" if index else "-"] + words) + "\n")
        print(name, len(rows), "rows", len(mined), "triplets")
print("sentence-transformers", __version__)
