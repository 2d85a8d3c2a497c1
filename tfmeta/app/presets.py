"""All presets in one place: settings, where each comes from, what differs from there and why.

Read by `tfmeta train --preset`, by the benchmark and by the tests. A cell of the benchmark is named
`<method>-omniglot-<ways>w<shots>s`; the quickstart has presets of its own.
"""

from __future__ import annotations

import dataclasses
import difflib

from tfmeta.app.settings import TrainSettings


@dataclasses.dataclass(frozen=True)
class Preset:
    """Settings with their source.

    Args:
        settings: what `tfmeta train` is given.
        source: the paper and the place in it.
        deviations: what differs from the source, each with its reason.
        paper: the paper's accuracy in percent and half its 95 % interval; `None` for what it does not state.

    References:
        Each preset names its own.
    """

    settings: TrainSettings
    source: str
    deviations: tuple[str, ...] = ()
    paper: tuple[float | None, float | None] = (None, None)


CELLS = ((5, 1), (5, 5), (20, 1), (20, 5))

# -- deviations that several methods share
_STRIDE = "strided convolutions in place of max-pooling: a quarter of the work"
_SMALL = (
    "meta-batches of 4 tasks (20-way: 2) with 5 queries a class (20-way: 2) instead of 32 (16) with as many queries as "
    "shots: MAML was seen to learn more in the same time"
)
_FALLING = "an outer rate that starts higher and falls to 0 along a cosine: MAML and ProtoNet learn more in fewer steps"
_MEAN = (
    "the inner rate is for the mean support loss; the authors' code sums over classes, so that their 0.4 is 2.0 here"
)
_NOT_UNTIL = (
    "30,000 steps rather than until validation stalls, then once more with the validation classes: one training"
)
_UNTUNED = "the inner rate and the outer one are MAML's and were not tuned for this method"

_FEW = {"n_query": 5, "meta_batch_size": 4, "learning_rate": 2e-3, "schedule": "cosine"}
_TWENTY = {"n_query": 2, "meta_batch_size": 2}
_EPISODES = {
    "train_way": 60, "n_query": 5, "meta_batch_size": 2, "learning_rate": 3e-3, "schedule": "cosine"
}  # fmt: skip

