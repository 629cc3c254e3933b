"""make-modality.py: texts that ask for images and images for texts: small documents as ft-cat's text, and NAME-WAY.golden, "figure value" a line.

  captions   images of one to four captions each, some of them of two images. Which answers are right is written out here over the list of pairs; the
             figures are those of their definitions, by numpy
  plain      the same texts and images as documents of their own, with qrels
  twins      one text and one image each, in chunks without roles that are an embedding and a modality; R@1, R@5, R@10 and the median rank are
             get_clip_metrics' of open_clip_train (open_clip_torch 3.3.0)

Needs numpy, torch, open_clip_torch."""
import base64, json, os
import numpy as np
import torch
from open_clip_train.train import get_clip_metrics

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(23)
DIM = 6


def tensor(v):
    return {"$tensor": "<f4", "shape": [len(v)], "data": base64.b64encode(np.asarray(v, "<f4").tobytes()).decode()}


def write(name, docs):
    docs = [{"ft": 1, "kind": "documents", "history": [], "seed": 0}] + docs + [{"end": len(docs)}]
    with open(f"{here}/{name}", "w") as f:
        for d in docs:
            f.write(json.dumps(d, separators=(",", ":")) + "\n")


def golden(name, figures):
    with open(f"{here}/{name}.golden", "w") as f:
        for k, v in figures.items():
            f.write(f"{k} {float(v):.10g}\n")


def unit(x):
    x = np.asarray(x, np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def figures(queries, answers, right):
    """right: for each query the set of answers that are right."""
    order = np.argsort(-(unit(queries) @ unit(answers).T), axis=1, kind="stable")
    ranks = [[int(np.where(order[q] == a)[0][0]) + 1 for a in right[q]] for q in range(len(queries))]
    first = np.array([min(r) for r in ranks])
    out = {}
    for k in (1, 5, 10):
        out[f"recall@{k}"] = np.mean([np.mean([x <= k for x in r]) for r in ranks])
    for k in (1, 5, 10):
        out[f"hit@{k}"] = np.mean(first <= k)
    out["mrr"] = np.mean(1 / first)
    out["median_rank"] = np.median(first)
    return out


# ---- captions ----
images = rng.normal(size=(48, DIM)).astype(np.float32)
texts, pairs = [], []
for i in range(len(images)):
    for c in range(1 + i % 4):
        texts.append(images[i] + .9 * rng.normal(size=DIM))
        pairs.append((len(texts) - 1, i))
    if i and i % 5 == 0:                       # the caption before is this image's too
        pairs.append((pairs[-1][0] - 1 - i % 4, i))
texts = np.array(texts, np.float32)


def text_chunk(t, **more):
    return {"text": f"caption {t}", "modality": "text", **more, "embedding": tensor(texts[t])}


def image_chunk(i, **more):
    return {"uri": f"images/{i}.jpg", "modality": "image", **more, "embedding": tensor(images[i])}


write("captions.docs", [{"id": f"row {n}", "chunks": [text_chunk(t, tags={"role": "anchor"}), image_chunk(i, tags={"role": "positive"})]}
                        for n, (t, i) in enumerate(pairs)])
write("plain.docs", [{"id": f"t{t}", **text_chunk(t)} for t in range(len(texts))] + [{"id": f"i{i}", **image_chunk(i)} for i in range(len(images))])
for name, ask, other in ("text:image", 0, 1), ("image:text", 1, 0):
    with open(f"{here}/plain-{name.replace(':', '-')}.qrels", "w") as f:
        for pair in sorted(set(pairs)):
            f.write(f"{'ti'[ask]}{pair[ask]} 0 {'ti'[other]}{pair[other]} 1\n")
images_of = [{i for u, i in pairs if u == t} for t in range(len(texts))]
texts_of = [{t for t, j in pairs if j == i} for i in range(len(images))]
golden("captions-text-image", figures(texts, images, images_of))
golden("captions-image-text", figures(images, texts, texts_of))

# ---- twins ----
N = 71
a = rng.normal(size=(N, DIM)).astype(np.float32)
b = (a + 1.1 * rng.normal(size=(N, DIM))).astype(np.float32)
write("twins.docs", [{"id": str(n), "chunks": [{"modality": "image", "embedding": tensor(b[n])}, {"modality": "text", "embedding": tensor(a[n])}]}
                     for n in range(N)])
theirs = get_clip_metrics(torch.tensor(unit(b)), torch.tensor(unit(a)), torch.tensor(1.))
for way, ask, answer, name in ("text-image", a, b, "text_to_image"), ("image-text", b, a, "image_to_text"):
    ours = figures(ask, answer, [{n} for n in range(N)])
    for k in (1, 5, 10):
        assert abs(ours[f"recall@{k}"] - theirs[f"{name}_R@{k}"]) < 1e-12 and ours[f"hit@{k}"] == ours[f"recall@{k}"]
    assert ours["median_rank"] == theirs[f"{name}_median_rank"]
    golden(f"twins-{way}", ours)
