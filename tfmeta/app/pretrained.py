"""Learners that have been trained already, in the package: a file of weights and a card each. Nothing is downloaded.

weights/maml-quickstart.keras    the learner, for keras.models.load_model
        maml-quickstart.json     its card: settings, log of its training, scores, hash of the file
        SHA256SUMS               hashes of the cards
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfmeta.app.methods import other_preset_names
from tfmeta.app.nearest import did_you_mean
from tfmeta.app.settings import TrainSettings
from tfmeta.app.task_kinds import kind_of_card
from tfmeta.app.task_runs import TaskSettings
from tfmeta.machine import command, files

if TYPE_CHECKING:  # imported when there is work to do, see tfmeta/machine/command.py
    from tfmeta.app.building import Learner

FOLDER = Path(__file__).parent / "weights"


@dataclasses.dataclass(frozen=True)
class Card:
    """A pretrained learner's origin and scores.

    Args:
        name: the preset of its training.
        row: what is known of its training: settings, scores with intervals, steps, seconds, device, versions, commit,
            command; of Omniglot it is a row of `results/omniglot.json` or `omniglot_short.json`, of others the
            scores are those of `RegressionScore` and `TrialScore`.
        log: a dictionary an epoch: loss and seconds of training, and what else was measured.
        sha256: hex digest of the weights' file.

    References:
        Mitchell et al. (2019), "Model Cards for Model Reporting". https://arxiv.org/abs/1810.03993
    """

    name: str
    row: dict[str, Any]
    log: list[dict[str, float]]
    sha256: str

    @property
    def settings(self) -> TrainSettings | TaskSettings:
        """Read all settings of its training."""
        return (kind_of_card(self.row["settings"]) or TrainSettings).from_dict(self.row["settings"])

    @property
    def of_images(self) -> bool:
        """Whether it learned images, and not curves or trials."""
        return kind_of_card(self.row["settings"]) is None


def pretrained_names() -> list[str]:
    """List the names that `load_pretrained` knows."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def pretrained_card(name: str) -> Card:
    """Read the card of a pretrained learner.

    Args:
        name: one of `pretrained_names()`.

    Returns:
        Its `Card`.

    Raises:
        ValueError: if the name is unknown, with all names and the nearest one; or if the card was changed.

    References:
        Mitchell et al. (2019). https://arxiv.org/abs/1810.03993
    """
    names = pretrained_names()
    if name not in names:
        hint = did_you_mean(name, names, other_preset_names(names))
        raise ValueError(f"name must be one of {', '.join(names)}.{hint} Received: name={name!r}")
    files.check_sum(FOLDER / f"{name}.json")
    return Card(**json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def load_pretrained(name: str) -> Learner:
    """Load a learner trained on Omniglot, curves or trials, ready to adapt or to play; compile it to train on.

    Args:
        name: one of `pretrained_names()`, such as `"maml-quickstart"`.

    Returns:
        The learner, not compiled.

    Raises:
        ValueError: if there is no such learner, or its file has not the hash of its card.

    References:
        The method's paper is in its preset, `tfmeta.app.presets.preset(name).source` or
        `tfmeta.app.task_kinds.TASK_PRESETS[name].source`; the data: Lake et al. (2015).
        https://doi.org/10.1126/science.aab3050
    """
    card = pretrained_card(name)
    path = FOLDER / f"{name}.keras"
    found = files.sha256(path) if path.is_file() else "no file"
    if found != card.sha256:
        raise ValueError(f"{path} must have the hash {card.sha256} of its card; install tfmeta anew. Received: {found}")
    command.begin_work()  # Keras must know the classes
    import keras

    from tfmeta.machine import threads

    threads.prefer_tasks()  # loading starts TensorFlow, and later it would be too late
    return keras.models.load_model(path, safe_mode=True)


def export_pretrained(learner: Learner, name: str, row: dict, log: list[dict], folder: Path = FOLDER) -> Card:
    """Write a trained learner and its card.

    Args:
        learner: trained; the optimizer and its state are left out.
        name: the preset.
        row: its row of the results file.
        log: a dictionary an epoch.
        folder: where to; files of the same name are replaced.

    Returns:
        The `Card`.

    Raises:
        ValueError: if the file is larger than a megabyte, too much for a package.
    """
    bare = type(learner).from_config(learner.get_config())
    bare.set_weights(learner.get_weights())
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = Path(folder) / f"{name}.keras"
    with files.whole(path) as beside:
        bare.save(beside)
        if (size := beside.stat().st_size) > 1_000_000:
            raise ValueError(f"a weights' file must have at most 1000000 bytes. Received: {name} with {size}")
    card = Card(name, row, log, files.sha256(path))
    files.write_json(path.with_suffix(".json"), dataclasses.asdict(card))
    files.write_sums(folder, sorted(one.name for one in Path(folder).glob("*.json")))
    return card
