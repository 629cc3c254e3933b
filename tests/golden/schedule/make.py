#!/usr/bin/env python3
"""Golden numbers for schedules: python3 make.py > schedules.txt

Reference: transformers.get_scheduler, and torch's OneCycleLR. Each case: our setting, rate, warm-up in steps, how many steps, then the reference's
rate at each of them as it gives it: the first one's number is 0."""
import sys
import torch
import transformers

torch.set_default_dtype(torch.float64)
CASES = [
    ("linear", "linear", {}, 2e-4, 7, 40),
    ("linear", "linear", {}, 1, 0, 5),
    ("cosine", "cosine", {}, 2e-4, 7, 40),
    ("cosine:cycles=1.5", "cosine", {"num_cycles": 1.5}, 1, 3, 20),
    ("cosine-with-restarts", "cosine_with_restarts", {}, 1, 3, 20),
    ("cosine-with-restarts:cycles=3", "cosine_with_restarts", {"num_cycles": 3}, 2e-4, 7, 40),
    ("polynomial", "polynomial", {}, 2e-4, 7, 40),
    ("polynomial:power=2.5,end=.01", "polynomial", {"power": 2.5, "lr_end": .01}, 1, 3, 20),
    ("constant", "constant", {}, 2e-4, 0, 10),
    ("constant-with-warmup", "constant_with_warmup", {}, 2e-4, 4, 10),
    ("one-cycle", None, {}, 2e-4, 0, 40),
    ("one-cycle:pct-start=.13,div-factor=4,final-div-factor=7", None, {"pct_start": .13, "div_factor": 4, "final_div_factor": 7}, 1, 0, 17),
    ("one-cycle:anneal=linear,pct-start=.5", None, {"anneal_strategy": "linear", "pct_start": .5}, 1, 0, 21),
    ("one-cycle:pct-start=0", None, {"pct_start": 0.}, 1, 0, 9),
    ("one-cycle:pct-start=1", None, {"pct_start": 1.}, 1, 0, 9),
]

print(f"made with torch {torch.__version__}, transformers {transformers.__version__}", file=sys.stderr)
for setting, name, options, lr, warmup, steps in CASES:
    p = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=lr)
    if name is None:
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, cycle_momentum=False, **options)
    else:
        schedule = transformers.get_scheduler(name, optimizer, warmup, steps, scheduler_specific_kwargs=options)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < steps:
            schedule.step()
    print("case", setting, lr, warmup, steps)
    print(" ".join(f"{r:.12g}" for r in rates))
