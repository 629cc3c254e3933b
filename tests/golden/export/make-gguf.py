#!/usr/bin/env python3
"""make-gguf.py LLAMA_CPP - what llama.cpp's converter makes of the small golden models.

Run in this directory. LLAMA_CPP is a checkout, such as vendor/llama.cpp of PyPI's llama-cpp-python (0.3.36), whose convert_hf_to_gguf.py is run;
needs gguf (0.19), torch, transformers, sentencepiece. The converter knows a tokenizer by a hash of what it makes of one text, and small ones of ours by
none: it is told what BERT's and RoBERTa's are called, and of a Unigram that is no class of its own in transformers what XLM-RoBERTa's class has. Writes NAME.gguf.txt of each model: a line for each key, its type and value (of arrays the type,
the number, and CRC-32 of the values, strings each with a line end), and one for each tensor: name, type, dimensions from the innermost on, CRC-32 of the
data. Left out: general.* beyond what we write (names, licences and the like from model cards).
"""
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import gguf
import numpy as np

MODELS = {"mean": "jina-v2-en", "cls": "jina-v2-en", "families/distilbert": "jina-v2-en", "families/roberta": "roberta-bpe", "families/xlm-roberta": None}
GENERAL = ("general.architecture", "general.type", "general.file_type", "general.quantization_version")
RUN = """
import sys, runpy
sys.path.insert(0, {path!r})
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: {pre!r}
import transformers
load = transformers.AutoTokenizer.from_pretrained
def told(*given, **named):
    tokenizer = load(*given, **named)
    tokenizer.add_prefix_space = tokenizer.clean_up_tokenization_spaces = True
    return tokenizer
transformers.AutoTokenizer.from_pretrained = told
sys.argv = ['convert_hf_to_gguf.py', {model!r}, '--outtype', {type!r}, '--outfile', {out!r}]
runpy.run_path({path!r} + '/convert_hf_to_gguf.py', run_name='__main__')
"""


def crc(data):
    return "%08x" % zlib.crc32(data)


def dump(path, out):
    reader = gguf.GGUFReader(path)
    for key, field in sorted(reader.fields.items()):
        if key.startswith("GGUF.") or (key.startswith("general.") and key not in GENERAL):
            continue
        names = [t.name for t in field.types]
        value = field.contents()
        if names[0] == "ARRAY":
            data = b"".join(v.encode() + b"\n" for v in value) if names[1] == "STRING" else np.array(value, {"INT32": "<i4", "FLOAT32": "<f4", "UINT8": "u1"}[names[1]]).tobytes()
            out.write("%s ARRAY %s %d %s\n" % (key, names[1], len(value), crc(data)))
        else:
            out.write("%s %s %s\n" % (key, names[0], "%.9g" % value if names[0] == "FLOAT32" else str(value)))
    for t in sorted(reader.tensors, key=lambda t: t.name):
        out.write("tensor %s %s %s %s\n" % (t.name, t.tensor_type.name, ",".join(str(int(n)) for n in t.shape), crc(t.data.tobytes())))


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--dump":
        return dump(sys.argv[2], sys.stdout)
    path = str(Path(sys.argv[1]).resolve())
    for model, pre in MODELS.items():
        for kind in ("f32", "f16"):
            with tempfile.TemporaryDirectory() as folder:
                out = folder + "/model.gguf"
                run = RUN.format(path=path, pre=pre, model=str(Path("../model", model).resolve()), type=kind, out=out)
                subprocess.run([sys.executable, "-c", run], check=True, stderr=subprocess.DEVNULL)
                with open("%s-%s.gguf.txt" % (model.split("/")[-1], kind), "w") as text:
                    dump(out, text)


main()
