#!/usr/bin/env python3
"""make.py - small files of torch.save, and what torch.load makes of them.

Run in this directory with torch and numpy; the tests only read what it wrote.

  NAME.pth            zip format, NAME-legacy.pth the format before torch 1.6, NAME-pN the same with pickle protocol N
  expected.txt        one line a tensor: file, name, type (as safetensors calls it), shape (2x3, or "scalar"), bytes in hexadecimal ("-": none)
  bert/               ../model/mean as pytorch_model.bin, its other files by links; and the pooler, an int64 position_ids and a transposed weight
  bin-shards/         two .bin files and their index
  evil-*.pth          pickles that would run something
"""
import argparse
import builtins
import json
import os
import struct
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path, PosixPath

import numpy as np
import torch
from safetensors.torch import load_file

torch.manual_seed(3)
TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64", torch.int32: "I32",
         torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL", torch.uint16: "U16", torch.uint32: "U32",
         torch.uint64: "U64", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.complex64: "C64"}
lines = []


def expect(file, tensors):
    for name in sorted(tensors):
        t = tensors[name].detach().contiguous()
        data = bytes(t.reshape(-1).view(torch.uint8).numpy().tobytes()) if t.numel() else b""
        shape = "x".join(str(n) for n in t.shape) or "scalar"
        lines.append(f"{file} {name} {TYPES[t.dtype]} {shape} {data.hex() or '-'}")


def save(file, value, tensors, legacy=False, protocol=2):
    torch.save(value, file, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    torch.load(file, weights_only=False)
    expect(file, tensors)


def both(name, value, tensors):
    save(f"{name}.pth", value, tensors)
    save(f"{name}-legacy.pth", value, tensors, legacy=True)


# every type that is computed with, and what lies beside: parameters, counts, nothing
types = OrderedDict(weight=torch.nn.Parameter(torch.randn(2, 3)), half=torch.randn(3).half(), brain=torch.randn(3).bfloat16(),
                    double=torch.randn(2, dtype=torch.float64), num_batches_tracked=torch.tensor(1234567890123), position_ids=torch.arange(4).expand(1, -1),
                    int32=torch.tensor([-1, 70000], dtype=torch.int32), int16=torch.tensor([-300], dtype=torch.int16), int8=torch.tensor([-3, 3], dtype=torch.int8),
                    byte=torch.tensor([200], dtype=torch.uint8), mask=torch.tensor([True, False]), scalar=torch.tensor(2.5), empty=torch.empty(0, 3),
                    complex=torch.tensor([1 + 2j]), none=None, note="not a tensor")
types._metadata = OrderedDict({"": {"version": 1}})
both("types", types, {k: v for k, v in types.items() if torch.is_tensor(v)})

# the types of torch 2.3 and later lie in untyped storages
newer = dict(u16=torch.tensor([1, 65535]).to(torch.uint16), u32=torch.tensor([7]).to(torch.uint32), u64=torch.tensor([1 << 40]).to(torch.uint64),
             e4m3=torch.randn(3).to(torch.float8_e4m3fn), e5m2=torch.randn(2, 2).to(torch.float8_e5m2), plain=torch.randn(1))
save("newer.pth", newer, newer)

# views: one storage under several names, from the middle, in another order, every second, one number for all
base = torch.arange(12, dtype=torch.float32)
views = OrderedDict(whole=base, again=base, middle=base[3:7], matrix=base.view(3, 4), turned=base.view(3, 4).t(), corner=base.view(3, 4)[1:, 1:3],
                    second=base[::2], cube=base.view(2, 3, 2).permute(2, 0, 1), expanded=base[5].expand(2, 2), none=base[12:],
                    row=base.view(3, 4)[2:3])
both("views", views, views)

# a training checkpoint: names of DataParallel, and what else a trainer keeps
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
optimizer = torch.optim.SGD(model.parameters(), lr=.1, momentum=.9)
model(torch.randn(4, 3)).sum().backward()
optimizer.step()
state = model.state_dict()
checkpoint = dict(epoch=7, arch="tiny", best=np.float64(.5), history=np.arange(3.), args=argparse.Namespace(lr=.1, path=PosixPath("x")),
                  state_dict=OrderedDict(("module." + k, v) for k, v in state.items()), optimizer=optimizer.state_dict(), device=torch.device("cpu"),
                  shape=torch.Size([2]), seen=Counter("ab"), groups=defaultdict(list, a=[1]), tags={"x", "y"}, raw=b"bytes", big=1 << 100, small=-5,
                  dtype=torch.float32, amp=True, blob=bytearray(b"xy"), odd=frozenset([1]), z=1j, medium=1 << 40, negative=-(1 << 40), many=list(range(300)))
both("checkpoint", checkpoint, state)
for protocol in 1, 3, 4, 5:
    save(f"checkpoint-p{protocol}.pth", checkpoint, state, protocol=protocol)
    save(f"checkpoint-legacy-p{protocol}.pth", checkpoint, state, legacy=True, protocol=protocol)

# averaged weights before the others; torch.compile within DataParallel
other = {k: v + 1 for k, v in state.items()}
save("ema.pth", dict(model=state, state_dict_ema=other), other)
save("wrapped.pth", {"model_state_dict": {"module._orig_mod." + k: v for k, v in state.items()}}, state)
save("half-wrapped.pth", {"module.a": base, "b": base}, {"module.a": base, "b": base})

# tensors and parameters with attributes
marked, parameter = torch.ones(2), torch.nn.Parameter(torch.zeros(2, 2))
marked.note = "kept off"
parameter.no_decay = True
save("attributes.pth", dict(marked=marked, parameter=parameter), dict(marked=marked, parameter=parameter))

# every number that zip64 can hold is held there, as in files past 4 GB
archive = Path("views.pth").read_bytes()
directory = b""
with zipfile.ZipFile("views.pth") as z:
    for i in z.infolist():
        name, extra = i.filename.encode(), struct.pack("<HHQQQ", 1, 24, i.file_size, i.file_size, i.header_offset)
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 45, 45, 0, 0, 0, 0, i.CRC, 2**32 - 1, 2**32 - 1, len(name), len(extra), 0, 0, 0, 0,
                                 2**32 - 1) + name + extra
    begin, count = z.start_dir, len(z.infolist())
