#!/usr/bin/env python3
"""make-unicode.py > lib/data/unicode-table.c

Asks Hugging Face `tokenizers` about every code point and writes what it answered as C tables. The tables of the
library come from four places of different age (categories of Unicode 8, decompositions of Unicode 9, the Rust
standard library's case, white space and numbers, the categories of Unicode 16 in the engine of its regular
expressions), so no Unicode library in any one version can stand in for them.

Needs: tokenizers (made with 0.23.3), a Python with the Unicode of the oldest PCRE2 and utf8proc in use (made with 3.11, Unicode 14),
and unicodedata2 (made with 18.0.0) for the newest.
"""
import struct
import sys
import unicodedata
import unicodedata2
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

SPACE, PUNCT, OTHER, MARK, DECOMPOSES, LOWERS, WORD, CHINESE = (1 << i for i in range(8))
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
chinese = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
lower, nfd, split = normalizers.Lowercase(), normalizers.NFD(), pre_tokenizers.BertPreTokenizer()

# \w of Rust's regex crate, seen through a token that must be a whole word.
whole = Tokenizer(models.WordPiece({"[UNK]": 0, "X": 1}, unk_token="[UNK]"))
whole.add_tokens([AddedToken("X", single_word=True, normalized=False)])


def flags(c):
    x = chr(c)
    around = "a" + x + "b"
    cleaned, pieces = clean.normalize_str(around), len(split.pre_tokenize_str(around))
    bits = SPACE * (pieces == 2) | PUNCT * (pieces == 3) | OTHER * (cleaned == "ab")
    assert cleaned in (around, "ab") or (cleaned == "a b" and bits & SPACE), hex(c)
    if not bits & OTHER and bits & SPACE:
        assert cleaned == "a b", hex(c)
    if nfd.normalize_str(x) != x:
        bits |= DECOMPOSES
    elif strip.normalize_str(around) == "ab":
        bits |= MARK
    bits |= LOWERS * (lower.normalize_str(x) != x)
    bits |= CHINESE * (chinese.normalize_str(x) == f" {x} ")
    bits |= WORD * (1 not in whole.encode(x + "X").ids)
    return bits


def combining(c):
    """The class by which the library reorders c: none where its tables are older than c."""
    x = chr(c)
    known = nfd.normalize_str(f"a{x}\u0334") != f"a{x}\u0334" or nfd.normalize_str(f"a\u0345{x}") != f"a\u0345{x}"
    return unicodedata.combining(x) if known else 0


def runs(values):
    """[first, last, value] of neighbouring equal values that are not zero."""
    out = []
    for c, value in values:
        if out and out[-1][1] == c - 1 and out[-1][2] == value:
            out[-1][1] = c
        elif value:
            out.append([c, c, value])
    return out


def numbers():
    """What Digits takes for one."""
    split = pre_tokenizers.Digits(individual_digits=True)
    return {c for c in POINTS if len(split.pre_tokenize_str("a" + chr(c) + "b")) == 3}


def accents():
    """What StripAccents drops."""
    drop = normalizers.StripAccents()
    return {c for c in POINTS if drop.normalize_str("a" + chr(c) + "b") == "ab"}


def unknown_to_forms():
    """Code points that have a part in normal forms, of which the library's know nothing: they are newer."""
    nfc, nfkd = normalizers.NFC(), normalizers.NFKD()
    found, parts, newer = set(), set(), set()
    for c in POINTS:
        x = chr(c)
        if (unicodedata2.decomposition(x) and nfkd.normalize_str(x) == x) or (unicodedata2.combining(x) and not combining(c)):
            found.add(c)
        pair = unicodedata2.normalize("NFD", x)
        if len(pair) == 2 and unicodedata2.normalize("NFC", pair) == x:
            (parts if nfc.normalize_str(pair) == x else newer).update(map(ord, pair))
    return found | (newer - parts)


def extenders():
    """What goes with the character before it into one grapheme, of what is newer than the oldest utf8proc: a map that makes of a grapheme that begins with "a" an X."""
    units = struct.pack("<1025I", 4096, 98304, 3425, 1 << 31, *[0] * 1021)
    mapped = normalizers.Precompiled(units + b"X\0")
    return {c for c in POINTS if unicodedata.category(chr(c)) == "Cn" and mapped.normalize_str("a" + chr(c)) == "X"}


def engine_categories():
    """The general category of each code point in the library's regular expressions."""
    found = {}
    for name in ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn").split():
        split = pre_tokenizers.Split(Regex(r"\p{%s}" % name), "removed", invert=True)
        for i in range(0, len(POINTS), 1 << 16):
            for piece, _ in split.pre_tokenize_str("".join(map(chr, POINTS[i:i + (1 << 16)]))):
                found[ord(piece)] = name
    assert len(found) == len(POINTS)
    return found


