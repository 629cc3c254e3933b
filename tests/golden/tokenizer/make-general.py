#!/usr/bin/env python3
"""make-general.py: writes general/NAME.json and general.jsonl beside itself, for tests/data/test-tokenizer-general.c.

general/NAME.json  small tokenizers of the kinds that are not BERT's, trained here on the texts of make.py: byte-level BPE as RoBERTa, ModernBERT and
                   CLIP have it, Unigram as XLM-R and T5 have it, and the rarer settings
spiece/, spiece.jsonl  the same for SigLIP's tokenizer, which is a model of SentencePiece
general.jsonl      the texts of make.py and some of their own, with the ids that Hugging Face `tokenizers` gives them
general-sweep.txt  a hash of the ids of all code points (of the great blocks one of 61) in several places, block by block, and by other patterns too

Needs: tokenizers (made with 0.23.3), transformers (5.23.0) for the class of CLIP's tokenizer, sentencepiece (the map of characters was made with 0.2.1,
spiece.jsonl with 0.2.3: before 0.2.2 it broke ties otherwise).
"""
import base64, importlib.util, io, json, os, sys
from tokenizers import Tokenizer, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers, AddedToken

here = os.path.dirname(os.path.abspath(__file__))
source = open(os.path.join(here, "make.py"), encoding="utf-8").read().replace("\nmain()\n", "\n")
words = {"__file__": os.path.join(here, "make.py")}
exec(compile(source, "make.py", "exec"), words)

OWN = ["don't we'll THEY'RE I'VE it'd 's'S", "  two  blanks   three\n\nlines \n end ", "123 4567 ¼½ Ⅷ ①②", "tab\tnbsp\u00a0em\u2003ideo\u3000end", "a\u0301 \u00e1 e\u0301\u0327 \u1e9b\u0323",
       "ﬁ ﬂ ㍿ ｆｕｌｌ　ｗｉｄｔｈ １２３ ｶﾞ", "\u200b\u200c\u200d\ufeff zero", "<mask> hello<mask>world <mask>", "hello <s> </s> <pad>", "▁ ▁a a▁b ▁▁", "x" * 300, "ab" * 200,
       "the the the", "_under_score_ a_b", "日本語 の 文字", "🤖🤖 🤖", "hello\u0000null", "\u1100\u1161\u11a8 각", "\u0e01\u0e33 \u0e19\u0e49\u0e33", "e\u0301\u0301", "👨‍👩‍👧👨‍👩‍👧", "\r\n\r\n a \r\n"]
# Not trained on, so that the tokenizers of before stay as they are.
LATER = ["def f(x):\n    if x:\n        return  1\n" + " " * 30 + "end" + " " * 24, "the [MASK] sat  [MASK]\t[MASK]x [SEP] [unused1][unused9]", "a |||IP_ADDRESS||| b |||EMAIL_ADDRESS|||", " " * 7 + "e\u0301" + " " * 3 + "\u00a0 \u00a0",
         "a <|endoftext|> inside<|startoftext|> it", "<|EndOfText|> Caf\u00c9 No. 5: IT'S \u2116 42nd", "!" * 90]
# For SigLIP's alone.
SIGLIP = ["  leading blanks", "- a dash, then a blank", "Ends with a blank ", "...", "a </s> b", "x<unk> y", "\u039f\u0394\u039f\u03a3 \u03a3\u0391\u03a3 \u03a3.", "\u0130stanbul \u0130",
          "under_score-dash", "a\u001cb\u0085c", "\u2581low \u2581", "$5.00 & 50%!", "\u200b zero \u200b",
          # Of one thing over and over many cuts have nearly the same sum, and rounding decides among them.
          "ba" * 15, "ba" * 30, "ba" * 44, "ab " * 40, "abba" * 33, "aab" * 27, "abab\ud55c\ud55c\ud55c" * 9]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
MASK = AddedToken("<mask>", lstrip=True, special=True)
RULES = {"ﬁ": "fi", "ﬂ": "fl", "①": "1", "②": "2", "½": "1⁄2", "㍿": "株式会社", "\u3000": " ", "\t": " ", "\n": " ", "\u00a0": " ", "\u200b": "", "e\u0301": "é", "a\u0301": "á", "ｶﾞ": "ガ", "\u1100\u1161\u11a8": "각",
         **{chr(c): chr(c - 0xfee0) for c in range(0xff01, 0xff5f)}}


