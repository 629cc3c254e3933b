"""Five steps of training of small CLIP models in float64, from texts and picture files on: steps.txt.

python make-steps.py     (torch, transformers, open_clip_torch, Pillow; after make.py, whose directories, numbers and functions are used)

Losses are the libraries' own: CLIPModel, ChineseCLIPModel and SiglipModel with return_loss, open_clip's ClipLoss and SigLipLoss. AdamW with decay .01 of
matrices, but as timm has it of no table of an image's positions and of no probe; the norm clipped at 1 over all there is. eps is 1e-6: with the usual 1e-8 a
number whose gradient is but rounding takes whole steps, and torch's own float32 is 3e-4 of the change off (Chinese-CLIP's MLP, where GELU is almost zero).
After a step logit_scale is clamped to 0 and log(100), as open_clip's training does it. pairs.txt: a text and its picture in ../pictures/stripes.

    case NAME LIBRARY MODEL TOKENIZER LOSS    LOSS as ft takes it
    rate LR                                   of the model; 1e-3 of logit_scale and logit_bias
    own SCALE [BIAS]                          logit_scale and logit_bias as the model has them
    pairs T:I ...                             which text is with which picture
    e TOWER ITEM NUMBER ...                   embeddings at the first step, before they are at unit length
    loss, norm, scale, bias NUMBER ...        of each step: the loss, its gradient's norm, logit_scale and logit_bias after it
    d NUMBER ...                              gradient by logit_scale and logit_bias at the first step
    g TOWER NAME X LENGTH                     gradient at the first step: its length and its product with numbers of a hash of "of NAME"
    a TOWER NAME X LENGTH                     change after five steps
A bias of keys changes no attention: its gradient is zero but for rounding, which AdamW makes a step of. It is left out, and so is its part of a bias that
has others.
"""
import itertools, math, sys
source = open("make.py").read()
exec(compile(source[:source.index("# ---- transformers' CLIP ----")], "make.py", "exec"), globals())
from PIL import Image
from transformers import CLIPImageProcessorPil, ChineseCLIPImageProcessorPil, SiglipImageProcessorPil
from open_clip.loss import ClipLoss, SigLipLoss
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
STEPS, TOP = 5, math.log(100)
PAIRS = [line.rstrip("\n").split("\t") for line in open("pairs.txt", encoding="utf-8")]
EVERY = [(i, i) for i in range(len(PAIRS))]
PICTURES = [Image.open("../pictures/stripes/" + name).convert("RGB") for _, name in PAIRS]
KINDS = {"clip": (CLIPConfig, CLIPModel, CLIPImageProcessorPil), "siglip": (SiglipConfig, SiglipModel, SiglipImageProcessorPil),
         "chinese_clip": (ChineseCLIPConfig, ChineseCLIPModel, ChineseCLIPImageProcessorPil)}


def normalised(bytes_, theirs, mean, std):
    """In float64, and not farther from what the library gives than its floats are."""
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (mean, std))
    x = (bytes_ / 255 - mean) / std
    assert (x - theirs).abs().max() < 2e-6, (x - theirs).abs().max()
    return x


def transformers_model(name):
    config = json.load(open(name + "/config.json"))
    make_config, make_model, make_processor = KINDS[config["model_type"]]
    ready = json.load(open(name + "/preprocessor_config.json"))
    ready.pop("image_processor_type")
    model = fill(make_model(make_config(**config)).eval())
    raw, theirs = (make_processor(**dict(ready, **more))(PICTURES, return_tensors="pt")["pixel_values"].double()
                   for more in (dict(do_rescale=False, do_normalize=False), {}))
    return model, normalised(raw, theirs, ready["image_mean"], ready["image_std"])


