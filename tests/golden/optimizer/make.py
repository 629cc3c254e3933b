#!/usr/bin/env python3
"""Golden numbers for optimizers: python3 make.py > optimizers.txt

Reference, in float64: torch.optim; lamb, which torch has not, is transcribed from its paper (You et al. 2020, algorithm 2, phi(z) = z), and gives
what timm 1.0.31 gives as Lamb(always_adapt=True, max_grad_norm=None), to the last digit.

Three parameters - a table of 9 x 6, of which a step has gradients in at most three rows, and rows 6 to 8 never; a matrix of 5 x 7; a bias of
7 that does not decay - take eight steps of changing rates. Parameters and gradients are made by a formula that
tests/train/test-optimizer.c shares. Each case: its setting, the rate, the norm for clipping (0 = none), then the parameters after
steps 5 and 8."""
import math
import sys
import numpy as np
import torch

torch.set_default_dtype(torch.float64)
SHAPES = [(9, 6), (5, 7), (7,)]
STEPS = 8


def words(seed):
    state = seed
    while True:
        state = (state * 1103515245 + 12345) % 2**31
        yield (state >> 8) % 2001 - 1000


def single(x):
    return np.float32(x).astype(np.float64)


def parameters():
    w = words(1)
    return [torch.tensor(single([next(w) / 10000 for _ in range(math.prod(s))]).reshape(s), requires_grad=True) for s in SHAPES]


def gradients(step):
    w = words(100 + step)
    g = [np.zeros(s) for s in SHAPES]
    for k in range(3):
        g[0][(step * (k + 1) + k) % 6] = single([next(w) / 1000 * (step % 3 + 1) for _ in range(SHAPES[0][1])])
    for i in (1, 2):
        g[i][...] = single([next(w) / 1000 * (step % 3 + 1) for _ in range(math.prod(SHAPES[i]))]).reshape(SHAPES[i])
    return [torch.tensor(x) for x in g]


def rate(lr, step):
    return lr * (1, .5, 1, .75, .25, 1, .5, 1)[step - 1]


class Lamb(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(.9, .999), eps=1e-6, weight_decay=0.):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for x in group["params"]:
                s = self.state[x]
                if not s:
                    s["t"], s["m"], s["v"] = 0, torch.zeros_like(x), torch.zeros_like(x)
                s["t"] += 1
                s["m"] = b1 * s["m"] + (1 - b1) * x.grad
                s["v"] = b2 * s["v"] + (1 - b2) * x.grad ** 2
                r = (s["m"] / (1 - b1 ** s["t"])) / ((s["v"] / (1 - b2 ** s["t"])).sqrt() + group["eps"])
                u = r + group["weight_decay"] * x
                phi, norm = x.norm(), u.norm()
                x -= group["lr"] * (phi / norm if phi > 0 and norm > 0 else 1.) * u