def corpus():
    return [b"".join(b * min(n, 20) for b, n in t).decode("utf-8", "replace") for t in words["texts"]()] + OWN + words["WORDS"] * 3


def charsmap():
    """RULES in SentencePiece's own form."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    rules = "".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n" for a, b in sorted(RULES.items()))
    path = os.path.join(here, "rules.tsv.tmp")
    open(path, "w").write(rules)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(words["WORDS"]), model_writer=model, vocab_size=60, normalization_rule_tsv=path, minloglevel=2)
    os.unlink(path)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def bpe(pre, size=420, normalizer=None, special=SPECIALS, model=None, **trainer):
    t = Tokenizer(models.BPE(**(model or {})))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), show_progress=False, **trainer))
    return t


def unigram(pre, size=400, normalizer=None, **trainer):
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(corpus(), trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False, **trainer))
    return t


def mpnet():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=400, special_tokens=SPECIALS + ["[UNK]"], show_progress=False))
    t.add_special_tokens([MASK])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return t


def clip():
    """transformers' own, made of a vocabulary in the order of CLIP's: letters, last letters, what merges make, the two special ones."""
    from transformers import CLIPTokenizer
    t = bpe(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
                                     pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
            normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]), special=[],
            end_of_word_suffix="</w>", initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), size=900, model=dict(end_of_word_suffix="</w>"))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = json.loads(t.to_str())["model"]["merges"]
    merges = [tuple(m.split(" ") if isinstance(m, str) else m) for m in merges]
    vocabulary = list(dict.fromkeys(letters + [c + "</w>" for c in letters] + ["".join(m) for m in merges])) + ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={v: i for i, v in enumerate(vocabulary)}, merges=merges).backend_tokenizer


def frame(t, before="<s>", after="</s>"):
    t.post_processor = processors.TemplateProcessing(single=f"{before} $A {after}".strip(), special_tokens=[(s, t.token_to_id(s)) for s in {before, after} if s])
    return t


def edited(t, **changes):
    """The same with other entries of its JSON: "model.unk_token": value."""
    spec = json.loads(t.to_str())
    for path, value in changes.items():
        *outer, last = path.split(".")
        at = spec
        for key in outer:
            at = at[key]
        at[last] = value
    return Tokenizer.from_str(json.dumps(spec))


def tokenizers():
    letters = pre_tokenizers.ByteLevel.alphabet()
    byte_level = lambda **k: pre_tokenizers.ByteLevel(**k)
    precompiled = normalizers.Precompiled(charsmap())
    blanks = normalizers.Replace(Regex(" {2,}"), " ")
    metaspace = pre_tokenizers.Metaspace
    out = {}
    roberta = bpe(byte_level(add_prefix_space=False), initial_alphabet=letters)
    roberta.add_special_tokens([MASK])
    roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    out["roberta"] = roberta
    out["prefix"] = frame(bpe(byte_level(add_prefix_space=True), initial_alphabet=letters))
    out["modern"] = frame(bpe(byte_level(add_prefix_space=False), normalizer=normalizers.NFC(), initial_alphabet=letters))
    modernbert = bpe(byte_level(add_prefix_space=False), normalizer=normalizers.NFC(), initial_alphabet=letters, special=["|||IP_ADDRESS|||", "<|padding|>", "<|endoftext|>"])
    modernbert.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)] + [AddedToken("|||EMAIL_ADDRESS|||", normalized=True)])
    modernbert.add_special_tokens([AddedToken(s, special=True, lstrip=s == "[MASK]", normalized=False) for s in ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")])
    modernbert.add_tokens([AddedToken(f"[unused{n}]", normalized=True) for n in range(3)])
    out["modernbert"] = frame(modernbert, "[CLS]", "[SEP]")
    clip_pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    out["clip"] = frame(bpe(pre_tokenizers.Sequence([pre_tokenizers.Split(clip_pattern, "removed", invert=True), byte_level(add_prefix_space=False, use_regex=False)]),
                            normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
                            end_of_word_suffix="</w>", initial_alphabet=letters, size=700, model=dict(end_of_word_suffix="</w>", unk_token="<unk>")))
    out["clip-hf"] = clip()
    out["ignore"] = edited(bpe(byte_level(add_prefix_space=False), initial_alphabet=letters), **{"model.ignore_merges": True})
    out["digits"] = bpe(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(add_prefix_space=False)]), initial_alphabet=letters)
    out["digit-runs"] = bpe(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=False)]), model=dict(unk_token="<unk>"), limit_alphabet=60)
    out["fuse"] = bpe(pre_tokenizers.WhitespaceSplit(), model=dict(unk_token="<unk>", fuse_unk=True), limit_alphabet=40)
    out["nothing"] = bpe(pre_tokenizers.WhitespaceSplit(), limit_alphabet=40)
    out["continues"] = bpe(pre_tokenizers.WhitespaceSplit(), model=dict(unk_token="<unk>", continuing_subword_prefix="##"), continuing_subword_prefix="##", limit_alphabet=40)
    bytes_too = SPECIALS + [f"<0x{b:02X}>" for b in range(256)]
    out["fallback"] = edited(bpe(metaspace(), special=bytes_too, size=700, model=dict(unk_token="<unk>"), limit_alphabet=40), **{"model.byte_fallback": True, "added_tokens": []})
    for name, behavior in (("previous", "merged_with_previous"), ("next", "merged_with_next"), ("runs", "contiguous"), ("alone", "isolated")):
        out[f"split-{name}"] = bpe(pre_tokenizers.Split(Regex("[aeiou ]"), behavior), model=dict(unk_token="<unk>"), limit_alphabet=60, size=300)
    out["split-text"] = bpe(pre_tokenizers.Split("th", "isolated"), model=dict(unk_token="<unk>"), limit_alphabet=60, size=300)
    out["forms"] = bpe(pre_tokenizers.WhitespaceSplit(), model=dict(unk_token="<unk>"), limit_alphabet=80, normalizer=normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.NFKC(), normalizers.Strip(), normalizers.Prepend("_"), normalizers.NFD()]))
    out["bert"] = bpe(pre_tokenizers.WhitespaceSplit(), model=dict(unk_token="<unk>"), limit_alphabet=80, normalizer=normalizers.BertNormalizer())
    xlmr = frame(unigram(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace()]), normalizer=precompiled))
    xlmr.add_special_tokens([MASK])
    out["xlmr"] = xlmr
    out["xlmr-new"] = frame(unigram(metaspace(), normalizer=normalizers.Sequence([precompiled, blanks])))
    t5 = unigram(metaspace(prepend_scheme="first"), normalizer=normalizers.Sequence([precompiled, normalizers.Strip(left=False, right=True), blanks]))
    t5.add_tokens([AddedToken("hello", normalized=True), AddedToken("World", normalized=False, single_word=True)])
    out["t5"] = frame(t5, before="")
    out["mpnet"] = mpnet()
    out["never"] = unigram(metaspace(prepend_scheme="never"))
    out["whole"] = unigram(metaspace(split=False))
    spec = json.loads(unigram(metaspace()).to_str())
    spec["model"]["byte_fallback"] = True
    spec["model"]["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
    out["unigram-bytes"] = Tokenizer.from_str(json.dumps(spec))
    return out


def siglip():
    """A small spiece.model, and what transformers' SiglipTokenizer makes of the texts: spiece/spiece.model, spiece.jsonl."""
    import sentencepiece
    from transformers import SiglipTokenizer
    place = os.path.join(here, "spiece")
    path = os.path.join(place, "spiece.model")
    os.makedirs(place, exist_ok=True)
    if not os.path.exists(path):
        rules = "".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n" for a, b in sorted(RULES.items()))
        table = os.path.join(here, "rules.tsv.tmp")
        open(table, "w").write(rules)
        model = io.BytesIO()
        texts = [t.replace("\0", "")[:2000].lower() for t in corpus() if t.strip("\0 \n")]
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=model, vocab_size=420, normalization_rule_tsv=table, minloglevel=2,
                                                 pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, character_coverage=.98)
        os.unlink(table)
        open(path, "wb").write(model.getvalue())
    t = SiglipTokenizer(path)
    with open(os.path.join(here, "spiece.jsonl"), "w", encoding="utf-8", newline="\n") as f:
        for number, text in enumerate(words["texts"]() + [[(t.encode(), 1)] for t in OWN + LATER + SIGLIP]):
            decoded = b"".join(b * n for b, n in text).decode("utf-8", "replace")
            for limit in (0, 3 + number % 9):
                if limit and number % 4:
                    continue
                ids = t(decoded, truncation=bool(limit), max_length=limit or None).input_ids
                f.write(json.dumps({"text": [[b.hex(), n] for b, n in text], "limit": limit, "ids": [[words["summary"](ids), ["spiece"]]]}, separators=(",", ":")) + "\n")


