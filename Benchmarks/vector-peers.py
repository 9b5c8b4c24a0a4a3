#!/usr/bin/env python3
"""hnswlib and faiss, driven by apus-store-bench (Sources/apus-store-bench/Vectors): commands come on standard input, one a
line, and each is answered by one line of JSON. One thread; times are the process' own, as those of the suite are.

  flat COUNT     faiss, every float32 compared, the first COUNT queries, one at a time
  build          hnswlib, float32, M 16, efConstruction 128
  hnsw EF        hnswlib, all queries; in one call, so that no time of Python's is in it
  replace COUNT EF  hnswlib: so many vectors leave, one by one, and others take their place; then EF's recall

A graph over a million vectors takes half an hour: if VECTOR_PEER_GRAPH names a file, it is kept there, and the next run
reads it and repeats what was measured when it was built.

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
everything = np.fromfile(f"{folder}/base.f32", np.float32, dimension * (count + count // 20)).reshape(-1, dimension)
count = min(count, len(everything))
if os.path.exists(f"{folder}/rest.f32") and len(everything) < count + count // 20:
    more = dimension * (count + count // 20 - len(everything))
    rest = np.fromfile(f"{folder}/rest.f32", np.float32, more).reshape(-1, dimension)
    everything = np.concatenate([everything, rest])
base = everything[:count]
queries = np.fromfile(f"{folder}/query.f32", np.float32).reshape(-1, dimension)
faiss.omp_set_num_threads(1)
flat = graph = truth = None
# As VectorTurnover in VectorData.swift has it.
held, waiting, first, place = np.arange(count), np.arange(count, len(everything)), 0, 0
steps = 0
kept = os.environ.get("VECTOR_PEER_GRAPH")


def exact():
    """The ten nearest of every query, in blocks that fit into memory; kept beside the vectors, for the suite too."""
    name = f"{folder}/nearest-{count}-{steps}.i32"
    if os.path.exists(name):
        return np.fromfile(name, np.int32).reshape(-1, 10)
    found = np.empty((len(queries), 10), np.int32)
    stored = everything[held] if steps else base
    for start in range(0, len(queries), 100):
        products = queries[start:start + 100] @ stored.T
        found[start:start + 100] = held[np.argpartition(products, -10, axis=1)[:, -10:]]
    found.tofile(name)
    return found


def recall(found):
    global truth
    if truth is None:
        truth = [set(row) for row in exact()]
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
        held, waiting, first, place = np.arange(count), np.arange(count, len(everything)), 0, 0
        steps, truth = 0, None
        graph = hnswlib.Index("ip", dimension)
        if kept and os.path.exists(kept):
            graph.load_index(kept, max_elements=len(base), allow_replace_deleted=True)
            with open(f"{kept}.json") as file:
                seconds = json.load(file)["seconds"]
            answer(len(base), seconds, bytes=os.path.getsize(kept))
            continue
        graph.init_index(len(base), M=16, ef_construction=128, random_seed=1, allow_replace_deleted=True)
        begin = time.process_time()
        graph.add_items(base, num_threads=1)
        seconds = time.process_time() - begin
        if kept:
            graph.save_index(kept)
            with open(f"{kept}.json", "w") as file:
                json.dump({"seconds": seconds}, file)
            answer(len(base), seconds, bytes=os.path.getsize(kept))
            continue
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
    elif command == "replace":
        begin = time.process_time()
        for _ in range(int(arguments[0])):
            place = (place + 7919) % count
            leaving, coming = held[place], waiting[first]
            held[place], waiting[first] = coming, leaving
            first = (first + 1) % len(waiting)
            graph.mark_deleted(leaving)
            graph.add_items(everything[coming:coming + 1], [coming], num_threads=1, replace_deleted=True)
        seconds = time.process_time() - begin
        steps, truth = steps + int(arguments[0]), None
        graph.set_ef(int(arguments[1]))
        answer(int(arguments[0]), seconds, **{"recall after": recall(graph.knn_query(queries, 10, num_threads=1)[0])})
