#!/usr/bin/env python3
"""What the image processors of CLIP models make of picture files of odd sizes and modes, from the file to the numbers that the model gets.

    python3 make-models.py      writes odd/* and models.txt beside itself

models.txt, a line each: a name; preprocessor_config.json or, of a name that begins with open_clip, a size and preprocess_cfg, without blanks; the file; height
and width; of the numbers [height, width, 3] their sum in each channel and that times sin(i + 1), i over all of them, then every (count / 25)-th one.
Made with transformers 5.23.0, open_clip_torch 3.3.0, torchvision 0.29.2, Pillow 13.0.0.

Pictures become RGB first, by Pillow's convert("RGB"), as the loaders did that these models were trained with (open_clip: "pilrgb").
The libraries differ there among themselves, and what is printed says by how much:
- transformers 5 puts what is transparent onto white, before 5 it dropped it;
- open_clip resizes first: pictures with a palette or of 1 bit by nearest neighbour, whatever was asked, and transparent ones weighed by their opacity.
transformers' processors are those on Pillow; the fast ones resize with torchvision's kernels for bytes, which round otherwise. CLIP was made with Pillow."""
import json, os, sys
import numpy, torch
from PIL import Image
from open_clip.transform import PreprocessCfg, image_transform_v2
import transformers

here = os.path.dirname(os.path.abspath(__file__))
KEPT = 25


