"""Search on a Dask cluster, kill a worker in the middle, and get what one process gets."""

import os
import signal
import sys
import threading

from joblib import parallel_config
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from fractal_tuner import FractalSearchCV

try:
    from distributed import Client, LocalCluster
except ImportError:
    sys.exit("this example needs Dask: pip install 'fractal-tuner[dask]'")


def make_search():
    space = {"C": loguniform(1e-2, 1e4), "gamma": loguniform(1e-7, 1)}
    # With a fixed batch_size, the result does not depend on the number of workers.
    return FractalSearchCV(SVC(), space, n_iter=20, cv=3, batch_size=2, random_state=0)


def kill_a_worker(client):
    os.kill(client.submit(os.getpid, pure=False).result(), signal.SIGKILL)


def main():
    X, y = (part[::2] for part in load_digits(return_X_y=True))
    # For a cluster of several machines: Client("scheduler-address:8786").
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        parallel_config(backend="dask"),
    ):
        killer = threading.Timer(0.5, kill_a_worker, [client])
        killer.start()
        search = make_search().fit(X, y)
        killer.join()
    print(f"on the cluster: {search.best_params_}, accuracy {search.best_score_:.4f}")

    alone = make_search().fit(X, y)
    print(f"in one process: {alone.best_params_}, accuracy {alone.best_score_:.4f}")


if __name__ == "__main__":  # the workers import this file
    main()
