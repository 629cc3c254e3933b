#!/usr/bin/env python3
"""make.py - what sentence-transformers makes of embeddings in few bits, and torch of numbers in 16.

Run in this directory, with sentence-transformers (6.2), numpy and torch. Writes:

  embeddings.jsonl        {"id", "text", "embedding"} a line, 13 dimensions: one that never changes, zeros of both signs, tiny and large ones
  int8.npy ... ubinary.npy            quantize_embeddings of them, by their own ranges
  calibration.npy                     other embeddings, of a narrower range in some dimensions
  int8-calibrated.npy, uint8-...      quantize_embeddings by calibration_embeddings
  narrow.txt              bits of a float, of torch's float16 and of its bfloat16, in hexadecimal
"""
import numpy as np
import torch
from sentence_transformers.util.quantization import quantize_embeddings

rng = np.random.default_rng(7)
x = rng.standard_normal((120, 13)).astype(np.float32)
x[:, 3] = 0.25
x[:, 5] *= 1e-30
x[:, 6] *= 1e20
x[::7, 8] = 0.0
x[::5, 9] = -0.0
other = (rng.standard_normal((40, 13)) * 0.7).astype(np.float32)
other[:, 4] = 1.5

with open("embeddings.jsonl", "w") as out:
    for i, row in enumerate(x):
        out.write('{"id": "d%d", "text": "t", "embedding": [%s]}\n' % (i, ", ".join("%.9g" % v for v in row)))
np.save("calibration.npy", other)
for precision in ("int8", "uint8", "binary", "ubinary"):
    np.save(precision + ".npy", quantize_embeddings(x, precision))
    if precision.endswith("int8"):
        np.save(precision + "-calibrated.npy", quantize_embeddings(x, precision, calibration_embeddings=other))

odd = [0, 1, 0x33000000, 0x33000001, 0x33800000, 0x33c00000, 0x387fc000, 0x387fe000, 0x387fe001, 0x387fffff, 0x38800000, 0x38801000, 0x38803000,
       0x3f800000, 0x3f801000, 0x3f801001, 0x3f803000, 0x3f808000, 0x3f808001, 0x3f818000, 0x3fffffff, 0x477fe000, 0x477fefff, 0x477ff000,
       0x7f7f0000, 0x7f7f7fff, 0x7f7f8000, 0x7f7fffff, 0x7f800000]
bits = np.array(odd + list(rng.integers(0, 0x7f800000, 200)), dtype=np.uint32)
bits = np.concatenate([bits, bits | np.uint32(0x80000000)])
floats = torch.from_numpy(bits.view(np.float32).copy())
half = floats.to(torch.float16).view(torch.int16).numpy().astype(np.uint16)
brain = floats.to(torch.bfloat16).view(torch.int16).numpy().astype(np.uint16)
with open("narrow.txt", "w") as out:
    for a, b, c in zip(bits, half, brain):
        out.write("%08x %04x %04x\n" % (a, b, c))
