"""Embeddings, gradients and running statistics of image models in float64: expected.txt, and the directories and names of tiny transformers models.

python make.py     (torch, transformers, torchvision, timm, efficientnet_lite_pytorch)

Weights and pixels are hashes, so that no file of them is kept: see number() and pixels(), which tests/model/vision-names.h repeats. The loss is
sum sin(7 i + 3 j + 1) e_ij. Of an embedding every k-th number is kept, of the gradient of a tensor its length and its product with numbers of a hash.

    case NAME LIBRARY ARCHITECTURE SIZE eval|train    a model; train: batch norms by the batch
    e ...            item 0, 1, ...: every (dim / KEPT)-th number
    g NAME X LENGTH  gradient
    s NAME X LENGTH  train: a running mean or variance after the batch
"""
import json, os, re, sys
import numpy as np, torch
import timm, torchvision
from transformers import (ResNetConfig, ResNetModel, EfficientNetConfig, EfficientNetModel, ViTConfig, ViTModel)
from efficientnet_lite_pytorch import EfficientNet

ITEMS, KEPT = 4, 16
torch.set_default_dtype(torch.float64)

def mix(x):
    x = x ^ (x >> np.uint32(16)); x = x * np.uint32(0x7feb352d)
    x = x ^ (x >> np.uint32(15)); x = x * np.uint32(0x846ca68b)
    return x ^ (x >> np.uint32(16))

def name_hash(name):
    h = 2166136261
    for c in name.encode():
        h = (h ^ c) * 16777619 & 0xffffffff
    return h

def uniform(name, count):
    """Numbers k = 0, 1, ... of `name`, from -1 to 1."""
    k = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(name_hash(name))
    return mix(k).astype(np.float64) / 2147483648.0 - 1

