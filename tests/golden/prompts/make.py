#!/usr/bin/env python3
"""make.py [MINILM_DIRECTORY] - what sentence-transformers makes of texts with prompts.

Run in this directory after ../model/make.py, with sentence-transformers (6.2). Writes:

  model/          ../model/mean with prompts in its config_sentence_transformers.json, one of another name the default
  query.jsonl     one line a text, {"text", "embedding"}: encode_query, float32, one text at a time
  document.jsonl  the same by encode_document, default.jsonl by encode
  minilm-query.jsonl, minilm-document.jsonl   with the real MiniLM-L6 and encode(prompt="query: " and "passage: ")
"""
import json
import os
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from sentence_transformers import SentenceTransformer

torch.set_num_threads(1)
TEXTS = ["", "the cat sat on the mat", "edit photos and play music on the web", "x", "many words " * 20]
MINILM = ["edit photos", "caf\u00e9 \u2014 \u6771\u4eac", "tools to convert and view images " * 50]


def write(path, texts, encode):
    with open(path, "w") as out:
        for text in texts:
            vector = encode([text], batch_size=1, show_progress_bar=False)[0]
            out.write('{"text": %s, "embedding": [%s]}\n' % (json.dumps(text), ", ".join("%.9g" % v for v in vector)))


shutil.rmtree("model", ignore_errors=True)
for path in Path("../model/mean").rglob("*"):
    if path.is_file() and path.name != "config_sentence_transformers.json":
        to = Path("model") / path.relative_to("../model/mean")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.symlink_to(os.path.relpath(path, to.parent))
config = json.loads(Path("../model/mean/config_sentence_transformers.json").read_text())
config["prompts"] = {"query": "what is ", "document": "the word: ", "other": "many "}
config["default_prompt_name"] = "other"
Path("model/config_sentence_transformers.json").write_text(json.dumps(config, indent=2) + "\n")
model = SentenceTransformer("model", device="cpu")
write("query.jsonl", TEXTS, model.encode_query)
write("document.jsonl", TEXTS, model.encode_document)
write("default.jsonl", TEXTS, model.encode)
if len(sys.argv) > 1:
    model = SentenceTransformer(sys.argv[1], device="cpu")
    write("minilm-query.jsonl", MINILM, lambda texts, **how: model.encode(texts, prompt="query: ", **how))
    write("minilm-document.jsonl", MINILM, lambda texts, **how: model.encode(texts, prompt="passage: ", **how))
