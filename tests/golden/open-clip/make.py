"""Embeddings and gradients in float64 of open_clip's models with towers by others: text encoders of transformers, vision transformers of timm. Files and
their form are those of ../clip/make.py, whose functions are used.

python make.py     (torch, transformers, timm, open_clip_torch)

An encoder's config and a trunk's sizes are not in a checkpoint: open_clip gets the former by its name from the hub, timm has the latter by name. Both are
small here, under names of published ones, by what stands in their stead below.
"""
import os, shutil, sys, tempfile
here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)
import open_clip, open_clip.hf_model, open_clip.timm_model, timm
from functools import partial
from types import SimpleNamespace
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import HFTokenizer
from timm.models.vision_transformer import VisionTransformer
from transformers import BertConfig, RobertaConfig, XLMRobertaConfig
source = open("../clip/make.py").read()   # its functions, not its models
exec(compile(source[source.index("import json"):source.index("# ---- transformers' CLIP ----")].replace("os.chdir(here)", ""), "make.py", "exec"), globals())

encoders = {}
open_clip.hf_model.AutoConfig = SimpleNamespace(from_pretrained=lambda name: encoders[name])


def create(name, pretrained=False, num_classes=1000, global_pool="token", **more):
    """timm's own sizes made small; what the name says besides is timm's."""
    with torch.device("meta"):
        kind = timm.create_model(name)
    block = kind.blocks[0]
    model = VisionTransformer(img_size=kind.patch_embed.img_size, patch_size=kind.patch_embed.patch_size, num_heads=block.attn.num_heads, embed_dim=48,
                              depth=2, mlp_ratio=1.5, class_token=kind.cls_token is not None, pre_norm=type(kind.norm_pre) is not torch.nn.Identity,
                              norm_layer=partial(type(block.norm1), eps=block.norm1.eps), act_layer=type(block.mlp.act), num_classes=num_classes,
                              global_pool=global_pool if kind.attn_pool is None else "map")
    model.default_cfg = kind.default_cfg
    return model


open_clip.timm_model.timm = SimpleNamespace(create_model=create)
VALUES = {"mean": HALF_VALUES[0], "std": HALF_VALUES[1], "interpolation": "bicubic", "resize_mode": "squash"}
own_image = dict(image_size=48, width=32, head_width=8, layers=2, patch_size=8, mlp_ratio=1.5)
own_text = dict(vocab_size=1037, context_length=20, width=24, heads=3, layers=2)


def tokens(name, words, text):
    """By open_clip's own way over the directory's tokenizer, or over CLIP's, whose tiny vocabulary is not its."""
    length = text.get("context_length", 77)
    if "hf_tokenizer_name" not in text:
        ids = torch.zeros(ITEMS, length, dtype=torch.long)
        for row, one in zip(ids, tokenizer(words)(TEXTS, truncation=True, max_length=length).input_ids):
            row[:len(one)] = torch.tensor(one)
        return ids
    write(f"{name}/tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"})
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(f"../tokenizer/general/{words}.json", f"{place}/tokenizer.json")
        shutil.copy(f"{name}/tokenizer_config.json", place)
        return HFTokenizer(place, context_length=length, **text.get("tokenizer_kwargs", {}))(TEXTS)


def short_of(key, first, second):
    return key[len(first):] if key.startswith(first) else key[len(second):] if key.startswith(second) else None


def list_names(library, name, state):
    """As that of ../clip/make.py, a batch norm in one line."""
    before = ""
    names.append(f"= {library} {name}")
    for key, value in state.items():
        stem = key.rsplit(".", 1)[0]
        if stem + ".running_mean" in state:
            if not key.endswith(".weight"):
                continue
            key = stem + ".*"
        shared = len(os.path.commonprefix([key, before]))
        if value.ndim:
            names.append(f"{shared} {key[shared:]} {','.join(map(str, value.shape))}")
            before = key


