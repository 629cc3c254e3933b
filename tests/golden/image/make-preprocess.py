#!/usr/bin/env python3
"""What transformers' image processors, timm and torchvision make of a picture.

    python3 make-preprocess.py      writes preprocess.txt and augment.txt beside itself

preprocess.txt: name, config.json or -, preprocessor_config.json or -, both without blanks, width, height, then of what comes out height, width, the
bytes in hex before they are scaled, and the first pixel as the model gets it. Pictures are those of make.py's generator, always with noise.
augment.txt: function, width, height, parameter, the bytes in hex; and `crop`: width, height, means over 400,000 draws of the width, height, left
and top of torchvision's RandomResizedCrop. Made with transformers 5.23.0 (its Pillow back end), timm 1.0.31, torchvision 0.29.2."""
import importlib, json, os, tempfile
import numpy, torch
from PIL import Image
from timm.data import create_transform
from torchvision import transforms
from torchvision.transforms import functional

here = os.path.dirname(os.path.abspath(__file__))


def generated(width, height):
    state, out = width * 1000 + height, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) % 2 ** 32
        out.append(state >> 24)
    return Image.frombytes('RGB', (width, height), bytes(out))


def processor(kind, config):
    module = importlib.import_module('transformers.models.%s.image_processing_pil_%s' % (kind.lower(), kind.lower()))
    return getattr(module, kind + 'ImageProcessorPil')(**config)


# name, class, how the file says so (None: model_type in config.json), settings, width, height of the picture
CASES = [
    ('vit', 'ViT', 'image_processor_type', {'size': {'height': 12, 'width': 10}, 'resample': 2}, 19, 14),
    ('vit-2021', 'ViT', None, {'size': 11, 'image_mean': [.5, .5, .5], 'image_std': [.5, .5, .5]}, 14, 25),
    ('vit-values', 'ViT', 'image_processor_type', {'size': 6, 'do_rescale': False, 'image_mean': [100, 120, 130], 'image_std': [50, 60, 70]}, 9, 9),
    ('vit-bare', 'ViT', 'image_processor_type', {'size': 6, 'do_normalize': False, 'resample': 0}, 9, 13),
    ('deit', 'DeiT', 'image_processor_type', {'size': {'height': 16, 'width': 16}, 'crop_size': {'height': 13, 'width': 12}, 'resample': 3}, 20, 15),
    ('beit', 'Beit', 'image_processor_type', {'size': 16, 'do_center_crop': True, 'crop_size': 9, 'resample': 3}, 20, 15),
    ('clip', 'CLIP', 'feature_extractor_type', {'size': 12, 'crop_size': 12, 'do_center_crop': True, 'resample': 3}, 31, 22),
    ('clip-high', 'CLIP', None, {'size': {'shortest_edge': 12}, 'crop_size': {'height': 12, 'width': 12}}, 13, 37),
    ('clip-padded', 'CLIP', 'image_processor_type', {'size': {'shortest_edge': 8}, 'crop_size': {'height': 15, 'width': 12}}, 13, 11),
    ('clip-as-it-is', 'CLIP', 'image_processor_type', {'do_resize': False, 'crop_size': {'height': 10, 'width': 15}}, 12, 13),
    ('bit', 'Bit', None, {'size': {'shortest_edge': 14}, 'crop_size': {'height': 11, 'width': 11}, 'resample': 3}, 40, 21),
    ('siglip', 'Siglip', 'image_processor_type', {'size': {'height': 13, 'width': 13}}, 8, 10),
    ('resnet', 'ConvNext', None, {'size': 14, 'crop_pct': .875, 'resample': 3, 'image_mean': [.485, .456, .406], 'image_std': [.229, .224, .225]}, 50, 33),
    ('convnext', 'ConvNext', 'image_processor_type', {'size': {'shortest_edge': 9}}, 20, 31),
    ('efficientnet', 'EfficientNet', 'image_processor_type', {'size': {'height': 12, 'width': 12}, 'resample': 0}, 17, 12),
    ('efficientnet-offset', 'EfficientNet', None, {'size': 14, 'do_center_crop': True, 'crop_size': 11, 'rescale_offset': True,
                                                   'rescale_factor': 1 / 127.5, 'include_top': False, 'resample': 2}, 17, 12),
]
TIMM = [
    ('timm', {'input_size': [3, 12, 12], 'crop_pct': .9, 'interpolation': 'bicubic', 'mean': [.485, .456, .406], 'std': [.229, .224, .225]}, 27, 19),
    ('timm-odd', {'input_size': [3, 11, 11], 'crop_pct': .8, 'interpolation': 'bilinear', 'mean': [.5, .5, .5], 'std': [.5, .5, .5], 'crop_mode': 'center'}, 22, 31),
    ('timm-squash', {'input_size': [3, 12, 12], 'crop_pct': 1.0, 'interpolation': 'bilinear', 'mean': [.4, .5, .6], 'std': [.2, .3, .4], 'crop_mode': 'squash'}, 27, 19),
]
MODELS = {'ViT': 'vit', 'CLIP': 'clip', 'Bit': 'dinov2', 'ConvNext': 'resnet', 'EfficientNet': 'efficientnet'}


