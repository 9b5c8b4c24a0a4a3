#!/usr/bin/env python3
"""Makes the vectors that apus-store-bench searches: TF-IDF and SVD of the paragraphs of Debian's package descriptions and
of the documentation on this machine, randomly rotated, 384 dimensions, length 1. Not neural embeddings, but real text:
hubs, near duplicates and topics of every size, which mixtures of Gaussians have not.

Writes base.f32 (98,523 vectors if there are enough paragraphs), query.f32 (1,000 others) and rest.f32 (what is left).

A million takes more text than that: --text names more folders, --window cuts long paragraphs so that every word of them is
in some vector, and vocabulary and SVD come from a sample.

usage: make-vectors.py FOLDER [TRANSLATION-FILE...]    (apt's Translation-en files; those of this machine by default)
         [--vectors COUNT] [--text FOLDER]... [--window WORDS] [--sample PARAGRAPHS]
"""
import argparse
import glob
import gzip
import os
import re
import subprocess

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

DIMENSION, QUERIES = 384, 1_000
parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("translations", nargs="*")
parser.add_argument("--vectors", type=int, default=98_523)
parser.add_argument("--text", action="append", default=[])
parser.add_argument("--window", type=int)
parser.add_argument("--sample", type=int, default=150_000)
arguments = parser.parse_args()
folder, base_count = arguments.folder, arguments.vectors
translations = arguments.translations or sorted(glob.glob("/var/lib/apt/lists/*Translation-en*"))
paragraphs, seen = [], set()
# Some paragraphs share no word with the vocabulary.
wanted = base_count + QUERIES + max(1_500, base_count // 20 if base_count > 400_000 else 0)
limit = max(400_000, wanted)


def add(text):
    words = text.split()
    step = arguments.window or max(len(words), 1)
    for start in range(0, len(words), step):
        add_window(" ".join(words[start:start + step]))


def add_window(text):
    words = re.findall(r"[a-z]{2,}", text.lower())
    if len(text) < 60 or len(words) < 8:
        return
    # The same words in another order are the same paragraph to TF-IDF.
    key = hash(tuple(sorted(set(words))))
    if key not in seen:
        seen.add(key)
        paragraphs.append(text[:2000])


for path in translations:
    block = []
    # Some systems keep their lists compressed, each in its own way; apt reads all of them.
    content = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], stdout=subprocess.PIPE, check=True).stdout
    for line in content.decode("utf-8", "replace").split("\n"):
        if line.startswith(" ") and not line.startswith(" ."):
            block.append(line.strip())
        else:
            add(" ".join(block))
            block = []
described = len(paragraphs)
roots = ["/usr/share/doc", "/usr/share/man", "/usr/share/perl", "/usr/lib/python3", "/usr/include", "/usr/src"]
for root in roots + arguments.text:
    for directory, _, files in sorted(os.walk(root)):
        for file in sorted(files):
            path = os.path.join(directory, file)
            if os.path.islink(path) or os.path.getsize(path) > 3_000_000 or len(paragraphs) > limit:
                continue
            try:
                with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
                    raw = file.read(3_000_000)
            except (OSError, EOFError):
                continue
            if b"\0" not in raw[:4096]:
                for text in re.split(r"\n\s*\n", raw.decode("utf-8", "replace")):
                    add(re.sub(r"[^A-Za-z0-9.,;:()'\- ]+", " ", text))
print(f"{described} paragraphs of descriptions, {len(paragraphs)} in all", flush=True)

random = np.random.default_rng(7)
order = np.concatenate([random.permutation(described), described + random.permutation(len(paragraphs) - described)])
first = random.permutation(order[:wanted])
vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=3, max_df=0.3, max_features=60_000)
matrix = vectorizer.fit_transform([paragraphs[i] for i in first[:arguments.sample]])
svd = TruncatedSVD(DIMENSION, algorithm="randomized", n_iter=3, random_state=1).fit(matrix)
rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)


def vectors(matrix):
    reduced = svd.transform(matrix).astype(np.float32)
    lengths = np.linalg.norm(reduced, axis=1)
    kept = lengths > 0.05
    rotated = reduced[kept] / lengths[kept, None] @ rotation
    return np.ascontiguousarray(rotated / np.linalg.norm(rotated, axis=1, keepdims=True), np.float32)


def write(blocks, file, count):
    """Writes vectors of blocks until there are so many; returns how many there were."""
    written = 0
    for block in blocks:
        block = block[:count - written]
        block.tofile(file)
        written += len(block)
    return written


def transformed(numbers):
    for start in range(0, len(numbers), 50_000):
        yield vectors(vectorizer.transform([paragraphs[i] for i in numbers[start:start + 50_000]]))


made = vectors(matrix)
os.makedirs(folder, exist_ok=True)
for stale in glob.glob(f"{folder}/nearest-*.i32"):
    os.remove(stale)
made[:QUERIES].tofile(f"{folder}/query.f32")
with open(f"{folder}/base.f32", "wb") as file:
    count = write([made[QUERIES:]], file, base_count)
    count += write(transformed(first[arguments.sample:]), file, base_count - count)
rest = order[wanted:]
if len(rest):
    with open(f"{folder}/rest.f32", "wb") as file:
        write(transformed(rest), file, len(rest))
print(f"{count} vectors, {QUERIES} queries", flush=True)
