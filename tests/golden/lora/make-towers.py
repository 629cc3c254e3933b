#!/usr/bin/env python3
"""make-towers.py - LoRA on both towers of the tiny CLIPModel of ../clip, as PEFT and PyTorch compute it.

Run in this directory after ../clip/make.py, with torch, transformers, peft (0.21) and Pillow. Weights are the hashes of ../vision/make.py, logit_scale's too.
Adapters of rank 3, alpha 7, on query and value, the first layer of each MLP and both projections; A and B are the same hashes, far from zero. Pairs are those of
tests/train/pair-world.h. Writes:

  towers/                  adapter_config.json and adapter_model.safetensors as PEFT saves them; the base model is called ../clip
  towers-steps.safetensors       A and B after three steps of AdamW on CLIPModel's own loss in float64 (stored as float32), under PEFT's names
  towers-gradients.safetensors   d loss / d A and B at the first
  towers.json              {"text", "image": [embedding of each, not at unit length], "loss", "norm", "scale": of each step, the last after it, "gradient":
                           of logit_scale at the first}

AdamW with decay .01, of A and B only, rate 1e-3, the norm over A, B and logit_scale clipped at 1."""
import json
import math
import os
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
here = os.path.dirname(os.path.abspath(__file__))
os.chdir(os.path.join(here, "../clip"))
source = open("make.py").read()
exec(compile(source[:source.index("# ---- transformers' CLIP ----")].replace("os.chdir(here)", ""), "make.py", "exec"), globals())
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessorPil
os.chdir(here)

CLIP = "../clip/clip/"
PAIRS = [("the cat sat on the mat", "kind0/0.png"), ("a dog", "kind1/0.png"), ("play my music", "kind2/0.png"), ("my balance", "kind3/0.png")]
torch.set_num_threads(1)


def prepared_pictures():
    ready = json.load(open(CLIP + "preprocessor_config.json"))
    ready.pop("image_processor_type")
    pictures = [Image.open("../pictures/stripes/" + name).convert("RGB") for _, name in PAIRS]
    raw = CLIPImageProcessorPil(**dict(ready, do_rescale=False, do_normalize=False))(pictures, return_tensors="pt")["pixel_values"].double()
    mean, std = (torch.tensor(ready[k], dtype=torch.float64).view(3, 1, 1) for k in ("image_mean", "image_std"))
    return (raw / 255 - mean) / std


model = fill(CLIPModel(CLIPConfig(**json.load(open(CLIP + "config.json")))).eval())
with torch.no_grad():
    model.logit_scale.fill_(float(number("logit_scale", (1,))[0]))
model = get_peft_model(model, LoraConfig(r=3, lora_alpha=7, lora_dropout=0., bias="none",
                                         target_modules=["q_proj", "v_proj", "fc1", "text_projection", "visual_projection"])).double().eval()
named = [(k.replace(".default", ""), p) for k, p in model.named_parameters() if p.requires_grad]
assert {k for k, _ in named} == set(get_peft_model_state_dict(model))
with torch.no_grad():
    for k, p in named:
        p.copy_(torch.from_numpy((.2 * uniform(k, p.numel())).astype(np.float32)).reshape(p.shape))
shutil.rmtree("towers", ignore_errors=True)
torch.set_default_dtype(torch.float32)
model.float().save_pretrained("towers")
model.double()
torch.set_default_dtype(torch.float64)
Path("towers/README.md").unlink(missing_ok=True)
config = json.loads(Path("towers/adapter_config.json").read_text())
config["base_model_name_or_path"] = "../clip"
config["target_modules"].sort()
Path("towers/adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
Path("towers/adapter_model.safetensors").chmod(0o644)

named = [(k.replace(".default", ""), p) for k, p in model.named_parameters() if p.requires_grad]
scale = model.base_model.model.logit_scale.requires_grad_(True)
tokens = PreTrainedTokenizerFast(tokenizer_file="../tokenizer/general/clip-hf.json", pad_token="<|endoftext|>")(
    [text for text, _ in PAIRS], padding=True, truncation=True, max_length=20, return_tensors="pt")
pixel_values = prepared_pictures()
out = {"text": model.get_text_features(**tokens).pooler_output.tolist(), "image": model.get_image_features(pixel_values).pooler_output.tolist(),
       "loss": [], "norm": [], "scale": []}
optimizer = torch.optim.AdamW([dict(params=[p for _, p in named], weight_decay=.01), dict(params=[scale], weight_decay=0.)], lr=1e-3)
for step in range(3):
    optimizer.zero_grad()
    loss = model(pixel_values=pixel_values, return_loss=True, **{k: v for k, v in tokens.items() if k != "token_type_ids"}).loss
    loss.backward()
    if step == 0:
        save_file({k: p.grad.float().contiguous() for k, p in named}, "towers-gradients.safetensors")
        out["gradient"] = scale.grad.item()
    out["loss"].append(loss.item())
    out["norm"].append(torch.nn.utils.clip_grad_norm_([p for _, p in named] + [scale], 1.).item())
    optimizer.step()
    scale.data.clamp_(0, math.log(100))
    out["scale"].append(scale.item())
save_file({k: p.detach().float().contiguous() for k, p in named}, "towers-steps.safetensors")
for path in Path(".").glob("towers-*.safetensors"):
    path.chmod(0o644)
Path("towers.json").write_text(json.dumps(out) + "\n")
print(out["loss"], out["norm"], out["scale"], out["gradient"], file=sys.stderr)
