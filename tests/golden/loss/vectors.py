"""What the golden scripts of losses share with tests/train: vectors made by a formula, roles, and settings as --loss has them."""
import numpy as np
import torch

ANCHOR, POSITIVE, NEGATIVE = 0, 1, 2


def words(seed):
    state = seed
    while True:
        state = (state * 1103515245 + 12345) % 2**31
        yield (state >> 8) % 2001 - 1000


def inputs(n, d, seed, near):
    """Row i is d numbers in -1..1, times (i % 5 + 1) / 2; then, for (to, from, e) in near, row to = row from + e / 1000 * noise."""
    w = words(seed)
    x = np.array([[next(w) / 1000 * ((i % 5 + 1) / 2) for _ in range(d)] for i in range(n)]).astype(np.float32)
    for to, source, e in near:
        for k in range(d):
            x[to, k] = np.float32(float(x[source, k]) + e / 1000 * (next(w) / 1000))
    return torch.tensor(x.astype(np.float64), requires_grad=True)


def setting(name, keys):
    return name + (":" + ",".join(f"{k}={v}" for k, v in keys.items()) if keys else "")
