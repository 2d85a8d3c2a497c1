"""The kinds of trainings on streams of tasks: their presets, and which kind a folder or a card is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfmeta.app.regression.presets import REGRESSION
from tfmeta.app.regression.settings import RegressionSettings
from tfmeta.app.task_runs import TaskPreset, TaskSettings, has_setting
from tfmeta.app.trials.presets import TRIALS
from tfmeta.app.trials.settings import TrialSettings

# A field that no other kind of settings has -> the kind.
KINDS: dict[str, type[TaskSettings]] = {"tasks": RegressionSettings, "environment": TrialSettings}
TASK_PRESETS: dict[str, TaskPreset] = {**REGRESSION, **TRIALS}


def kind_of_run(folder: Path) -> type[TaskSettings] | None:
    """The kind of a run folder's settings; None where it is no training on a stream of tasks."""
    return next((kind for name, kind in KINDS.items() if has_setting(folder, name)), None)


def kind_of_card(settings: dict[str, Any]) -> type[TaskSettings] | None:
    """The kind of the settings on a pretrained learner's card; None where it has learned images."""
    return next((kind for name, kind in KINDS.items() if name in settings), None)
