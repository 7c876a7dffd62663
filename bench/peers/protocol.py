"""Speaks with the harness: a JSON object a line on stdin, its answer a line on stdout.

    {"do": "load", network, batchSize, tau, parameters, inputs, labels}  -> {"name", "version"}
    {"do": "answer", "task", "variant", "settings"}                      -> what the task computes, by name
    {"do": "time", "task", "variant", "settings", "seconds", "samples"}  -> {"seconds": [a call, ...], "processor"}

`processor` is the processor time of a call, all threads together.

Arrays come as files, {"type", "shape", "file"}, and go as base64, {"type", "shape", "base64"}.

A peer is a class with `name`, `version`, `thread_counts`, `load(problem)`, `set_threads(count)` and
`task(name, variant, settings)`, which gives a function without arguments that returns arrays by name. What
settings["noise"] holds takes the place of the peer's own random numbers.
"""

import base64
import json
import os
import sys
import time

import numpy as np

TYPES = {"float32": np.float32, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32}


def decode(value):
    """Arrays {"type", "shape", "base64"} anywhere in a message become numpy's."""
    if isinstance(value, dict):
        if "file" in value:
            return np.fromfile(value["file"], TYPES[value["type"]]).reshape(value["shape"])
        return {name: decode(item) for name, item in value.items()}
    return value


def encode(array):
    array = np.ascontiguousarray(array, np.float32)
    text = base64.b64encode(array.tobytes()).decode()
    return {"type": "float32", "shape": list(array.shape), "base64": text}


def measure(run, seconds, samples):
    """At least `samples` calls for at least `seconds` seconds: what "time" answers."""
    taken, sink = [], 0.0  # the sink: each result is looked at, so none may be left out
    start, processor = time.perf_counter(), time.process_time()
    while len(taken) < samples or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        result = next(iter(run().values()))
        sink += float(result[-1])
        taken.append(time.perf_counter() - before)
    if not np.isfinite(sink):
        raise ValueError("the result is not finite")
    return {"seconds": taken, "processor": (time.process_time() - processor) / len(taken)}


class Tasks:
    """Answers requests; keeps each timed function, so that it is compiled once."""

    def __init__(self, peer):
        self.peer = peer
        self.ready = {}

    def request(self, line):
        raw = json.loads(line)
        message = decode(raw)
        if message["do"] == "load":
            self.peer.load(message)
            return {"name": self.peer.name, "version": self.peer.version}
        task = [message[key] for key in ("task", "variant", "settings")]
        if message["do"] == "answer":
            return {name: encode(value) for name, value in self.peer.task(*task)().items()}
        key = json.dumps([raw[name] for name in ("task", "variant", "settings")])
        if key not in self.ready:
            self.ready[key] = self.prepare(task)
        run, threads = self.ready[key]
        self.peer.set_threads(threads)
        return {**measure(run, message["seconds"], message["samples"]), "threads": threads}

    def prepare(self, task):
        """The function, warm (compiled), and how many threads serve it best: small tasks are faster on one."""
        run = self.peer.task(*task)
        seconds = {}
        for threads in self.peer.thread_counts:
            self.peer.set_threads(threads)
            if not seconds:
                run()
            seconds[threads] = min(measure(run, 0.02, 1)["seconds"])
        return run, min(seconds, key=seconds.get)


def serve(peer):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    tasks = Tasks(peer)
    for line in sys.stdin:
        try:
            answer = tasks.request(line)
        except Exception as error:  # the harness reports it beside the peer's name
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
