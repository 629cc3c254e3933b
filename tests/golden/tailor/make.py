#!/usr/bin/env python3
"""make.py - what PyTorch computes of tailored models, for tests/model/test-tailor.c. Run in this directory with torch, transformers, safetensors and
sentence-transformers. All begin with ../model/mean.

  NAME.jsonl     one line a text: {"text": "...", "embedding": [...]}, in float64: the model after the edits that the test names under NAME. What
                 sentence-transformers can express was put together of its modules, the rest of torch functions on what a hook saw
  classifier/    BertForSequenceClassification over that encoder, two classes: a head to take off. classifier.jsonl: mean pooling without it
  head/          a directory with ft.json, as ft-tailor writes it: cut inside a block, generalised mean with a p of its own, two linear maps with norm,
                 activation and dropout between them, normalisation
  batch/         another: the last token, two linear maps with a batch norm between them, which goes by its running statistics
  cats/, pictures/, cats*.csv  ResNetForImageClassification, two classes: without its head, with a generalised mean, cut after its first stage
  head-gradients.safetensors, batch-gradients.safetensors  d loss / d parameter in float64 (stored as float32), named FILE/TENSOR; texts TRAIN, one batch,
                 loss = sum_i sum_j sin(7 i + 3 j + 1) * embedding[i, j]
"""
import json
import math
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
from PIL import Image
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as st
from transformers import BertConfig, BertForSequenceClassification, ResNetConfig, ResNetForImageClassification

torch.set_num_threads(1)
torch.manual_seed(11)
BASE = Path("../model/mean")
TEXTS = [json.loads(line)["text"] for line in open("../model/mean.jsonl")]
TRAIN = [TEXTS[i] for i in (1, 2, 4, 6, 7)]

for path in Path(".").iterdir():
    if path.is_dir():
        shutil.rmtree(path)


def base():
    return SentenceTransformer(str(BASE), device="cpu").double().eval()


def write(name, vectors):
    with open(f"{name}.jsonl", "w") as out:
        for text, vector in zip(TEXTS, vectors):
            out.write('{"text": %s, "embedding": [%s]}\n' % (json.dumps(text), ", ".join("%.9g" % v for v in vector)))


def encode(model):
    with torch.no_grad():
        return [model(model.tokenize([t]))["sentence_embedding"][0].tolist() for t in TEXTS]


def seen(model, node, text):
    """The output of the part of BertModel that is called `node`, [tokens, width]."""
    kept = []
    handle = dict(model[0].model.named_modules())[node].register_forward_hook(lambda m, i, o: kept.append(o[0] if isinstance(o, tuple) else o))
    model(model.tokenize([text]))
    handle.remove()
    return kept[0][0]


def gem(x, p):
    return x.clamp(min=1e-6).pow(p).mean(0).pow(1 / p)


def cut(name, node, pool):
    model = base()
    with torch.no_grad():
        write(name, [pool(seen(model, node, t)).tolist() for t in TEXTS])


# Fewer layers, other ways to pool: sentence-transformers' own modules.
model = base()
model[0].model.encoder.layer = model[0].model.encoder.layer[:1]
write("layers", encode(model))
for name, mode in (("last", "lasttoken"), ("weighted-mean", "weightedmean"), ("max", "max"), ("cls", "cls"), ("mean-sqrt", "mean_sqrt_len_tokens")):
    write(name, encode(SentenceTransformer(modules=[base()[0], st.Pooling(20, pooling_mode=mode)], device="cpu").double().eval()))

# Cuts, and the generalised mean.
cut("cut-activation", "encoder.layer.0.intermediate", lambda x: x.mean(0))
cut("cut-value", "encoder.layer.1.attention.self.value", lambda x: x.amax(0))
cut("cut-embeddings", "embeddings", lambda x: x[0])
cut("gem", "encoder.layer.1", lambda x: gem(x, 3))
cut("gem-fixed", "encoder.layer.1", lambda x: F.normalize(gem(x, 1.5), dim=0))

# A classifier.
tensors = load_file(BASE / "model.safetensors")
config = BertConfig.from_pretrained(BASE, num_labels=2, id2label={0: "cat", 1: "dog"}, label2id={"cat": 0, "dog": 1})
classifier = BertForSequenceClassification(config)
classifier.bert.load_state_dict({k: v for k, v in tensors.items()}, strict=False)
classifier.save_pretrained("classifier")
for file in ("tokenizer.json", "tokenizer_config.json"):
    os.symlink(f"../{BASE}/{file}", f"classifier/{file}")
write("classifier", encode(SentenceTransformer(modules=[base()[0], st.Pooling(20)], device="cpu").double().eval()))

# Directories with ft.json.
def directory(name, edits, parts, forward):
    """`parts`: FILE -> tensors; `forward`: (model, text, weights by FILE/TENSOR) -> the embedding."""
    os.makedirs(name)
    for file in ("tokenizer.json", "tokenizer_config.json", "model.safetensors", "sentence_bert_config.json"):
        os.symlink(f"../{BASE}/{file}", f"{name}/{file}")
    Path(f"{name}/config.json").write_text(json.dumps({**json.loads((BASE / "config.json").read_text()), "model_type": "ft-tailored"}, indent=2) + "\n")
    Path(f"{name}/ft.json").write_text(json.dumps({"ft": 1, "family": "bert", "edits": edits}, indent=2) + "\n")
    for file, part in parts.items():
        os.makedirs(f"{name}/{file}")
        save_file(part, f"{name}/{file}/model.safetensors", {"format": "pt"})
    w = {f"{d}/{k}": v.double().requires_grad_("running" not in k) for d, part in parts.items() for k, v in part.items()}
    model = base()
    write(name, [forward(model, t, w).tolist() for t in TEXTS])
    loss = sum(math.sin(7 * i + 3 * j + 1) * v for i, t in enumerate(TRAIN) for j, v in enumerate(forward(model, t, w)))
    loss.backward()
    named = {f"/{k}": p for k, p in model[0].model.named_parameters()} | w
    save_file({k: p.grad.float() for k, p in named.items() if p.grad is not None}, f"{name}-gradients.safetensors")


