#!/usr/bin/env python3
"""A tiny ResNet with random weights, as transformers saves it, and pictures for it: what tests/pipe/images.t trains on.

transformers and Pillow; run in this directory. The pictures are of four kinds of stripes, each as another format in turn."""
import json
import os
import shutil

import numpy
import torch
import transformers
from PIL import Image

torch.manual_seed(0)
config = transformers.ResNetConfig(num_channels=3, embedding_size=4, hidden_sizes=[4, 6, 8, 8], depths=[1, 1, 1, 1], layer_type="basic")
shutil.rmtree("resnet", ignore_errors=True)
transformers.ResNetModel(config).save_pretrained("resnet")
with open("resnet/preprocessor_config.json", "w") as f:
    json.dump({"image_processor_type": "ConvNextImageProcessor", "do_resize": True, "size": {"shortest_edge": 24}, "crop_pct": 0.875, "resample": 3,
               "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}, f, indent=1)

random = numpy.random.default_rng(0)
shutil.rmtree("stripes", ignore_errors=True)
formats = ["png", "jpg", "bmp", "webp"]
for kind in range(4):
    os.makedirs(f"stripes/kind{kind}")
    for i in range(8):
        y, x = numpy.mgrid[0:20, 0:24 + i]
        wave = numpy.sin((x if kind % 2 else y) * (1.2 if kind < 2 else .5) + random.uniform(0, 6))
        pixels = 127 + 90 * wave[..., None] * random.uniform(.5, 1, 3) + random.normal(0, 12, (20, 24 + i, 3))
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(f"stripes/kind{kind}/{i}.{formats[i % 4]}", quality=90)
