#!/usr/bin/env python3
"""make-families.py - tiny random directories of the families beside BERT, and what PyTorch computes with them. Run in this directory, for all of
them or those named.

  families/NAME/           as transformers saves it, weights f32, tokenizer.json of tests/golden/tokenizer/general or the vocabulary of mean/
  families/NAME.jsonl      one line a text: {"text", "embedding"}: mean over the tokens (sentence-transformers' default), not normalised, in float32,
                           one text at a time
  families/NAME.safetensors, families/gradients.json   gradients, as make.py describes them for mean/: dropout 0, float64, loss =
                           sum_i sum_j sin(7 i + 3 j + 1) * embedding[i, j]
Made with transformers 5, torch 2.
"""
import json, math, os, shutil, sys
from pathlib import Path
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as st
from tokenizers import Tokenizer
from transformers import AutoModel, DistilBertConfig, ModernBertConfig, MPNetConfig, RobertaConfig, XLMRobertaConfig, PreTrainedTokenizerFast
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

torch.set_num_threads(1)
TEXTS = ["", "the cat sat on the mat", "a dog, a cat & a bird!", "The CAT sat on the MAT", "edit photos and play music on the web", "zebra",
         "what is my balance? can you tell me the time in new york", "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m", "\u6771\u4eac \u2603 \U0001f600",
         "many words " * 9, "it's 3.14, isn't it? (yes) [no] 100%"]
GRADIENT = [1, 2, 4, 6]
GENERAL = Path("../tokenizer/general")
SHAPE = dict(hidden_size=20, num_hidden_layers=2, num_attention_heads=4, intermediate_size=36, hidden_act="gelu")


def vocabulary(file):
    vocab = json.loads(file.read_text())["model"]["vocab"]
    return len(vocab) + 8


def families():
    bert = Path("mean/tokenizer.json")
    yield "distilbert", bert, DistilBertConfig(vocab_size=vocabulary(bert), dim=20, n_layers=2, n_heads=4, hidden_dim=36, max_position_embeddings=32, pad_token_id=0)
    yield "roberta", GENERAL / "roberta.json", RobertaConfig(vocab_size=vocabulary(GENERAL / "roberta.json"), max_position_embeddings=34, type_vocab_size=1,
                                                            pad_token_id=1, layer_norm_eps=1e-5, **SHAPE)
    yield "xlm-roberta", GENERAL / "xlmr.json", XLMRobertaConfig(vocab_size=vocabulary(GENERAL / "xlmr.json"), max_position_embeddings=34, type_vocab_size=1,
                                                                pad_token_id=1, layer_norm_eps=1e-5, **SHAPE)
    yield "mpnet", GENERAL / "mpnet.json", MPNetConfig(vocab_size=vocabulary(GENERAL / "mpnet.json"), max_position_embeddings=34, pad_token_id=1, layer_norm_eps=1e-5, **SHAPE)
    t5 = dict(vocab_size=vocabulary(GENERAL / "t5.json"), d_model=20, d_kv=6, num_heads=4, d_ff=36, num_layers=2, pad_token_id=1, eos_token_id=2)
    yield "t5", GENERAL / "t5.json", T5Config(feed_forward_proj="relu", **t5)
    yield "sentence-t5", GENERAL / "t5.json", T5Config(feed_forward_proj="gated-gelu", relative_attention_num_buckets=8, relative_attention_max_distance=12, **t5)
    yield "umt5", GENERAL / "t5.json", UMT5Config(feed_forward_proj="gated-gelu", **t5)
    modern = GENERAL / "modernbert.json"
    shape = dict(vocab_size=Tokenizer.from_file(str(modern)).get_vocab_size() + 8, hidden_size=20, num_attention_heads=2, intermediate_size=36, max_position_embeddings=32,
                 local_attention=6, pad_token_id=0, bos_token_id=0, eos_token_id=0, cls_token_id=0, sep_token_id=0)
    yield "modernbert", modern, ModernBertConfig(num_hidden_layers=4, **shape)
    yield "modernbert-old", modern, ModernBertConfig(num_hidden_layers=3, norm_bias=True, attention_bias=True, mlp_bias=True, hidden_activation="silu",
                                                     global_attn_every_n_layers=2, rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 5000.0},
                                                                                                    "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}, **shape)


