"""What the scripts of the gallery share: their options, their pictures, their data."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEWSGROUPS = ["alt.atheism", "soc.religion.christian", "comp.graphics", "sci.med"]


def options(
    description: str | None,
    *,
    takes: str,
    quick: str,
    data: str | None = None,
    points: str | None = None,
) -> argparse.Namespace:
    """The command line of a script: ``--out``, ``--quick``; ``--data`` and ``--points`` if named.

    Says on stdout what the script does and how long it takes.

    Parameters
    ----------
    description : str or None
        The script's docstring.
    takes, quick : str
        How long it takes on two processors; and with ``--quick``, and what is less then.
    data : str, optional
        What ``--data`` names, for a script that needs data.
    points : str, optional
        What ``--points`` says, for a script whose grid may have more of them.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("gallery"),
        metavar="FOLDER",
        help="where the pictures go; made if missing (default: %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help=quick)
    if data is not None:
        parser.add_argument("--data", type=Path, metavar="PATH", help=data)
    if points is not None:
        parser.add_argument("--points", type=int, metavar="N", help=points)
    parser.epilog = f"Takes {takes}."
    given = parser.parse_args()
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {given.out}: {error.strerror}")
    print((description or "").strip())
    print(f"\nTakes {quick if given.quick else takes}.\n", flush=True)
    return given


def save(figure: Figure, path: Path) -> None:
    """Write a picture, in 256 colours if it is larger than 150 kB; close it, and say so."""
    from io import BytesIO

    import matplotlib.pyplot as plt

    picture = BytesIO()
    figure.savefig(picture, dpi=100)
    plt.close(figure)
    path.write_bytes(picture.getvalue())
    if path.stat().st_size > 150_000:
        from PIL import Image

        whole = Image.open(picture).convert("RGB")
        # By this method the few dots of a colour keep it.
        whole.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(path, optimize=True)
    print("wrote", path, flush=True)


def keras_on_one_thread() -> Any:
    """Keras with TensorFlow on one thread: small networks lose nothing, and a seed says all.

    Raises
    ------
    SystemExit
        If they are not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
        import tensorflow
    except ImportError:
        raise SystemExit("this script needs Keras: pip install 'fractal-tuner[keras]'") from None
    tensorflow.get_logger().setLevel("ERROR")  # it warns of networks of many shapes
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return keras


def mnist(path: Path | None, n_images: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Training images of MNIST, or the digits that scikit-learn brings.

    Parameters
    ----------
    path : Path or None
        ``mnist.npz`` or the folder that holds it; by default the cache of Keras.
    n_images : int
        The first so many.

    Returns
    -------
    images : ndarray of shape (n, side, side, 1)
        In [0, 1].
    labels : ndarray of shape (n,)
    source : str
        What they are and where they come from.

    Raises
    ------
    SystemExit
        If a path is given and holds no MNIST.
    """
    cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / "mnist.npz"
    file = cache if path is None else path / "mnist.npz" if path.is_dir() else path
    if file.exists():
        # Not by Keras, which downloads where the file is not byte for byte the one it knows.
        with np.load(file, allow_pickle=False) as arrays:
            x, y = arrays["x_train"][:n_images] / 255.0, arrays["y_train"][:n_images]
        return x[..., None], y, f"MNIST, {len(x)} images, from {file}"
    if path is not None:
        raise SystemExit(f"no MNIST in {path}: give the file mnist.npz or its folder")
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = digits.images[:n_images] / 16.0, digits.target[:n_images]
    return x[..., None], y, f"scikit-learn's digits, {len(x)} images of 8 x 8, in MNIST's place"


def newsgroups(path: Path | None, n_posts: int | None = None) -> tuple[np.ndarray, np.ndarray, str]:
    """TF-IDF of posts to four newsgroups, or the digits that scikit-learn brings.

    Parameters
    ----------
    path : Path or None
        A data folder of scikit-learn; by default the user's.
    n_posts : int, optional
        The first so many, shuffled with a fixed seed.

    Returns
    -------
    features : ndarray of shape (n, n_features)
        At most 5,000 of them.
    labels : ndarray of shape (n,)
    source : str
        What they are and where they come from.

    Raises
    ------
    SystemExit
        If a path is given and holds no newsgroups.
    """
    from sklearn.datasets import fetch_20newsgroups, load_digits
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        posts = fetch_20newsgroups(
            data_home=path,
            subset="all",
            categories=NEWSGROUPS,
            random_state=42,
            download_if_missing=False,
        )
    except OSError:
        if path is not None:
            raise SystemExit(
                f"no 20 newsgroups in {path}: give scikit-learn's data folder"
            ) from None
        x, y = load_digits(return_X_y=True)
        return x / 16.0, y, f"scikit-learn's digits, {len(x)} images, in the place of posts"
    x = TfidfVectorizer(max_features=5000).fit_transform(posts.data[:n_posts])
    where = path or "scikit-learn's data folder"
    text = f"{x.shape[0]} posts of {len(NEWSGROUPS)} newsgroups, from {where}"
    return x.toarray(), posts.target[:n_posts], text
