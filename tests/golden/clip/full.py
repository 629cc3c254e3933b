"""A whole ViT-B/32 with random weights, as transformers' CLIPModel in float64 and through ft's tools: embeddings, CLIP's loss, its gradient by every number of
every parameter.

python full.py [--rows 8] [--keep DIR]     (torch, transformers, open_clip_torch for CLIP's vocabulary; ft-ingest, ft-embed, ft-train, ft-export on PATH)

Gradients are what one step of plain gradient descent changes, divided by its rate, which is so large that all of a weight is gradient. tests/model/clip-full.t
runs this where make check-full is asked for and these packages are. Weights are numbers of a hash, as make.py has them.
"""
import argparse, json, math, os, subprocess, sys, tempfile
parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int, default=8)
parser.add_argument("--keep")
options = parser.parse_args()
os.environ["HF_HUB_OFFLINE"] = "1"
here = os.path.dirname(os.path.abspath(__file__))
import numpy as np, torch
from PIL import Image
torch.set_default_dtype(torch.float64)
torch.set_num_threads(len(os.sched_getaffinity(0)))
source = open(os.path.join(here, "../vision/make.py")).read()   # its functions, not its models
exec(compile(source[source.index("def mix("):source.index("def pixels(")], "make.py", "exec"), globals())
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
from open_clip.tokenizer import SimpleTokenizer
RATE, LOSS_RATE = 2. ** 20, 2. ** -3
# Three times what was found on AMX, where gradients are of fewer products of parts of a number than embeddings are.
BOUNDS = {"text embeddings": 2.5e-6, "image embeddings": 2.5e-6, "loss": 1e-6, "gradient of logit_scale": 2e-5, "gradients": 1e-4}
TEXTS = ["a photo of a cat", "It's 3 THINGS: café, 42nd street", "waves", "🤖 hello, world!", "the quick brown fox jumps over the lazy dog", "東京タワー",
         "a diagram of the water cycle, with arrows, clouds and a mountain", "not a photo at all"]


def picture(k):
    """Waves of its own in each, larger than the model takes, with noise."""
    y, x = np.mgrid[0:230 + 7 * k, 0:300 - 9 * k]
    out = [127 + 100 * np.sin(x * (.02 + .013 * k) + c) * np.cos(y * (.09 - .01 * k) + 2 * c) for c in range(3)]
    return Image.fromarray((np.stack(out, 2) + np.random.default_rng(k).normal(0, 12, y.shape + (3,))).clip(0, 255).astype("uint8"))


