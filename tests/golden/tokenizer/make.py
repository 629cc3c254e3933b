#!/usr/bin/env python3
"""make.py: writes vocab.txt, variants.json, cases.jsonl and sweep.txt beside itself, for tests/data/test-tokenizer.c.

vocab.txt      a small vocabulary, made here
variants.json  tokenizers over it: what tokenizer.json says (its vocabulary is put in by whoever reads this), or what
               tokenizer_config.json says beside vocab.txt
cases.jsonl    texts and the ids that Hugging Face `tokenizers` gives them under each variant
sweep.txt      a hash of the ids of all code points, block by block, under a vocabulary of single characters

Needs: tokenizers (made with 0.23.3).
"""
import copy, json, os, random
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

here = os.path.dirname(os.path.abspath(__file__))
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = """the of and to in is it for on that this with as by at from what how do does did you your can could would i me
my we our they their he she his her a an be been are was were have has had not no yes but or if so than then when where
who why which while there here all any some one two three first last new old good bad big small long short more most less
card bank account money pay transfer balance bill credit time date day week month year alarm timer play song music list
call text phone car gas oil tire flight travel hotel book food meal recipe order weather translate language spanish french
library package program file files data image video sound editor tool tools server client network protocol python java
develop development document documentation support library libraries system interface command line user users perl module
run running runs ran walk walked walking jump jumped jumping happy unhappy embed embedding embeddings token tokenize
tokenizer unbelievable cafe naive resume zurich strasse istanbul fiance facade pinata uber angstrom hello world new york""".split()
CASED = ["The", "Hello", "World", "Zürich", "Café", "café", "naïve", "Straße", "straße", "İstanbul", "É", "ÉCOLE", "Paris", "IBM", "Ångström"]
ENDINGS = "s es ed ing er ers est ly ness ment tion able ize ized izer un re in al ic ous ful less ity ies y e d t n r l m o a th st nd ch sh".split()
OTHERS = "привет мир да нет καλημέρα κοσμος και العربية سلام שלום עולם हिन्दी नमस्ते ไทย に ほん の かな カタ カナ".split()
LETTERS = ("ßæøœþðđħıłŋſəʼάέήίόύώαβγδεζηθικλμνξοπρστυφχψωςабвгдежзийклмнопрстуфхцчшщъыьэюяابتثجحخدسلمنهويאבגדהוזחטילםמנסעפקרשת"
           "नमसतेहिदीकขगไทยのはがをにほかなカタナアイウェ中文字日本語国国汉漢人大小一二三ᄀᄂ하ᅢᅥᆨᆫᆼ한글각éèêëàâäãåçñöôòóõøüûùúÿÉÈÀÄÅÇÑÖÜİǅǆ")
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»¡¿–—‘’“”…、。「」！（），：？·§¶€£©®™°±×÷½²①Ⅷ→∑√😀👨👩🇩🇪ﬁﬂ\u00ad\u200b\u0301\u0307\u0308\u302e\u1baa\u0903𝅗𐐨𞤢𝔘\ufffd"