def model_case(name, words, dim, text, vision, ready, encoder=None, beside=False, custom=True, train=False, **more):
    """`train`: images once more by the batch's statistics, the tokenizer's name being "train"."""
    config = dict(embed_dim=dim, vision_cfg=vision, text_cfg=text, **({"custom_text": True} if custom else {}), **more)
    if encoder:
        encoders[text["hf_model_name"]] = encoder
    model = fill((CustomTextCLIP if custom else CLIP)(**{k: v for k, v in config.items() if k != "custom_text"}).eval())
    write(f"{name}/open_clip_config.json", {"model_cfg": config, "preprocess_cfg": ready})
    if beside:
        write(f"{name}/config.json", {k: v for k, v in encoder.to_dict().items() if k not in ("transformers_version", "dtype", "architectures")})
    list_names("open_clip", name, model.state_dict())
    turned = lambda key: key in ("text_projection", "text.text_projection", "visual.proj")
    size, values = vision["image_size"], (ready.get("mean", CLIP_VALUES[0]), ready.get("std", CLIP_VALUES[1]))
    first, second = ("text.transformer.", "text.") if encoder else ("text.", "?") if custom else ("?", "")
    case(name, "open_clip", "text", 0, words, model, model.encode_text(tokens(name, words, text)),
         lambda k: None if k.startswith("visual.") else short_of(k, first, second), turned)
    for t in (False, True) if train else (False,):
        model.train(t)
        case(name, "open_clip", "image", size, "train" if t else "-", model, model.encode_image(prepared(size, values)),
             lambda k: short_of(k, "visual.trunk.", "visual."), turned)


sizes = dict(num_hidden_layers=2, intermediate_size=40, hidden_dropout_prob=0., attention_probs_dropout_prob=0., pad_token_id=1)
hf = lambda name, **more: dict(hf_model_name=name, hf_tokenizer_name=name, hf_model_pretrained=False, **more)
model_case("xlm-roberta", "xlmr", 20, hf("xlm-roberta-base", hf_pooler_type="mean_pooler"), own_image, {},
           XLMRobertaConfig(vocab_size=401, hidden_size=128, num_attention_heads=2, max_position_embeddings=90, type_vocab_size=1, layer_norm_eps=1e-5, **sizes))
model_case("roberta", "roberta", 16, hf("someone/small", hf_pooler_type="cls_pooler", hf_proj_type="linear", context_length=24), own_image, {},
           RobertaConfig(vocab_size=421, hidden_size=24, num_attention_heads=3, max_position_embeddings=40, type_vocab_size=1, layer_norm_eps=1e-4, **sizes),
           beside=True, quick_gelu=True)
model_case("bert", "bert", 24, hf("someone/bert", hf_pooler_type=None, hf_proj_type=None, context_length=24, tokenizer_kwargs={"clean": "lower"}), own_image, {},
           BertConfig(vocab_size=420, hidden_size=24, num_attention_heads=3, max_position_embeddings=40, **sizes), beside=True)
siglip_text = dict(context_length=32, vocab_size=401, hf_tokenizer_name="timm/ViT-B-16-SigLIP", tokenizer_kwargs={"clean": "canonicalize"}, width=24, heads=3, layers=2,
                   no_causal_mask=True, proj_bias=True, pool_type="last", norm_kwargs={"eps": 1e-6})
model_case("siglip", "t5", 48, siglip_text, dict(image_size=224, timm_model_name="vit_base_patch16_siglip_224", timm_model_pretrained=False, timm_pool="map",
                                                 timm_proj="none"), VALUES, init_logit_bias=-10)
model_case("siglip-tanh", "t5", 48, dict(siglip_text, act_kwargs={"approximate": "tanh"}),
           dict(image_size=256, timm_model_name="vit_base_patch32_siglip_256", timm_pool="map", timm_proj="none"), VALUES, init_logit_bias=-10)
model_case("trunk-clip", "clip-hf", 16, own_text, dict(image_size=224, timm_model_name="vit_base_patch32_clip_quickgelu_224", timm_pool="token", timm_proj=None), {})
model_case("trunk-linear", "clip-hf", 16, own_text, dict(image_size=224, timm_model_name="vit_base_patch32_224", timm_pool="token", timm_proj="linear",
                                                         timm_proj_bias=True), VALUES)
model_case("trunk-mlp", "clip-hf", 16, own_text, dict(image_size=224, timm_model_name="vit_base_patch32_clip_224", timm_pool="", timm_proj="mlp"), VALUES)
model_case("resnet", "clip-hf", 20, own_text, dict(image_size=104, layers=[1, 2, 1, 1], width=8, patch_size=None), {}, custom=False, train=True, quick_gelu=True)

open("expected.txt", "w").write("\n".join(out) + "\n")
open("names.txt", "w").write("\n".join(names) + "\n")
