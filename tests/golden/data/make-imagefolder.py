#!/usr/bin/env python3
"""The order in which torchvision's ImageFolder gives a folder's pictures: path, a tab, label.

    python3 tests/golden/data/make-imagefolder.py >tests/golden/data/imagefolder.txt

Made with torchvision 0.29.2. Names are such that byte order differs from a locale's, and that folders sorted by path
differ from a walk in depth ("a-b" stands between "a" and "a/z")."""
import os
import tempfile

from torchvision.datasets import ImageFolder

NAMES = """cats/a-b/1.png cats/a/2.PNG cats/a/z/3.png cats/a/z/y/30.jpeg cats/a.b/3.webp cats/10.png cats/9.png cats/B/4.png cats/_/5.bmp cats/é/6.png
cats/Zebra.jpg cats/zebra.jpg cats/.hidden.png cats/notes.txt cats/a/notes.png.txt Dogs/x.png Dogs/X.png Dogs/x/x.png Dogs/x-/x.png Dogs/x1.png
Dogs/x10.png Dogs/x2.png .dot/1.png 10/a.png 9/a.png ünder/ß.png ünder/z.tif ünder/s.ppm under_/q.pgm under/q.tiff""".split()

with tempfile.TemporaryDirectory() as top:
    for name in NAMES:
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").close()
    folder = ImageFolder(top)
    for path, label in folder.samples:
        print(os.path.relpath(path, top), folder.classes[label], sep="\t")
