"""A small convolutional network on MNIST: a fractal landscape, or the luck of the seeds?

Accuracy over convolution filters and dense units, as on slides 6 to 9 of the deck: measured,
smoothed, its gradient, its local complexity, a level set and a dimension. The deck trained each
cell once. Here each is trained with four seeds, so that below every picture stands the one that the
luck of the seeds paints alone.

What stands out of the luck: small networks are worse, and there the landscape is steep, also with
other seeds. What does not: which of the larger networks is best, the ragged edge of the level set,
and any complexity beside a slope. The slides' dimension is no evidence of a fractal either: noise
alone has the same, for the count does not know what it looks at.

An interrupted run goes on where it was: finished cells are in a journal beside the pictures.
"""

import numpy as np

from fractal_tuner import Integer
from fractal_tuner.gallery import keras_on_one_thread, mnist, options, save
from fractal_tuner.noise_floor import NoiseFloor, map_repeats

args = options(
    __doc__,
    takes="about ten minutes; with --points 20 an hour",
    quick="half a minute: 4 x 4 cells, 300 images, 2 seeds",
    data="mnist.npz or its folder; else Keras' cache, else scikit-learn's digits",
    points="cells along each axis; 8 (default) and 15 have even steps, 20 is the deck's",
)
keras = keras_on_one_thread()
points = args.points or (4 if args.quick else 8)
n_images, repeats = (300, 2) if args.quick else (3000, 4)
images, labels, source = mnist(args.data, n_images)
n_train = 2 * len(images) // 3
print(f"{source}, two thirds of them for training, for one epoch; {repeats} seeds a cell")


def accuracy(seed, conv_filters, dense_units):
    """On the images that are not for training."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.Conv2D(conv_filters, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(dense_units, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images[:n_train], labels[:n_train], verbose=0)
    is_right = np.argmax(model(images[n_train:]), axis=1) == labels[n_train:]
    keras.backend.clear_session()  # or each model would make the next one slower
    return is_right.mean()


trials = map_repeats(
    accuracy,
    {"conv_filters": Integer(8, 64), "dense_units": Integer(32, 256)},
    points_per_dim=points,
    repeats=repeats,
    journal=args.out / f"06-cnn-mnist-{points}x{points}x{repeats}.jsonl",
    fingerprint={"data": source},
)
found = NoiseFloor.of(trials)
print(found.summary("accuracy"))
save(found.plot_maps("accuracy"), args.out / "06-cnn-mnist.png")
save(found.plot_sets("accuracy"), args.out / "06-cnn-mnist-sets.png")
