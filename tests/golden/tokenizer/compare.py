#!/usr/bin/env python3
"""compare.py [--fuzz N] [--no-points] MODEL_DIRECTORY [FILE.csv ...]

Compares our ids with those of Hugging Face `tokenizers` for the model's tokenizer.json: every field of the CSV files,
every code point alone and between letters, every code point that combines beside others of its kind, and N random texts
under random settings and added tokens. Of a model that is not WordPiece: under its own settings. Run from the top of the tree after make. Exits 1 when any text differs.
How fast each is: tests/data/bench-tokenizer.c and bench/tokenizing.py.
"""
import argparse, csv, json, os, random, struct, subprocess, sys, tempfile, unicodedata
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer

here = os.path.dirname(os.path.abspath(__file__))
work = tempfile.TemporaryDirectory()
program = os.path.join(work.name, "tokens")
failed = 0


def pack(texts):
    return b"".join(struct.pack("<I", len(t)) + t for t in texts)


def ours(directory, texts, limit=0):
    out = subprocess.run([program, directory, str(limit)], input=pack(texts), stdout=subprocess.PIPE, check=True).stdout
    ids, at = [], 0
    while at < len(out):
        n, = struct.unpack_from("<I", out, at)
        ids.append(list(struct.unpack_from(f"<{n}i", out, at + 4)))
        at += 4 + 4 * n
    return ids


def reference(path, limit=0):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if limit:
        tokenizer.enable_truncation(limit)
    return tokenizer


def compare(what, directory, texts, limit=0, path=None):
    global failed
    tokenizer = reference(path or os.path.join(directory, "tokenizer.json"), limit)
    want, got, n = [], ours(directory, texts, limit), 0
    for i in range(0, len(texts), 50000):
        decoded = [t.decode("utf-8", "replace") for t in texts[i:i + 50000]]
        want += [e.ids for e in tokenizer.encode_batch(decoded)]
    assert len(want) == len(got)
    wrong = [i for i in range(len(texts)) if want[i] != got[i]]
    print(f"{what}: {len(texts)} texts, {sum(map(len, want))} ids, {len(wrong)} texts differ", flush=True)
    for i in wrong[:5]:
        print("  ", texts[i][:200], "\n    want", want[i][:40], "\n    got ", got[i][:40])
    failed |= bool(wrong)
    return not wrong


def fields(path):
    csv.field_size_limit(1 << 30)
    with open(path, newline="") as f:
        return [x.encode() for row in csv.reader(f) for x in row]


POINTS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def code_points(directory, what, **settings):
    path = os.path.join(work.name, "points")
    os.makedirs(path, exist_ok=True)
    spec = json.load(open(os.path.join(directory, "tokenizer.json")))
    spec["normalizer"].update(settings)
    # A vocabulary of single characters, so that the ids tell all of what normalization did.
    marks = [x for x in POINTS if ord(x) < 0x30000 or ord(x) >> 12 == 0xE0]
    vocab = {"[UNK]": 100, "[CLS]": 101, "[SEP]": 102}
    for i, x in enumerate(marks):
        vocab.setdefault(x, 1000 + 2 * i)
        vocab.setdefault("##" + x, 1001 + 2 * i)
    spec["model"]["vocab"] = vocab
    spec["added_tokens"] = []
    json.dump(spec, open(path + "/tokenizer.json", "w"), ensure_ascii=False)
    texts = [t.encode() for x in POINTS for t in (x, "a" + x + "b", "A " + x + x + ".")]
    compare(f"code points, {what}", path, texts)
    combining = [x for x in POINTS if unicodedata.combining(x)] + list("aÅ\u0903\u0488\u1D15E中\u200d")
    generator = random.Random(1)
    texts = ["".join(generator.choices(combining, k=generator.randint(1, 40))).encode() for _ in range(100000)]
    compare(f"runs of combining characters, {what}", path, texts)


def random_text(generator, extra):
    pools = ["abcdefghijklmnopqrstuvwxyz     ", "ABCÀÉÎÖŨñçİıßſKÅǅΣςσ", ".,!?-_'\"()[]{}<>@#$%^&*+=|\\/~`", "中文字漢字の日本語한국어각",
             "\u0301\u0308\u0327\u302e\u302f\u1baa\u0488\u05b0\u0345", "\0\t\n\r\v\f\x1b\x7f\x85\xa0\xad\u200b\u200d\u2028\u3000\ufeff\ufffd\ue000",
             "ﬁﬂ①Ⅷ½²😀👨👩🇩🇪𝔘𐐀𝅘𝅥𞤀\U0010ffff"]
    parts = []
    for _ in range(generator.randint(0, 30)):
        k = generator.random()
        if k < .25:
            parts.append(generator.choice(extra).encode())
        elif k < .3:
            parts.append(bytes(generator.choices(range(256), k=generator.randint(1, 6))))
        elif k < .35:
            parts.append(chr(generator.choice([generator.randrange(0xD800), generator.randrange(0xE000, 0x30000)])).encode())
        else:
            parts.append("".join(generator.choices(generator.choice(pools), k=generator.randint(1, 8))).encode())
    return b"".join(parts)


