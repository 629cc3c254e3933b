"""Models as ONNX, run by onnxruntime, against ft-embed.

python compare.py [--most 1e-5] MODEL...     (numpy, onnx, onnxruntime; for texts tokenizers, for pictures Pillow and transformers or timm)

Each model is exported by ft-export, checked by onnx.checker with shapes inferred, and run over batches of one and of many, padded and padded further, of
one token and as long as the model takes. Token ids and pixels come from what lies beside model.onnx, as another program would make them. The error is the
largest difference over the largest number of the embedding, at least 1. MODEL@FILE.onnx compares a file that is there.
"""
import json, os, re, string, subprocess, sys, tempfile
import numpy as np, onnx, onnxruntime as ort

WORDS = "the a cat dog sat on mat zebra bird and red fox jumped over lazy moon, 12 of! ünïcode 東京 tower running faster than light".split()
TEXTS = ["the cat sat on the mat", "a dog", "zebra", "cat", " ".join(WORDS), "Über die Straße: 3.14 & 42%", " ".join(WORDS * 2), "a b c d e f g"]


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=options.pop("stderr", None), **options).stdout


def embed(model, work, option, rows, *limit):
    """ft-embed's embeddings of a file that ft-ingest reads."""
    npy = os.path.join(work, "ft.npy")
    documents = run("ft-ingest", "-q", option, rows)
    run("ft-export", "-q", "--force", "-o", npy, input=run("ft-embed", "-q", "-m", model, *limit, input=documents))
    return np.load(npy)


def longest(model, work):
    """Tokens of a text that ft-embed takes, at most 600."""
    path = os.path.join(work, "one.csv")
    with open(path, "w") as file:
        file.write("text\na\n")
    tried = subprocess.run(["ft-embed", "-q", "-m", model, "--max-length", "600"], input=run("ft-ingest", "-q", "--unlabeled", path), capture_output=True)
    return int(re.search(rb"more than the model's (\d+)", tried.stderr).group(1)) if tried.returncode else 600


def settings(directory, name):
    path = os.path.join(directory, name)
    return json.load(open(path)) if os.path.exists(path) else {}


def session_of(path):
    onnx.checker.check_model(path, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def texts(model, directory, session, work):
    from tokenizers import Tokenizer
    names = [i.name for i in session.get_inputs()]
    if os.path.isdir(os.path.join(directory, "0_Transformer")):
        directory = os.path.join(directory, "0_Transformer")
    if os.path.exists(os.path.join(directory, "tokenizer.json")):
        tokenizer = Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
    else:
        from transformers import BertTokenizerFast
        tokenizer = BertTokenizerFast.from_pretrained(directory).backend_tokenizer
    tokenizer.no_padding()
    config, other = settings(directory, "config.json"), settings(directory, "open_clip_config.json").get("model_cfg", {})
    static = not (config or other) or config.get("model_type") in ("model2vec", "static") or "StaticEmbedding" in json.dumps(settings(directory, "modules.json"))
    padding = other.get("text_cfg", config.get("text_config", config)).get("pad_token_id", 1 if config.get("model_type") == "siglip" else 0) or 0
    told, clean = other.get("text_cfg", {}), lambda row: row
    if told.get("pool_type") == "last":
        padding = tokenizer.token_to_id(settings(directory, "tokenizer_config.json")["pad_token"])
    if told.get("tokenizer_kwargs", {}).get("clean") == "canonicalize":
        bare = str.maketrans("_", " ", string.punctuation.replace("_", ""))
        clean = lambda row: " ".join(row.translate(bare).lower().split())
    limit = longest(model, work)
    characters = 1 << 30
    if not static:
        tokenizer.enable_truncation(limit)
    elif config.get("max_length", 512) and "normalize" in config:   # model2vec
        tokenizer.enable_truncation(config.get("max_length", 512))
        characters = config.get("max_length", 512) * int(np.median([len(token) for token in tokenizer.get_vocab()]))
    rows = TEXTS + ([] if static else ["the cat " * 700])
    path = os.path.join(work, "texts.csv")
    with open(path, "w") as file:
        file.write("text\n" + "".join('"%s"\n' % row for row in rows))
    want = embed(model, work, "--unlabeled", path, *([] if static else ["--max-length", str(limit)]))
    codes = [tokenizer.encode(clean(row)[:characters], add_special_tokens=not static) for row in rows]

    def batch(which, more):
        length = max(1, max(len(codes[i].ids) for i in which)) + more
        feeds = {name: np.zeros((len(which), length), np.int64) for name in names}
        feeds["input_ids"][:] = padding
        for row, i in enumerate(which):
            n = len(codes[i].ids)
            for name, numbers in (("input_ids", codes[i].ids), ("attention_mask", [1] * n), ("token_type_ids", codes[i].type_ids)):
                if name in feeds:
                    feeds[name][row, :n] = numbers
        return feeds

    every = list(range(len(rows)))
    for which, more in [([i], 0) for i in every] + [(every[:4], 0), (every[:4], 5), (every, 0), (every, 3)]:
        yield session.run(["sentence_embedding"], batch(which, more))[0], want[which]


def picture_reader(directory, side):
    if os.path.exists(os.path.join(directory, "preprocessor_config.json")):
        from transformers import AutoImageProcessor
        processor = AutoImageProcessor.from_pretrained(directory, backend="pil")
        return lambda image: processor(images=image, return_tensors="np")["pixel_values"][0]
    config = settings(directory, "config.json")
    if config.get("pretrained_cfg"):
        import timm
        transform = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=config["pretrained_cfg"]), is_training=False)
        return lambda image: transform(image).numpy()
    from torchvision import transforms as t
    if os.path.exists(os.path.join(directory, "open_clip_config.json")):
        told = settings(directory, "open_clip_config.json").get("preprocess_cfg", {})
        how = t.InterpolationMode.BILINEAR if told.get("interpolation") == "bilinear" else t.InterpolationMode.BICUBIC
        transform = t.Compose([t.Resize((side, side) if told.get("resize_mode") == "squash" else side, how), t.CenterCrop(side), t.ToTensor(),
                               t.Normalize(told.get("mean", (.48145466, .4578275, .40821073)), told.get("std", (.26862954, .26130258, .27577711)))])
        return lambda image: transform(image).numpy()
    family = config.get("model_type", "") + config.get("architecture", "") + settings(directory, "ft.json").get("family", "")
    shorter = side * 8 // 7 if "resnet" in family else side
    transform = t.Compose([t.Resize(shorter), t.CenterCrop(side), t.ToTensor(), t.Normalize((.485, .456, .406), (.229, .224, .225))])
    return lambda image: transform(image).numpy()


