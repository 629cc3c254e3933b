#!/usr/bin/env python3
"""make.py - two towers trained by torch: a tiny BERT and a tiny ResNet, each with a projection without bias, by the loss of CLIP.

Run in this directory with torch, transformers, safetensors, Pillow, and FT set to a built ft-tailor: the towers begin as
`ft-tailor -m ../model/mean -m ../pictures/resnet --dim 6 --seed 5` makes them (torch's own uniform numbers are another generator's).

  towers.txt     lines "KEY NUMBER..." in float64, %.17g
      text I, image I    the embedding of pair I before training
      loss, norm, scale  of each of five steps of AdamW (decay .01, none on biases and norms; rate 1e-3 constant; norm clipped at 1), and logit_scale after it
      gradient NAME      of the first step: norm, sum, and sum of w_i g_i, w_i = sin(i + 1), over the tensor as it lies in its file
      after NAME         the change by five steps, the same three numbers

NAME is FILE/TENSOR: text/encoder.layer.0..., text/2_Dense/linear.weight, image/..., and loss/logit_scale. Batch norms keep their running statistics.
PAIRS are those of tests/train/test-towers.c. Without dropout, in float64."""
import math
import os
import subprocess
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

PAIRS = [("the cat sat on the mat", "kind0/0"), ("a dog", "kind1/0"), ("play my music", "kind2/0"), ("what is my balance", "kind3/0"),
         ("edit photo", "kind0/4"), ("new word in time", "kind1/4")]

torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as work:
    both = work + "/both"
    subprocess.run([os.environ.get("FT", "../../../bin/ft-tailor"), "-q", "-m", "../model/mean", "-m", "../pictures/resnet", "--dim", "6", "--seed", "5", "-o", both],
                   check=True)
    text_dense = load_file(both + "/text/2_Dense/model.safetensors")["linear.weight"].double()
    image_dense = load_file(both + "/image/model.safetensors").get("linear.weight")
    if image_dense is None:
        image_dense = load_file(both + "/image/2_Dense/model.safetensors")["linear.weight"]
text_dense = torch.nn.Parameter(text_dense)
image_dense = torch.nn.Parameter(image_dense.double())
text = AutoModel.from_pretrained("../model/mean", add_pooling_layer=False).double().eval()
image = AutoModel.from_pretrained("../pictures/resnet").double().eval()
tokenizer = AutoTokenizer.from_pretrained("../model/mean")
config = __import__("json").load(open("../pictures/resnet/preprocessor_config.json"))


def pixels(name):
    """As ConvNextImageProcessor does below 384: shorter side to size / crop_pct, the middle of it."""
    picture = Image.open(f"../pictures/stripes/{name}.png").convert("RGB")
    size = config["size"]["shortest_edge"]
    short = int(size / config["crop_pct"])
    w, h = picture.size
    new = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
    picture = picture.resize(new, config["resample"])
    left, top = (new[0] - size) // 2, (new[1] - size) // 2
    x = numpy.asarray(picture.crop((left, top, left + size, top + size)), dtype="float64")
    mean, std = numpy.array(config["image_mean"]), numpy.array(config["image_std"])
    return torch.tensor(((x * config["rescale_factor"] - mean) / std).transpose(2, 0, 1))


images = torch.stack([pixels(name) for _, name in PAIRS])
processor = AutoImageProcessor.from_pretrained("../pictures/resnet")
theirs = processor([Image.open(f"../pictures/stripes/{n}.png").convert("RGB") for _, n in PAIRS], return_tensors="pt")["pixel_values"].double()
print("pixels, ours and transformers':", (images - theirs).abs().max().item())


def embed_text(one):
    out = text(**tokenizer(one, return_tensors="pt", truncation=True, max_length=tokenizer.model_max_length if tokenizer.model_max_length < 1000 else 512))
    return torch.nn.functional.normalize(out.last_hidden_state[0].mean(0) @ text_dense.T, dim=0)


def embed_all():
    return torch.stack([embed_text(t) for t, _ in PAIRS]), \
        torch.nn.functional.normalize(image(images).last_hidden_state.mean((2, 3)) @ image_dense.T, dim=1)


scale = torch.nn.Parameter(torch.tensor(math.log(1 / .07), dtype=torch.float64))
named = [("text/" + k, p) for k, p in text.named_parameters()] + [("text/2_Dense/linear.weight", text_dense)] + \
        [("image/" + k, p) for k, p in image.named_parameters()] + [("image/2_Dense/linear.weight", image_dense)]
plain = [p for k, p in named if p.dim() < 2]
decayed = [p for k, p in named if p.dim() >= 2]
optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=0.01), dict(params=plain, weight_decay=0.0), dict(params=[scale], weight_decay=0.0)], lr=1e-3)
begin = {k: p.detach().clone() for k, p in named}
out = open("towers.txt", "w")


def line(key, numbers):
    out.write(key + "".join(" %.17g" % float(n) for n in numbers) + "\n")


def three(x):
    x = x.detach().flatten()
    w = torch.sin(torch.arange(1, len(x) + 1, dtype=torch.float64))
    return x.norm(), x.sum(), (w * x).sum()


losses, norms, scales = [], [], []
for step in range(5):
    optimizer.zero_grad()
    a, b = embed_all()
    if step == 0:
        for i in range(len(PAIRS)):
            line(f"text {i}", a[i])
            line(f"image {i}", b[i])
    logits = scale.exp() * a @ b.T
    target = torch.arange(len(PAIRS))
    loss = (torch.nn.functional.cross_entropy(logits, target) + torch.nn.functional.cross_entropy(logits.T, target)) / 2
    loss.backward()
    if step == 0:
        for k, p in named:
            line("gradient " + k, three(p.grad))
        line("gradient loss/logit_scale", [scale.grad])
    norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in named] + [scale], 1.0))
    optimizer.step()
    scale.data.clamp_(0, math.log(100))
    losses.append(loss)
    scales.append(scale.detach().clone())
line("loss", losses)
line("norm", norms)
line("scale", scales)
for k, p in named:
    line("after " + k, three(p - begin[k]))
out.close()