def make_model(directory):
    model = CLIPModel(CLIPConfig()).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            value.copy_(torch.from_numpy(number(key, tuple(value.shape)).astype(np.float64)) if value.ndim else torch.tensor(math.log(1 / .07)).float())
    model.float().save_pretrained(directory)
    own = SimpleTokenizer()
    named = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}     # as CLIP's own files have them
    json.dump({named.get(token, token): k for token, k in own.encoder.items()}, open(directory + "/vocab.json", "w"))
    merges = sorted(own.bpe_ranks, key=own.bpe_ranks.get)
    open(directory + "/merges.txt", "w").write("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in merges))
    json.dump({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "<|endoftext|>"}, open(directory + "/tokenizer_config.json", "w"))
    json.dump({"image_processor_type": "CLIPImageProcessor", "size": 224, "crop_size": 224}, open(directory + "/preprocessor_config.json", "w"))
    return model.double()


def theirs(model, directory, pictures):
    tokens = CLIPTokenizer.from_pretrained(directory)(TEXTS[:options.rows], padding=True, return_tensors="pt")
    ready = CLIPImageProcessorPil()
    pixels = CLIPImageProcessorPil(do_rescale=False, do_normalize=False)(pictures, return_tensors="pt")["pixel_values"].double()
    pixels = (pixels / 255 - torch.tensor(ready.image_mean).view(3, 1, 1)) / torch.tensor(ready.image_std).view(3, 1, 1)
    text, image = model.get_text_features(**tokens).pooler_output, model.get_image_features(pixels).pooler_output
    text, image = text.detach(), image.detach()
    loss = model(pixel_values=pixels, return_loss=True, **tokens).loss
    loss.backward()
    return text.numpy(), image.numpy(), loss.item(), {k: p.grad.numpy() for k, p in model.named_parameters()}


def run(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **more).stdout


def documents(rows):
    return run("ft-cat", "-q", "--from-text", input="".join(json.dumps(row) + "\n" for row in rows).encode())


def embed(directory, work, rows):
    file = work + "/embeddings.npy"
    run("ft-export", "-q", "--force", "-o", file, input=run("ft-embed", "-q", "-m", directory, input=documents(rows)))
    return np.load(file)


def ours(directory, work, names):
    texts, images = [{"text": text} for text in TEXTS[:options.rows]], [{"uri": name} for name in names]
    pairs = [{"chunks": [dict(t, tags={"role": "anchor"}), dict(i, tags={"role": "positive"})]} for t, i in zip(texts, images)]
    run("ft-train", "-q", "-m", directory, "-o", work + "/tuned", "--force", "--pairs", "--batch", str(options.rows), "--epochs", "1", "--loss", "clip",
        "--optimizer", "sgd", "--schedule", "constant", "--warmup", "0", "--clip", "0", "--lr", repr(RATE), "--loss-lr", repr(LOSS_RATE), input=documents(pairs))
    loss = json.loads(open(work + "/tuned/run/log.jsonl").readlines()[0])["loss"]
    before, after = (load_file(d + "/model.safetensors") for d in (directory, work + "/tuned"))
    gradient = {k: ((v.double() - after[k].double()) / (LOSS_RATE if k == "logit_scale" else RATE)).numpy() for k, v in before.items()}
    return embed(directory, work, texts), embed(directory, work, images), loss, gradient


def main(work):
    directory = work + "/model"
    os.makedirs(directory, exist_ok=True)
    model = make_model(directory)
    pictures = [picture(k) for k in range(options.rows)]
    names = [f"{work}/{k}.png" for k in range(options.rows)]
    for name, one in zip(names, pictures):
        one.save(name)
    got, want = ours(directory, work, names), theirs(model, directory, pictures)
    far = {"text embeddings": abs(got[0] - want[0]).max() / abs(want[0]).max(), "image embeddings": abs(got[1] - want[1]).max() / abs(want[1]).max(),
           "loss": abs(got[2] / want[2] - 1), "gradient of logit_scale": abs(got[3]["logit_scale"] / want[3]["logit_scale"] - 1).item()}
    # A bias of keys changes no attention: its gradient is zero but for rounding.
    each = {k: np.linalg.norm(got[3][k] - v) / np.linalg.norm(v) for k, v in want[3].items() if not k.endswith("k_proj.bias") and k != "logit_scale"}
    far["gradients"] = max(each.values())
    order = sorted(each, key=each.get)
    print("%d parameters, %d numbers; loss %.6f; spread of embeddings: text %.2f, image %.2f" %
          (len(each) + 1, sum(v.size for v in want[3].values()), want[2], *(np.linalg.norm(e - e.mean(0)) / np.linalg.norm(e) for e in want[:2])))
    print("gradients, error by their norm: median %.1e; worst %s" % (each[order[len(order) // 2]], ", ".join(f"{k} {each[k]:.1e}" for k in order[:-4:-1])))
    bad = [k for k in BOUNDS if not far[k] <= BOUNDS[k]]
    for key, value in far.items():
        print("%-24s %.1e, bound %.1e%s" % (key, value, BOUNDS[key], "   TOO FAR" if key in bad else ""))
    return 1 if bad else 0


if options.keep:
    os.makedirs(options.keep, exist_ok=True)
    sys.exit(main(os.path.abspath(options.keep)))
with tempfile.TemporaryDirectory() as place:
    sys.exit(main(place))
