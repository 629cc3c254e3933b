#!/usr/bin/env python3
"""check.py FOLDER MODEL - DocArray and ft, both ways, with ft's tools on PATH.

For each FOLDER/*.json of make.py: what ft-ingest reads of it and ft-export --to docarray writes, loaded by DocumentArray.load_json, is what DocArray loads of the
file itself, field by field. Then documents of DocArray's own making with every field; and embeddings that ft-embed made of them with MODEL.
Needs docarray==0.21.0. Prints one line a check, exits 1 where one fails.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import docarray
import numpy as np
from docarray import Document, DocumentArray

if docarray.__version__ != "0.21.0":
    sys.exit("docarray %s, expected 0.21.0" % docarray.__version__)
failed = 0


def check(what, good, *seen):
    global failed
    failed += not good
    print("%s %s" % ("ok" if good else "FAILED", what), *(() if good else seen))


def run(*commands):
    data = None
    for command in commands:
        data = subprocess.run([str(c) for c in command], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def load(data):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(data)
        file.flush()
        return DocumentArray.load_json(file.name)


def same_array(a, b):
    if a is None or b is None:
        return a is None and b is None
    a, b = np.asarray(a), np.asarray(b)
    a, b = (x[0] if x.ndim == 2 and len(x) == 1 else x for x in (a, b))
    return a.shape == b.shape and np.array_equal(a.astype(np.float32), b.astype(np.float32))


def plain_tags(tags):
    """Of the two tags that mean something ft writes numbers and text; role is what it adds."""
    out = {k: v for k, v in tags.items() if k not in ("role", "finetuner_label", "finetuner_score")}
    label, score = tags.get("finetuner_label"), tags.get("finetuner_score")
    if label is not None:
        number = float(label) if isinstance(label, (bool, int, float)) or label.replace(".", "").lstrip("-").isdigit() else None
        out["finetuner_label"] = label if number is None else number
    if score is not None:
        out["finetuner_score"] = float(score)
    return out


def difference(a, b, kind, path=""):
    """What differs between DocArray's document and the one that went through ft; "" nothing."""
    for field in ("id", "text", "weight", "mime_type", "modality", "offset", "location"):
        x, y = getattr(a, field), getattr(b, field)
        if x != y and not (field in ("modality", "mime_type") and not x):      # ft says what an image is
            return "%s%s: %r %r" % (path, field, x, y)
    if a.blob != b.blob or (a.uri != b.uri):
        return path + "blob or uri"
    if not same_array(a.tensor, b.tensor) or not same_array(a.embedding, b.embedding):
        return path + "tensor or embedding"
    if plain_tags(a.tags) != plain_tags(b.tags):
        return "%stags: %r %r" % (path, plain_tags(a.tags), plain_tags(b.tags))
    if {k: np.float32(v.value) for k, v in a.scores.items()} != {k: np.float32(v.value) for k, v in b.scores.items()}:
        return path + "scores"
    for field in ("chunks", "matches"):
        x, y = list(getattr(a, field)), list(getattr(b, field))
        y = sorted(y, key=lambda d: [e.id for e in x].index(d.id)) if {d.id for d in x} == {d.id for d in y} else y   # ft: anchor first
        if len(x) != len(y):
            return "%s%s: %d %d" % (path, field, len(x), len(y))
        for i, (c, d) in enumerate(zip(x, y)):
            if d.parent_id != (b.id if field == "chunks" else d.parent_id):
                return "%s%s[%d].parent_id" % (path, field, i)
            found = difference(c, d, kind, "%s%s[%d]." % (path, field, i))
            if found:
                return found
    return ""


def compare(what, before, after):
    seen = [d for d in (difference(a, b, what) for a, b in zip(before, after)) if d]
    check(what, len(before) == len(after) and not seen, len(before), len(after), seen[:2])


folder, model = Path(sys.argv[1]), sys.argv[2]
export = ["ft-export", "-q", "--to", "docarray"]
for path in sorted(folder.glob("*.json")):
    if path.stem == "session":      # becomes pairs
        continue
    protocol = "protobuf" if path.stem.endswith(".protobuf") else "jsonschema"
    compare("%s through ft" % path.name, DocumentArray.load_json(str(path), protocol=protocol), load(run(["ft-ingest", "-q", path], export)))

session = load(run(["ft-ingest", "-q", folder / "session.json"], export))
check("a session: chunks by role", [(c.text, c.tags["role"]) for c in session[0].chunks] == [("q", "anchor"), ("good", "positive"), ("bad", "negative")])

full = DocumentArray([Document(id="d%d" % i, text="text \u00fc %d" % i, uri="u%d.txt" % i, weight=0.25, offset=1.5, location=[1.0, 2.0], modality="text",
                               embedding=np.random.default_rng(i).random(5),
                               tags={"finetuner_label": "l%d" % (i % 2), "deep": {"a": [1, 2.5, None, True, "x"]}, "s": "\u0001\"\\"}) for i in range(30)])
vectors = DocumentArray([Document(id="v%d" % i, tensor=np.random.default_rng(i).random((2, 3)), uri="u%d.npy" % i, tags={"finetuner_label": i % 2})
                         for i in range(9)])
with tempfile.TemporaryDirectory() as place:
    full.save_json(place + "/full.json")
    compare("every field", full, load(run(["ft-ingest", "-q", place + "/full.json"], export)))
    vectors.save_json(place + "/vectors.json")
    compare("tensors beside the addresses they are from", vectors, load(run(["ft-ingest", "-q", place + "/vectors.json"], export)))
    plain = DocumentArray([Document(id=d.id, text=d.text) for d in full])
    plain.save_json(place + "/plain.json")
    embed = ["ft-embed", "-q", "-m", model]
    embedded = load(run(["ft-ingest", "-q", place + "/plain.json"], embed, export))
    run(["ft-ingest", "-q", place + "/plain.json"], embed, ["ft-export", "-q", "-o", place + "/plain.npy"])
    floats = np.load(place + "/plain.npy")
    check("embeddings of ft-embed", np.array_equal(embedded.embeddings.astype(np.float32), floats) and embedded.embeddings.dtype == np.float64)
    embedded.match(embedded, metric="cosine", limit=3)
    check("DocArray matches by them", all(len(d.matches) == 3 and d.matches[0].scores["cosine"].value < 1e-6 for d in embedded))
    embedded.save_json(place + "/matched.json")
    compare("and what it saved comes through again", DocumentArray.load_json(place + "/matched.json"), load(run(["ft-ingest", "-q", place + "/matched.json"], export)))
    # pairs, trained on as DocArray gives them
    pairs = DocumentArray([Document(id="p%d" % i, chunks=[Document(text="a %d" % i), Document(text="b %d" % i)], tags={"finetuner_score": 0.5}) for i in range(4)])
    pairs.save_json(place + "/pairs.json")
    embedded = load(run(["ft-ingest", "-q", place + "/pairs.json"], embed, export))
    check("chunks embedded", embedded["@c"].embeddings.shape[0] == 8 and all(c.parent_id == d.id for d in embedded for c in d.chunks))
    sampled = run(["ft-ingest", "-q", place + "/pairs.json"], ["ft-sample", "-q"], ["ft-cat", "-q"])
    check("scored pairs are batches of scored", b'"kind":"scored"' in sampled)
sys.exit(failed > 0)