def open_clip_model(name):
    config = json.load(open(name + "/open_clip_config.json"))
    settings = dict(config["model_cfg"])
    model = fill((CustomTextCLIP if settings.pop("custom_text", False) else CLIP)(init_logit_bias=0., **settings).eval())
    ready = PreprocessCfg(size=settings["vision_cfg"]["image_size"], **config["preprocess_cfg"])
    whole = image_transform_v2(ready, is_train=False)
    assert type(whole.transforms[-1]).__name__ == "Normalize"
    theirs = torch.stack([whole(p) for p in PICTURES]).double()
    whole.transforms.pop()
    return model, normalised(torch.stack([whole(p) for p in PICTURES]).double() * 255, theirs, ready.mean, ready.std)


def ids_of(words, length, padded):
    """Whole batches: padded to the longest, or to the model's length."""
    t = tokenizer(words, pad_token={"clip-hf": "<|endoftext|>"}.get(words, "<pad>"))
    got = t([text for text, _ in PAIRS], padding="max_length" if padded else True, truncation=True, max_length=length, return_tensors="pt")
    got.pop("token_type_ids", None)
    return got


def transformers_case(name, words, length, loss, kind, **more):
    model, images = transformers_model(name)
    tokens = ids_of(words, length, kind == "siglip")
    if kind == "siglip":
        tokens = {"input_ids": tokens["input_ids"]}
    some = lambda pairs: {k: v[[t for t, _ in pairs]] for k, v in tokens.items()}
    embed = lambda pairs: (model.get_text_features(**some(pairs)).pooler_output, model.get_image_features(images[[i for _, i in pairs]]).pooler_output)
    train(name, "transformers", words, loss, model, embed,
          lambda pairs: model(pixel_values=images[[i for _, i in pairs]], return_loss=True, **some(pairs)).loss,
          {"text": short_name(["text_model."], ("logit_", "vision_", "visual_")), "image": short_name(["vision_model."], ("logit_", "text_"))}, **more)


def open_clip_training(name, loss, **more):
    model, images = open_clip_model(name)
    ids = torch.zeros(len(PAIRS), 20, dtype=torch.long)
    for row, one in zip(ids, tokenizer("clip-hf")([text for text, _ in PAIRS], truncation=True, max_length=20).input_ids):
        row[:len(one)] = torch.tensor(one)

    def value(pairs):
        image, text, scale, bias = model(images[[i for _, i in pairs]], ids[[t for t, _ in pairs]])
        return SigLipLoss()(image, text, scale, bias) if loss == "siglip" else ClipLoss()(image, text, scale)

    train(name, "open_clip", "clip-hf", loss, model,
          lambda pairs: (model.encode_text(ids[[t for t, _ in pairs]]), model.encode_image(images[[i for _, i in pairs]])), value,
          {"text": short_name(["text."], ("logit_", "visual.")), "image": lambda key: key[7:] if key.startswith("visual.") else None},
          turned=lambda key: key in ("text_projection", "text.text_projection", "visual.proj"), **more)


def best_pairs(embed, loss, scale, bias):
    """The two that gain the most by a larger logit_scale: told apart, and not by much."""
    text, image = (torch.nn.functional.normalize(e.detach(), dim=1) for e in embed(EVERY))

    def gain(pairs):
        s = torch.tensor(scale, requires_grad=True)
        some = image[[i for _, i in pairs]], text[[t for t, _ in pairs]], s.exp()
        (SigLipLoss()(*some, bias) if loss == "siglip" else ClipLoss()(*some)).backward()
        return -s.grad

    return max((list(zip(texts, images)) for texts in itertools.combinations(range(len(PAIRS)), 2) for images in itertools.permutations(range(len(PAIRS)), 2)),
               key=gain)