O = torch.optim
FLOAT_EPS = 1.1920928955078125e-07      # what Adafactor's eps1 = None is for float32
# our setting -> torch's; decay is set by group. The rate is large, so that rounding of parameters is small beside the change of them.
CASES = [
    ("adamw", O.AdamW, {}, .1, 0),
    ("adamw:decay=.1", O.AdamW, {"weight_decay": .1}, .1, 0),
    ("adamw:decay=.1", O.AdamW, {"weight_decay": .1}, .1, .5),
    ("adamw:beta1=.5,beta2=.9,eps=.001,decay=.01", O.AdamW, {"betas": (.5, .9), "eps": .001, "weight_decay": .01}, .1, 0),
    ("adamw:beta2=.6,decay=.1,amsgrad=1", O.AdamW, {"betas": (.9, .6), "weight_decay": .1, "amsgrad": True}, .1, 0),
    ("adam", O.Adam, {}, .1, 0),
    ("adam:beta1=.8,beta2=.99,eps=.01,decay=.1", O.Adam, {"betas": (.8, .99), "eps": .01, "weight_decay": .1}, .1, 2),
    ("adam:beta2=.6,decay=.1,amsgrad=1", O.Adam, {"betas": (.9, .6), "weight_decay": .1, "amsgrad": True}, .1, 0),
    ("sgd", O.SGD, {}, .1, 0),
    ("sgd", O.SGD, {}, .1, 1),
    ("sgd:decay=.2", O.SGD, {"weight_decay": .2}, .1, 0),
    ("sgd:momentum=.9", O.SGD, {"momentum": .9}, .1, 0),
    ("sgd:momentum=.9,dampening=.3,decay=.2", O.SGD, {"momentum": .9, "dampening": .3, "weight_decay": .2}, .1, 0),
    ("sgd:momentum=.8,nesterov=1", O.SGD, {"momentum": .8, "nesterov": True}, .1, 0),
    ("sgd:momentum=.8,nesterov=1,decay=.2", O.SGD, {"momentum": .8, "nesterov": True, "weight_decay": .2}, .1, 0),
    ("adagrad", O.Adagrad, {}, .2, 0),
    ("adagrad:decay=.1,lr-decay=.3", O.Adagrad, {"weight_decay": .1, "lr_decay": .3}, .2, 0),
    ("adagrad:initial=.5,eps=.01", O.Adagrad, {"initial_accumulator_value": .5, "eps": .01}, .2, 0),
    ("rmsprop", O.RMSprop, {}, .02, 0),
    ("rmsprop:alpha=.8,eps=.01,decay=.1", O.RMSprop, {"alpha": .8, "eps": .01, "weight_decay": .1}, .1, 0),
    ("rmsprop:centered=1,alpha=.9", O.RMSprop, {"centered": True, "alpha": .9}, .05, 0),
    ("rmsprop:momentum=.7", O.RMSprop, {"momentum": .7}, .02, 0),
    ("rmsprop:centered=1,momentum=.7,decay=.1", O.RMSprop, {"centered": True, "momentum": .7, "weight_decay": .1}, .02, 0),
    ("adamax", O.Adamax, {}, .1, 0),
    ("adamax:beta1=.8,beta2=.7,eps=.01,decay=.1", O.Adamax, {"betas": (.8, .7), "eps": .01, "weight_decay": .1}, .1, 0),
    ("nadam", O.NAdam, {}, .1, 0),
    ("nadam:beta1=.8,beta2=.99,eps=.01,decay=.1,momentum-decay=.1", O.NAdam,
     {"betas": (.8, .99), "eps": .01, "weight_decay": .1, "momentum_decay": .1}, .1, 0),
    ("nadam:decay=.1,decoupled=1", O.NAdam, {"weight_decay": .1, "decoupled_weight_decay": True}, .1, 0),
    ("radam", O.RAdam, {}, .1, 0),
    ("radam:beta1=.8,beta2=.99,eps=.01,decay=.1", O.RAdam, {"betas": (.8, .99), "eps": .01, "weight_decay": .1}, .1, 0),
    ("radam:beta2=.9,decay=.1,decoupled=1", O.RAdam, {"betas": (.9, .9), "weight_decay": .1, "decoupled_weight_decay": True}, .1, 0),
    ("adafactor", O.Adafactor, {"eps": (FLOAT_EPS, 1e-3)}, .5, 0),
    ("adafactor", O.Adafactor, {"eps": (FLOAT_EPS, 1e-3)}, .5, 1),
    ("adafactor:beta2-decay=-.5,eps1=.3,eps2=.2,d=1.5,decay=.1", O.Adafactor,
     {"beta2_decay": -.5, "eps": (.3, .2), "d": 1.5, "weight_decay": .1}, .5, 0),
    ("lamb", Lamb, {}, .5, 0),
    ("lamb:beta1=.8,beta2=.99,eps=.01,decay=.1", Lamb, {"betas": (.8, .99), "eps": .01, "weight_decay": .1}, .5, 1),
    ("adadelta", O.Adadelta, {"eps": 1e-6}, 100, 0),
    ("adadelta:rho=.7,eps=.01,decay=.1", O.Adadelta, {"rho": .7, "eps": .01, "weight_decay": .1}, 1, 0),
    ("asgd", O.ASGD, {}, .1, 0),
    ("asgd:lambd=.2,alpha=.5,decay=.1", O.ASGD, {"lambd": .2, "alpha": .5, "weight_decay": .1}, .1, 0),
    ("rprop", O.Rprop, {}, .1, 0),
    ("rprop:etaminus=.3,etaplus=1.5,step-min=.05,step-max=.2", O.Rprop, {"etas": (.3, 1.5), "step_sizes": (.05, .2)}, .1, 0),
]


def numbers(ps):
    return " ".join(f"{x:.10g}" for p in ps for x in p.detach().flatten().tolist())


def run(kind, options, lr, clip, ours=None):
    ps = parameters()
    decay = options.get("weight_decay", 0)
    rest = {k: v for k, v in options.items() if k != "weight_decay"}
    groups = [{"params": ps[:2]}, {"params": ps[2:]}]
    if kind is not O.Rprop:
        groups[0]["weight_decay"], groups[1]["weight_decay"] = decay, 0.
    optimizer = kind(groups, lr=lr, **rest)
    out = []
    for step in range(1, STEPS + 1):
        for p, g in zip(ps, gradients(step)):
            p.grad = g
        if clip:
            torch.nn.utils.clip_grad_norm_(ps, clip)
        for group in optimizer.param_groups:
            group["lr"] = rate(lr, step)
        optimizer.step()
        if step in (5, STEPS):
            out.append(numbers(ps))
    return out


if __name__ == "__main__":
    print(f"made with torch {torch.__version__}", file=sys.stderr)
    for setting, kind, options, lr, clip in CASES:
        print("case", setting, lr, clip)
        print("\n".join(run(kind, options, lr, clip)))