def text(value):
    return json.dumps(value, separators=(',', ':')) if value is not None else '-'


def line(out, name, model, config, image, pixels, values):
    """pixels: [height, width, 3] bytes; values: the same as the model gets them."""
    print(name, text(model), text(config), *image.size, *pixels.shape[:2], pixels.astype(numpy.uint8).tobytes().hex(),
          *('%.9g' % v for v in values[0, 0]), file=out)


def write_preprocess(out):
    for name, kind, key, settings, width, height in CASES:
        image = generated(width, height)
        said = dict(settings)
        if key:
            said[key] = kind + ('ImageProcessor' if key == 'image_processor_type' else 'FeatureExtractor')
        bytes_only = dict(settings, do_rescale=False, do_normalize=False, **({'include_top': False, 'rescale_offset': False} if kind == 'EfficientNet' else {}))
        got = [processor(kind, s)(image, return_tensors='np')['pixel_values'][0].transpose(1, 2, 0) for s in (bytes_only, settings)]
        line(out, name, None if key else {'model_type': MODELS[kind]}, said, image, *got)
    for name, config, width, height in TIMM:
        image = generated(width, height)
        size, keys = config['input_size'], {k: config[k] for k in config if k != 'input_size'}
        transform = create_transform(input_size=tuple(size), is_training=False, **keys)
        values = transform(image).numpy().transpose(1, 2, 0)
        pixels = numpy.rint((values * numpy.array(config['std']) + numpy.array(config['mean'])) * 255)
        line(out, name, {'architecture': 'x', 'pretrained_cfg': config}, None, image, pixels, values)
    weights = transforms.Compose([transforms.Resize(14), transforms.CenterCrop(11), transforms.ToTensor(), transforms.Normalize([.485, .456, .406], [.229, .224, .225])])
    image = generated(30, 23)
    values = weights(image).numpy().transpose(1, 2, 0)
    line(out, 'torchvision', None, None, image, numpy.rint((values * [.229, .224, .225] + numpy.array([.485, .456, .406])) * 255), values)


def write_augment(out):
    for width, height in ((9, 7), (16, 20)):
        image = torch.from_numpy(numpy.array(generated(width, height)).transpose(2, 0, 1).copy())
        if width == 16:
            image = image // 64 * 64     # greys and ties of channels
        for name, parameters in (('brightness', (0, .6, 1.4)), ('contrast', (0, .6, 1.4)), ('saturation', (0, .6, 1.4)), ('hue', (-.4, .1, .5)), ('blur', (.3, 1.2, 2))):
            for value in parameters:
                if name == 'blur' and width == 9:
                    continue             # torch refuses a kernel that reaches past the mirror
                got = functional.gaussian_blur(image, [13, 13], [value, value]) if name == 'blur' else getattr(functional, 'adjust_' + name)(image, value)
                print(name, width, height, value, got.numpy().transpose(1, 2, 0).tobytes().hex(), file=out)
    torch.manual_seed(1)
    for width, height in ((200, 150), (40, 240), (255, 31)):
        image = Image.new('RGB', (width, height))
        boxes = numpy.array([transforms.RandomResizedCrop.get_params(image, (.08, 1.), (3 / 4, 4 / 3)) for _ in range(400000)], float)
        top, left, h, w = boxes.mean(0)
        print('crop', width, height, '%.3f %.3f %.3f %.3f' % (w, h, left, top), file=out)


with open(os.path.join(here, 'preprocess.txt'), 'w') as out:
    write_preprocess(out)
with open(os.path.join(here, 'augment.txt'), 'w') as out:
    write_augment(out)
