"""PyTorch on the processor: what a careful user would write without this package.

SGD, Adam and Algorithms 3, 4 and 5 of García Trillos, Kaplan, Sanz-Alonso (Entropy 2019) on a network with one hidden
layer of ReLU, in float32; gradients by hand, noise drawn in place, samples in chunks that stay in cache. Variants:
`eager`; `compiled` by torch.compile, with the eager generator of normals; `projected`, which draws the first layer's
noise in the span of the inputs only.

Symbols: A (B, d0 + 1) inputs with the bias input, W1 (d0 + 1, d1) and W2 (d1 + 1, d2) with the bias row last, x (n)
flat parameters as in the package, s scale of a perturbation, Z (C, n) noise of a chunk of C samples, f losses.
"""

import math
import warnings

import torch
import torch._inductor.config
import torch.nn.functional as F
from protocol import serve

torch._inductor.config.fallback_random = True
torch.set_grad_enabled(False)
warnings.filterwarnings("ignore")

CHUNK = 8  # samples: 5 MB of noise


class Network:
    """Views of flat parameters, losses and gradients, for any number of copies in the leading dimensions."""

    def __init__(self, widths):
        self.d0, self.d1, self.d2 = widths
        self.first = (self.d0 + 1) * self.d1
        self.n = self.first + (self.d1 + 1) * self.d2

    def matrices(self, x):
        lead = x.shape[:-1]
        W1 = x[..., : self.first].view(*lead, self.d0 + 1, self.d1)
        return W1, x[..., self.first :].view(*lead, self.d1 + 1, self.d2)

    def losses(self, P, W2, y):
        """Pre-activations P (..., B, d1), labels y (B, d2) as rows of the identity -> mean losses (...)."""
        logits = torch.relu(P) @ W2[..., :-1, :] + W2[..., -1:, :]
        return (torch.logsumexp(logits, -1) - (logits * y).sum(-1)).mean(-1)

    def signals(self, P, W2, y):
        """Gradient by P (..., B, d1), and by W2."""
        H = torch.relu(P)
        logits = H @ W2[..., :-1, :] + W2[..., -1:, :]
        D = (torch.softmax(logits, -1) - y) / len(y)
        G = (D @ W2[..., :-1, :].mT) * (P > 0)
        return G, torch.cat([H.mT @ D, D.sum(-2, keepdim=True)], -2)


class Streaming:
    """sum_j w_j Z_j / sum_j w_j over chunks, w_j = exp(-f_j), by a running maximum."""

    def __init__(self, *widths):
        self.sums = [torch.zeros(width) for width in widths]
        self.total, self.largest = 0.0, -math.inf

    def add(self, f, *noises):
        largest = max(self.largest, float(-f.min()))
        shrink = math.exp(self.largest - largest)
        weights = torch.exp(-f - largest)
        for values, noise in zip(self.sums, noises):
            torch.addmv(values, noise.mT, weights, beta=shrink, out=values)
        self.total = self.total * shrink + float(weights.sum())
        self.largest = largest

    def means(self):
        return [values / self.total for values in self.sums]


