"""Embeddings and gradients of both towers of CLIP models in float64: expected.txt, the directories of tiny models, and names.txt, their tensors.

python make.py     (torch, transformers, open_clip_torch)

Numbers and pixels are hashes and the form of expected.txt is as in ../vision/make.py, whose functions are used; texts are the lines of texts.txt, through the
tokenizer whose name is behind the tower's. Of a parameter's name what tells the tower is left out, as ft leaves it out.

    case NAME LIBRARY TOWER SIZE TOKENIZER      SIZE: of the images; of a tower of texts 0
"""
import json, os, re, sys
here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)
import numpy as np, torch
ITEMS, KEPT = 4, 16
torch.set_default_dtype(torch.float64)
source = open("../vision/make.py").read()   # its functions, not its models
exec(compile(source[source.index("def mix("):source.index("\nout, names = [], []")], "make.py", "exec"), globals())
from transformers import (CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig, CLIPTextModelWithProjection, CLIPTextModel, CLIPVisionModelWithProjection,
                          PreTrainedTokenizerFast, ChineseCLIPConfig, ChineseCLIPModel, XLMRobertaConfig, XLMRobertaModel, SiglipConfig, SiglipModel)

TEXTS = open("texts.txt", encoding="utf-8").read().splitlines()
out, names = [], []
HALF_VALUES = [.5, .5, .5], [.5, .5, .5]
CLIP_VALUES = [.48145466, .4578275, .40821073], [.26862954, .26130258, .27577711]


def tokenizer(name, **special):
    return PreTrainedTokenizerFast(tokenizer_file=f"../tokenizer/general/{name}.json", **special)


