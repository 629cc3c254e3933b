"""Names and shapes of published open_clip models: published.txt, a line with the name and model_cfg, then their tensors as in ../clip/names.txt. And
cleaned.jsonl: ids of texts behind each of open_clip's ways to clean one, by a byte-level tokenizer that shows every byte.

python make-names.py     (torch, transformers, timm, open_clip_torch)
"""
import ftfy, html, json, os, shutil, tempfile
from types import SimpleNamespace
here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)
import open_clip, open_clip.hf_model, torch
from open_clip.tokenizer import HFTokenizer
from transformers import RobertaConfig, XLMRobertaConfig

# As the hub has these encoders' config.json.
base = dict(type_vocab_size=1, layer_norm_eps=1e-5, max_position_embeddings=514, pad_token_id=1, bos_token_id=0, eos_token_id=2)
large = dict(base, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
configs = {"roberta-base": RobertaConfig(vocab_size=50265, **base), "xlm-roberta-base": XLMRobertaConfig(vocab_size=250002, **base),
           "xlm-roberta-large": XLMRobertaConfig(vocab_size=250002, **large)}
open_clip.hf_model.AutoConfig = SimpleNamespace(from_pretrained=lambda name: configs[name])

lines = []
for name in ("xlm-roberta-base-ViT-B-32", "roberta-ViT-B-32", "xlm-roberta-large-ViT-H-14", "ViT-B-16-SigLIP", "ViT-SO400M-14-SigLIP-384", "ViT-B-16-SigLIP2",
             "RN50", "RN101", "RN50x4", "RN50-quickgelu"):
    config = open_clip.get_model_config(name)
    with torch.device("meta"):
        made = {k: v for k, v in config.items() if k != "custom_text"}
        if "hf_model_name" in made["text_cfg"]:
            made = dict(made, text_cfg=dict(made["text_cfg"], hf_model_pretrained=False))
        custom = config.get("custom_text") or "hf_model_name" in config["text_cfg"]
        model = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**made)
    lines.append(f"= open_clip {name}")
    before = ""
    open(f"published/{name}.json", "w").write(json.dumps({"model_cfg": config, "preprocess_cfg": {}}) + "\n")
    state = model.state_dict()
    for key, value in state.items():
        stem = key.rsplit(".", 1)[0]
        if stem + ".running_mean" in state:
            if not key.endswith(".weight"):
                continue
            key = stem + ".*"
        shared = len(os.path.commonprefix([key, before]))
        if value.ndim:
            lines.append(f"{shared} {key[shared:]} {','.join(map(str, value.shape))}")
            before = key
open("published/names.txt", "w").write("\n".join(lines) + "\n")

TEXTS = ["", " ", "a", "A cat", "  A  cat ", "a\tb\n c\r\nd", "one_two__three", "snake_case_name!", "ΟΔΟΣ", "ΟΔΟΣ.", "ΟΔΟΣ'Α", "Σ", "ΑΣ ΒΣΓ ΣΑ", "ΑΣ-Β ΑΣ,Β", "It's 3 o'clock.",
         "İstanbul IŞIK", "ÄÖÜ ß ẞ", "a\u00a0b\u2003c", "x\x1cy\x1fz", "a . b , c", "...", "___", "!?", "(a) [b] {c} <d>", "a~b`c^d|e\\f/g", "50% & $3 + #1 @home = *",
         "naïve café", "Привет, МИР!", "中文,测试。", "日本語 テスト", "한국어 테스트!", "🤖 Hello_World 🤖!", "a\u3000b", "ǅ Ǆ ǆ", "ﬁx", "e\u0301A\u0301", "Ω K Å", "\u1680x\u2028y\u2029z",
         "-a- -b-", "tail   ", "   head", "UPPER lower MiXeD", "\u200bzero\u200bwidth", "a\u0085b", "ΌΣΟΣ ΣΙΣΥΦΟΣ;", "ΣΣ", "Α\u0301Σ", "1Σ"]
out = []
with tempfile.TemporaryDirectory() as place:
    shutil.copy("../tokenizer/general/roberta.json", f"{place}/tokenizer.json")
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}, open(f"{place}/tokenizer_config.json", "w"))
    for number, clean in enumerate(("whitespace", "lower", "canonicalize")):
        words = HFTokenizer(place, context_length=200, clean=clean)
        for text in TEXTS:
            if html.unescape(html.unescape(ftfy.fix_text(text))) == text:   # what it mends besides is not ours
                ids = words([text])[0].tolist()
                out.append(json.dumps({"clean": number + 1, "text": text, "ids": ids[:ids.index(1)]}))
open("cleaned.jsonl", "w").write("\n".join(out) + "\n")
print(len(out), "of", 3 * len(TEXTS))