def head(model, text, w):
    x = gem(seen(model, "encoder.layer.1.intermediate.dense", text), w["1_Pooling/p"])
    x = F.linear(x, w["2_Dense/linear.weight"], w["2_Dense/linear.bias"])
    x = F.gelu(F.layer_norm(x, (10,), w["3_LayerNorm/norm.weight"], w["3_LayerNorm/norm.bias"], 1e-5))
    return F.normalize(F.linear(x, w["5_Dense/linear.weight"]), dim=0)


directory("head", [
    {"edit": "embedding", "node": "encoder.layer.1.intermediate.dense"},
    {"edit": "gem", "name": "pooling", "p": 3.0, "learn": True},
    {"edit": "linear", "name": "2_Dense", "out": 10, "bias": True},
    {"edit": "layer-norm", "name": "3_LayerNorm", "epsilon": 1e-5},
    {"edit": "activation", "name": "3_LayerNorm.activation", "activation": "gelu"},
    {"edit": "dropout", "name": "4_Dropout", "rate": 0.1},
    {"edit": "linear", "name": "5_Dense", "out": 7, "bias": False},
    {"edit": "normalize", "name": "normalize"},
    {"edit": "freeze", "nodes": "embeddings*"}], {
    "1_Pooling": {"p": torch.tensor([2.7])}, "2_Dense": {"linear.weight": .4 * torch.randn(10, 36), "linear.bias": .2 * torch.randn(10)},
    "3_LayerNorm": {"norm.weight": 1 + .3 * torch.randn(10), "norm.bias": .2 * torch.randn(10)}, "5_Dense": {"linear.weight": .5 * torch.randn(7, 10)}}, head)


def batch(model, text, w):
    x = F.linear(seen(model, "encoder.layer.1", text)[-1], w["2_Dense/linear.weight"], w["2_Dense/linear.bias"])[None]
    x = F.batch_norm(x, *(w[f"3_BatchNorm/norm.{k}"] for k in ("running_mean", "running_var", "weight", "bias")), eps=1e-5)
    return F.linear(F.relu(x), w["4_Dense/linear.weight"], w["4_Dense/linear.bias"])[0]


directory("batch", [
    {"edit": "embedding", "node": "encoder.layer.1.output.LayerNorm"},
    {"edit": "pool", "name": "pooling", "pooling": "last"},
    {"edit": "linear", "name": "2_Dense", "out": 9, "bias": True},
    {"edit": "batch-norm", "name": "3_BatchNorm", "epsilon": 1e-5},
    {"edit": "activation", "name": "3_BatchNorm.activation", "activation": "relu"},
    {"edit": "linear", "name": "4_Dense", "out": 5, "bias": True},
    {"edit": "freeze", "nodes": "embeddings*"}], {
    "2_Dense": {"linear.weight": .4 * torch.randn(9, 20), "linear.bias": .2 * torch.randn(9)},
    "3_BatchNorm": {"norm.weight": 1 + .3 * torch.randn(9), "norm.bias": .2 * torch.randn(9), "norm.running_mean": .5 * torch.randn(9),
                    "norm.running_var": .5 + torch.rand(9)},
    "4_Dense": {"linear.weight": .5 * torch.randn(5, 9), "linear.bias": .1 * torch.randn(5)}}, batch)
# A classifier of pictures: ResNet, two classes; its last map is 2 x 2. Rows of NAME.csv are a.png, b.png, c.png.
os.makedirs("pictures")
y, x = np.mgrid[0:64, 0:64]
for k, name in enumerate("abc"):
    Image.fromarray(np.stack([(x * (k + 2) + c * y) // (k + 1) % 256 for c in range(3)], 2).astype("uint8")).save(f"pictures/{name}.png")
cats = ResNetForImageClassification(ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 12, 20], depths=[1, 1, 1, 1], layer_type="basic", num_labels=2,
                                                 id2label={0: "cat", 1: "dog"}, label2id={"cat": 0, "dog": 1}))
with torch.no_grad():
    for module in cats.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.uniform_(.5, 1.5), module.bias.uniform_(-.5, .5), module.running_mean.uniform_(-.3, .3), module.running_var.uniform_(.5, 2)
cats.save_pretrained("cats")
Path("cats/preprocessor_config.json").write_text(json.dumps(dict(image_processor_type="ViTImageProcessor", do_resize=True, size=dict(height=64, width=64), resample=2,
    do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[.5] * 3, image_std=[.5] * 3), indent=2) + "\n")
cats = cats.double().eval()
pixels = torch.stack([torch.from_numpy(np.array(Image.open(f"pictures/{n}.png"))).double().permute(2, 0, 1) / 255 for n in "abc"]) * 2 - 1
with torch.no_grad():
    out = cats.resnet(pixels, output_hidden_states=True)
for name, map, how in (("cats", out.last_hidden_state, lambda m: m.mean(1)), ("cats-gem", out.last_hidden_state, lambda m: gem(m.T, 3)),
                       ("cats-cut", out.hidden_states[2], lambda m: m.amax(1))):
    with open(f"{name}.csv", "w") as file:
        for m in map:
            file.write(",".join("%.9g" % v for v in how(m.flatten(1))) + "\n")
for path in Path(".").rglob("*.safetensors"):
    if not path.is_symlink():
        path.chmod(0o644)