def cases(made):
    texts = words["texts"]() + [[(t.encode(), 1)] for t in OWN + LATER]
    for number, text in enumerate(texts):
        decoded = b"".join(b * n for b, n in text).decode("utf-8", "replace")
        for limit in (0, 3 + number % 9):
            if limit and number % 4:
                continue
            groups = {}
            for name, t in made.items():
                t.enable_truncation(limit) if limit else t.no_truncation()
                groups.setdefault(json.dumps(words["summary"](t.encode(decoded).ids)), []).append(name)
            yield json.dumps({"text": [[b.hex(), n] for b, n in text], "limit": limit, "ids": [[json.loads(k), v] for k, v in groups.items()]}, separators=(",", ":"))


# What tokenizers of GPT-4's kind and others split by, around the pieces of general/roberta.json.
PATTERNS = {
    "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+",
    "words": r"\w+|[^\w\s]+", "categories": r"\W|\d+|\p{P}|\p{S}|\p{C}", "ranges": "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
}
SWEPT = ["clip-hf", "modernbert", "digits", "forms", "xlmr"]


def sweep():
    """Lines "NAME FIRST END HASH", and "NAME PATTERN" before those of a pattern."""
    files = {name: open(os.path.join(here, "general", name + ".json"), encoding="utf-8").read() for name in SWEPT + ["roberta"]}
    for name, pattern in PATTERNS.items():
        spec = json.loads(files["roberta"])
        spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                                 {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}
        files[name] = json.dumps(spec)
    for name in SWEPT + list(PATTERNS):
        if name in PATTERNS:
            yield f"{name} {json.dumps(PATTERNS[name])}"
        tokenizer = Tokenizer.from_str(files[name])
        tokenizer.no_truncation()
        for block in list(range(0, 0x20000, 0x1000)) + list(range(0x20000, 0x110000, 0x10000)):
            end, h = block + (0x1000 if block < 0x20000 else 0x10000), 0
            points = [chr(c) for c in range(block, end) if not 0xD800 <= c < 0xE000 and
                      (c < 0x3400 or 0xA000 <= c < 0xAC00 or 0xF900 <= c < 0x20000 or c % 61 == 0)]
            for e in tokenizer.encode_batch([f"{x} a{x}b 1{x}2 e\u0345{x}\u0334\u0301 \u00bd{x}" for x in points]):
                for i in e.ids:
                    h = (h * 6364136223846793005 + i + 1) & 0xffffffffffffffff
            yield f"{name} {block:x} {end:x} {h:016x}"


def main():
    made = tokenizers()
    os.makedirs(os.path.join(here, "general"), exist_ok=True)
    for name, t in made.items():
        path = os.path.join(here, "general", name + ".json")
        if os.path.exists(path):   # training is no function of the texts alone: what is there stays
            continue
        t.no_truncation()
        with open(path, "w", encoding="utf-8") as f:
            f.write(json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    with open(os.path.join(here, "general.jsonl"), "w", encoding="utf-8", newline="\n") as f:
        f.writelines(line + "\n" for line in cases({n: Tokenizer.from_file(os.path.join(here, "general", n + ".json")) for n in made}))
    with open(os.path.join(here, "general-sweep.txt"), "w", encoding="utf-8", newline="\n") as f:
        f.writelines(line + "\n" for line in sweep())


main()
siglip()
