#!/usr/bin/env python3
"""make.py - tiny random cross-encoders and what PyTorch computes with them.

Run in this directory with torch, transformers and sentence-transformers; the tests only read what it wrote. All are one model, so weights and
tokenizer are shared by symbolic links; the vocabulary is that of ../model.

  plain/     BertForSequenceClassification with one label as transformers saves it: no activation is named, so it is a sigmoid
  identity/  the same with sbert_ce_default_activation_function of sentence-transformers before 4: Identity
  own/       as sentence-transformers 6 saves a CrossEncoder with Identity: modules.json, config_sentence_transformers.json
  tanh/      config.json's sentence_transformers.activation_fn of sentence-transformers 4 and 5: Tanh; vocab.txt and no tokenizer.json
  two/       two labels: refused

  synthesize.tsv  for ft-synthesize: query, text of the corpus, its rank (by ../model/mean of sentence-transformers, the query itself left out, -),
             its score with the query (by plain/, in float64)

  DIR.jsonl  one line a pair: {"text", "other", "score", "ids": [...], "second": where the second text begins}; ids by the fast tokenizer,
             truncated longest_first to 24 tokens; scores in float64 by transformers, and sentence-transformers' CrossEncoder.predict
             (float32) must agree to 1e-6
"""
import json
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

torch.set_num_threads(1)
torch.manual_seed(23)
MODEL = Path("../model/mean")
TEXTS = [json.loads(line)["text"] for line in open("../model/inputs.jsonl")]
LONG = "the cat sat on the mat in new york and can you tell me the time"
PAIRS = [(TEXTS[i], TEXTS[(i * 5 + 3) % len(TEXTS)]) for i in range(len(TEXTS))]
PAIRS += [("", ""), ("x", ""), ("", "x"), (LONG, LONG), (LONG + " zebra", LONG), (LONG, LONG + " zebra"), ("x", LONG * 3), (LONG * 3, "cat bird"),
          (LONG * 2, "the cat sat on the mat the cat"), ("the cat sat on the mat the cat the", LONG * 2), ("a [SEP] b", "[CLS] c")]
ACTIVATION = {"plain": torch.sigmoid, "identity": lambda x: x, "own": lambda x: x, "tanh": torch.tanh}


def write(path, value):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2) + "\n")


def link(path, target):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    os.symlink(os.path.relpath(target, Path(path).parent), path)


for path in Path(".").iterdir():
    if path.is_dir():
        shutil.rmtree(path)
config = BertConfig(**{k: v for k, v in json.loads((MODEL / "config.json").read_text()).items() if k not in ("architectures", "dtype", "transformers_version")},
                    num_labels=1)
config.initializer_range = .3
model = BertForSequenceClassification(config)
with torch.no_grad():
    for key, p in model.named_parameters():
        if key.endswith("LayerNorm.weight"):
            p.copy_(1 + .3 * torch.randn_like(p))
        elif key.endswith("bias"):
            p.copy_(.2 * torch.randn_like(p))
        elif "token_type" in key:
            p.copy_(torch.randn_like(p))
model.save_pretrained("plain")
os.chmod("plain/model.safetensors", 0o644)
for file in ("tokenizer.json", "tokenizer_config.json"):
    link(f"plain/{file}", MODEL / file)
base = json.loads(Path("plain/config.json").read_text())

for name, extra in (("identity", {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
                    ("tanh", {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh", "version": "5.0.0"}}),
                    ("two", {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}})):
    write(f"{name}/config.json", {**base, **extra})
    link(f"{name}/model.safetensors", "plain/model.safetensors")
    if name != "tanh":
        for file in ("tokenizer.json", "tokenizer_config.json"):
            link(f"{name}/{file}", MODEL / file)
link("tanh/vocab.txt", "../model/plain/vocab.txt")
write("tanh/tokenizer_config.json", {"do_lower_case": True, "model_max_length": 24, "tokenizer_class": "BertTokenizer"})

CrossEncoder("plain", activation_fn=torch.nn.Identity(), device="cpu").save_pretrained("own", create_model_card=False)
for file, target in (("model.safetensors", "plain/model.safetensors"), ("tokenizer.json", MODEL / "tokenizer.json"),
                     ("tokenizer_config.json", MODEL / "tokenizer_config.json")):
    if Path(f"own/{file}").exists():
        os.remove(f"own/{file}")
        link(f"own/{file}", target)

tokenizer = AutoTokenizer.from_pretrained("plain")
assert tokenizer.model_max_length == 24
double = model.double().eval()
for name, activation in ACTIVATION.items():
    theirs = CrossEncoder(name, device="cpu").predict(PAIRS, batch_size=1)
    with open(f"{name}.jsonl", "w") as out:
        for (text, other), their in zip(PAIRS, theirs):
            tokens = tokenizer([text], [other], truncation=True, return_tensors="pt")
            with torch.no_grad():
                score = activation(double(**tokens).logits[0, 0]).item()
            assert abs(score - their) < 1e-6, (name, text, other, score, their)
            types = tokens["token_type_ids"][0].tolist()
            second = types.index(1)
            assert types == [0] * second + [1] * (len(types) - second)
            out.write(json.dumps({"text": text, "other": other, "score": float("%.9g" % score), "ids": tokens["input_ids"][0].tolist(), "second": second}) + "\n")
    print(name, len(PAIRS))

QUERIES = ["what is my balance", "edit photo", "play music on the web", "a cat sat on a mat", "time in new york"]
CORPUS = ["the cat sat on the mat", "a dog and a bird", "edit photos", "play music", "the time in york", "what is the time", "my balance", "many words",
          "can you tell me", "edit photo", "the web", "a new mat", "zebra"]
embedder = SentenceTransformer(str(MODEL), device="cpu")
similar = embedder.encode(QUERIES, batch_size=1) @ embedder.encode(CORPUS, batch_size=1).T
with open("synthesize.tsv", "w") as out:
    for q, query in enumerate(QUERIES):
        order = [t for t in sorted(range(len(CORPUS)), key=lambda t: -similar[q, t]) if CORPUS[t] != query]
        assert all(similar[q, a] - similar[q, b] > 1e-5 for a, b in zip(order, order[1:]))
        for t, text in enumerate(CORPUS):
            with torch.no_grad():
                score = torch.sigmoid(double(**tokenizer([query], [text], truncation=True, return_tensors="pt")).logits[0, 0]).item()
            out.write("%s\t%s\t%s\t%.9g\n" % (query, text, order.index(t) if t in order else "-", score))
