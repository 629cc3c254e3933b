#!/usr/bin/env python3
"""llama.py MODEL FILE.gguf mean|cls - embeddings of ft-embed, and of llama.cpp of the file that ft-export made of MODEL.

With ft's tools on PATH, and PyPI's xllamacpp (2026.10), which carries llama.cpp. Prints the largest difference of unit vectors and the least cosine: of
MiniLM 3.0e-4 and 0.999998, of the small golden models 1.3e-4 to 2.3e-4; llama.cpp's GELU is the one by tanh, from a table of 16 bits.
"""
import json
import subprocess
import sys

import numpy as np
import xllamacpp

TEXTS = ["the cat sat on the mat", "edit photos and play music on the web", 'a dog, a "cat" & a bird', "Caf\u00e9 na\u00efve \u6771\u4eac - don't  do  it", "x"]


def run(data, *command):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def ours(model):
    data = run("".join(json.dumps({"text": t}) + "\n" for t in TEXTS).encode(), "ft-ingest", "-q", "--format", "jsonl", "--unlabeled")
    data = run(run(data, "ft-embed", "-q", "--normalize", "-m", model), "ft-export", "-q", "--to", "jsonl")
    return np.array([json.loads(line)["embedding"] for line in data.splitlines()])


def theirs(path, pooling):
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.embedding = True
    params.warmup = False
    params.pooling_type = getattr(xllamacpp.llama_pooling_type, "LLAMA_POOLING_TYPE_" + pooling.upper())
    params.n_ctx = params.n_batch = params.n_ubatch = 512
    params.n_parallel = 1
    server = xllamacpp.Server(params)
    out = []
    for text in TEXTS:
        answer = server.handle_embeddings({"input": text, "model": "m"})
        out.append((json.loads(answer) if isinstance(answer, str) else answer)["data"][0]["embedding"])
    out = np.array(out)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


a, b = ours(sys.argv[1]), theirs(sys.argv[2], sys.argv[3])
print("largest difference %.2g, least cosine %.7f" % (abs(a - b).max(), (a * b).sum(1).min()))
