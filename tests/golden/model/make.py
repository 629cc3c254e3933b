#!/usr/bin/env python3
"""make.py - tiny random BERT directories and what PyTorch computes with them.

Run in this directory with torch, transformers and sentence-transformers; the tests only read what it wrote. All are one model with other
dtypes, names and modules, so weights and vocabulary are shared by symbolic links.

  mean/          f32, mean, Normalize; saved by sentence-transformers 6 (new type names, new pooling file), tokenizer.json
  old/           the same as sentence-transformers 2 wrote it: old type names and pooling flags
  nested/        of sentence-transformers 0.x: the body in 0_Transformer, do_lower_case there
  f16/, bf16/    half-precision weights, names with "bert." before them in bf16, LayerNorm.gamma and beta in f16
  plain/         a Hugging Face directory: no modules.json, vocab.txt and no tokenizer.json, two shards, max length from tokenizer_config.json
  cls/ max/ sqrt/  pooling, no Normalize
  dense/         mean, Dense with Tanh, Normalize; hidden_act gelu_new; similarity dot

  DIR.jsonl      one line a text: {"text": "...", "embedding": [...]}, by SentenceTransformer.encode in float32, one text at a time
  inputs.jsonl   one line for mean/: {"text", "ids": [...]}, the token ids

Gradients, on mean/ with dropout 0, in float64 (stored as float32): texts number 1, 2, 4, 6 and 7 of TEXTS (from 0), one batch, and
  loss = sum_i sum_j sin(7 i + 3 j + 1) * embedding[i, j]        i the row in the batch, j the dimension, from 0
  gradients.safetensors  d loss / d parameter, under the parameters' names (float64 norm of all in gradients.json)
  steps.safetensors      parameters after five steps of torch.optim.AdamW on that loss: betas .9 .999, eps 1e-8, decay .01 except on
                         biases and norms, clip_grad_norm_ 1.0 (scale = min(1, 1 / (norm + 1e-6))),
                         lr = 1e-3 * (1/2, 1, 1, 2/3, 1/3): linear warm-up over two of five steps, then linear decay
  gradients.json         {"texts": [...], "loss": [loss before each of the five steps], "norm": [gradient norm before clipping], "lr": [...]}
The gradient of a key's bias is zero but for rounding (softmax does not see what all its inputs share), so after AdamW those biases are noise
over 1e-8: do not compare them.
"""
import json
import math
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import save_file, load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as st
from transformers import BertConfig, BertModel, BertTokenizer, BertTokenizerFast

torch.set_num_threads(1)
torch.manual_seed(7)

TEXTS = [
    "",
    "the cat sat on the mat",
    "a dog, a cat & a bird!",
    "The CAT sat on the MAT",
    "edit photos and play music on the web",
    "zebra",
    "what is my balance? can you tell me the time in new york",
    "x",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m",
    "\u6771\u4eac \u2603 \U0001f600 unknown characters",
    "many words many words many words many words many words many words many words many words many words many words many words",
    "it's 3.14, isn't it? (yes) [no] 100%",
]
GRADIENT = [1, 2, 4, 6, 7]

letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
VOCAB = (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters + ["##" + c for c in letters] + list("0123456789.,!?'&()[]%")
         + "the cat sat on mat a dog bird edit photo music play web what is my balance can you tell me time in new many word it".split()
         + ["##s", "##ing", "##ar"])
VOCAB = list(dict.fromkeys(VOCAB))

CONFIG = dict(vocab_size=len(VOCAB), hidden_size=20, num_hidden_layers=2, num_attention_heads=4, intermediate_size=36,
              max_position_embeddings=32, type_vocab_size=2, hidden_act="gelu", hidden_dropout_prob=0.1,
              attention_probs_dropout_prob=0.1, layer_norm_eps=1e-12, initializer_range=0.3)


def write(path, value):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2) + "\n")


def link(path, target):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    os.symlink(os.path.relpath(target, Path(path).parent), path)


def modules(name, *kinds):
    paths = [("", "Transformer")] + [(f"{i + 1}_{k}", k) for i, k in enumerate(kinds)]
    write(f"{name}/modules.json", [dict(idx=i, name=str(i), path=p, type=f"sentence_transformers.models.{k}") for i, (p, k) in enumerate(paths)])


def pooling(name, mode):
    flags = {f"pooling_mode_{m}": m == mode for m in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}
    write(f"{name}/1_Pooling/config.json", {"word_embedding_dimension": 20, **flags})


def body(name, weights="mean/model.safetensors", inside="", config=None):
    for file in ("tokenizer.json", "tokenizer_config.json"):
        link(f"{name}/{inside}{file}", f"mean/{file}")
    if weights:
        link(f"{name}/{inside}model.safetensors", weights)
    write(f"{name}/{inside}config.json", {**json.loads(Path("mean/config.json").read_text()), **(config or {})})


def encode(name):
    model = SentenceTransformer(name, device="cpu", model_kwargs={"dtype": torch.float32})
    vectors = model.encode(TEXTS, batch_size=1, convert_to_numpy=True)
    with open(f"{name}.jsonl", "w") as out:
        for text, vector in zip(TEXTS, vectors):
            out.write('{"text": %s, "embedding": [%s]}\n' % (json.dumps(text), ", ".join("%.9g" % v for v in vector)))
    return model


for path in Path(".").iterdir():
    if path.is_dir():
        shutil.rmtree(path)