def waves(width, height, seed):
    """Smooth, with edges and some noise, so that filters show."""
    y, x = numpy.mgrid[0:height, 0:width]
    noise = numpy.random.default_rng(seed)
    out = [127 + 80 * numpy.sin(x * .31 * (c + 1) + seed) * numpy.cos(y * .23 + c) + 40 * ((x // 5 + y // 7) % 2 - .5) for c in range(3)]
    return (numpy.stack(out, 2) + noise.normal(0, 10, (height, width, 3))).clip(0, 255).astype("uint8")


def plain(file):
    """A converted picture still says which of its colours was transparent."""
    return Image.fromarray(numpy.asarray(file.convert("RGB")))


def write_pictures():
    def rgb(width, height, seed):
        return Image.fromarray(waves(width, height, seed))

    def opacity(width, height):
        return Image.fromarray((127 + 140 * numpy.sin(numpy.add.outer(numpy.arange(height) * .3, numpy.arange(width) * .2))).clip(0, 255).astype("uint8"))

    def with_opacity(image):
        image.putalpha(opacity(*image.size))
        return image

    pictures = {
        "portrait.png": rgb(23, 41, 1), "landscape.bmp": rgb(57, 19, 2), "small.png": rgb(5, 7, 3), "high.png": rgb(1, 37, 4), "flat.png": rgb(61, 1, 5),
        "dot.bmp": rgb(1, 1, 6), "square.png": rgb(16, 16, 7), "large.webp": rgb(180, 131, 8), "odd.jpg": rgb(33, 50, 9),
        "grey.png": rgb(20, 26, 10).convert("L"), "grey-alpha.png": with_opacity(rgb(18, 25, 11).convert("L")), "alpha.png": with_opacity(rgb(30, 22, 12)),
        "palette.png": rgb(31, 27, 13).quantize(40), "palette.gif": rgb(26, 35, 14).quantize(17), "bits.png": rgb(33, 18, 15).convert("1"),
    }
    pictures["palette-clear.png"] = rgb(24, 29, 16).quantize(9)
    os.makedirs(os.path.join(here, "odd"), exist_ok=True)
    for name, image in pictures.items():
        image.save(os.path.join(here, "odd", name), **({"quality": 60} if name.endswith(("jpg", "webp")) else {"transparency": 3} if "clear" in name else {}))
    return list(pictures)


# openai/clip-vit-base-patch32's file, OFA-Sys/chinese-clip's, google/siglip-base-patch16-224's, and small ones
TRANSFORMERS = [
    ("clip", "CLIP", {"crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True, "image_mean": [.48145466, .4578275, .40821073],
                      "image_std": [.26862954, .26130258, .27577711], "resample": 3, "size": 224}),
    ("clip-15", "CLIP", {"size": {"shortest_edge": 15}, "crop_size": {"height": 15, "width": 15}}),
    ("clip-crop", "CLIP", {"size": {"shortest_edge": 20}, "crop_size": {"height": 15, "width": 17}, "resample": 2}),
    ("chinese-clip", "ChineseCLIP", {"do_center_crop": False, "do_normalize": True, "do_resize": True, "image_mean": [.48145466, .4578275, .40821073],
                                     "image_std": [.26862954, .26130258, .27577711], "resample": 3, "size": {"height": 224, "width": 224}}),
    ("chinese-clip-14", "ChineseCLIP", {"size": {"shortest_edge": 14}, "crop_size": {"height": 14, "width": 14}}),
    ("siglip", "Siglip", {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [.5, .5, .5], "image_std": [.5, .5, .5], "resample": 3,
                          "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 224}}),
    ("siglip-bilinear", "Siglip", {"resample": 2, "size": {"height": 18, "width": 13}}),
]
# ViT-B-32, ViT-B-16-SigLIP, MobileCLIP-S1, and modes that few models have
OPEN_CLIP = [
    ("vit-b-32", 224, {}),
    ("shortest-bilinear", 15, {"mean": [0., 0., 0.], "std": [1., 1., 1.], "interpolation": "bilinear", "resize_mode": "shortest"}),
    ("siglip", 224, {"mean": [.5, .5, .5], "std": [.5, .5, .5], "interpolation": "bicubic", "resize_mode": "squash"}),
    ("squash-bilinear", 13, {"interpolation": "bilinear", "resize_mode": "squash"}),
    ("longest", 24, {"resize_mode": "longest"}),
    ("longest-grey", 17, {"mean": [.5, .5, .5], "std": [.5, .5, .5], "interpolation": "bilinear", "resize_mode": "longest", "fill_color": 127}),
]
apart = {}


def note(what, name, one, other):
    """In 255ths of the picture's own scale."""
    key = what, name
    apart[key] = max(apart.get(key, 0), float(abs(one - other).max()))


def line(out, head, name, values):
    """values: [height, width, 3] floats."""
    flat = values.astype(numpy.float64).ravel()
    sums = [*values.astype(numpy.float64).sum((0, 1)), (flat * numpy.sin(numpy.arange(len(flat)) + 1)).sum()]
    print(head, name, *values.shape[:2], *("%.12g" % v for v in sums), *("%.9g" % v for v in flat[::len(flat) // KEPT][:KEPT]), file=out)


def levels(values, mean, std):
    return numpy.rint((values * numpy.array(std) + numpy.array(mean)) * 255)


def main():
    names = write_pictures()
    out = open(os.path.join(here, "models.txt"), "w")
    for name, kind, settings in TRANSFORMERS:
        said = dict(settings, image_processor_type=kind + "ImageProcessor")
        pillow, fast = (getattr(transformers, kind + "ImageProcessor" + end)(**settings) for end in ("Pil", ""))
        scale = pillow.image_mean, pillow.image_std
        for picture in names:
            file = Image.open(os.path.join(here, "odd", picture))
            first, raw, quick = (p(i, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
                                 for p, i in ((pillow, plain(file)), (pillow, file), (fast, plain(file))))
            note("transformers, the file itself", picture, levels(first, *scale), levels(raw, *scale))
            note("transformers, fast processors", picture, levels(first, *scale), levels(quick, *scale))
            line(out, "transformers-%s %s" % (name, json.dumps(said, separators=(",", ":"))), picture, first)
    for name, size, settings in OPEN_CLIP:
        config = PreprocessCfg(size=size, **settings)
        transform = image_transform_v2(config, is_train=False)
        for picture in names:
            file = Image.open(os.path.join(here, "odd", picture))
            try:
                first, raw = (transform(i).numpy().transpose(1, 2, 0) for i in (plain(file), file))
            except ValueError as error:           # a line of which `longest` leaves nothing
                print(name, picture, error, file=sys.stderr)
                continue
            note("open_clip, the file itself", picture, levels(first, config.mean, config.std), levels(raw, config.mean, config.std))
            line(out, "open_clip-%s %d %s" % (name, size, json.dumps(settings, separators=(",", ":"))), picture, first)
    for (what, picture), most in apart.items():
        if most:
            print("%s: %s differs by %d of 255" % (what, picture, most))


main()
