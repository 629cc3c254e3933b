#!/usr/bin/env python3
"""make-static.py - tiny random models of static embeddings, and what their own packages compute with them. Run in this directory.

  static/model2vec/        as model2vec saves it: WordPiece with an unknown token, normalised, at most 12 tokens
  static/quantized/        the same with a mapping and weights, embeddings f16, not normalised; no modules.json
  static/bytes/            the same in whole numbers of one byte, over a byte-level BPE without an unknown token
  static/static/           as sentence-transformers saves a StaticEmbedding: Unigram, truncation to 9 tokens in tokenizer.json
  static/wordllama/        laid out as PyPI's wordllama is: weights/NAME_DIM.safetensors, tokenizers/NAME_tokenizer_config.json, byte fallback
  static/NAME.jsonl        one line a text: {"text", "embedding"}, by those packages; of f16 and of one byte by float32 of the same numbers
  static/NAME.safetensors, static/gradients.json   gradients of the table in float64, as make-families.py describes them

Made with model2vec 0.10.0, sentence-transformers 6.2.0, wordllama 0.4.0.post1, torch 2.
"""
import json, math, os, shutil
from pathlib import Path
os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
from model2vec import StaticModel
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from wordllama import WordLlama, ModelURI

TEXTS = ["", "the cat sat on the mat", "a dog, a cat & a bird!", "The CAT sat on the MAT", "edit photos and play music on the web", "zebra",
         "what is my balance? can you tell me the time in new york", "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m", "\u6771\u4eac \u2603 \U0001f600",
         "many words " * 9, "it's 3.14, isn't it? (yes) [no] 100%", "\u6771\u4eac" * 20 + " the cat", "[UNK] cat [CLS] [SEP]", "cat " * 40]
GRADIENT = [1, 2, 4, 6, 8]
GENERAL = Path("../tokenizer/general")
HERE = Path("static")
random = np.random.default_rng(5)


def table(count, width=24):
    return random.standard_normal((count, width)).astype(np.float32)


def tokenizer(path):
    made = Tokenizer.from_file(str(path))
    made.no_padding()
    made.no_truncation()
    return made


def write(name, vectors, rows, ids, normalize):
    """Embeddings, and the gradient of `rows` (a vector for each token): ids is a function of texts."""
    with open(HERE / f"{name}.jsonl", "w") as out:
        for text, vector in zip(TEXTS, vectors):
            out.write('{"text": %s, "embedding": [%s]}\n' % (json.dumps(text), ", ".join("%.9g" % v for v in vector)))
    weight = torch.tensor(rows.astype(np.float64), requires_grad=True)
    loss = 0
    for i, one in enumerate(ids([TEXTS[i] for i in GRADIENT])):
        if one:
            mean = weight[torch.tensor(one)].mean(0)
            mean = torch.nn.functional.normalize(mean, dim=0) if normalize else mean
            loss = loss + sum(math.sin(7 * i + 3 * j + 1) * mean[j] for j in range(rows.shape[1]))
    loss.backward()
    return {"loss": loss.item(), "norm": float(weight.grad.norm())}, weight.grad.float().numpy()


def model2vec():
    made = tokenizer("mean/tokenizer.json")
    rows = table(made.get_vocab_size())
    model = StaticModel(rows, made, config={"model_type": "model2vec", "normalize": True, "max_length": 12}, normalize=True, max_length=12)
    model.save_pretrained(HERE / "model2vec")
    ids = lambda texts: model.tokenize([t[:12 * model.median_token_length] for t in texts])
    return "embeddings", write("model2vec", model.encode(TEXTS), rows, ids, True)


def quantized():
    made = tokenizer("mean/tokenizer.json")
    count = made.get_vocab_size()
    mapping, weights = random.integers(0, 7, count).astype(np.int32), random.random(count).astype(np.float32)
    model = StaticModel(table(7).astype(np.float16), made, config={"model_type": "model2vec"}, weights=weights, token_mapping=mapping, max_length=None)
    model.save_pretrained(HERE / "quantized")
    (HERE / "quantized/modules.json").unlink()
    model.embedding = model.embedding.astype(np.float32)
    return "embeddings", write("quantized", model.encode(TEXTS), model.embedding[mapping] * weights[:, None], model.tokenize, False)


def bytes_():
    made = tokenizer(GENERAL / "modern.json")
    rows = random.integers(-127, 128, (made.get_vocab_size(), 24)).astype(np.int8)
    model = StaticModel(rows, made, config={"model_type": "model2vec", "normalize": True}, normalize=True)
    model.save_pretrained(HERE / "bytes")
    return "embeddings", write("bytes", model.encode(TEXTS), rows, model.tokenize, True)


def static():
    made = tokenizer(GENERAL / "xlmr.json")
    rows = table(made.get_vocab_size())
    made.enable_truncation(9)
    module = StaticEmbedding(made, embedding_weights=rows)
    model = SentenceTransformer(modules=[module], device="cpu")
    model.save_pretrained(str(HERE / "static"), create_model_card=False)
    ids = lambda texts: [e.ids for e in module.tokenizer.encode_batch(texts, add_special_tokens=False)]
    return "embedding.weight", write("static", model.encode(TEXTS, convert_to_numpy=True), rows, ids, False)


def wordllama():
    where = HERE / "wordllama"
    (where / "weights").mkdir(parents=True)
    (where / "tokenizers").mkdir()
    spec = json.loads((GENERAL / "fallback.json").read_text())
    spec["pre_tokenizer"] = None
    spec["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
    (where / "tokenizers/custom_tokenizer_config.json").write_text(json.dumps(spec, ensure_ascii=False))
    rows = table(Tokenizer.from_str(json.dumps(spec)).get_vocab_size())
    save_file({"embedding.weight": rows.astype(np.float16)}, where / "weights/custom_24.safetensors")
    rows = rows.astype(np.float16).astype(np.float32)
    model = WordLlama.load(ModelURI("", [24], [], "custom_tokenizer_config.json"), cache_dir=where, dim=24)
    ids = lambda texts: [e.ids[:sum(e.attention_mask)] for e in model.tokenize(texts)]
    return "embedding.weight", write("wordllama", model.embed(TEXTS), rows, ids, False)


shutil.rmtree(HERE, ignore_errors=True)
HERE.mkdir()
summary = {}
for make in (model2vec, quantized, bytes_, static, wordllama):
    name = make.__name__.rstrip("_")
    tensor, (summary[name], gradient) = make()
    save_file({tensor: gradient}, HERE / f"{name}.safetensors", {"format": "pt"})
for card in HERE.glob("*/README.md"):
    card.unlink()
json.dump({"texts": [TEXTS[i] for i in GRADIENT], "families": summary}, open(HERE / "gradients.json", "w"), indent=1)
