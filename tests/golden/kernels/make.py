#!/usr/bin/env python3
"""Numbers from PyTorch, in float64 over float32 inputs, for tests/tensor/test-kernels.c: make.py > kernels.bin

A record is a name (32 bytes), 13 little-endian int32 (inputs, sequences, 8 lengths, width, heads, outputs), the token ids (int32, one a
row), and float32: each input, the gradient of the output, the output, the gradient of each input."""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from transformers import ModernBertConfig
from transformers.models.modernbert.modeling_modernbert import ModernBertRotaryEmbedding, rotate_half
from transformers.models.t5.modeling_t5 import T5Attention

torch.manual_seed(1)
torch.set_num_threads(1)
LENGTHS, W, H, O = [5, 1, 9], 24, 3, 11
R = sum(LENGTHS)
ids = torch.randint(0, O, (R,))


def sequences(x):
    return torch.split(x, LENGTHS)


def attention(qkv):
    out = []
    for s in sequences(qkv):
        q, k, v = (t.reshape(len(s), H, W // H).transpose(0, 1) for t in s.split(W, dim=1))
        out.append(F.scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(len(s), W))
    return torch.cat(out)


def masked(causal=False, scale=None, window=None):
    def run(qkv, bias=None):
        out = []
        for s in sequences(qkv):
            n = len(s)
            q, k, v = (t.reshape(n, H, W // H).transpose(0, 1) for t in s.split(W, dim=1))
            mask = torch.zeros(H, n, n, dtype=torch.float64)
            if bias is not None:
                apart = torch.arange(n)[None, :] - torch.arange(n)[:, None]
                bucket = T5Attention._relative_position_bucket(apart, bidirectional=True, num_buckets=8, max_distance=6)
                mask = F.embedding(bucket, bias).permute(2, 0, 1)
            if window:
                apart = torch.arange(n)[None, :] - torch.arange(n)[:, None]
                mask = mask.masked_fill(apart.abs() > window, -torch.inf)
            if causal:
                mask = mask.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), -torch.inf)
            out.append(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(0, 1).reshape(n, W))
        return torch.cat(out)
    return run


def embedding(word, position, token_type):
    places = torch.cat([torch.arange(n) + 2 for n in LENGTHS])
    return F.embedding(ids, word) + F.embedding(places, position) + token_type


def embedding_two(word, position, token_type):
    kinds = torch.cat([(torch.arange(n) >= (n + 1) // 2).long() for n in LENGTHS])
    return embedding(word, position, 0) + F.embedding(kinds, token_type)


def rotary(qkv):
    """transformers' own, of ModernBERT, with theta 100; its angles are rounded to float32."""
    config = ModernBertConfig(hidden_size=W, num_attention_heads=H, rope_parameters={k: {"rope_theta": 100.0, "rope_type": "default"} for k in ("full_attention", "sliding_attention")})
    turn = ModernBertRotaryEmbedding(config)
    out = []
    for s in sequences(qkv):
        q, k, v = (t.reshape(1, len(s), H, W // H).transpose(1, 2) for t in s.split(W, dim=1))
        cos, sin = (t.double() for t in turn(q.float(), torch.arange(len(s))[None], "full_attention"))
        q, k = (t * cos + rotate_half(t) * sin for t in (q, k))
        out.append(torch.cat([t[0].transpose(0, 1).reshape(len(s), W) for t in (q, k, v)], dim=1))
    return torch.cat(out)


def gate(f):
    return lambda x: f(x[:, :W]) * x[:, W:]


def pool(how):
    return lambda x: torch.stack([how(s) for s in sequences(x)])


def gem(x, p):
    p = 3 + p / 4
    return torch.stack([s.clamp(min=1e-6).pow(p).mean(0).pow(1 / p) for s in sequences(x)])


def attend(q, kv):
    """torch.nn.functional's attention of one query."""
    out = []
    for i, s in enumerate(sequences(kv)):
        k, v = (t.reshape(len(s), H, W // H).transpose(0, 1) for t in s.split(W, dim=1))
        out.append(F.scaled_dot_product_attention(q[i].reshape(H, 1, W // H), k, v).reshape(W))
    return torch.stack(out)


ROWS = (R, W)
OPS = {
    "linear": (F.linear, [ROWS, (O, W), (O,)]),
    "linear without bias": (F.linear, [ROWS, (O, W)]),
    "layer_norm": (lambda x, g, b: F.layer_norm(x, (W,), g, b, 1e-12), [ROWS, (W,), (W,)]),
    "gelu": (F.gelu, [ROWS]),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), [ROWS]),
    "quick_gelu": (lambda x: x * torch.sigmoid(1.702 * x), [ROWS]),
    "relu": (F.relu, [ROWS]),
    "tanh": (torch.tanh, [ROWS]),
    "silu": (F.silu, [ROWS]),
    "sigmoid": (torch.sigmoid, [ROWS]),
    "attention": (attention, [(R, 3 * W)]),
    "embedding": (embedding, [(O, W), (max(LENGTHS) + 2, W), (W,)]),
    "pool mean": (pool(lambda s: s.mean(0)), [ROWS]),
    "pool max": (pool(lambda s: s.amax(0)), [ROWS]),
    "pool cls": (pool(lambda s: s[0]), [ROWS]),
    "pool mean_sqrt": (pool(lambda s: s.sum(0) / len(s) ** 0.5), [ROWS]),
    "normalize": (lambda x: F.normalize(x, dim=1), [ROWS]),
    "embedding of two texts": (embedding_two, [(O, W), (max(LENGTHS) + 2, W), (2, W)]),
    "attention, causal": (masked(causal=True), [(R, 3 * W)]),
    "attention, scaled": (masked(scale=0.25), [(R, 3 * W)]),
    "attention with bias": (masked(), [(R, 3 * W), (8, H)]),
    "attention, causal, with bias": (masked(causal=True, scale=0.25), [(R, 3 * W), (8, H)]),
    "pool last": (pool(lambda s: s[-1]), [ROWS]),
    "pool weighted_mean": (pool(lambda s: (s * torch.arange(1, len(s) + 1)[:, None]).sum(0) / torch.arange(1, len(s) + 1).sum()), [ROWS]),
    "gem": (gem, [ROWS, (1,)]),
    "attention, window": (masked(window=2), [(R, 3 * W)]),
    "attention, window, causal": (masked(causal=True, window=2), [(R, 3 * W)]),
    "rotary": (rotary, [(R, 3 * W)]),
    "gate gelu": (gate(F.gelu), [(R, 2 * W)]),
    "gate silu": (gate(F.silu), [(R, 2 * W)]),
    "layer_norm without bias": (lambda x, g: F.layer_norm(x, (W,), g, None, 1e-12), [ROWS, (W,)]),
    "embedding of words": (lambda word: F.embedding(ids, word), [(O, W)]),
    "rms_norm": (lambda x, g: F.rms_norm(x, (W,), g, 0.25), [ROWS, (W,)]),
    "multiply": (torch.mul, [ROWS, ROWS]),
    "attend": (attend, [(len(LENGTHS), W), (R, 2 * W)]),
}

for name, (function, shapes) in OPS.items():
    inputs = [(torch.randn(s) * 1.5).double().requires_grad_() for s in shapes]
    y = function(*inputs)
    dy = torch.randn(y.shape).double()
    y.backward(dy)
    numbers = [*inputs, dy, y, *(i.grad for i in inputs)]
    out = sys.stdout.buffer
    out.write(name.encode().ljust(32, b"\0"))
    out.write(np.array([len(shapes), len(LENGTHS)] + LENGTHS + [0] * (8 - len(LENGTHS)) + [W, H, O], "<i4").tobytes())
    out.write(ids.numpy().astype("<i4").tobytes())
    for n in numbers:
        out.write(n.detach().numpy().astype("<f4").tobytes())
