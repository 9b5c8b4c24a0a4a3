#!/usr/bin/env python3
"""hnswlib and faiss, driven by apus-store-bench (Sources/apus-store-bench/Vectors): commands come on standard input, one a
line, and each is answered by one line of JSON. One thread; times are the process' own, as those of the suite are.

  flat COUNT     faiss, every float32 compared, the first COUNT queries, one at a time
  build          hnswlib, float32, M 16, efConstruction 128
  hnsw EF        hnswlib, all queries; in one call, so that no time of Python's is in it

usage: vector-peers.py FOLDER DIMENSION VECTORS    (FOLDER as make-vectors.py writes it; VECTORS: how many of them)
"""
import json
import os
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
import faiss  # noqa: E402
import hnswlib  # noqa: E402
import numpy as np  # noqa: E402

folder, dimension, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
base = np.fromfile(f"{folder}/base.f32", np.float32).reshape(-1, dimension)[:count]
queries = np.fromfile(f"{folder}/query.f32", np.float32).reshape(-1, dimension)
faiss.omp_set_num_threads(1)
flat = graph = truth = None


def exact(wanted):
    """The ten nearest of every query, in blocks that fit into memory."""
    found = np.empty((len(wanted), 10), np.int64)
    for start in range(0, len(wanted), 100):
        products = wanted[start:start + 100] @ base.T
        found[start:start + 100] = np.argpartition(-products, 10, axis=1)[:, :10]
    return found


def recall(found):
    global truth
    if truth is None:
        truth = [set(row) for row in exact(queries)]
    return sum(len(expected & set(row)) for expected, row in zip(truth, found)) / (10 * len(found))


def answer(operations, seconds, **figures):
    print(json.dumps({"operations": operations, "seconds": seconds, "figures": figures}), flush=True)


for line in sys.stdin:
    command, *arguments = line.split()
    if command == "flat":
        if flat is None:
            flat = faiss.IndexFlatIP(dimension)
            flat.add(base)
        wanted = queries[:int(arguments[0])]
        begin = time.process_time()
        found = [flat.search(wanted[i:i + 1], 10)[1][0] for i in range(len(wanted))]
        seconds = time.process_time() - begin
        answer(len(wanted), seconds, recall=recall(found), bytes=base.nbytes)
    elif command == "build":
        graph = hnswlib.Index("ip", dimension)
        graph.init_index(len(base), M=16, ef_construction=128, random_seed=1)
        begin = time.process_time()
        graph.add_items(base, num_threads=1)
        seconds = time.process_time() - begin
        with tempfile.NamedTemporaryFile() as file:
            graph.save_index(file.name)
            # What the file has is what the memory has: vectors, links, labels.
            answer(len(base), seconds, bytes=os.path.getsize(file.name))
    elif command == "hnsw":
        graph.set_ef(int(arguments[0]))
        begin = time.process_time()
        found = graph.knn_query(queries, 10, num_threads=1)[0]
        seconds = time.process_time() - begin
        answer(len(queries), seconds, recall=recall(found))
