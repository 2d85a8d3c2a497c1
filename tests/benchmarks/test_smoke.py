"""The benchmark's parts that need no other framework. Nothing here is timed."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from benchmarks import machine, roofline, run, table
from benchmarks.arrays import embedding_size, make_arrays
from benchmarks.cases import CASES, QUICK, Case
from benchmarks.implementations import IMPLEMENTATIONS, Implementation, implementations_for

TINY = Case("tiny", filters=3, n_way=2, tasks=2, inner_steps=2, inner_lr=0.1)


def test_case_list():
    names = [case.name for case in CASES + QUICK]
    assert len(set(names)) == len(names)
    for case in CASES + QUICK:
        assert Case.from_json(case.to_json()) == case
        assert implementations_for(case)[0].ours
    main = {(c.filters, c.downsample, c.n_way, c.k_shot, c.tasks, c.n_query_images, c.inner_steps) for c in CASES[:4]}
    assert main == {(64, "stride", 5, 1, 32, queries, steps) for queries in (5, 75) for steps in (1, 5)}
    protonet = [c for c in CASES if c.kind == "protonet"]
    assert {(c.n_way, c.k_shot, c.n_query, c.downsample) for c in protonet} == {
        (60, 1, 5, "pool"),
        (60, 1, 5, "stride"),
    }
    assert 20 in {c.inner_steps for c in CASES if c.group == "memory"}


def test_case_refuses_unknown_fields():
    with pytest.raises(ValueError, match=r"keys among .* Received: text="):
        Case.from_json('{"name": "x", "ways": 5}')


def test_arrays():
    arrays = make_arrays(TINY)
    again = make_arrays(TINY)
    for part in arrays:
        for name, value in arrays[part].items():
            np.testing.assert_array_equal(value, again[part][name])
    assert arrays["batch"]["support_x"].shape == (2, 2, 28, 28, 1)
    assert arrays["batch"]["query_y"].tolist() == [[0, 1], [0, 1]]
    assert arrays["weights"]["head/kernel"].shape == (3, 2)
    assert embedding_size(TINY.replace(kind="protonet", filters=64)) == 256
    assert embedding_size(TINY.replace(kind="protonet", filters=64, downsample="pool")) == 64


def test_operations_by_hand():
    # Stride 2, 1 filter: outputs 14, 7, 4, 2 a side; 18 operations each; a head of 1 x 2.
    case = Case("hand", filters=1, n_way=2, tasks=1, inner_steps=0)
    forward = roofline.forward_operations(case)
    assert forward.first == 18 * 14 * 14
    assert forward.rest == 18 * (49 + 16 + 4) + 4
    assert roofline.maml_operations(case) == 2 * (2 * forward.first + 3 * forward.rest)
    once = case.replace(inner_steps=1, tasks=3)
    support = roofline.maml_operations(once) - 3 * roofline.maml_operations(case)
    assert support == 3 * 2 * (4 * forward.first + 9 * forward.rest)
    # Max-pooling, 64 filters: 28, 14, 7, 3 a side. 360 images, 300 x 60 distances of 64 numbers.
    case = Case("hand", kind="protonet", downsample="pool", n_way=60, n_query=5, tasks=1)
    first, rest = 18 * 64 * 784, 18 * 64 * 64 * (196 + 49 + 9)
    assert roofline.operations(case) == 360 * (2 * first + 3 * rest) + 3 * 2 * 300 * 60 * 64


@pytest.mark.slow
def test_unrolled_tensorflow_has_the_exact_gradient():
    from benchmarks.peers import tf_unrolled

    # A smooth corner is needed for a difference quotient: ReLU's kinks stay away for this seed and this step.
    arrays = make_arrays(TINY, np.float64)
    _, gradient = tf_unrolled.meta_gradient(TINY, arrays)
    rng = np.random.default_rng(0)
    direction = {name: rng.standard_normal(value.shape) for name, value in arrays["weights"].items()}

    def loss_at(distance):
        moved = {name: value + distance * direction[name] for name, value in arrays["weights"].items()}
        return tf_unrolled.meta_loss(TINY, {"weights": moved, "batch": arrays["batch"]})

    quotient = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6
    assert sum(np.sum(gradient[name] * direction[name]) for name in direction) == pytest.approx(quotient, rel=1e-4)


@pytest.fixture
def results(tmp_path):
    """What `run_case` gives for three workers that only pretend: one fast, one slow, one broken."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, sys\n"
        "seconds = float(sys.argv[1])\n"
        "while seconds > 0:\n"
        "    print(json.dumps({'first_call_s': 1.0, 'steps_s': [seconds], 'median_s': seconds,\n"
        "        'peak_memory_mb': 100.0, 'versions': {'python': '3.11'}, 'threads': {}}), flush=True)\n"
        "    if not sys.stdin.readline():\n"
        "        break\n"
        "else:\n"
        "    sys.exit('no such thing')\n"
    )
    seconds = {"tfmeta": 0.1, "torch_loop": 0.4, "higher": -1}
    case_result = run.run_case(
        TINY,
        [IMPLEMENTATIONS[name] for name in seconds],
        lambda implementation, _: [sys.executable, script, seconds[implementation.name]],
        rounds=3,
        timeout=20,
        report=lambda _: None,
    )
    return {
        "format": run.FORMAT,
        "machine": machine.machine_facts(),
        "date": "2026-01-01",
        "command": "python benchmarks/run.py",
        "rounds": 3,
        "seconds": 0.1,
        "results": [case_result],
    }


