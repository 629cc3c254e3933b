"""images.py embed|train MODEL fp32|bf16 [BATCH] [SECONDS] [keep|train]: a timm model in torch, channels last, the peer of bench/images.c; THREADS=2.

MODEL may be clip: transformers' CLIPModel, ViT-B/32, over BATCH pairs of an image and a text of 16 tokens. Weights and images are random, the head is off. A step of training: forward, softmax both ways over the cosines of pairs, backward, AdamW. keep: batch
norms go by their running statistics, train (the default): by the batch's. bf16 is autocast. One line, of steps over one batch until SECONDS have passed
after one that does not count; the memory is the process's largest.
"""
import os, resource, sys, time
import torch
from torch.nn.functional import cross_entropy, normalize

what, name, precision = sys.argv[1:4]
batch, seconds, norm = (sys.argv[4:] + ["16", "2", "train"][len(sys.argv) - 4:])[:3]
batch, seconds = int(batch), float(seconds)
torch.set_num_threads(int(os.environ.get("THREADS", 2)))
torch.manual_seed(0)
pixels = torch.randn(batch, 3, 224, 224).to(memory_format=torch.channels_last)
if name == "clip":
    from transformers import CLIPConfig, CLIPModel

    model = CLIPModel(CLIPConfig()).train(what == "train")
    ids = torch.randint(0, 49000, (batch, 16))
    ids[:, -1] = 49407
else:
    import timm

    model = timm.create_model(name, num_classes=0).to(memory_format=torch.channels_last).train(what == "train")
if norm == "keep":
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5) if what == "train" else None


def forward():
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        if name == "clip":
            output = model(input_ids=ids, pixel_values=pixels)
            return output.text_embeds, output.image_embeds
        embedding = normalize(model(pixels).float(), dim=1) if what == "train" else model(pixels)
        return embedding[0::2], embedding[1::2]


def step():
    if not optimizer:
        with torch.inference_mode():
            return forward()
    one, other = forward()
    logits = one.float() @ other.float().T * 20
    target = torch.arange(len(logits))
    loss = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


step()
steps, start = 0, time.monotonic()
while steps < 2 or time.monotonic() - start < seconds:
    step()
    steps += 1
took = time.monotonic() - start
print(f"torch: {steps * batch} images, {steps * batch / took:.2f} images/s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
