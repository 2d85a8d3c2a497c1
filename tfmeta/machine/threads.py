"""Thread settings: tasks side by side, not threads inside an operation.

The operations of a few-shot task are small: a convolution over five images is done before several threads have agreed
on how to share it. tfmeta therefore runs the tasks of a meta-batch in parallel and gives each operation one thread,
which more than halves the time of a MAML step on a CPU (`benchmarks/README.md` has the figures).

TensorFlow takes its thread settings once per process, before its first operation, and making a Keras optimizer is one.
Whether a program is fast must not depend on which of two innocent lines comes first, so `import tfmeta` makes the
setting at once. It

- leaves a setting of your own alone: `tf.config.threading` before or after the import, or the environment variable
  `TF_NUM_INTRAOP_THREADS`, which is to be set before TensorFlow starts,
- cannot and does not change a TensorFlow that has already run an operation; the first call that starts work on episodes
  (`episode_dataset`, `sample_episode`, `networks.*`, a learner's constructor, `load_omniglot` when it has to prepare)
  then says so once, in the log,
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


_OURS = "one thread per operation, tasks in parallel"
_made: list[bool] = []  # whether the setting in force was made here; a user may take it back


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
    variable = os.environ.get("TF_NUM_INTRAOP_THREADS")
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    if _made and threads == 1 and (wish == "tensorflow" or variable) and _set(0):
        threads = 0  # the environment was changed after the import
    if wish == "tensorflow" and threads != 1:
        return f"TensorFlow's own setting ({SWITCH}=tensorflow)"
    if threads == 1:
        return _OURS
    if threads != 0 or variable:
        return f"your own setting, {threads or variable} threads per operation"
    if _made:
        return "your own setting, as many threads per operation as TensorFlow chooses"
    if not _set(1):
        _warn_of_late_call()
        return "TensorFlow's own setting (it ran an operation before tfmeta was imported)"
    _made.append(True)
    return _OURS


def prefer_tasks_at_import() -> None:
    """Call `prefer_tasks` in silence: what it has to say, it says at the first call that starts work."""
    wanted = os.environ.get(SWITCH, "tasks") == "tasks" and not os.environ.get("TF_NUM_INTRAOP_THREADS")
    if wanted and tf.config.threading.get_intra_op_parallelism_threads() == 0 and _set(1):
        _made.append(True)


def _set(threads: int) -> bool:
    """Whether TensorFlow took the number; it does not once it has run an operation."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        return False
    return True


@functools.cache
def _warn_of_late_call() -> None:
    # Once per process, and of no concern where a GPU does the work.
    if not tf.config.list_physical_devices("GPU"):
        logging.getLogger(__name__).warning(
            "TensorFlow had started before tfmeta was imported, so its thread setting stays and a MAML step takes "
            "about twice as long. Import tfmeta before anything makes a tensor or an optimizer; or set %s=tensorflow "
            "to keep TensorFlow's setting without this line.",
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