def test_results_schema(results, tmp_path):
    machine.write_json(tmp_path / "results" / "out.json", results)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["out.json"]
    read = json.loads((tmp_path / "results" / "out.json").read_text())
    assert read["results"][0]["case"] == dataclasses.asdict(TINY)
    found = read["results"][0]["implementations"]
    assert found["tfmeta"]["ratio"] == 1
    assert found["torch_loop"]["round_ratios"] == pytest.approx([4, 4, 4])
    assert found["torch_loop"]["ratio"] == pytest.approx(4)
    assert len(found["torch_loop"]["rounds_s"]) == 3
    assert "no such thing" in found["higher"]["error"]
    assert read["machine"]["cores"] >= 1


def test_table(results):
    text = table.make_table(results)
    assert "| `tiny` | tfmeta, nested tapes | 100.0 | 1.00 | 1.0 | 100 |  |" in text
    assert "| higher | failed |" in text
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    new = table.replace_between(page, table.BEGIN, table.END, text)
    assert new.startswith(f"before\n{table.BEGIN}\n")
    assert new.endswith(f"{table.END}\nafter\n")
    assert "old" not in new
    assert table.replace_between(new, table.BEGIN, table.END, text) == new
    with pytest.raises(ValueError, match="Received: text with 0 and 1"):
        table.replace_between(table.END, table.BEGIN, table.END, text)


def test_readme_has_the_markers():
    page = (machine.ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    assert "x" in table.replace_between(page, table.BEGIN, table.END, "x")


def test_picture(results):
    plot = pytest.importorskip("benchmarks.plot")
    figure = plot.draw(results)
    assert figure.get_size_inches()[0] <= 7
    plot.plt.close(figure)


def test_who_is_hopelessly_slow_sits_out_the_other_cases_of_its_group():
    first, second = CASES[:2]
    assert first.group == second.group
    chosen = implementations_for(first)
    found = {
        chosen[1].name: {"ratio": 8.1, "first_call_s": 1.0},
        chosen[2].name: {"ratio": 7.9, "first_call_s": 1.0},
        chosen[3].name: {"error": "no"},
        chosen[4].name: {"ratio": 2.1, "first_call_s": 21.0},
        chosen[5].name: {"ratio": 1.9, "first_call_s": 21.0},
    }
    earlier = [{"case": dataclasses.asdict(first), "implementations": found}]
    left, out = run.drop_hopeless(second, chosen, earlier)
    assert left == [chosen[0], *chosen[2:4], *chosen[5:]]
    assert out == {chosen[1].name: first.name, chosen[4].name: first.name}
    assert run.drop_hopeless(first, chosen, earlier) == (chosen, {})
    assert run.drop_hopeless(second.replace(group="other"), chosen, earlier) == (chosen, {})
    later = [{"case": dataclasses.asdict(second), "implementations": found}]
    assert run.drop_hopeless(first, chosen, later) == (chosen, {})


def test_select_work():
    assert len(run.select_work(CASES, None)) == len(CASES)
    work = run.select_work(CASES, ["main", "torch_loop", "tfmeta"])
    assert {case.group for case, _ in work} == {"main"}
    assert [i.name for i in work[0][1]] == ["tfmeta", "torch_loop"]


def test_every_implementation_has_its_function():
    for implementation in IMPLEMENTATIONS.values():
        assert isinstance(implementation, Implementation)
        file = machine.ROOT / (implementation.module.replace(".", "/") + ".py")
        assert f"def {implementation.function}(case, arrays)" in file.read_text(encoding="utf-8")


def test_the_machines_rate_is_the_best_it_has_shown():
    earlier = {"matmul_per_s": {"numpy": 5.0, "torch": 2.0}}
    found = {"numpy": 4.0, "torch": 3.0, "jax": None}
    assert roofline.best_rates(found, earlier, same_machine=True) == {"numpy": 5.0, "torch": 3.0}
    assert roofline.best_rates(found, earlier, same_machine=False) == {"numpy": 4.0, "torch": 3.0}
    assert roofline.best_rates(found, {}, same_machine=True) == {"numpy": 4.0, "torch": 3.0}
