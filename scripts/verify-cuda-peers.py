"""The paper's importance sampling in its direct form, 784-200-10, B = 20, in PyTorch (compiled) and JAX (jit) on the GPU
of this machine: loss evaluations a second, to set beside `cuda-test --bench`. An evaluation draws the 159,010 normals of
a sample, evaluates the network at it and adds its weighted noise to the mean.

A library that is not here is said to be missing. Each rival checks one loss against NumPy before it is timed.
"""

import math
import time

import numpy

BATCH, CHUNK, CHUNKS, TAU = 20, 256, 8, 0.01
rng = numpy.random.default_rng(1)
X = (rng.random((BATCH, 784)) * (rng.random((BATCH, 784)) < 0.2)).astype("float32")
LABELS = rng.integers(0, 10, BATCH)
W = [(rng.random(s) * 2 - 1).astype("float32") * math.sqrt(6 / sum(s)) for s in ((784, 200), (200, 10))]
BIAS = [numpy.zeros(200, "float32"), numpy.zeros(10, "float32")]


def expected_loss():
    """Mean cross-entropy at the parameters themselves."""
    hidden = numpy.maximum(X @ W[0] + BIAS[0], 0)
    z = (hidden @ W[1] + BIAS[1]).astype("float64")
    z -= z.max(1, keepdims=True)
    return float((numpy.log(numpy.exp(z).sum(1)) - z[numpy.arange(BATCH), LABELS]).mean())


def report(name, update, wait):
    for _ in range(3):
        update()
    wait()
    best = math.inf
    for _ in range(10):
        start = time.perf_counter()
        update()
        wait()
        best = min(best, time.perf_counter() - start)
    print(f"{name}: {CHUNK * CHUNKS / best / 1e6:.3f} million evaluations/s", flush=True)


def pytorch():
    import torch

    x, labels = torch.tensor(X, device="cuda"), torch.tensor(LABELS, device="cuda")
    parameters = [torch.tensor(p, device="cuda") for p in (W[0], BIAS[0], W[1], BIAS[1])]

    def losses(w1, b1, w2, b2):
        hidden = torch.relu(torch.einsum("bi,jih->jbh", x, w1) + b1[:, None])
        logits = torch.einsum("jbh,jhc->jbc", hidden, w2) + b2[:, None]
        flat = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.repeat(w1.shape[0]), reduction="none")
        return flat.view(w1.shape[0], BATCH).mean(1)

    def part():
        noise = [torch.randn((CHUNK, *p.shape), device="cuda") for p in parameters]
        weights = torch.exp(-losses(*[p + math.sqrt(TAU) * z for p, z in zip(parameters, noise)]))
        return [torch.einsum("j,j...->...", weights, z) for z in noise], weights.sum()

    with torch.no_grad():
        got = losses(*[p[None] for p in parameters]).item()
        assert abs(got - expected_loss()) < 1e-4, (got, expected_loss())
        compiled = torch.compile(part)

        def update():
            sums, total = compiled()
            for _ in range(CHUNKS - 1):
                more, weight = compiled()
                sums, total = [a + b for a, b in zip(sums, more)], total + weight
            return [s / total for s in sums]

        report(f"PyTorch {torch.__version__}, compiled", update, torch.cuda.synchronize)


def jax():
    import jax
    import jax.numpy as jnp

    x, labels = jnp.asarray(X), jnp.asarray(LABELS)
    parameters = [jnp.asarray(p) for p in (W[0], BIAS[0], W[1], BIAS[1])]

    def losses(w1, b1, w2, b2):
        hidden = jax.nn.relu(jnp.einsum("bi,jih->jbh", x, w1) + b1[:, None])
        logits = jnp.einsum("jbh,jhc->jbc", hidden, w2) + b2[:, None]
        log = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(log, labels[None, :, None], 2)[..., 0].mean(1)

    def part(carry, key):
        keys = jax.random.split(key, len(parameters))
        noise = [jax.random.normal(k, (CHUNK, *p.shape)) for k, p in zip(keys, parameters)]
        weights = jnp.exp(-losses(*[p + math.sqrt(TAU) * z for p, z in zip(parameters, noise)]))
        sums = [s + jnp.einsum("j,j...->...", weights, z) for s, z in zip(carry[0], noise)]
        return (sums, carry[1] + weights.sum()), None

    @jax.jit
    def update(key):
        start = ([jnp.zeros_like(p) for p in parameters], 0.0)
        (sums, total), _ = jax.lax.scan(part, start, jax.random.split(key, CHUNKS))
        return [s / total for s in sums]

    got = float(losses(*[p[None] for p in parameters])[0])
    assert abs(got - expected_loss()) < 1e-3, (got, expected_loss())
    key, last = jax.random.PRNGKey(1), []

    def run():
        last[:] = update(key)

    report(f"JAX {jax.__version__}, jit", run, lambda: jax.block_until_ready(last))


for rival in (pytorch, jax):
    try:
        rival()
    except ImportError as error:
        print(f"{rival.__name__}: missing, {error}", flush=True)