# The one model: weights far enough from zero that every part of it matters.
bert = BertModel(BertConfig(**CONFIG))
with torch.no_grad():
    for key, p in bert.named_parameters():
        if key.endswith("LayerNorm.weight"):
            p.copy_(1 + 0.3 * torch.randn_like(p))
        elif key.endswith("bias"):
            p.copy_(0.2 * torch.randn_like(p))
write("work/vocab.txt", "".join(v + "\n" for v in VOCAB))
bert.save_pretrained("work")
tokenizer = BertTokenizer(vocab={v: i for i, v in enumerate(VOCAB)}, do_lower_case=True, model_max_length=24)
tokenizer.save_pretrained("work")
model = SentenceTransformer(modules=[st.Transformer("work", max_seq_length=24), st.Pooling(20, pooling_mode="mean"), st.Normalize()], device="cpu")
model.save("mean", create_model_card=False)
tensors = load_file("mean/model.safetensors")

body("old"), modules("old", "Pooling", "Normalize"), pooling("old", "mean_tokens")
write("old/sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
body("nested", inside="0_Transformer/"), pooling("nested", "mean_tokens")
write("nested/0_Transformer/sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": True})
write("nested/modules.json", [dict(idx=0, name="0", path="0_Transformer", type="sentence_transformers.models.Transformer"),
                              dict(idx=1, name="1", path="1_Pooling", type="sentence_transformers.models.Pooling")])
gamma = lambda k: k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
for name, dtype, rename in (("f16", torch.float16, gamma), ("bf16", torch.bfloat16, lambda k: "bert." + k)):
    body(name, weights=None, config={"dtype": str(dtype).split(".")[1]})
    modules(name, "Pooling", "Normalize"), pooling(name, "mean_tokens")
    save_file({rename(k): v.to(dtype) for k, v in tensors.items() if not k.startswith("pooler")}, f"{name}/model.safetensors", {"format": "pt"})
for name, mode in (("cls", "cls_token"), ("max", "max_tokens"), ("sqrt", "mean_sqrt_len_tokens")):
    body(name), modules(name, "Pooling"), pooling(name, mode)

body("dense", config={"hidden_act": "gelu_new"}), modules("dense", "Pooling", "Dense", "Normalize"), pooling("dense", "mean_tokens")
write("dense/2_Dense/config.json", {"in_features": 20, "out_features": 12, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"})
write("dense/config_sentence_transformers.json", {"prompts": {"query": "query: "}, "default_prompt_name": None, "similarity_fn_name": "dot"})
save_file({"linear.weight": 0.3 * torch.randn(12, 20), "linear.bias": 0.2 * torch.randn(12)}, "dense/2_Dense/model.safetensors", {"format": "pt"})

# A Hugging Face directory as it comes, in two shards; half the tensors in bf16 so as to be small.
write("plain/config.json", {**json.loads(Path("mean/config.json").read_text()), "dtype": "float32"})
write("plain/vocab.txt", Path("work/vocab.txt").read_text())
write("plain/tokenizer_config.json", {"do_lower_case": True, "model_max_length": 20, "tokenizer_class": "BertTokenizer"})
names = sorted(tensors)
shards = {f"model-0000{i + 1}-of-00002.safetensors": [k for k in names if ("layer.1" in k) == bool(i)] for i in range(2)}
for file, keys in shards.items():
    save_file({k: tensors[k].to(torch.bfloat16).clone() for k in keys}, f"plain/{file}", {"format": "pt"})
write("plain/model.safetensors.index.json", {"metadata": {"total_size": sum(2 * t.numel() for t in tensors.values())},
                                             "weight_map": {k: f for f, ks in shards.items() for k in ks}})
shutil.rmtree("work")

for name in "mean old nested f16 bf16 plain cls max sqrt dense".split():
    model = encode(name)
    print(name, "max length", model.max_seq_length)

for path in Path(".").rglob("*.safetensors"):
    path.chmod(0o644)
model = SentenceTransformer("mean", device="cpu").double().eval()
with open("inputs.jsonl", "w") as out:
    for text in TEXTS:
        ids = model.tokenizer(text, truncation=True, max_length=model.max_seq_length)["input_ids"]
        out.write(json.dumps({"text": text, "ids": ids}) + "\n")

# Gradients and five steps, float64, dropout off because the model is in evaluation mode.
named = [(k, p) for k, p in model[0].model.named_parameters() if not k.startswith("pooler")]
decay = [p for k, p in named if not (k.endswith("bias") or "LayerNorm" in k)]
rest = [p for k, p in named if k.endswith("bias") or "LayerNorm" in k]
optimizer = torch.optim.AdamW([dict(params=decay, weight_decay=0.01), dict(params=rest, weight_decay=0.0)], lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
rates = [1e-3 * f for f in (1 / 2, 1, 1, 2 / 3, 1 / 3)]
texts = [TEXTS[i] for i in GRADIENT]
c = torch.tensor([[math.sin(7 * i + 3 * j + 1) for j in range(20)] for i in range(len(texts))], dtype=torch.float64)
log = dict(texts=texts, loss=[], norm=[], lr=rates)
for step, rate in enumerate(rates):
    optimizer.zero_grad()
    loss = (c * model(model.tokenize(texts))["sentence_embedding"]).sum()
    loss.backward()
    if step == 0:
        save_file({k: p.grad.float() for k, p in named}, "gradients.safetensors")
    norm = torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    log["loss"].append(loss.item())
    log["norm"].append(norm.item())
save_file({k: p.detach().float() for k, p in named}, "steps.safetensors")
write("gradients.json", log)
print(json.dumps(log))