def number(name, shape):
    count = int(np.prod(shape))
    u = uniform(name, count)
    if name.endswith("running_var"):
        u = 1 + .4 * u
    elif name.endswith("running_mean") or name.endswith("bias"):
        u = .1 * u
    elif len(shape) == 1:
        u = 1 + .2 * u
    elif len(shape) == 3:
        u = .5 * u
    else:
        u = u * np.sqrt((8.0 if len(shape) == 4 and shape[1] == 1 else 6.0) / (count // shape[0]))
    return u.astype(np.float32).reshape(shape)

def pixels(size):
    """Squares of 8 x 8 in one color, with noise."""
    i, y, x, c = np.meshgrid(*(np.arange(n, dtype=np.uint32) for n in (ITEMS, size, size, 3)), indexing="ij")
    def byte(a, b, d, e):
        return mix(((a * np.uint32(4096) + b) * np.uint32(4096) + d) * np.uint32(4) + e) & np.uint32(255)
    return ((byte(i, y // 8, x // 8, c) * 3 + byte(i + 100, y, x, c)) // 4).astype(np.uint8)

def in_file(key):
    """transformers 5 has other names for ViT's tensors than it writes."""
    for a, b in (("^layers", "encoder.layer"), (r"attention.q_proj", "attention.attention.query"), (r"attention.k_proj", "attention.attention.key"),
                 (r"attention.v_proj", "attention.attention.value"), (r"attention.o_proj", "attention.output.dense"), (r"mlp.fc1", "intermediate.dense"),
                 (r"mlp.fc2", "output.dense")) if key.startswith("layers.") else ():
        key = re.sub(a, b, key)
    return key

def fill(model):
    for key, value in model.state_dict().items():
        if value.ndim:
            value.copy_(torch.from_numpy(number(in_file(key), tuple(value.shape)).astype(np.float64)))
    return model.double()

out, names = [], []

def case(name, library, architecture, size, model, embed, train=False, keep=lambda k: True):
    fill(model)
    model.zero_grad()
    model.train(train)
    mean, std = torch.tensor([.485, .456, .406]), torch.tensor([.229, .224, .225])
    x = ((torch.from_numpy(pixels(size)).double() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
    e = embed(model, x)
    n, d = e.shape
    i, j = torch.meshgrid(torch.arange(n).double(), torch.arange(d).double(), indexing="ij")
    (torch.sin(7 * i + 3 * j + 1) * e).sum().backward()
    out.append(f"case {name} {library} {architecture} {size} {'train' if train else 'eval'}")
    e = e.detach().numpy()
    for row in e:
        out.append("e " + " ".join(f"{v:.8g}" for v in row[::d // KEPT][:KEPT]))
    def line(kind, key, value):
        value = value.detach().numpy().ravel()
        out.append(f"{kind} {key} {value @ uniform('of ' + key, value.size):.8g} {np.linalg.norm(value):.8g}")
    for key, p in model.named_parameters():
        if p.grad is not None:
            line("g", in_file(key), p.grad)
    if train:
        for key, value in model.state_dict().items():
            if key.endswith("running_mean") or key.endswith("running_var"):
                line("s", key, value)
    spread = np.linalg.norm(e - e.mean(0)) / np.linalg.norm(e)
    print(name, "train" if train else "eval", e.shape, "largest", abs(e).max(), "spread", spread, file=sys.stderr)

def list_names(architecture, model):
    state, before = model.state_dict(), ""
    names.append(f"= transformers {architecture}")
    for key, value in state.items():
        key = in_file(key)
        stem = key.rsplit(".", 1)[0]
        if stem + ".running_mean" in state:
            if not key.endswith(".weight"):
                continue
            key = stem + ".*"
        shared = len(os.path.commonprefix([key, before]))
        names.append(f"{shared} {key[shared:]} {','.join(map(str, value.shape))}")
        before = key

def tiny(name, model, embed, size, train):
    os.makedirs(name, exist_ok=True)
    config = {k: v for k, v in model.config.to_diff_dict().items() if k not in ("transformers_version", "dtype", "torch_dtype", "architectures")}
    config["model_type"] = model.config.model_type
    json.dump(config, open(f"{name}/config.json", "w"), indent=1)
    json.dump({"image_processor_type": "ViTImageProcessor", "size": {"height": size, "width": size}, "image_mean": [.485, .456, .406],
               "image_std": [.229, .224, .225]}, open(f"{name}/preprocessor_config.json", "w"), indent=1)
    list_names(name, model)
    for t in ((False, True) if train else (False,)):
        case(name, "transformers", name, size, model, embed, t)

pooled = lambda m, x: m(x).pooler_output.flatten(1)
small = dict(embedding_size=8, depths=[1, 2, 1, 1])
tiny("resnet-basic", ResNetModel(ResNetConfig(hidden_sizes=[8, 12, 16, 20], layer_type="basic", downsample_in_first_stage=True, **small)), pooled, 67, True)
tiny("resnet-bottleneck", ResNetModel(ResNetConfig(hidden_sizes=[16, 24, 32, 40], **small)), pooled, 64, True)
tiny("resnet-first", ResNetModel(ResNetConfig(hidden_sizes=[16, 24, 32, 40], downsample_in_bottleneck=True, **small)), pooled, 61, False)
efficient = dict(width_coefficient=.25, hidden_dim=320, depth_coefficient=.5, drop_connect_rate=0., image_size=64)
tiny("efficientnet", EfficientNetModel(EfficientNetConfig(**efficient)), pooled, 64, True)
tiny("efficientnet-padding", EfficientNetModel(EfficientNetConfig(depthwise_padding=[1, 3, 5], batch_norm_momentum=.2, **efficient)), pooled, 71, True)
tiny("vit", ViTModel(ViTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=48, patch_size=8), add_pooling_layer=False),
     lambda m, x: m(x).last_hidden_state[:, 0], 48, False)

head = lambda m, x: m.forward_head(m.forward_features(x), pre_logits=True)
for a, size, train in (("efficientnet_b0", 75, False), ("tf_efficientnet_lite0", 75, True), ("vit_tiny_patch16_224", 224, False)):
    case("timm", "timm", a, size, timm.create_model(a), head, train)
for a, part in (("resnet18", "fc"), ("efficientnet_b0", "classifier")):
    m = getattr(torchvision.models, a)()
    setattr(m, part, torch.nn.Identity())
    case("torchvision", "torchvision", a, 75, m, lambda m, x: m(x).flatten(1))
for a in ("efficientnet_b0", "efficientnet_lite0"):
    m = EfficientNet.from_name(a.replace("_", "-"), image_size=76)
    case("lukemelas", "lukemelas", a, 76, m, lambda m, x: m.extract_features(x).mean((2, 3)))
open("expected.txt", "w").write("\n".join(out) + "\n")
open("names-tiny.txt", "w").write("\n".join(names) + "\n")
