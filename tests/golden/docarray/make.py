#!/usr/bin/env python3
"""make.py - files that DocArray 0.21.0 writes, one kind of rows each, and its binary ones.

Run in this directory with docarray==0.21.0, pydantic<2, numpy<2, protobuf<4, lz4, Pillow. Ids are set, so that the files are the same every time
(compressed ones but for their times).
"""
import io

import numpy as np
from docarray import Document, DocumentArray
from PIL import Image


def picture(color, size=(3, 2), format="PNG"):
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, format)
    return out.getvalue()


def save(name, *documents):
    DocumentArray(documents).save_json(name + ".json")


def pair(id, *chunks, **more):
    return Document(id=id, chunks=[Document(id="%s-%d" % (id, i), **c) for i, c in enumerate(chunks)], **more)


save("labeled", Document(id="a", text='hello "\u00e4\U0001f600"', tags={"finetuner_label": "greeting", "n": 3, "deep": {"x": None, "l": [1, "a", True]}}),
     Document(id="b", text="bye\n\tthen", tags={"finetuner_label": "parting"}, weight=0.5, mime_type="text/plain"),
     Document(id="c", text="hi", uri="hi.txt", tags={"finetuner_label": "greeting"}))
save("numbers", Document(id="a", text="one", tags={"finetuner_label": 1}), Document(id="b", text="two", tags={"finetuner_label": 2.5}))
save("text-image", pair("p", {"text": "a red picture", "modality": "text"}, {"blob": picture("red"), "modality": "image", "mime_type": "image/png"}),
     pair("q", {"blob": picture("blue", format="JPEG"), "modality": "image"}, {"text": "a blue picture", "modality": "text"}),
     pair("r", {"text": "one of the web", "modality": "text"}, {"uri": "https://example.org/x.jpg", "modality": "image"}))
save("scored", pair("s", {"text": "a"}, {"text": "b"}, tags={"finetuner_score": 0.9}), pair("t", {"text": "c"}, {"text": "d"}, tags={"finetuner_score": "0.25"}))
save("triplets", pair("t", {"text": "n", "tags": {"role": "negative"}}, {"text": "q", "tags": {"role": "anchor"}}, {"text": "p", "tags": {"role": "positive"}}))
save("images", Document(id="a", blob=picture("red"), tags={"finetuner_label": "red"}),
     Document(id="b", uri="b.png", blob=picture((0, 9, 0)), tags={"finetuner_label": "green"}))
save("vectors", Document(id="a", tensor=np.array([1, 2.5, -3], dtype=np.float32), tags={"finetuner_label": "x"}),
     Document(id="b", tensor=np.array([0.1, 1e-8, 3], dtype=np.float64), tags={"finetuner_label": "y"}))
save("tensors", Document(id="a", tensor=np.arange(12, dtype=np.uint8).reshape(2, 2, 3)), Document(id="b", tensor=np.full((2, 2, 3), 0.5, dtype=np.float32)))
index = DocumentArray([Document(id="i%d" % i, text="t%d" % i, embedding=np.array([i, 1, 0.1 * i], dtype=np.float32)) for i in range(4)])
query = DocumentArray([Document(id="q", text="t1", embedding=np.array([[1, 1, 0.1]], dtype=np.float32))])
query.match(index, limit=2)
save("matches", *query)
save("embedded", Document(id="e", embedding=np.array([1.5, -2], dtype=np.float32), tags={"k": "v"}))
save("nested", Document(id="n", text="a page", chunks=[Document(id="n0", text="a line", chunks=[Document(id="n00", text="a", embedding=np.array([1.0, 2]))]),
                                                       Document(id="n1", text="another")]))
save("session", Document(id="s", text="q", matches=[Document(id="m", text="bad", tags={"finetuner_label": -1}),
                                                    Document(id="p", text="good", tags={"finetuner_label": 1})]))
save("many", *(Document(id="d%d" % i, text="text %d" % i, tags={"finetuner_label": "l%d" % (i % 3)}) for i in range(50)))

two = DocumentArray([Document(id="%032x" % i, text="xy"[i]) for i in range(2)])
for protocol in ("pickle", "pickle-array", "protobuf", "protobuf-array"):
    two.save_binary("two.%s.bin" % protocol, protocol=protocol)
two.save_binary("two.gzip.bin", protocol="pickle-array", compress="gzip")
two.save_binary("two.lz4.bin", protocol="pickle", compress="lz4")
two.save_json("two.protobuf.json", protocol="protobuf")

# Numbers of every type that is read, and names that this protocol writes in camel case; the same documents as everything else is written.
kinds = DocumentArray([Document(id=kind, tensor=np.array([[0, 1, 100], [3, 2, 1]]).astype(kind)) for kind in ("f4", "f8", "u1", "i2", "u2", "u4", "i4", "i8", "u8", "bool")] +
                      [Document(id=kind, tensor=np.array([[-1, -2**(8 * size - 1), 127], [5, -6, 7]]).astype(kind)) for kind, size in (("i1", 1), ("<i2", 2), ("<i4", 4))])
words = DocumentArray([Document(id="w", text="a page", mime_type="text/plain", embedding=np.array([1.5, -2e-3], dtype=np.float32),
                                chunks=[Document(id="w0", text="a line", mime_type="text/plain", embedding=np.array([0.25, 3]))]), *query])
for name, documents in (("kinds", kinds), ("words", words)):
    documents.save_json(name + ".json")
    documents.save_json(name + ".protobuf.json", protocol="protobuf")
