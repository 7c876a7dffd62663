"""JAX on the processor, everything under jit: what a careful user would write without this package.

SGD, Adam and Algorithms 3, 4 and 5 of García Trillos, Kaplan, Sanz-Alonso (Entropy 2019) on a network with one hidden
layer of ReLU, in float32; loops are lax.scan, so that one call is one compiled program. Normals by JAX's own
Threefry, on processors four times faster than its alternative `rbg`. Variants: `jit`; `projected`, this package's projection written in JAX.

Symbols: A (B, d0 + 1) inputs with the bias input, W1 (d0 + 1, d1) and W2 (d1 + 1, d2) with the bias row last, x (n)
flat parameters as in the package, s scale of a perturbation, Z (C, n) noise of a chunk of C samples, f losses.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from protocol import serve

jax.config.update("jax_platforms", "cpu")

CHUNK = 8  # samples


def matrices(widths, x):
    d0, d1, d2 = widths
    first, lead = (d0 + 1) * d1, x.shape[:-1]
    W2 = x[..., first:].reshape(*lead, d1 + 1, d2)
    return x[..., :first].reshape(*lead, d0 + 1, d1), W2


def mean_loss(P, W2, y):
    """Pre-activations P (B, d1), labels y (B, d2) as rows of the identity."""
    logits = jax.nn.relu(P) @ W2[:-1] + W2[-1]
    return jnp.mean(jax.nn.logsumexp(logits, -1) - jnp.sum(logits * y, -1))


def network_loss(widths, x, A, y):
    W1, W2 = matrices(widths, x)
    return mean_loss(A @ W1, W2, y)


def streaming(draw, losses, count, widths):
    """sum_j w_j Z_j / sum_j w_j over `count` chunks, w_j = exp(-f_j): `draw(i)` gives the chunk's noises."""

    def add(state, i):
        sums, total, largest = state
        noises = draw(i)
        f = losses(*noises)
        top = jnp.maximum(largest, jnp.max(-f))
        weights, shrink = jnp.exp(-f - top), jnp.exp(largest - top)
        sums = tuple(shrink * held + weights @ noise for held, noise in zip(sums, noises))
        return (sums, shrink * total + jnp.sum(weights), top), None

    start = (tuple(jnp.zeros(width) for width in widths), 0.0, -jnp.inf)
    (sums, total, _), _ = lax.scan(add, start, jnp.arange(count))
    return [values / total for values in sums]