def old_spelling(path):
    """config.json as transformers 4.48 wrote it."""
    config = json.loads((path / "config.json").read_text())
    rope = config.pop("rope_parameters")
    del config["layer_types"]
    config.update(global_attn_every_n_layers=2, global_rope_theta=rope["full_attention"]["rope_theta"], local_rope_theta=rope["sliding_attention"]["rope_theta"])
    (path / "config.json").write_text(json.dumps(config, indent=2))


SENTENCE = dict(unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>")
SEED = {"mpnet": 13, "t5": 14, "modernbert": 14, "modernbert-old": 16}   # draws where the gradients of queries and keys are no small rest of large ones, which products of bf16 parts would not give to 1e-5
BERT_LIKE = dict(unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
SPECIAL = {"modernbert": BERT_LIKE, "modernbert-old": BERT_LIKE, "distilbert": dict(unk_token="[UNK]", pad_token="[PAD]"), "mpnet": {**SENTENCE, "unk_token": "[UNK]"}}


def make(name, tokenizer, config):
    torch.manual_seed(SEED.get(name, 11))
    encoder = {"t5": T5EncoderModel, "umt5": UMT5EncoderModel}.get(config.model_type)
    model = encoder(config) if encoder else AutoModel.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for key, p in model.named_parameters():
            norm = "norm" in key.lower()
            p.copy_(1 + 0.3 * torch.randn_like(p) if norm and key.endswith("weight") else (0.2 if p.dim() == 1 else 0.3) * torch.randn_like(p))
    path = Path("families") / name
    model.save_pretrained(path)
    if name.endswith("-old"):
        old_spelling(path)
    PreTrainedTokenizerFast(tokenizer_file=str(tokenizer), model_max_length=32, **SPECIAL.get(name, SENTENCE)).save_pretrained(path)
    shutil.copy(tokenizer, path / "tokenizer.json")
    body = st.Transformer(str(path), max_seq_length=32)
    modules = [body, st.Pooling(20, pooling_mode="mean")]
    if name == "sentence-t5":
        modules += [st.Dense(20, 12, bias=False, activation_function=torch.nn.Identity()), st.Normalize()]
        with torch.no_grad():
            modules[2].linear.weight.copy_(0.3 * torch.randn(12, 20))
    st_model = SentenceTransformer(modules=modules, device="cpu")
    if name == "sentence-t5":
        st_model.save(str(path), create_model_card=False)
        shutil.copy(tokenizer, path / "tokenizer.json")
    vectors = st_model.encode(TEXTS, batch_size=1, convert_to_numpy=True)
    with open(f"families/{name}.jsonl", "w") as out:
        for text, vector in zip(TEXTS, vectors):
            out.write('{"text": %s, "embedding": [%s]}\n' % (json.dumps(text), ", ".join("%.9g" % v for v in vector)))
    st_model = st_model.double().eval()
    features = st_model.preprocess([TEXTS[i] for i in GRADIENT]) if hasattr(st_model, "preprocess") else st_model.tokenize([TEXTS[i] for i in GRADIENT])
    embedding = st_model(features)["sentence_embedding"]
    weight = torch.tensor([[math.sin(7 * i + 3 * j + 1) for j in range(embedding.shape[1])] for i in range(len(GRADIENT))], dtype=torch.float64)
    loss = (embedding * weight).sum()
    loss.backward()
    inner = st_model[0].auto_model if hasattr(st_model[0], "auto_model") else st_model[0].model
    gradients = {k: p.grad for m in [inner, *list(st_model)[1:]] for k, p in m.named_parameters() if p.grad is not None}
    norm = math.sqrt(sum(float((g ** 2).sum()) for g in gradients.values()))
    save_file({k: g.float().contiguous() for k, g in gradients.items()}, f"families/{name}.safetensors", {"format": "pt"})
    return {"loss": float(loss), "norm": norm}


Path("families").mkdir(exist_ok=True)
record = Path("families/gradients.json")
summary = json.loads(record.read_text())["families"] if record.exists() else {}
for name, tokenizer, config in families():
    if name in sys.argv[1:] or not sys.argv[1:]:
        shutil.rmtree(Path("families") / name, ignore_errors=True)
        summary[name] = make(name, tokenizer, config)
json.dump({"texts": [TEXTS[i] for i in GRADIENT], "families": summary}, record.open("w"), indent=1)
