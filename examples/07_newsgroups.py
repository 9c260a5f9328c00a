"""A dense network on four newsgroups: what the learning rate does, and what the seeds do.

Accuracy of a text classifier on TF-IDF features over hidden units and, on a log scale, the learning
rate, as on slides 11 to 13 of the deck, with the analysis of 06: each cell is trained with three
seeds, and below every picture stands the one that the luck of the seeds paints alone.

What stands out of the luck: small learning rates are too small for five epochs, and the landscape
is steep and bent where they begin to suffice; the pictures of other seeds show the same. Beyond
lies a plateau, where the best cell is a draw. That is an edge and a plateau, no fractal: the scores
are those of a smooth field with noise. Again noise alone has the slides' dimension.

An interrupted run goes on where it was: finished cells are in a journal beside the pictures.
"""

import numpy as np
from sklearn.model_selection import train_test_split

from fractal_tuner import Integer, Real
from fractal_tuner.gallery import keras_on_one_thread, newsgroups, options, save
from fractal_tuner.noise_floor import NoiseFloor, map_repeats

args = options(
    __doc__,
    takes="five to ten minutes; with --points 20 forty",
    quick="half a minute: 4 x 4 cells, 300 posts, 2 seeds",
    data="a data folder of scikit-learn; else the user's, else its digits",
    points="cells along each axis; 8 (default) and 15 have even steps, 20 is the deck's",
)
keras = keras_on_one_thread()
points = args.points or (4 if args.quick else 8)
n_posts, repeats = (300, 2) if args.quick else (1000, 3)
features, labels, source = newsgroups(args.data, n_posts)
split = train_test_split(features, labels, test_size=1 / 3, random_state=42)
x_train, x_test, y_train, y_test = split
print(f"{source}, two thirds of them for training, for five epochs; {repeats} seeds a cell")


def accuracy(seed, hidden_units, learning_rate):
    """On the posts that are not for training."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            keras.layers.Dense(hidden_units, activation="relu"),
            keras.layers.Dense(int(labels.max()) + 1, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy")
    model.fit(x_train, y_train, epochs=5, verbose=0)
    is_right = np.argmax(model(x_test), axis=1) == y_test
    keras.backend.clear_session()  # or each model would make the next one slower
    return is_right.mean()


trials = map_repeats(
    accuracy,
    {"hidden_units": Integer(32, 256), "learning_rate": Real(1e-4, 1e-1, log=True)},
    points_per_dim=points,
    repeats=repeats,
    journal=args.out / f"07-newsgroups-{points}x{points}x{repeats}.jsonl",
    fingerprint={"data": source},
)
found = NoiseFloor.of(trials)
print(found.summary("accuracy"))
save(found.plot_maps("accuracy"), args.out / "07-newsgroups.png")
save(found.plot_sets("accuracy"), args.out / "07-newsgroups-sets.png")
