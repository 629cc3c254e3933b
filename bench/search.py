"""search.py INDEX.npy QUERIES.npy [k] [runs]: exact search by faiss's IndexFlatIP, the peer of ft-search; THREADS=2.

Vectors are those of ft-export. One line: the least seconds of `search` alone and of `add` and `search`, the index's own memory included.
"""
import os, resource, sys, time
import faiss, numpy as np

index, query = np.load(sys.argv[1]), np.load(sys.argv[2])
k = int(sys.argv[3]) if len(sys.argv) > 3 else 20
faiss.omp_set_num_threads(int(os.environ.get("THREADS", 2)))
alone, both = [], []
for run in range(int(sys.argv[4]) if len(sys.argv) > 4 else 3):
    flat = faiss.IndexFlatIP(index.shape[1])
    start = time.monotonic()
    flat.add(index)
    added = time.monotonic()
    flat.search(query, k)
    end = time.monotonic()
    alone.append(end - added)
    both.append(end - start)
    del flat
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"faiss: {len(query)} queries, {min(alone):.3f} s search, {min(both):.3f} s with add, {memory:.0f} MB")
