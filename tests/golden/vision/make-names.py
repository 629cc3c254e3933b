"""Names and shapes of every tensor of the image architectures, as their libraries have them: names.txt.

python make-names.py     (torchvision, timm, efficientnet_lite_pytorch, which has EfficientNet-PyTorch's own as well)

"= LIBRARY ARCHITECTURE" begins a model. A line is "K REST SHAPE": the name is K characters of the one before it and REST. A batch norm is one line, whose
REST ends in "*": weight, bias, running_mean, running_var of that length, and num_batches_tracked.
"""
import os.path
import torch, timm, torchvision
from efficientnet_lite_pytorch import EfficientNet

out = []
def add(library, name, model):
    state, before = model.state_dict(), ""
    out.append(f"= {library} {name}")
    for key, value in state.items():
        stem, last = key.rsplit(".", 1) if "." in key else ("", key)
        if stem + ".running_mean" in state:
            if last != "weight":
                continue
            key = stem + ".*"
        shared = len(os.path.commonprefix([key, before]))
        out.append(f"{shared} {key[shared:]} {','.join(map(str, value.shape))}")
        before = key

with torch.device("meta"):
    for n in (18, 34, 50, 101, 152):
        add("torchvision", f"resnet{n}", getattr(torchvision.models, f"resnet{n}")())
    for n in range(8):
        add("torchvision", f"efficientnet_b{n}", getattr(torchvision.models, f"efficientnet_b{n}")())
        add("timm", f"efficientnet_b{n}", timm.create_model(f"efficientnet_b{n}"))
        add("lukemelas", f"efficientnet_b{n}", EfficientNet.from_name(f"efficientnet-b{n}"))
    for n in range(5):
        add("timm", f"tf_efficientnet_lite{n}", timm.create_model(f"tf_efficientnet_lite{n}"))
        add("lukemelas", f"efficientnet_lite{n}", EfficientNet.from_name(f"efficientnet-lite{n}"))
    for n in ("b_16", "b_32", "l_16", "l_32"):
        add("torchvision", f"vit_{n}", getattr(torchvision.models, f"vit_{n}")())
    for n in ("tiny_patch16", "small_patch32", "base_patch16", "base_patch32", "large_patch16", "large_patch32"):
        add("timm", f"vit_{n}_224", timm.create_model(f"vit_{n}_224"))
open("names.txt", "w").write("\n".join(out) + "\n")