def pictures(model, directory, session, work):
    from PIL import Image
    random, folder = np.random.default_rng(1), os.path.join(work, "pictures")
    os.makedirs(folder, exist_ok=True)
    images = []
    for i, (width, height) in enumerate([(64, 64), (300, 240), (224, 224), (97, 130)]):
        small = Image.fromarray(random.integers(0, 256, (9, 7, 3), dtype=np.uint8))
        images.append(small.resize((width, height), Image.BICUBIC))
        images[-1].save(os.path.join(folder, "%d.png" % i))
    path = os.path.join(work, "pictures.csv")
    with open(path, "w") as file:
        file.write("image\n" + "".join("pictures/%d.png\n" % i for i in range(len(images))))
    want, read = embed(model, work, "--unlabeled", path), picture_reader(directory, session.get_inputs()[0].shape[2])
    pixels = np.stack([read(image) for image in images]).astype(np.float32)
    for which in [[0], [1], list(range(len(images)))]:
        yield session.run(["sentence_embedding"], {"pixel_values": pixels[which]})[0], want[which]


def vectors(model, directory, session, work):
    width = session.get_inputs()[0].shape[1]
    numbers = np.random.default_rng(1).standard_normal((5, width)).astype(np.float32)
    path = os.path.join(work, "vectors.csv")
    np.savetxt(path, numbers, fmt="%.9g", delimiter=",")
    want = embed(model, work, "--vectors", path)
    for which in [[0], [4], list(range(5))]:
        yield session.run(["sentence_embedding"], {"features": numbers[which]})[0], want[which]


def graphs(directory):
    """model.onnx, or that of each tower."""
    found = [os.path.join(directory, inside) for inside in ("text", "image") if os.path.exists(os.path.join(directory, inside, "model.onnx"))]
    return found or [directory]


def compare(name, work):
    model, _, given = name.partition("@")
    directory = os.path.join(work, "model")
    run("ft-export", "-q", "-m", model, "--to", "onnx", "--force", "-o", directory, stderr=subprocess.DEVNULL)
    worst = 0.0
    for inside in graphs(directory):
        session = session_of(given or os.path.join(inside, "model.onnx"))
        kind = {"input_ids": texts, "pixel_values": pictures, "features": vectors}[session.get_inputs()[0].name]
        for got, want in kind(model, inside, session, work):
            assert got.shape == want.shape and np.isfinite(got).all(), (got.shape, want.shape)
            worst = max(worst, float(np.abs(got - want).max() / max(1.0, np.abs(want).max())))
    return worst


def main(arguments):
    most = 1e-5
    if arguments[:1] == ["--most"]:
        most, arguments = float(arguments[1]), arguments[2:]
    bad = 0
    for name in arguments:
        with tempfile.TemporaryDirectory() as work:
            worst = compare(name, work)
        bad += not worst <= most
        print("%-9s %.1e  %s" % ("ok" if worst <= most else "too far", worst, name), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