class Jax:
    name = "JAX"
    version = jax.__version__
    thread_counts = [2]  # XLA's own pool: as many as the machine has cores

    def load(self, problem):
        self.widths = problem["network"]
        d0, d1, d2 = self.widths
        self.n = (d0 + 1) * d1 + (d1 + 1) * d2
        inputs = problem["inputs"].astype(np.float32) / 255
        self.inputs = jnp.asarray(np.concatenate([inputs, np.ones((len(inputs), 1), np.float32)], 1))
        self.labels = jnp.asarray(np.eye(d2, dtype=np.float32)[problem["labels"]])
        B = problem["batchSize"]
        self.A, self.y = self.inputs[:B], self.labels[:B]
        self.x = jnp.asarray(problem["parameters"])
        self.tau = problem["tau"]
        self.s = math.sqrt(self.tau)
        self.calls = 0

    def set_threads(self, count):
        pass

    def task(self, name, variant, settings):
        method = name.replace("-", "_") + ("_projected" if variant == "projected" else "")
        return getattr(self, method)(settings, settings.get("noise", {}))

    def keyed(self, name, compute, *arguments):
        """Calls compute(key, …) under jit with a fresh key each time; waits for the result."""
        compiled = jax.jit(compute)

        def run():
            self.calls += 1
            return {name: np.asarray(compiled(random.key(self.calls), *arguments))}

        return run

    def gaussian(self, settings, _):
        return self.keyed("normals", lambda key: random.normal(key, (settings["count"],)))

    def noise(self, given, key, J, widths):
        """draw(i) of a chunk's noises, and how many chunks: what was given, or fresh normals."""
        if given is not None:
            parts = jnp.split(jnp.asarray(given), np.cumsum(widths)[:-1], 1)
            return lambda i: tuple(parts), 1
        size = math.gcd(J, CHUNK)

        def draw(i):
            normals = random.normal(random.fold_in(key, i), (size, sum(widths)))
            return tuple(jnp.split(normals, np.cumsum(widths)[:-1], 1))

        return draw, J // size

    def direct_losses(self, x, A, y):
        losses = jax.vmap(lambda Z: network_loss(self.widths, x + self.s * Z, A, y))
        return losses

    def weights(self, settings, given):
        def compute(key, x, A, y):
            draw, count = self.noise(given.get("Z"), key, settings["samples"], [self.n])
            losses = self.direct_losses(x, A, y)
            return lax.scan(lambda _, i: (None, losses(*draw(i))), None, jnp.arange(count))[1].ravel()

        return self.keyed("losses", compute, self.x, self.A, self.y)

    def importance_sampling(self, settings, given):
        def compute(key, x, A, y):
            draw, count = self.noise(given.get("Z"), key, settings["samples"], [self.n])
            (mean,) = streaming(draw, self.direct_losses(x, A, y), count, [self.n])
            return x + self.s * mean

        return self.keyed("mean", compute, self.x, self.A, self.y)

    def importance_sampling_projected(self, settings, given):
        _, d1, d2 = self.widths
        B = len(self.A)
        widths = [B * d1, (d1 + 1) * d2]

        def compute(key, x, A, y):
            L = jnp.linalg.cholesky(A @ A.T)
            Q = jax.scipy.linalg.solve_triangular(L, A, lower=True).T
            W1, W2 = matrices(self.widths, x)
            base, sL = A @ W1, self.s * L

            def loss(U, Z2):
                return mean_loss(base + sL @ U.reshape(B, d1), W2 + self.s * Z2.reshape(d1 + 1, d2), y)

            draw, count = self.noise(given.get("U"), key, settings["samples"], widths)
            U, Z2 = streaming(draw, jax.vmap(loss), count, widths)
            return x + self.s * jnp.concatenate([(Q @ U.reshape(B, d1)).ravel(), Z2])

        return self.keyed("mean", compute, self.x, self.A, self.y)

    def sgld(self, settings, given):
        """Algorithm 3: x^1 = x_k, J - 1 transitions, mean weighted by e_j. Noise (J - 1, n)."""
        e = jnp.asarray(settings["stepSizes"])
        gradient = jax.grad(partial(network_loss, self.widths))

        def compute(key, x_k, A, y):
            def transition(state, j):
                x, total = state
                fresh = given["xi"][j] if given else random.normal(random.fold_in(key, j), (self.n,))
                drift = gradient(x, A, y) + (x - x_k) / self.tau
                x = x - e[j] / 2 * drift + jnp.sqrt(e[j]) * fresh
                return (x, total + e[j + 1] * x), None

            start = (x_k, e[0] * x_k)
            (_, total), _ = lax.scan(transition, start, jnp.arange(len(e) - 1))
            return total / jnp.sum(e)

        given = {key: jnp.asarray(value) for key, value in given.items()}
        return self.keyed("mean", compute, self.x, self.A, self.y)

    def robbins_monro(self, settings, given):
        """Algorithm 5: J transitions, each with the mean gradient of M perturbed copies. Noise (J, M, n)."""
        steps, M = jnp.asarray(settings["stepSizes"]), settings["samples"]

        def loss(x, Z, A, y):
            return jnp.mean(jax.vmap(lambda z: network_loss(self.widths, x + self.s * z, A, y))(Z))

        def compute(key, x_k, A, y):
            def transition(x, j):
                Z = given["Z"][j] if given else random.normal(random.fold_in(key, j), (M, self.n))
                return x - steps[j] * (x - x_k + self.tau * jax.grad(loss)(x, Z, A, y)), None

            return lax.scan(transition, x_k, jnp.arange(len(steps)))[0]

        given = {key: jnp.asarray(value) for key, value in given.items()}
        return self.keyed("mean", compute, self.x, self.A, self.y)

    def descent(self, settings, step, start):
        """Runs `step` over minibatches of rows (steps, B) and goes on from where the last call ended."""
        rows = jnp.asarray(settings["rows"])

        @partial(jax.jit, donate_argnums=0)
        def steps(state, inputs, labels):
            follow = lambda state, batch: (step(state, inputs[batch], labels[batch]), None)
            return lax.scan(follow, state, rows)[0]

        held = [start()]

        def run():
            state = start() if settings["restart"] else held[0]
            held[0] = steps(state, self.inputs, self.labels)
            return {"parameters": np.asarray(held[0][0])}

        return run

    def sgd(self, settings, _):
        gradient = jax.grad(partial(network_loss, self.widths))

        def step(state, A, y):
            (x,) = state
            return (x - settings["rate"] * gradient(x, A, y),)

        return self.descent(settings, step, lambda: (jnp.array(self.x),))

    def adam(self, settings, _):
        """Adam with decoupled weight decay."""
        rate, decay = settings["rate"], settings["weightDecay"]
        gradient = jax.grad(partial(network_loss, self.widths))

        def step(state, A, y):
            x, m, v, count = state
            g, count = gradient(x, A, y), count + 1
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            root = jnp.sqrt(v / (1 - 0.999**count)) + 1e-8
            return (1 - rate * decay) * x - rate * (m / (1 - 0.9**count)) / root, m, v, count

        zeros = lambda: jnp.zeros(self.n)
        return self.descent(settings, step, lambda: (jnp.array(self.x), zeros(), zeros(), 0.0))


if __name__ == "__main__":
    serve(Jax())