# -- method -> source, settings, what 20-way changes, deviations, the four cells of the paper
# The papers' figures are in the order of CELLS; where they come from is said in results/README.md.
_METHODS: dict[str, dict] = {
    "maml": {
        "source": "Finn et al. (2017), section 5.2, appendix A.1. https://arxiv.org/abs/1703.03400",
        "settings": _FEW | {"method": "maml", "epochs": 60, "inner_lr": 1.0, "inner_steps": 1, "eval_inner_steps": 3},
        "twenty": _TWENTY,
        "deviations": (
            _SMALL, _FALLING, _MEAN, "of inner rates 0.4, 1.0 and 2.0 the second was best in short trainings, 5-way",
            "one inner step (three at test) in 20-way, too, instead of five: it takes a third of the time",
        ),
        "paper": ((98.7, 0.4), (99.9, 0.1), (95.8, 0.3), (98.9, 0.2)),
    },
    "fomaml": {
        "source": "Finn et al. (2017), section 5.2; figures of Nichol et al. (2018). https://arxiv.org/abs/1803.02999",
        "settings": _FEW | {"method": "fomaml", "epochs": 60, "inner_lr": 0.4, "inner_steps": 3, "eval_inner_steps": 5},
        "twenty": _TWENTY,
        "deviations": (_SMALL, _FALLING, _MEAN, "three inner steps: one is too few for a first-order gradient"),
        "paper": ((98.3, 0.5), (99.2, 0.2), (89.4, 0.5), (97.9, 0.1)),
    },
    "reptile": {
        "source": "Nichol et al. (2018), section 6.1, appendix A. https://arxiv.org/abs/1803.02999",
        "settings": {
            "method": "reptile", "epochs": 100, "train_shot": 10, "n_query": 1, "meta_batch_size": 5,
            "optimizer": "sgd", "learning_rate": 1.0, "schedule": "linear",
            "inner_lr": 1e-3, "inner_steps": 5, "inner_batch_size": 10,
            "eval_inner_steps": 50, "eval_inner_batch_size": 5,
        },
        "twenty": {
            "epochs": 200, "inner_lr": 5e-4, "inner_steps": 10, "inner_batch_size": 20, "eval_inner_batch_size": 10,
        },
        "deviations": (
            "the tasks of a meta-batch run side by side, all from the same second moments of Adam: it is faster",
        ),
        "paper": ((97.68, 0.04), (99.48, 0.06), (89.43, 0.14), (97.12, 0.32)),
    },
    "meta-sgd": {
        "source": "Li et al. (2017), section 5.2. https://arxiv.org/abs/1707.09835",
        "settings": _FEW | {
            "method": "meta-sgd", "epochs": 60, "inner_lr": 1.0, "inner_steps": 1, "eval_inner_steps": 1
        },
        "twenty": _TWENTY,
        "deviations": (
            _SMALL, _FALLING, _UNTUNED,
            "rates start between 0.5 and 1.5 instead of 0.005 and 0.1: they are for the mean loss, and move slowly",
        ),
        "paper": ((99.53, 0.26), (99.93, 0.09), (95.93, 0.38), (98.97, 0.19)),
    },
    "anil": {
        "source": "Raghu et al. (2020), section 5, appendix. https://arxiv.org/abs/1909.09157",
        "settings": _FEW | {"method": "anil", "epochs": 60, "inner_lr": 0.1, "inner_steps": 5, "eval_inner_steps": 50},
        "twenty": _TWENTY,
        "deviations": (
            _SMALL, _FALLING, "the outer rate is MAML's and was not tuned for this method",
            "the inner rate of the paper's 20-way cell in all; of 0.1, 0.3, 1.0 the best after a minute of 5-way",
            "50 inner steps at test time: the head alone takes them; 97.8 instead of 96.9 % (5-way 1-shot, validation)",
        ),
        "paper": ((None, None), (None, None), (96.2, 0.5), (98.0, 0.3)),
    },
    "maml++": {
        "source": "Antoniou et al. (2019), section 6. https://arxiv.org/abs/1810.09502",
        "settings": _FEW | {"method": "maml++", "epochs": 50, "inner_lr": 0.4, "inner_steps": 3, "eval_inner_steps": 3},
        "twenty": _TWENTY,
        "deviations": (
            "a single model instead of an ensemble of checkpoints: what one would use",
            "meta-batches of 4 tasks (20-way: 2) with 5 queries a class (20-way: 2), as for MAML", _STRIDE,
            "three inner steps instead of five: it saves time",
            "second order from the start: the early first-order part only saves time",
            "rates start at 0.4 instead of 0.1 (they are learned), the outer one at 0.002 instead of 0.001, untuned",
        ),
        "paper": ((99.47, None), (99.93, None), (97.65, None), (99.33, None)),
    },
    "proto-maml": {
        "source": "Triantafillou et al. (2020), section 3.2. https://arxiv.org/abs/1903.03096",
        "settings": _FEW | _TWENTY | {
            "method": "proto-maml", "epochs": 60, "train_way": 20,
            "inner_lr": 0.01, "inner_steps": 1, "eval_inner_steps": 1,
        },
        "twenty": {},
        "deviations": (
            _FALLING, "the paper has no cell on Omniglot alone; sizes are MAML's 20-way ones",
            "20-way training for 5-way tests, too; the paper draws the number of classes of each task at random",
            "second order; the paper trains with the first-order gradient", "the rates were not tuned",
        ),
        "paper": ((None, None),) * 4,
    },
    "protonet": {
        "source": "Snell et al. (2017), section 3.1. https://arxiv.org/abs/1703.05175",
        "settings": _EPISODES | {"method": "prototypical", "epochs": 30},
        "twenty": {},
        "deviations": (_STRIDE, _FALLING, "two episodes a step, one for each core", _NOT_UNTIL),
        "paper": ((98.8, None), (99.7, None), (96.0, None), (98.9, None)),
    },
    "matching": {
        "source": "Vinyals et al. (2016), section 4.1.1. https://arxiv.org/abs/1606.04080",
        "settings": _EPISODES | {"method": "matching", "epochs": 30},
        "twenty": {},
        "deviations": (
            _STRIDE, _FALLING, "60-way training, as Snell et al. (2017) found better for prototypes",
            "cosines times a learned scale that starts at 10: a softmax of plain cosines cannot be sure of anything",
        ),
        "paper": ((98.1, None), (98.9, None), (93.8, None), (98.5, None)),
    },
    "fine-tuning": {
        "source": "Chen et al. (2019), section 3, 'Baseline'. https://arxiv.org/abs/1904.04232",
        "settings": {
            "method": "fine-tuning", "epochs": 20, "meta_batch_size": 64, "learning_rate": 3e-3, "schedule": "cosine",
            "inner_lr": 0.01, "eval_inner_steps": 100,
        },
        "twenty": {},
        "deviations": (
            _FALLING, "the paper has no cell on Omniglot alone; sizes are ours, and were not tuned",
            "in a new task whole steps from zero instead of mini-batches of 4 from a random start: no randomness",
        ),
        "paper": ((None, None),) * 4,
    },
    "nearest-neighbour": {
        "source": "Vinyals et al. (2016), table 1, row of raw pixels. https://arxiv.org/abs/1606.04080",
        "settings": {"method": "nearest-neighbour", "epochs": 1, "steps_per_epoch": 1},
        "twenty": {},
        "deviations": (),
        "paper": ((41.7, None), (63.2, None), (26.7, None), (42.6, None)),
    },
}  # fmt: skip