def fuzz(directory, count):
    base = json.load(open(os.path.join(directory, "tokenizer.json")))
    generator = random.Random(2)
    path = os.path.join(work.name, "fuzz")
    os.makedirs(path, exist_ok=True)
    contents = ["[MASK]", "[SEP]", "<e1>", "</e1>", "É", "ab", "abc", "[E", "new york", "İ", " x", "中", "!!", "a b c", "ﬁ", "Ab", "[CLS][SEP]"]
    while count > 0:
        spec = json.loads(json.dumps(base))
        if generator.random() < .1:
            spec["normalizer"] = None
        else:
            spec["normalizer"].update(clean_text=generator.random() < .8, handle_chinese_chars=generator.random() < .7,
                                      strip_accents=generator.choice([None, True, False]), lowercase=generator.random() < .6)
        spec["model"]["max_input_chars_per_word"] = generator.choice([100, 100, 5, 3000])
        for x in generator.sample(contents, generator.randint(0, 8)):
            flag = lambda: generator.random() < .4
            token = dict(id=len(spec["model"]["vocab"]) + len(spec["added_tokens"]), content=x, single_word=flag(), lstrip=flag(),
                         rstrip=flag(), normalized=flag(), special=flag())
            spec["added_tokens"] = [t for t in spec["added_tokens"] if t["content"] != x] + [token]
        # Ids as the library gives them: in order, after the vocabulary.
        next_id = len(spec["model"]["vocab"])
        for token in spec["added_tokens"]:
            known = spec["model"]["vocab"].get(token["content"])
            token["id"] = known if known is not None else next_id
            next_id += known is None
        json.dump(spec, open(path + "/tokenizer.json", "w"), ensure_ascii=generator.random() < .5)
        texts = [random_text(generator, contents + ["[PAD]", "hello", "a" * 200, "Zürich", " "]) for _ in range(min(count, 4000))]
        count -= len(texts)
        if not compare("random texts", path, texts, generator.choice([0, 0, 2, 3, 16])):
            print(json.dumps(dict(spec, model=None), ensure_ascii=False))
            if failed > 3:
                return


def own_settings(directory, count):
    compare("code points", directory, [t.encode() for x in POINTS for t in (x, "a" + x + "b", "A " + x + x + ".")])
    combining = [x for x in POINTS if unicodedata.combining(x)] + list("aÅ\u0903\u0488\u1D15E中\u200d")
    generator = random.Random(1)
    compare("runs of combining characters", directory, ["".join(generator.choices(combining, k=generator.randint(1, 40))).encode() for _ in range(50000)])
    extra = ["hello", " the", "don't", "  ", "\n\n", "12", "<s>", "<mask>", "</w>", "▁", "#"]
    compare("random texts", directory, [random_text(generator, extra) for _ in range(count)])
    compare("random texts, limit 9", directory, [random_text(generator, extra) for _ in range(count)], 9)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fuzz", type=int, default=40000)
    parser.add_argument("--no-points", action="store_true")
    parser.add_argument("model")
    parser.add_argument("csv", nargs="*")
    a = parser.parse_args()
    subprocess.run(["cc", "-std=gnu11", "-O2", "-Ilib", "-D_GNU_SOURCE", *os.environ.get("CFLAGS", "").split(), "-o", program,
                    os.path.join(here, "tokens.c"), os.environ.get("LIBFT", "libft.a"), "-ljansson", "-lutf8proc", "-lpcre2-8", "-lm"], check=True)
    for path in a.csv:
        texts = fields(path)
        compare(os.path.basename(path), a.model, texts)
        compare(os.path.basename(path) + ", limit 16", a.model, texts[:5000], 16)
    if json.load(open(os.path.join(a.model, "tokenizer.json")))["model"].get("type", "WordPiece") != "WordPiece":
        own_settings(a.model, a.fuzz)
        return failed
    if a.fuzz:
        fuzz(a.model, a.fuzz)
    if not a.no_points:
        compare("code points, the model's own vocabulary", a.model,
                [t.encode() for x in POINTS for t in (x, "a" + x + "b")])
        code_points(a.model, "as the model")
        code_points(a.model, "cased", lowercase=False)
        code_points(a.model, "lower, accents kept", strip_accents=False)
        code_points(a.model, "cased, accents stripped, no Chinese", lowercase=False, strip_accents=True, handle_chinese_chars=False)
        code_points(a.model, "not cleaned", clean_text=False)
    return failed


sys.exit(main())
