"""make-zero-shot.py: classification by names of labels, of texts by the tiny model of tests/golden/model/mean: zero.csv, zero.names and
zero-CASE.golden, "figure value" a line. Embeddings are sentence-transformers' (6.2.0); the rest is a few lines of numpy, and scikit-learn's
balanced_accuracy_score."""
import os
import numpy as np
from sentence_transformers import SentenceTransformer
from sklearn.metrics import balanced_accuracy_score

here = os.path.dirname(os.path.abspath(__file__))
model = SentenceTransformer(f"{here}/../model/mean", device="cpu")
rng = np.random.default_rng(5)
words = "the sat on mat edit play what is my balance can you tell me in many word it".split()
labels = ["cat", "dog", "bird", "photo", "music", "web", "time", "new"]
names = {"cat": "my cat", "dog": "the dog", "bird": "a bird it is", "photo": "photo", "music": "play music", "web": "the web", "time": "what time", "new": "new word",
         "mat": "the mat"}                       # a class that no text has


def text_of(label):
    own = [label] * int(rng.integers(0, 3))
    return " ".join(rng.permutation(own + list(rng.choice(words, size=int(rng.integers(1, 6))))))


rows = [(text_of(labels[c]), labels[c]) for c in range(8) for _ in range(4 + 3 * c)]
rows = [rows[i] for i in rng.permutation(len(rows))]
with open(f"{here}/zero.csv", "w") as f:
    f.write("text,label\n" + "".join(f"{t},{y}\n" for t, y in rows))
with open(f"{here}/zero.names", "w") as f:
    f.write("".join(f"{k}\t{v}\n" if k != v else f"{k}\n" for k, v in names.items()))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def case(name, classes, templates):
    """classes: {label: name}"""
    x = unit(model.encode([t for t, _ in rows]).astype(np.float64))
    w = np.array([unit(np.mean(unit(model.encode([t.replace("{}", n) for t in templates]).astype(np.float64)), axis=0)) for n in classes.values()])
    own = np.array([list(classes).index(y) for _, y in rows])
    scores = x @ w.T
    best = np.sort(scores, axis=1)
    assert np.min(np.diff(best, axis=1)) > 1e-6, "a tie that single precision might decide otherwise"
    order = np.argsort(-scores, axis=1)
    figures = {"acc@1": np.mean(order[:, 0] == own), "acc@5": np.mean((order[:, :5] == own[:, None]).any(axis=1)),
               "mean_per_class_recall": balanced_accuracy_score(own, order[:, 0])}
    with open(f"{here}/zero-{name}.golden", "w") as f:
        f.write("".join(f"{k} {v:.10g}\n" for k, v in figures.items()))
    print(name, figures)


case("labels", {y: y for y in labels}, ["{}"])
case("names", names, ["{}"])
case("templates", names, ["{}", "what is {}", "tell me {} in my {}", "the {} on the mat"])
