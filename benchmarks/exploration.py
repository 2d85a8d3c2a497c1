"""Agents of the package beside the rules of their field: `python benchmarks/exploration.py [--trials 10000]`.

All play the same tasks, so that each rule's difference from the agent is in pairs. Writes results/exploration.json.
"""

import argparse
import datetime
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tfmeta
from benchmarks.machine import ROOT, write_json
from benchmarks.omniglot import commit, device, versions
from tfmeta import exploration
from tfmeta.app.pretrained import pretrained_card, pretrained_names
from tfmeta.app.trials.settings import TEST_SEED
from tfmeta.evaluation import evaluate_agent, paired_difference
from tfmeta.tasks import BernoulliBandits


def rules_of(environment, n_episodes):
    """Rules for an environment, with those that know how many pulls there are."""
    rules = exploration.rules_for(environment)
    if hasattr(environment, "n_arms"):
        rules.append(exploration.gittins(environment.n_arms, n_episodes))
        rules.append(exploration.optimistic_thompson(environment.n_arms))
        rules.append(exploration.epsilon_greedy(environment.n_arms, 0.05))
    return rules


def judge(name, trials):
    """One agent and the rules on the same tasks.

    Args:
        name: of the pretrained agent.
        trials: number of tasks; a fifth of them for trials of 100 steps and more.

    Returns:
        A dictionary for the results file.
    """
    learner, card = tfmeta.load_pretrained(name), pretrained_card(name)
    environment, n_episodes = learner.environment, learner.n_episodes
    n = trials if learner.n_steps < 100 else max(2, trials // 5)
    options = {"n_episodes": n_episodes, "trials": n, "seed": TEST_SEED}
    rows, mine = [], None
    for agent in [learner, *rules_of(environment, n_episodes)]:
        start = time.perf_counter()
        score = evaluate_agent(agent, environment, **options)
        seconds = time.perf_counter() - start
        mine = mine or score
        row = {"agent": score.agent, "reward": score.reward, "standard_error": score.standard_error,
               "regret": score.regret[-1], "seconds": round(seconds, 2)}  # fmt: skip
        if agent is not learner:
            difference = paired_difference(mine.sums, score.sums)
            row |= {"rl2_minus_it": difference.mean, "interval": difference.interval}
        rows.append(row)
        print(f"{name:16} {score}", flush=True)
    optimum = None
    if isinstance(environment, BernoulliBandits) and n_episodes <= 15:
        optimum = exploration.bayes_optimal_reward(environment.n_arms, n_episodes)
    steps = card.row["steps"] * card.settings.meta_batch_size * learner.n_steps
    return {
        "agent": name, "environment": repr(environment), "n_episodes": n_episodes, "trials": n, "seed": TEST_SEED,
        "rows": rows, "exact_optimum": optimum, "steps_seen": steps, "training_seconds": card.row["training_seconds"],
        "start": card.settings.start,
    }  # fmt: skip


def main():
    """Judge all agents and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=ROOT / "results/exploration.json")
    args = parser.parse_args()
    names = [name for name in pretrained_names() if name.startswith("rl2-")]
    found = [judge(name, args.trials) for name in names]
    facts = {"device": device(), "versions": versions(), "commit": commit()}
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    write_json(args.out, {"format": 1, "date": date, **facts, "agents": found})


if __name__ == "__main__":
    main()