def parts_of(key, x):
    """What ft has as one tensor; what is left out of it is zero."""
    if key.endswith("k_proj.bias") or key.endswith("key.bias"):
        return []
    if key.endswith("attn.in_proj_bias"):
        x = x.clone()
        x[len(x) // 3:2 * len(x) // 3] = 0
    if key.startswith("head.attention.in_proj_"):
        kind, third = key.rsplit("_", 1)[1], len(x) // 3
        other = x[third:].clone()
        if kind == "bias":
            other[:third] = 0
        return [(f"head.attention.query.{kind}", x[:third]), (f"head.attention.key_value.{kind}", other)]
    return [(key, x)]


def put(kind, shorts, turned, named):
    for tower, short in shorts.items():
        for key, x in named:
            if short(key) is None:
                continue
            for part, own in parts_of(short(key), x.T if turned(key) else x):
                own = own.numpy().ravel()
                out.append(f"{kind} {tower} {part} {own @ uniform('of ' + part, own.size):.9g} {np.linalg.norm(own):.9g}")


def train(name, library, words, loss, model, embed, value, shorts, scale, bias=None, best=False, lr=1e-3, label=None, turned=lambda key: False):
    pairs = best_pairs(embed, loss, scale, bias) if best else EVERY
    logits = [model.logit_scale] + ([model.logit_bias] if bias is not None else [])
    with torch.no_grad():
        for p, begin in zip(logits, (scale, bias)):
            p.fill_(float(np.float32(begin)))
    named = [(k, p) for k, p in model.named_parameters() if not k.startswith("logit_")]
    plain = [p for k, p in named if p.ndim < 2 or "probe" in k or ("position" in k and ("vision" in k or "visual" in k))]
    decayed = [p for k, p in named if not any(p is q for q in plain)]
    optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=.01), dict(params=plain, weight_decay=0.),
                                   dict(params=logits, weight_decay=0., lr=1e-3)], lr=lr, eps=1e-6)
    begin = {k: p.detach().clone() for k, p in named}
    out.append(f"case {label or name} {library} {name} {words} {loss}")
    out.append(f"rate {lr:g}")
    out.append("own " + " ".join(f"{p.item():.9g}" for p in logits))
    out.append("pairs " + " ".join(f"{t}:{i}" for t, i in pairs))
    for tower, e in zip(("text", "image"), embed(pairs)):
        for i, row in enumerate(e.detach().numpy()):
            out.append(f"e {tower} {i} " + " ".join(f"{v:.9g}" for v in row))
    said = {"loss": [], "norm": [], "scale": [], "bias": []}
    for step in range(STEPS):
        optimizer.zero_grad()
        l = value(pairs)
        l.backward()
        if step == 0:
            out.append("d " + " ".join(f"{p.grad.item():.12g}" for p in logits))
            put("g", shorts, turned, [(k, p.grad) for k, p in named])
        said["norm"].append(torch.nn.utils.clip_grad_norm_([p for _, p in named] + logits, 1.).item())
        optimizer.step()
        model.logit_scale.data.clamp_(0, TOP)
        said["loss"].append(l.item())
        for key, p in zip(("scale", "bias"), logits):
            said[key].append(p.item())
    for key, numbers in said.items():
        if numbers:
            out.append(key + " " + " ".join(f"{v:.12g}" for v in numbers))
    put("a", shorts, turned, [(k, p.detach() - begin[k]) for k, p in named])
    print(label or name, pairs, {k: np.round(v, 4) for k, v in said.items()}, file=sys.stderr)


start = math.log(1 / .07)
transformers_case("clip", "clip-hf", 20, "clip", "clip", scale=start)
transformers_case("clip", "clip-hf", 20, "clip", "clip", scale=TOP - 5e-4, best=True, lr=1e-4, label="clip-ceiling")
transformers_case("clip-old", "clip-hf", 20, "clip", "clip", scale=5e-4, label="clip-floor")
open_clip_training("open-clip", "clip", scale=start)
open_clip_training("open-clip-custom", "siglip", scale=math.log(10), bias=-10.)
transformers_case("siglip-projected", "t5", 16, "siglip", "siglip", scale=3., bias=-2.)
transformers_case("siglip-projected", "t5", 16, "siglip", "siglip", scale=TOP - 5e-4, bias=-28., best=True, lr=1e-4, label="siglip-ceiling")
transformers_case("chinese-clip", "mpnet", 24, "clip", "chinese-clip", scale=start)
open("steps.txt", "w").write("\n".join(out) + "\n")