class PyTorch:
    name = "PyTorch"
    version = torch.__version__
    thread_counts = [1, 2]

    def load(self, problem):
        self.net = Network(problem["network"])
        pixels = torch.from_numpy(problem["inputs"]).float() / 255
        self.inputs = torch.cat([pixels, torch.ones(len(pixels), 1)], 1)
        labels = torch.from_numpy(problem["labels"].astype("int64"))
        self.labels = F.one_hot(labels, self.net.d2).float()
        B = problem["batchSize"]
        self.A, self.y = self.inputs[:B].clone(), self.labels[:B].clone()
        self.x = torch.from_numpy(problem["parameters"])
        self.tau = problem["tau"]
        self.s = math.sqrt(self.tau)

    def set_threads(self, count):
        torch.set_num_threads(count)

    def task(self, name, variant, settings):
        self.compiled = variant == "compiled"
        self.wrap = torch.compile if self.compiled else lambda function: function
        given = {key: torch.from_numpy(value) for key, value in settings.get("noise", {}).items()}
        method = name.replace("-", "_") + ("_projected" if variant == "projected" else "")
        return getattr(self, method)(settings, given)

    def gaussian(self, settings, _):
        values = torch.empty(settings["count"])
        return lambda: {"normals": values.normal_()}

    def chunks(self, given, J, width):
        """A function that gives noise (C, width) of J samples by chunks: what was given, or fresh normals."""
        if given is not None:
            return lambda: iter([given])
        buffer = torch.empty(CHUNK, width)
        sizes = [min(CHUNK, J - first) for first in range(0, J, CHUNK)]
        return lambda: (buffer[:size].normal_() for size in sizes)

    def direct_losses(self):
        net, s = self.net, self.s
        W1, W2 = net.matrices(self.x)

        @self.wrap
        def losses(Z):
            Z1, Z2 = net.matrices(Z)
            return net.losses(self.A @ W1 + s * (self.A @ Z1), W2 + s * Z2, self.y)

        return losses

    def weights(self, settings, given):
        losses = self.direct_losses()
        draw = self.chunks(given.get("Z"), settings["samples"], self.net.n)
        return lambda: {"losses": torch.cat([losses(Z) for Z in draw()])}

    def importance_sampling(self, settings, given):
        losses = self.direct_losses()
        draw = self.chunks(given.get("Z"), settings["samples"], self.net.n)

        def update():
            sums = Streaming(self.net.n)
            for Z in draw():
                sums.add(losses(Z), Z)
            return {"mean": self.x + self.s * sums.means()[0]}

        return update

    def importance_sampling_projected(self, settings, given):
        net, s = self.net, self.s
        (B, _), d1, d2 = self.A.shape, net.d1, net.d2
        W1, W2 = net.matrices(self.x)
        draw = self.chunks(given.get("U"), settings["samples"], B * d1 + (d1 + 1) * d2)

        def update():
            A = self.A.double()
            L = torch.linalg.cholesky(A @ A.mT)
            Q = torch.linalg.solve_triangular(L, A, upper=False).mT.float()
            base, L = self.A @ W1, s * L.float()
            sums = Streaming(B * d1, (d1 + 1) * d2)
            for noise in draw():
                U, Z2 = noise[:, : B * d1], noise[:, B * d1 :]
                P = base + L @ U.view(-1, B, d1)
                sums.add(net.losses(P, W2 + s * Z2.view(-1, d1 + 1, d2), self.y), U, Z2)
            U, Z2 = sums.means()
            return {"mean": self.x + s * torch.cat([(Q @ U.view(B, d1)).flatten(), Z2])}

        return update

    def langevin(self):
        """A transition and the running sum of e_j x^j: x <- x - (e/2)(grad f + (x - x_k)/tau) + sqrt(e) noise."""
        net, A, y, x_k, tau = self.net, self.A, self.y, self.x, self.tau

        def eager(x, total, noise, e, following):
            W1, W2 = net.matrices(x)
            G, g2 = net.signals(A @ W1, W2, y)
            keep = 1 - e / (2 * tau)
            W1.addmm_(A.mT, G, beta=keep, alpha=-e / 2)
            W2.mul_(keep).sub_(g2, alpha=e / 2)
            x.add_(x_k, alpha=1 - keep).add_(noise, alpha=math.sqrt(e))
            return x, total.add_(x, alpha=following)

        def formula(x, total, noise, e, following):
            W1, W2 = net.matrices(x)
            G, g2 = net.signals(A @ W1, W2, y)
            g = torch.cat([(A.mT @ G).flatten(), g2.flatten()])
            x = x - (e / 2) * (g + (x - x_k) / tau) + torch.sqrt(e) * noise
            return x, total + following * x

        if not self.compiled:
            return eager
        fused = torch.compile(formula)
        return lambda x, total, noise, *scalars: fused(x, total, noise, *map(torch.tensor, scalars))

    def sgld(self, settings, given):
        """Algorithm 3: x^1 = x_k, J - 1 transitions, mean weighted by e_j. Noise (J - 1, n)."""
        steps, transition = settings["stepSizes"], self.langevin()
        fresh = torch.empty(self.net.n)

        def update():
            x, total = self.x.clone(), self.x * steps[0]
            for j, (e, following) in enumerate(zip(steps, steps[1:])):
                noise = given["xi"][j] if given else fresh.normal_()
                x, total = transition(x, total, noise, e, following)
            return {"mean": total / sum(steps)}

        return update

    def robbins_monro(self, settings, given):
        """Algorithm 5: J transitions, each with the mean gradient of M perturbed copies. Noise (J, M, n)."""
        net, s, x_k = self.net, self.s, self.x
        fresh = torch.empty(settings["samples"], net.n)

        @self.wrap
        def transition(x, Z, a):
            W1, W2 = net.matrices(x)
            Z1, Z2 = net.matrices(Z)
            G, g2 = net.signals(self.A @ W1 + s * (self.A @ Z1), W2 + s * Z2, self.y)
            g = torch.cat([(self.A.mT @ G.mean(0)).flatten(), g2.mean(0).flatten()])
            return x - a * (x - x_k + self.tau * g)

        def update():
            x = x_k.clone()
            for j, a in enumerate(settings["stepSizes"]):
                x = transition(x, given["Z"][j] if given else fresh.normal_(), torch.tensor(a))
            return {"mean": x}

        return update

    def descent(self, settings, step):
        """Runs `step` over minibatches of rows (steps, B) and goes on from where the last call ended."""
        rows = torch.from_numpy(settings["rows"].astype("int64"))

        def steps():
            for batch in rows:
                step(self.inputs[batch], self.labels[batch])

        return steps

    def sgd(self, settings, _):
        net, rate, x = self.net, settings["rate"], self.x.clone()
        W1, W2 = net.matrices(x)

        def eager(A, y):
            G, g2 = net.signals(A @ W1, W2, y)
            W1.addmm_(A.mT, G, alpha=-rate)
            W2.sub_(g2, alpha=rate)

        @torch.compile
        def formula(x, A, y):
            W1, W2 = net.matrices(x)
            G, g2 = net.signals(A @ W1, W2, y)
            return x - rate * torch.cat([(A.mT @ G).flatten(), g2.flatten()])

        def compiled(A, y):
            x.set_(formula(x, A, y))

        steps = self.descent(settings, compiled if self.compiled else eager)

        def run():
            if settings["restart"]:
                x.copy_(self.x)
            steps()
            return {"parameters": x}

        return run

    def adam(self, settings, _):
        """Adam with decoupled weight decay: PyTorch's fused optimizer, or the formula compiled with the gradient."""
        net, rate, decay, x = self.net, settings["rate"], settings["weightDecay"], self.x.clone()
        W1, W2 = net.matrices(x)
        m, v, count = torch.zeros_like(x), torch.zeros_like(x), torch.zeros(())
        x.grad = torch.empty_like(x)
        g1, g2 = net.matrices(x.grad)
        optimizer = torch.optim.AdamW([x], lr=rate, weight_decay=decay, fused=True)

        def eager(A, y):
            G, second = net.signals(A @ W1, W2, y)
            torch.mm(A.mT, G, out=g1)
            g2.copy_(second)
            optimizer.step()

        def formula(A, y):
            G, second = net.signals(A @ W1, W2, y)
            g = torch.cat([(A.mT @ G).flatten(), second.flatten()])
            count.add_(1)
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            root = torch.sqrt(v / (1 - 0.999**count)) + 1e-8
            x.mul_(1 - rate * decay).sub_(rate * (m / (1 - 0.9**count)) / root)

        steps = self.descent(settings, torch.compile(formula) if self.compiled else eager)

        def run():
            if settings["restart"]:
                x.copy_(self.x)
                optimizer.state.clear()
                for moment in (m, v, count):
                    moment.zero_()
            steps()
            return {"parameters": x}

        return run


if __name__ == "__main__":
    serve(PyTorch())