# The quickstart's are tuned on validation classes for a few minutes on two CPU cores.
_QUICKSTART = {
    "prototypical-quickstart": Preset(
        TrainSettings(**_EPISODES, method="prototypical", epochs=5, steps_per_epoch=240),
        source=_METHODS["protonet"]["source"],
        deviations=_METHODS["protonet"]["deviations"],
        paper=(98.8, None),
    ),
    "maml-quickstart": Preset(
        TrainSettings(**_FEW, method="maml", inner_lr=1.0, epochs=5, steps_per_epoch=2000),
        source=_METHODS["maml"]["source"],
        deviations=_METHODS["maml"]["deviations"][:4],
        paper=(98.7, 0.4),
    ),
}


def _cell(method: dict, index: int) -> Preset:
    """One cell of the benchmark."""
    n_way, k_shot = CELLS[index]
    settings = {"steps_per_epoch": 1000, "test_episodes": 1000} | method["settings"]
    if n_way == 20:
        settings |= method["twenty"]
    settings = TrainSettings(**settings, n_way=n_way, k_shot=k_shot)
    return Preset(settings, method["source"], method["deviations"], method["paper"][index])


PRESETS: dict[str, Preset] = _QUICKSTART | {
    f"{name}-omniglot-{n_way}w{k_shot}s": _cell(method, index)
    for name, method in _METHODS.items()
    for index, (n_way, k_shot) in enumerate(CELLS)
}


def preset(name: str) -> Preset:
    """A preset by name.

    Args:
        name: one of `PRESETS`.

    Returns:
        The `Preset`.

    Raises:
        ValueError: naming the presets there are, and the one that was perhaps meant.

    References:
        Each preset names its own.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"preset must be one of {', '.join(_QUICKSTART)}, or METHOD-omniglot-5w1s, -5w5s, -20w1s or -20w5s with METHOD "
        f"one of {', '.join(_METHODS)}.{hint} Received: preset={name!r}"
    )


# What --method leaves to the user's purse and data: length, and training classes that a small data set may not have.
_OF_A_RUN = ("epochs", "steps_per_epoch", "test_episodes", "train_way")


def defaults(method: str) -> TrainSettings:
    """What `tfmeta train --method` starts from where no preset is named.

    Args:
        method: one of `tfmeta.app.settings.METHODS`; an unknown one is left to `TrainSettings` to refuse.

    Returns:
        The settings of the method's 5-way 1-shot preset, with the length and training classes of `TrainSettings()`.

    References:
        Each preset names its own.
    """
    for name, found in PRESETS.items():
        if name.endswith("-omniglot-5w1s") and found.settings.method == method:
            return dataclasses.replace(found.settings, **{k: getattr(TrainSettings(), k) for k in _OF_A_RUN})
    return TrainSettings()


def describe(name: str) -> str:
    """A preset in words: every setting that is not a default, source, deviations, the paper's accuracy.

    Args:
        name: one of `PRESETS`.

    Returns:
        Several lines of text.

    Raises:
        ValueError: as `preset`.
    """
    found = preset(name)
    default = TrainSettings().to_dict()
    changed = {k: v for k, v in found.settings.to_dict().items() if v != default[k]}
    lines = [
        name,
        "  settings:   " + ", ".join(f"{k}={v}" for k, v in changed.items()),
        f"  source:     {found.source}",
    ]
    lines += [f"  deviation:  {text}" for text in found.deviations]
    if found.paper[0] is not None:
        interval = "" if found.paper[1] is None else f" +- {found.paper[1]}"
        lines.append(f"  paper:      {found.paper[0]}{interval} %")
    return "\n".join(lines)
