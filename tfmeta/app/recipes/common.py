"""Whatever several recipes share: sizes that were tuned together, reasons for them, the network, the inner loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfmeta.app.recipes.recipe import Option

if TYPE_CHECKING:  # imported when there is work to do, see tfmeta/machine/command.py
    import keras

    from tfmeta.datasets import ImageClasses

# -- settings: gradient-based methods, what they change in 20-way, and methods that compare with a support set
FEW = {"n_query": 5, "meta_batch_size": 4, "learning_rate": 2e-3, "schedule": "cosine"}
TWENTY = {"n_query": 2, "meta_batch_size": 2}
EPISODES = {
    "train_way": 60, "n_query": 5, "meta_batch_size": 2, "learning_rate": 3e-3, "schedule": "cosine"
}  # fmt: skip

# -- deviations from the papers
STRIDE = "strided convolutions in place of max-pooling: a quarter of the work"
SMALL = (
    "meta-batches of 4 tasks (20-way: 2) with 5 queries a class (20-way: 2) instead of 32 (16) with as many queries as "
    "shots: MAML was seen to learn more in the same time"
)
FALLING = (
    "an outer rate that starts higher and falls to 0 along a cosine: MAML and the prototypical network learn more in "
    "fewer steps"
)
MEAN = "the inner rate is for the mean support loss; the authors' code sums over classes, so that their 0.4 is 2.0 here"
UNTUNED = "the inner rate and the outer one are MAML's and were not tuned for this method"

# -- options
GRADIENT_MODE = Option(
    "gradient_mode", str, "nested", "how the exact outer gradient is computed; mixed needs less memory for many steps"
)
FIRST_ORDER = Option("first_order", bool, False, "treat the inner gradients as constants")
INNER_CLIP_NORM = Option("inner_clip_norm", float, None, "scale a longer inner gradient down to this global norm")
ADVERSARIAL = Option("adversarial_epsilon", float, 0.0, "size of the FGSM changes to training queries; 0 for none")
DISTANCE = Option("distance", str, "cosine", "cosine or euclidean")


def conv4(settings, train: ImageClasses, n_way: int | None = None) -> keras.Model:
    """The network that settings describe.

    Args:
        settings: a run's `TrainSettings`.
        train: the training classes, for the images' shape `(height, width, channels)`.
        n_way: classes of its logits; by default it ends in embeddings.

    Returns:
        A built Keras model, images to `[batch, n_way]` or `[batch, dim]`.
    """
    from tfmeta import networks

    return networks.conv4(
        n_way, filters=settings.filters, downsample=settings.downsample, input_shape=train.image_shape
    )  # fmt: skip


def inner_loop(settings) -> dict[str, Any]:
    """The arguments that most learners with an inner loop have in common."""
    return {
        "inner_lr": settings.inner_lr, "inner_steps": settings.inner_steps,
        "eval_inner_steps": settings.eval_inner_steps,
    }  # fmt: skip