def vocabulary():
    pieces = SPECIALS + [f"[unused{i}]" for i in range(5)]
    ascii_letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces += list(ascii_letters) + ["##" + c for c in ascii_letters] + list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    pieces += ["##" + c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    pieces += WORDS + CASED + ["##" + e for e in ENDINGS] + OTHERS + list(SIGNS)
    pieces += [p + c for c in LETTERS for p in ("", "##")] + ["##" + c for c in SIGNS[-25:]]
    return list(dict.fromkeys(pieces))       # the first of each, in order


def variants(vocab):
    base = json.loads(BertWordPieceTokenizer({p: i for i, p in enumerate(vocab)}).to_str())
    base["model"]["vocab"] = {}
    out = {}

    def add(name, added=(), post=None, model=None, normalizer=True, **settings):
        spec = copy.deepcopy(base)
        spec["normalizer"] = dict(spec["normalizer"], **settings) if normalizer else None
        spec["model"].update(model or {})
        next_id = len(vocab)
        for content, flags in added:
            token = dict(id=vocab.index(content) if content in vocab else next_id, content=content,
                         **{f: f in flags.split() for f in ("single_word", "lstrip", "rstrip", "normalized", "special")})
            next_id += token["id"] == next_id
            spec["added_tokens"] = [t for t in spec["added_tokens"] if t["content"] != content] + [token]
        if post:
            spec["post_processor"] = None if post == "none" else post
        out[name] = {"tokenizer.json": spec}

    add("uncased")
    add("cased", lowercase=False)
    add("accents", strip_accents=False)
    add("stripped", lowercase=False, strip_accents=True)
    add("together", handle_chinese_chars=False)
    add("unclean", clean_text=False)
    add("bare", normalizer=False)
    add("short-words", model={"max_input_chars_per_word": 5})
    add("long-words", model={"max_input_chars_per_word": 20000})
    add("other-prefix", model={"continuing_subword_prefix": "un"})
    add("no-frame", post="none")
    piece = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    add("template-frame", post={"type": "TemplateProcessing", "single": [piece("two"), {"Sequence": {"id": "A", "type_id": 0}}, piece("[SEP]")],
                                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                                "special_tokens": {"two": {"id": "two", "ids": [2, 4], "tokens": ["[CLS]", "[MASK]"]},
                                                   "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}})
    add("added", [("<e1>", ""), ("</e1>", "special"), ("[MASK]", "special lstrip"), ("É", "normalized single_word"), ("new york", "normalized"), ("york", "normalized"),
                  ("ab", "single_word"), ("abc", "single_word rstrip"), ("[E", "rstrip lstrip"), ("中", "normalized lstrip rstrip"), ("Ab", "normalized special")])
    add("added-cased", [("É", "normalized single_word"), ("new york", "normalized rstrip"), ("hello", "single_word lstrip"), ("é", "")], lowercase=False)
    out["vocab"] = {}
    out["vocab-cased"] = {"tokenizer_config.json": {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}}
    out["vocab-accents"] = {"tokenizer_config.json": {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False,
                                                     "unk_token": {"content": "[UNK]"}, "tokenizer_class": "BertTokenizerFast"}}
    return out


def reference(files, vocab):
    """The library's own tokenizer for a variant."""
    pieces = {p: i for i, p in enumerate(vocab)}
    if "tokenizer.json" in files:
        spec = copy.deepcopy(files["tokenizer.json"])
        spec["model"]["vocab"] = pieces
        return Tokenizer.from_str(json.dumps(spec))
    config = files.get("tokenizer_config.json", {})
    return BertWordPieceTokenizer(pieces, clean_text=True, handle_chinese_chars=config.get("tokenize_chinese_chars", True),
                                  strip_accents=config.get("strip_accents"), lowercase=config.get("do_lower_case", True))._tokenizer


def texts():
    """Texts as lists of (bytes, times)."""
    plain = ["", " ", "\n\t\r ", "hello", "Hello, World!", "The embeddings of unbelievable tokenizers", "what's my bank account's balance?",
             "run-running  runs\tran\nwalked", "É é e\u0301 E\u0301 ÉCOLE école", "naïve café, Café, CAFÉ; fiancé façade piñata", "Zürich Straße STRASSE ẞ ß",
             "İstanbul istanbul ISTANBUL ıstanbul Iİıi", "ﬁne ﬂow oﬃce ﬆ", "½ ² ① Ⅷ ⅷ ℃ Å Å K Ω", "ΚΑΛΗΜΈΡΑ Σίσυφος ΟΔΟΣ ς σ", "Привет, мир! ЙЁ й ё",
             "العربية سلام עולם שָׁלוֹם", "हिन्दी नमस्ते क़ ड़", "ไทย ภาษาไทย น้ำ", "日本語の文字とカタカナ ガ が ｶﾞ", "中文字漢字汉字中a中1中,中", "豈 更 車 賈 丽 𠀀 𪜀 𫝀 㐀 鿿",
             "한국어 각 한 \u1112\u1161\u11ab", "😀 👨‍👩‍👧 🇩🇪 ❤️ 👍🏽", "a\u0000b \u0001c \u001b[31m d\u007fe\u0085f\u009f", "a\u00a0b\u2003c\u2028d\u2029e\u3000f\u1680g\u180eh\u200ai\u202fj",
             "a\u00adb\u200bc\u200cd\u200de\u2060f\ufeffg\u061ch", "\ufeffhello", "a\u000bb\u000cc\u001cd\u001fe", "\ue000 \uf8ff \U000f0000 \U0010ffff \U000e0001 \ufffd \uffff x\ufffdy",
             "[CLS] hello [SEP]", "[CLS][SEP][MASK][PAD][UNK]", "[cls] [sep] [ CLS ] [CLS hello] [[CLS]] x[MASK]y", "hello [MASK] world [MASK]", "[unused1] [UNUSED1]",
             "<e1>hello</e1> < e1 > <E1>", "É école É. élan hÉ", "New York new york NEW YORK new  york newyork", "ab abc abcd xab ab. abc  hello éab abé ab\u0301", "[E hello [E]  [ E",
             "Ab AB ab aB xAbx", "  中  文 ", "hello [MASK]\u3000\u00a0[MASK]", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "«a» ¡b! ¿c? –—‘’“”… 、。「」！（），：？ § ¶ € £ © ® ™",
             "a;b\u037ec`d\u1fefe'f\u00b4g", "##ing ##s # # un##able", "3.14159 1,000,000 2024-01-31 10:45pm 1e-5 0xff", "http://example.org/a_b?c=d&e=f#g user@host.org",
             "C:\\path\\file.txt $HOME ~user *.c", "\u0301abc", "\u0301", "a\u0301\u0308\u0327b \u0903 c\u0903", "q\u0307\u0323 q\u0323\u0307 \u0344 \u0f73 \u0958",
             "\u302e\u1baa\u302f \u1baa\u302e a\u302e\u0301\u1baab \u302e\u05b0\u1baa \u302e\u0488\u1baa", "\U0001d15e \U0001d157\U0001d165 \U0001d160\u1baa x\U0001d16d\u302e\u1baa",
             "\u08d4\u1baa \u1dfb\u302e\u1baa \U0001e944\U0001e94a\u302e", "\u302e\u0902\u1baa \u302e\u034f\u1baa \u302e\u0301\u1baa", "中\u0301文\u302e字 中\u1baa\u302e", "Ǆ ǅ ǆ Ǉ ǈ ﬁ Ŀ ŀ ŉ Ǳ", "𐐀𐐨 𝔘 𝐀 𞤀𞤢 𖹀 Ა ა Ꭰ ꭰ ᏸ", "\ua7dc \U00010d50 \U00016ea0 \u1c89",
             "ԱԲ աբ և", "ꙀꙁꚀ Ⱥ Ⱦ ⱥ Ɐ ꞌ", "x" * 100, "x" * 101, "é" * 100, "é" * 101, "e\u0301" * 100, "中" * 101, "a-" * 60, " ".join(WORDS[:120])]
    raw = [b"\xff", b"a\xffb", b"\xc3", b"a\xc3 b", b"\xc3\x28", b"\xe2\x82", b"\xe2\x82x", b"\xe2\x28\xa1", b"\xf0\x9f\x98", b"\xf0\x9f\x98 \xf0\x9f a\xf0b", b"\xed\xa0\x80 \xed\xbf\xbf",
           b"\xc0\x80 \xc1\xbf \xe0\x80\x80 \xf0\x80\x80\x80", b"\xf4\x90\x80\x80 \xf5\x80\x80\x80 \xf8\x88\x80\x80\x80", b"\x80\x81\xbf", b"caf\xe9 na\xefve", b"hello\x00world\x00", b"\x00",
           b"hel\xfflo [C\xffLS] [CLS]\xff[SEP] [MASK\xc3]", b"\xe4\xb8\xad\xe4\xb8\xe6\x96\x87", b"\xff ab \xffab ab\xff \xc3ab", b"[MASK]\xc3[MASK] \xa0[MASK]"]
    out = [[(t.encode(), 1)] for t in plain] + [[(t, 1)] for t in raw]
    out += [[(b"a", 10000)], [("é".encode(), 10000)], [("中".encode(), 3000)], [(b"hello ", 4000)], [(b"[MASK]", 2000)], [(b"!", 5000)], [("\u302e\u1baa".encode(), 3000)],
            [(b"unbelievable", 1), (b"s", 9988)], [(b" ", 50000), (b"end", 1)], [("\u0301".encode(), 20000), (b"x", 1)], [(b"x ", 700), ("É".encode(), 300), (b" [SEP]", 50)]]
    generator = random.Random(3)
    alphabet = list("abcdefgh" + " " * 8 + ".,-") + list("ÉéİıßσςǅÅ中文の각한ﬁ½①😀\u0301\u0308\u0327\u302e\u1baa\u0903\u200d\u00ad\u00a0\u3000\0\t") + ["[MASK]", "[SEP]", "hello", "New York", "Ab", "[E"]
    for _ in range(60):
        out.append([("".join(generator.choices(alphabet, k=generator.randint(5, 40))).encode(), 1)])
    return out


def summary(ids):
    """Short lists as they are, long ones as their length and hash."""
    h = 0
    for i in ids:
        h = (h * 6364136223846793005 + i + 1) & 0xffffffffffffffff
    return ids if len(ids) <= 60 else [len(ids), f"{h:016x}"]


def cases(vocab, specs):
    tokenizers = {name: reference(files, vocab) for name, files in specs.items()}
    for number, text in enumerate(texts()):
        decoded = b"".join(b * n for b, n in text).decode("utf-8", "replace")
        for limit in (0, 3 + number % 9):
            groups = {}
            for name, tokenizer in tokenizers.items():
                if limit:
                    tokenizer.enable_truncation(limit)
                else:
                    tokenizer.no_truncation()
                groups.setdefault(json.dumps(summary(tokenizer.encode(decoded).ids)), []).append(name)
            if limit and (number % 3 or len(groups) == 1):
                continue
            yield json.dumps({"text": [[b.hex(), n] for b, n in text], "limit": limit,
                              "ids": [[json.loads(k), v] for k, v in groups.items()]}, separators=(",", ":"))


def sweep(specs):
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    known = [c for c in points if c < 0x30000 or c >> 12 == 0xE0]
    vocab = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    for i, c in enumerate(known):
        vocab[chr(c)], vocab["##" + chr(c)] = 1000 + 2 * i, 1001 + 2 * i
    for name in ("uncased", "cased", "accents", "stripped", "unclean"):
        spec = copy.deepcopy(specs[name]["tokenizer.json"])
        spec["model"]["vocab"] = vocab
        tokenizer = Tokenizer.from_str(json.dumps(spec))
        for block in list(range(0, 0x30000, 0x1000)) + list(range(0x30000, 0x110000, 0x10000)):
            end, h = block + (0x1000 if block < 0x30000 else 0x10000), 0
            batch = [t for c in range(block, end) if not 0xD800 <= c < 0xE000 for t in (chr(c), "a" + chr(c) + "b")]
            for e in tokenizer.encode_batch(batch):
                for i in e.ids:
                    h = (h * 6364136223846793005 + i + 1) & 0xffffffffffffffff
            yield f"{name} {block:x} {end:x} {h:016x}"


def main():
    vocab = vocabulary()
    specs = variants(vocab)
    for name, lines in (("vocab.txt", vocab), ("variants.json", ["{" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in specs.items()) + "}"]),
                        ("cases.jsonl", cases(vocab, specs)), ("sweep.txt", sweep(specs))):
        with open(os.path.join(here, name), "w", encoding="utf-8", newline="\n") as f:
            f.writelines(line + "\n" for line in lines)
    print(len(vocab), "pieces")


main()
