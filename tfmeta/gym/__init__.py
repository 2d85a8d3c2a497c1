"""To and from Gymnasium: our environments for the agents of others, and our agents in the environments of others.

It needs Gymnasium, which `pip install "tfmeta[rl]"` installs, and is imported by name: `import tfmeta.gym`.
"""

try:
    import gymnasium  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "gymnasium":
        raise
    raise ImportError('tfmeta.gym needs Gymnasium: pip install "tfmeta[rl]". Received: no package gymnasium') from error

from tfmeta.gym.environment import as_gymnasium
from tfmeta.gym.playing import PlayedTrial, play_gymnasium
from tfmeta.gym.trial_wrapper import TrialWrapper

__all__ = ["PlayedTrial", "TrialWrapper", "as_gymnasium", "play_gymnasium"]
