#!/usr/bin/env python3
"""tokenizing.py DIRECTORY FILE [LIMIT]

How many texts a second Hugging Face `tokenizers` makes ids of on one thread; a line of FILE is a text. The best of several passes,
of encode_batch and of encode_batch_fast (no offsets) where there is one. tests/data/bench-tokenizer.c prints the same of ours.
"""
import os, sys
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import time
from tokenizers import Tokenizer

BATCH = 1024   # faster than all texts at once, which then are all in memory


def once(encode, texts):
    start = time.perf_counter()
    for i in range(0, len(texts), BATCH):
        encode(texts[i:i + BATCH])
    return time.perf_counter() - start


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: tokenizing.py DIRECTORY FILE [LIMIT]")
    tokenizer = Tokenizer.from_file(os.path.join(sys.argv[1], "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if len(sys.argv) > 3 and int(sys.argv[3]):
        tokenizer.enable_truncation(int(sys.argv[3]))
    with open(sys.argv[2], encoding="utf-8", errors="replace", newline="\n") as file:
        texts = [line.removesuffix("\n") for line in file]
    size = sum(len(text.encode()) for text in texts)
    best, begin, passes = {}, time.perf_counter(), 0
    while passes < 2 or time.perf_counter() - begin < 4:
        for name in "encode_batch", "encode_batch_fast":
            if hasattr(tokenizer, name):
                took = once(getattr(tokenizer, name), texts)
                best[name] = min(best.get(name, took), took)
        passes += 1
    name = min(best, key=best.get)
    print(f"tokenizers: {len(texts)} texts, {len(texts) / best[name]:.0f} texts/s, {size / best[name] / 1e6:.2f} MB/s ({name})")


main()