end = begin + len(directory)
end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, count, count, len(directory), begin)
Path("zip64.pth").write_bytes(archive[:begin] + directory + end64 + struct.pack("<IIQI", 0x07064b50, 0, end, 1) +
                              struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0))
expect("zip64.pth", torch.load("zip64.pth"))

# whole modules, sparse and quantized tensors, TorchScript: refused
torch.save(model, "module.pth")
torch.save(dict(a=torch.eye(2).to_sparse()), "sparse.pth")
torch.save(dict(a=torch.zeros((1,) * 9)), "rank.pth")
torch.save([base], "list.pth")
torch.save(dict(epoch=1), "nothing.pth")
torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), "script.pth")


class Evil:
    def __init__(self, call, *arguments):
        self.made = call, arguments

    def __reduce__(self):
        return self.made


torch.save(dict(a=base, evil=Evil(os.system, "touch owned")), "evil-system.pth")
torch.save(dict(a=base, evil=Evil(builtins.eval, "1")), "evil-eval-p4.pth", pickle_protocol=4)
torch.save(dict(a=base, evil=Evil(exec, "1")), "evil-legacy.pth", _use_new_zipfile_serialization=False)

# a model directory without safetensors
weights = load_file("../model/mean/model.safetensors")
weights["embeddings.position_ids"] = torch.arange(32).expand(1, -1)
name = "encoder.layer.0.output.dense.weight"
weights[name] = weights[name].t().contiguous().t()
torch.save(OrderedDict(weights), "bert/pytorch_model.bin")

os.makedirs("bin-shards", exist_ok=True)
torch.save(dict(a=base, c=base[3:5].clone()), "bin-shards/pytorch_model-00001-of-00002.bin")
torch.save(dict(b=base.half()), "bin-shards/pytorch_model-00002-of-00002.bin")
Path("bin-shards/pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {"total_size": 80}, "weight_map": {
    "a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin", "c": "pytorch_model-00001-of-00002.bin"}}, indent=2) + "\n")
expect("bin-shards", dict(a=base, b=base.half(), c=base[3:5]))

Path("expected.txt").write_text("\n".join(lines) + "\n")
