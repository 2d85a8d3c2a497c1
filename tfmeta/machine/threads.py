"""Thread settings: tasks side by side, not threads inside an operation.

The operations of a few-shot task are small: a convolution over five images is done before several threads have agreed
on how to share it. tfmeta therefore runs the tasks of a meta-batch in parallel and gives each operation one thread,
which more than halves the time of a MAML step on a CPU (`benchmarks/README.md` has the figures).

TensorFlow takes its thread settings once per process, before its first operation. So that nobody else's program is
changed behind its back, tfmeta

- changes nothing when it is imported; the setting is made by the first call that starts work on episodes
  (`episode_dataset`, `sample_episode`, `networks.*`, a learner's constructor, `load_omniglot` when it has to prepare),
- leaves a setting of your own alone (`tf.config.threading` or `TF_NUM_INTRAOP_THREADS`), and cannot and does not change
  a TensorFlow that has already run an operation,
- says so once, in the log, when it comes too late (making a Keras optimizer already starts TensorFlow),
- can be told not to: set the environment variable `TFMETA_THREADS=tensorflow`.

The price: other TensorFlow code that runs later in the *same process* on large batches also gets one thread per
operation. Where that matters, run it in its own process or turn the setting off.
"""

from __future__ import annotations

import functools
import logging
import os

import tensorflow as tf

SWITCH = "TFMETA_THREADS"


def prefer_tasks() -> str:
    """Give each operation one thread, if TensorFlow has not started and nobody else has chosen.

    Returns:
        What is in force, as one line for `tfmeta doctor` and for logs.

    Raises:
        ValueError: if the environment variable `TFMETA_THREADS` is neither `tasks` nor `tensorflow`.
    """
    wish = os.environ.get(SWITCH, "tasks")
    if wish not in ("tasks", "tensorflow"):
        raise ValueError(f"{SWITCH} must be 'tasks' or 'tensorflow'. Received: {SWITCH}={wish!r}")
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    if wish == "tensorflow":
        return f"TensorFlow's own setting ({SWITCH}=tensorflow)"
    if threads == 1:
        return "one thread per operation, tasks in parallel"
    if threads != 0 or os.environ.get("TF_NUM_INTRAOP_THREADS"):
        return f"your own setting, {threads or os.environ['TF_NUM_INTRAOP_THREADS']} threads per operation"
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        _warn_of_late_call()
        return "TensorFlow's own setting (it ran an operation before tfmeta's first call)"
    return "one thread per operation, tasks in parallel"


@functools.cache
def _warn_of_late_call() -> None:
    # Once per process, and of no concern where a GPU does the work.
    if not tf.config.list_physical_devices("GPU"):
        logging.getLogger(__name__).warning(
            "TensorFlow had started before tfmeta's first call, so its thread setting stays and a MAML step takes "
            "about twice as long. Call tfmeta.threads.prefer_tasks() or build a network of tfmeta.networks before "
            "optimizers and tensors; or set %s=tensorflow to keep TensorFlow's setting without this line.",
            SWITCH,
        )


def parallel_tasks() -> int:
    """Number of tasks that run side by side: TensorFlow's inter-op threads, else the CPUs this process may use."""
    chosen = tf.config.threading.get_inter_op_parallelism_threads()
    return chosen or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else chosen or os.cpu_count() or 1


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same dataset without tf.data's tuning thread.

    Args:
        dataset: has nothing to tune: all its sizes are fixed.

    Returns:
        The dataset with that option.

    References:
        TensorFlow, `tf.data.experimental.AutotuneOptions`.
        https://www.tensorflow.org/api_docs/python/tf/data/experimental/AutotuneOptions

    Note:
        The thread sleeps 10 ms, 20 ms, 40 ms and so on up to a minute, and the end of an iterator, which is the end of
        `fit`, was often seen to wait until it woke (TensorFlow 2.21): 5.7 s of training took 10.3 s.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