def stand_ins():
    """(first, last, another of the same category and length in UTF-8 on which all versions agree), of code points on which they do not.
    The nearest one, so that it is of the same script and in the same ranges of a pattern where that can be."""
    category = engine_categories()
    agreed, differ = {}, []
    for c in POINTS:
        size = (c > 0x7F) + (c > 0x7FF) + (c > 0xFFFF)
        if category[c] == unicodedata.category(chr(c)) == unicodedata2.category(chr(c)):
            agreed.setdefault((category[c], size), []).append(c)
        else:
            differ.append((c, (category[c], size)))
    out = []
    for c, kind in differ:
        if out and out[-1][1] == c - 1 and out[-1][3] == kind:
            out[-1][1] = c
        else:
            out.append([c, c, min(agreed[kind], key=lambda other: abs(other - c)), kind])
    return [run[:3] for run in out]


def settled(newer):
    """Of each first byte in UTF-8 the bytes of its code points, 0 where any of `newer` begins so, or no code point does."""
    out = [0] * 256
    for c in POINTS:
        out[chr(c).encode()[0]] = len(chr(c).encode())
    for first, last, _ in newer:
        for c in range(first, last + 1):
            out[chr(c).encode()[0]] = 0
    return out


def lower_runs():
    """(first, last, step, difference): alternating capitals have step 2."""
    out = []
    for c in POINTS:
        low = lower.normalize_str(chr(c))
        if low == chr(c) or c == 0x130:
            assert c != 0x130 or low == "i\u0307"
            continue
        assert len(low) == 1
        difference = ord(low) - c
        if out and out[-1][3] == difference and (c - out[-1][1] == out[-1][2] or
                                                 (out[-1][0] == out[-1][1] and c - out[-1][1] <= 2)):
            out[-1][2], out[-1][1] = c - out[-1][1], c
        else:
            out.append([c, c, 1, difference])
    return out


def rows(items, per_line):
    for i in range(0, len(items), per_line):
        print("    " + " ".join(items[i:i + per_line]))


def table(name, what, found):
    print(f"\n/* first, last, value: {what}. */\nconst struct ft_unicode_run ft_unicode_{name}_runs[] = {{")
    rows([f"{{0x{a:x}, 0x{b:x}, 0x{value:x}}}," for a, b, value in found], 6)
    print(f"}};\nconst size_t ft_unicode_{name}_count = {len(found)};")
    print(f"{len(found)} {name}", file=sys.stderr)


def main():
    flag = {c: flags(c) for c in POINTS}
    starts, last = [], -1
    for c in range(0x110000):
        bits = flag.get(c, flag[0xD7FF])       # surrogates never reach the table
        if bits != last:
            starts.append(f"0x{c << 8 | bits:x},")
            last = bits
    for c in POINTS:       # what lib/data/tokenizer-split.c relies on
        if flag[c] & DECOMPOSES:
            assert nfd.normalize_str(chr(c)) == unicodedata.normalize("NFD", chr(c)), hex(c)
        elif flag[c] & MARK:
            assert combining(c) == unicodedata.combining(chr(c)), hex(c)
        assert not (flag[c] & LOWERS and flag[c] & (MARK | PUNCT | SPACE)), hex(c)
    classes = runs((c, combining(c)) for c in POINTS if not flag[c] & (MARK | DECOMPOSES))
    print("/* unicode-table.c - what Hugging Face tokenizers knows of each code point.\n"
          " *\n"
          " * Generated by tests/golden/make-unicode.py, which says why; not to be edited. */\n"
          "#include \"data/unicode.h\"\n\n"
          "/* code point << 8 | flags; each entry holds up to the next one. */\n"
          f"const uint32_t ft_unicode_starts[] = {{")
    rows(starts, 12)
    print(f"}};\nconst size_t ft_unicode_starts_count = {len(starts)};\n\n"
          "/* first, last, step, difference to the small letter; U+0130, the only one to give two, is not here. */\n"
          "const struct ft_unicode_lower_run ft_unicode_lower_runs[] = {")
    lows = [f"{{0x{a:x}, 0x{b:x}, {s}, {d}}}," for a, b, s, d in lower_runs()]
    rows(lows, 4)
    print(f"}};\nconst size_t ft_unicode_lower_count = {len(lows)};")
    table("combining", "combining class of those that accent stripping leaves in place", classes)
    table("number", "numbers of their own for Digits", runs((c, 1) for c in sorted(numbers())))
    table("accent", "dropped by StripAccents", runs((c, 1) for c in sorted(accents())))
    apart, other = runs((c, 1) for c in sorted(unknown_to_forms())), stand_ins()
    table("apart", "unknown to the normal forms although newer ones know them", apart)
    table("stand_in", "what is like them in the Unicode of the regular expressions, and the same in versions 14 to 18", other)
    table("extend", "part of the grapheme before, and newer than Unicode 14", runs((c, 1) for c in sorted(extenders())))
    print("\n/* By the first byte in UTF-8: how long its code points are, where none of them is apart or has a stand-in; else 0. */\n"
          "const uint8_t ft_unicode_settled[256] = {")
    rows([f"{size}," for size in settled(apart + other)], 32)
    print("};")
    print(f"{len(starts)} starts, {len(lows)} lower", file=sys.stderr)


main()
