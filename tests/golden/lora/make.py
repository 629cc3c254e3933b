#!/usr/bin/env python3
"""make.py - LoRA on the tiny BERT of ../model/mean, as PEFT and PyTorch compute it.

Run in this directory after ../model/make.py, with torch, transformers, sentence-transformers and peft (0.21). Adapters of rank 3, alpha 7, on query and
value of every layer and on every layer called dense; A and B random, both far from zero. Writes:

  adapter/               adapter_config.json and adapter_model.safetensors as PEFT saves them; the base model named relative to this directory
  embeddings.jsonl       one line a text, {"text", "embedding"}: sentence-transformers over PEFT's model, float32, one text at a time
  rslora/ and rslora.jsonl   the same with use_rslora and rank 2 on query alone
  modules/ and modules.jsonl   saved by sentence-transformers: modules of its own beside the adapter, cls pooling and no Normalize (its tokenizer taken out,
                         since it is the base model's)
  gradients.safetensors  d loss / d A and B in float64 (stored as float32), dropout 0, under PEFT's names; texts and loss are those of ../model/make.py
  steps.safetensors      A and B after five steps of AdamW on that loss: decay .01, clip 1, the rates of ../model/make.py
  gradients.json         {"loss": [before each step], "norm": [before clipping]}
"""
import json
import math
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer, models

torch.set_num_threads(1)
BASE = "../model/mean"
log = json.loads(Path("../model/gradients.json").read_text())
TEXTS = [json.loads(line)["text"] for line in open("../model/inputs.jsonl")]


def adapted(**config):
    model = SentenceTransformer(BASE, device="cpu", model_kwargs={"dtype": torch.float32})
    torch.manual_seed(11)
    model[0].model = get_peft_model(model[0].model, LoraConfig(bias="none", lora_dropout=0.0, **config))
    with torch.no_grad():
        for name, p in model[0].model.named_parameters():
            if "lora_" in name:
                p.copy_(0.2 * torch.randn_like(p))
    return model.eval()


def write(model, directory, embeddings, save):
    shutil.rmtree(directory, ignore_errors=True)
    save(model, directory)
    (Path(directory) / "README.md").unlink(missing_ok=True)
    path = Path(directory) / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = "../" + BASE
    config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (Path(directory) / "adapter_model.safetensors").chmod(0o644)
    with open(embeddings, "w") as out:
        for text in TEXTS:
            vector = model.encode([text], batch_size=1, show_progress_bar=False)[0]
            out.write('{"text": %s, "embedding": [%s]}\n' % (json.dumps(text), ", ".join("%.9g" % v for v in vector)))


def wrapped(model, directory):
    model[0].model.save_pretrained(directory)


def whole(model, directory):
    model.save(directory)
    for path in Path(directory).glob("tokenizer*"):
        path.unlink()


model = SentenceTransformer(modules=[models.Transformer(BASE), models.Pooling(20, pooling_mode="cls")], device="cpu")
model.add_adapter(LoraConfig(task_type="FEATURE_EXTRACTION", r=2, lora_alpha=3, target_modules=["value"]))
torch.manual_seed(3)
for name, p in model.named_parameters():
    if "lora_" in name:
        torch.nn.init.normal_(p, 0, 0.2)
write(model.eval(), "modules", "modules.jsonl", whole)
write(adapted(r=2, lora_alpha=5, use_rslora=True, target_modules=["query"]), "rslora", "rslora.jsonl", wrapped)
model = adapted(r=3, lora_alpha=7, target_modules=["query", "value", "dense"], exclude_modules=["pooler.dense"])
write(model, "adapter", "embeddings.jsonl", wrapped)

model = model.double()
named = [(k.replace(".default", ""), p) for k, p in model[0].model.named_parameters() if p.requires_grad]
assert {k for k, _ in named} == set(get_peft_model_state_dict(model[0].model))
optimizer = torch.optim.AdamW([p for _, p in named], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
texts = log["texts"]
c = torch.tensor([[math.sin(7 * i + 3 * j + 1) for j in range(20)] for i in range(len(texts))], dtype=torch.float64)
out = dict(loss=[], norm=[])
for step, rate in enumerate(log["lr"]):
    optimizer.zero_grad()
    loss = (c * model(model.tokenize(texts))["sentence_embedding"]).sum()
    loss.backward()
    if step == 0:
        save_file({k: p.grad.float().contiguous() for k, p in named}, "gradients.safetensors")
    out["loss"].append(loss.item())
    out["norm"].append(torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0).item())
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
save_file({k: p.detach().float().contiguous() for k, p in named}, "steps.safetensors")
for path in Path(".").glob("*.safetensors"):
    path.chmod(0o644)
Path("gradients.json").write_text(json.dumps(out) + "\n")
print(out)