def prepared(size, values):
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in values)
    return ((torch.from_numpy(pixels(size)).double() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def case(name, library, tower, size, words, model, e, short, turned=lambda key: False, parts=lambda key, grad: [(key, grad)]):
    """`e` embeddings; short(key): the parameter's name as ft has it, None for what is the other tower's."""
    model.zero_grad()
    n, d = e.shape
    i, j = torch.meshgrid(torch.arange(n).double(), torch.arange(d).double(), indexing="ij")
    (torch.sin(7 * i + 3 * j + 1) * e).sum().backward()
    out.append(f"case {name} {library} {tower} {size} {words}")
    e = e.detach().numpy()
    for row in e:
        out.append("e " + " ".join(f"{v:.9g}" for v in row[::d // KEPT][:KEPT]))
    for key, p in model.named_parameters():
        if p.grad is None or short(key) is None:
            continue
        for part, grad in parts(short(key), p.grad.T if turned(key) else p.grad):
            value = grad.numpy().ravel()
            out.append(f"g {part} {value @ uniform('of ' + part, value.size):.9g} {np.linalg.norm(value):.9g}")
    print(name, tower, e.shape, "largest", abs(e).max(), "spread", np.linalg.norm(e - e.mean(0)) / np.linalg.norm(e), file=sys.stderr)


def list_names(library, name, state):
    before = ""
    names.append(f"= {library} {name}")
    for key, value in state.items():
        if value.ndim:
            shared = len(os.path.commonprefix([key, before]))
            names.append(f"{shared} {key[shared:]} {','.join(map(str, value.shape))}")
            before = key


def write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    json.dump(value, open(path, "w"), indent=1, sort_keys=True)


def config_of(model):
    def plain(d):
        return {k: plain(v) if isinstance(v, dict) else v for k, v in d.items() if k not in ("transformers_version", "dtype", "torch_dtype", "architectures")}
    return plain(model.config.to_dict())


def short_name(prefixes, other=("logit_scale", "logit_bias")):
    """Without the first of `prefixes` that it has; what has another tower's is left out."""
    def short(key):
        if key in other or any(key.startswith(o) for o in other):
            return None
        return next((key[len(p):] for p in prefixes if key.startswith(p)), key)
    return short


# ---- transformers' CLIP ----

def images(name, size, values, kind="CLIPImageProcessor"):
    edge = {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}, "do_center_crop": True} if kind == "CLIPImageProcessor" else \
        {"size": {"height": size, "width": size}, "do_center_crop": False}
    write(f"{name}/preprocessor_config.json", {"image_processor_type": kind, "image_mean": values[0], "image_std": values[1], "resample": 3, **edge})


def encode(words, length, **more):
    """Padded to the longest, as a processor does it."""
    t = tokenizer(words, pad_token="<|endoftext|>")
    return t(TEXTS, padding=True, truncation=True, max_length=length, return_tensors="pt", **more)


def clip(name, text, vision, dim, size, **more):
    model = fill(CLIPModel(CLIPConfig(text_config=dict(vocab_size=1037, max_position_embeddings=20, **text), vision_config=dict(image_size=size, **vision),
                                      projection_dim=dim, **more)).eval())
    write(f"{name}/config.json", config_of(model))
    images(name, size, CLIP_VALUES)
    list_names("transformers", name, model.state_dict())
    tokens = encode("clip-hf", 20)
    case(name, "transformers", "text", 0, "clip-hf", model, model.get_text_features(**tokens).pooler_output, short_name(["text_model."]))
    case(name, "transformers", "image", size, "-", model, model.get_image_features(prepared(size, CLIP_VALUES)).pooler_output, short_name(["vision_model."]))


tiny_text = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3)
tiny_image = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, patch_size=8)
clip("clip", dict(eos_token_id=1036, bos_token_id=1035, **tiny_text), tiny_image, 16, 48)
clip("clip-old", dict(eos_token_id=2, bos_token_id=0, pad_token_id=1, hidden_act="gelu", **tiny_text), dict(hidden_act="gelu", layer_norm_eps=1e-4, **tiny_image), 20, 44)


def single(name, model, size):
    fill(model.eval())
    write(f"{name}/config.json", config_of(model))
    list_names("transformers", name, {("text_model." if type(model) is CLIPTextModel else "") + k: v for k, v in model.state_dict().items()})
    if size:
        images(name, size, CLIP_VALUES)
        case(name, "transformers", "-", size, "-", model, model(prepared(size, CLIP_VALUES)).image_embeds, short_name(["vision_model."]))
    else:
        o = model(**encode("clip-hf", 20))
        case(name, "transformers", "-", 0, "clip-hf", model, getattr(o, "text_embeds", getattr(o, "pooler_output", None)), short_name(["text_model."]))


own = dict(vocab_size=1037, max_position_embeddings=20, eos_token_id=1036, projection_dim=18, **tiny_text)
single("clip-text", CLIPTextModelWithProjection(CLIPTextConfig(**own)), 0)
single("clip-image", CLIPVisionModelWithProjection(CLIPVisionConfig(image_size=40, projection_dim=18, **tiny_image)), 40)

# ---- open_clip ----

def open_clip_case(name, size, dim, text, vision, ready, **more):
    """Its tokenizer pads with 0 to the context's length; a projection of its own form lies transposed."""
    from open_clip.model import CLIP, CustomTextCLIP
    config = dict(embed_dim=dim, vision_cfg=dict(image_size=size, **vision), text_cfg=dict(vocab_size=1037, context_length=20, **text), **more)
    custom = config.pop("custom_text", False)
    model = fill((CustomTextCLIP if custom else CLIP)(**config).eval())
    if custom:
        config["custom_text"] = True
    write(f"{name}/open_clip_config.json", {"model_cfg": config, "preprocess_cfg": ready})
    list_names("open_clip", name, model.state_dict())
    turned = lambda key: key in ("text_projection", "text.text_projection", "visual.proj")
    ids = torch.zeros(ITEMS, 20, dtype=torch.long)
    for row, one in zip(ids, tokenizer("clip-hf")(TEXTS, truncation=True, max_length=20).input_ids):
        row[:len(one)] = torch.tensor(one)
    case(name, "open_clip", "text", 0, "clip-hf", model, model.encode_text(ids), short_name(["text."], ("logit_scale", "visual.")), turned)
    values = ready.get("mean", CLIP_VALUES[0]), ready.get("std", CLIP_VALUES[1])
    case(name, "open_clip", "image", size, "-", model, model.encode_image(prepared(size, values)),
         lambda key: key[7:] if key.startswith("visual.") else None, turned)


open_clip_case("open-clip", 48, 16, dict(width=24, heads=3, layers=2), dict(width=32, head_width=8, layers=2, patch_size=8, mlp_ratio=1.5), {}, quick_gelu=True)
open_clip_case("open-clip-custom", 44, 20, dict(width=24, heads=4, layers=2, proj_bias=True, pool_type="eos", eos_id=1036, act_kwargs={"approximate": "tanh"}),
               dict(width=32, head_width=16, layers=1, patch_size=8, no_ln_pre=True, norm_kwargs={"eps": 1e-4}),
               {"mean": [.5, .5, .5], "std": [.4, .5, .6], "interpolation": "bilinear", "resize_mode": "squash"}, custom_text=True)

# ---- Chinese-CLIP, M-CLIP ----

def chinese_clip(name, size, dim):
    text = dict(vocab_size=420, max_position_embeddings=24, pad_token_id=1,   # padding has no gradient, and <s> is 0
                 hidden_dropout_prob=0., attention_probs_dropout_prob=0., **tiny_text)
    model = fill(ChineseCLIPModel(ChineseCLIPConfig(text_config=text, vision_config=dict(image_size=size, **tiny_image), projection_dim=dim)).eval())
    write(f"{name}/config.json", config_of(model))
    images(name, size, CLIP_VALUES, "ChineseCLIPImageProcessor")
    list_names("transformers", name, model.state_dict())
    tokens = tokenizer("mpnet", pad_token="<pad>")(TEXTS, padding=True, truncation=True, max_length=24, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    case(name, "transformers", "text", 0, "mpnet", model, model.get_text_features(**tokens).pooler_output, short_name(["text_model."]))
    case(name, "transformers", "image", size, "-", model, model.get_image_features(prepared(size, CLIP_VALUES)).pooler_output, short_name(["vision_model."]))


class MultilingualCLIP(torch.nn.Module):
    """As multilingual_clip 1.0.10 has it."""
    def __init__(self, config, dim):
        super().__init__()
        self.transformer = XLMRobertaModel(config)
        self.LinearTransformation = torch.nn.Linear(config.hidden_size, dim)

    def forward(self, tokens):
        e, mask = self.transformer(**tokens)[0], tokens["attention_mask"]
        return self.LinearTransformation((e * mask.unsqueeze(2)).sum(dim=1) / mask.sum(dim=1)[:, None])


def m_clip(name, dim):
    """No config of it says a rate of dropout: XLM-R's own are 0.1, and the numbers here are without."""
    model = fill(MultilingualCLIP(XLMRobertaConfig(vocab_size=401, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
                                                   max_position_embeddings=30, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1), dim).eval())
    write(f"{name}/config.json", {"architectures": ["MultilingualCLIP"], "model_type": "M-CLIP", "modelBase": "xlm-roberta-base", "numDims": dim,
                                  "transformerDimensions": 128})
    list_names("transformers", name, model.state_dict())
    tokens = tokenizer("xlmr", pad_token="<pad>")(TEXTS, padding=True, truncation=True, max_length=28, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    case(name, "transformers", "-", 0, "xlmr", model, model(tokens), short_name(["transformer."]))


# ---- SigLIP ----

def siglip(name, size, **more):
    """Texts of no more than the model's length are filled up with padding, which is looked at as all else is; a text's last place is embedded."""
    model = fill(SiglipModel(SiglipConfig(text_config=dict(vocab_size=401, max_position_embeddings=16, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
                                                           num_attention_heads=3, **more),
                                          vision_config=dict(image_size=size, **tiny_image))).eval())
    write(f"{name}/config.json", config_of(model))
    images(name, size, HALF_VALUES, "SiglipImageProcessor")
    list_names("transformers", name, model.state_dict())
    ids = tokenizer("t5", pad_token="<pad>")(TEXTS, padding="max_length", truncation=True, max_length=16, return_tensors="pt").input_ids

    def parts(key, grad):
        """Query and the other two of the head are parameters of their own."""
        if not key.startswith("head.attention.in_proj_"):
            return [(key, grad)]
        kind = key.rsplit("_", 1)[1]
        return [(f"head.attention.query.{kind}", grad[:len(grad) // 3]), (f"head.attention.key_value.{kind}", grad[len(grad) // 3:])]

    case(name, "transformers", "text", 0, "t5", model, model.get_text_features(input_ids=ids).pooler_output, short_name(["text_model."]))
    case(name, "transformers", "image", size, "-", model, model.get_image_features(prepared(size, HALF_VALUES)).pooler_output, short_name(["vision_model."]),
         parts=parts)


siglip("siglip", 48)
siglip("siglip-projected", 44, projection_size=32, hidden_act="gelu")
chinese_clip("chinese-clip", 40, 18)
m_clip("m-clip", 20)

open("expected.txt", "w").write("\n".join(out) + "\n")
open("names.txt", "w").write("\n".join(names) + "\n")
