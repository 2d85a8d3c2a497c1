"""How a tutorial is written: skeleton, figures, words, sizes and links, read from the stored notebooks."""

import json
import re

import nbformat
from pages import FOLDER, code, notebooks, prose, read, sections, tags, words

# The curriculum: figures that a row promises, and its exercises with a check.
FIGURES = {
    "00": {"families", "adaptation"},
    "01": {"episode", "nearest-neighbour"},
    "02": {"loss-surface", "finite-differences"},
    "03": {"fits", "mse-vs-step", "meta-loss", "interactive"},
    "04": {"voronoi", "level-lines", "accuracy-vs-episodes", "embedding"},
    "05": {"attention", "distances", "interactive"},
    "06": {"accuracy-vs-step", "batch-statistics", "interactive"},
    "07": {"cosines", "accuracy-vs-cost", "path", "interactive"},
    "08": {"rates", "cka", "methods"},
    "09": {"accuracy-vs-step", "shots", "interactive"},
    "10": {"rates", "gain", "waves"},
    "12": {"problem", "reward", "belief", "horizon"},
    "14": {"protocols", "methods", "accuracy-vs-time", "shots"},
}
CHECKED = {
    "00": set(),
    "01": {"sample_episode"},
    "02": {"quadratic_meta_gradient", "detect_assign", "repaired_step"},
    "03": {"adapt", "outer_step"},
    "04": {"prototypical_logits", "prototypical_train_step"},
    "05": {"cosine_attention"},
    "06": {"one_query_evaluation"},
    "07": {"reptile_update"},
    "08": {"meta_sgd_update", "masked_update"},
    "09": {"prototypical_head"},
    "10": {"cell_update", "preprocess"},
    "11": {"bayesian_linear", "sample_theta", "gaussian_kl", "expected_calibration_error"},
    "12": {"rollout", "returns", "ucb1"},
    "14": {"paired_difference"},
}
# Notebooks with a slider, an extra below a figure that is always drawn.
SLIDERS = {number for number, figures in FIGURES.items() if "interactive" in figures}
SOLUTIONS = FOLDER / "solutions"
# Words that are no help to somebody who does not understand, and names that the library does not use.
UNWELCOME = r"\b(just|simply|obviously|trivially|of course|leave away|left away|told from 0)\b"
OTHER_NAMES = (
    r"\b(xs|xq|inputa|inputb|weights_a|update_lr|num_updates|ways|shots|centers|backbone|net)\b\s*(=[^=]|\(|\.)"
)


def test_there_is_a_notebook_for_every_row():
    assert {path.name[:2] for path in notebooks()} >= set(FIGURES)


def test_valid_and_small(path, notebook):
    nbformat.validate(notebook)
    assert path.stat().st_size <= 450_000


def test_skeleton(path, notebook):
    first = notebook.cells[0].source
    assert re.match(rf"# {path.name[:2]} \S", first)
    promise = first.splitlines()[2]
    assert promise.endswith(".")
    for row in ("Goals", "Needs", "Time", "Trained here", "Loaded", "Papers"):
        assert f"| **{row}** |" in first
    headings = re.findall(r"^## (.+)$", prose(notebook), re.MULTILINE)
    assert headings[:2] == ["Setup", "The problem in one figure"]
    assert headings[-4:] == ["Exercises", "Quiz", "What we checked", "References"]
    if path.name[:2] in ("03", "04", "05", "06", "07", "08", "09", "10", "12", "14"):
        assert headings.index("Train") < headings.index("Evaluate") < headings.index("Exercises")
    assert "What did not work" in prose(notebook)


def test_what_is_in_theta_is_asked_throughout(notebook):
    assert len(re.findall(r"\*\*What is in theta\?\*\*", prose(notebook), re.IGNORECASE)) >= 1


def test_a_core_path_of_1500_words_and_short_cells(notebook):
    core = [
        words(re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL))
        for heading, text in sections(notebook)
        if not heading.startswith("Deeper: ")
    ]
    assert sum(core) <= 1500
    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown":
            text = re.sub(r"(?ms)^## (References|What we checked).*?(?=^## |\Z)", "", cell.source)
            assert words(text) <= 120, cell.source[:80]


def test_every_figure_of_the_row_is_there(path, notebook):
    found = {tag for cell in code(notebook) for tag in tags(cell, "figure:")}
    assert found >= FIGURES.get(path.name[:2], set())


def test_a_figure_is_announced_and_discussed(notebook):
    """Say what a figure shows before it, and what follows from it after."""
    cells = [cell for cell in notebook.cells if "sliders" not in tags(cell)]
    for i, cell in enumerate(cells):
        if tags(cell, "figure:"):
            before = [c for c in cells[max(0, i - 3) : i] if c.cell_type == "markdown"]
            assert before, f"nothing announces {tags(cell)}"
            assert any(c.cell_type == "markdown" for c in cells[i + 1 : i + 3]), f"nothing follows from {tags(cell)}"


def test_sliders_are_an_extra_below_a_still_picture(path, notebook):
    cells = code(notebook)
    found = [i for i, cell in enumerate(cells) if "sliders" in tags(cell)]
    assert bool(found) == (path.name[:2] in SLIDERS)
    for i in found:
        assert "interactive" in tags(cells[i - 1], "figure:")
        assert "ipywidgets" not in cells[i].source


def test_exercises_have_a_stub_a_check_and_a_solution_elsewhere(path, notebook):
    cells, number = code(notebook), path.name[:2]
    wanted = CHECKED.get(number, set())
    for kind in ("exercise:", "check:"):
        assert {tag for cell in cells for tag in tags(cell, kind)} == wanted
    files = {file.stem.removeprefix(f"{number}_") for file in SOLUTIONS.glob(f"{number}_*.py")}
    assert files == wanted
    for name in wanted:
        assert f"(solutions/{number}_{name}.py)" in prose(notebook)
        solved = (SOLUTIONS / f"{number}_{name}.py").read_text(encoding="utf-8")
        assert f"checks.{name}(" in solved
        assert solved.startswith("# Notebook ")
    for cell in cells:
        if tags(cell, "exercise:"):
            assert re.search(r"^ +return \.\.\.", cell.source, re.MULTILINE), "a stub holds dots, not a solution"


def test_no_solution_is_on_the_page(path, notebook):
    """The lines that solve an exercise are not to be copied from above it."""
    page = {line.strip() for cell in code(notebook) for line in cell.source.splitlines()}
    for name in CHECKED.get(path.name[:2], set()):
        solved = (SOLUTIONS / f"{path.name[:2]}_{name}.py").read_text(encoding="utf-8").partition("\nchecks.")[0]
        returned = [line.strip() for line in solved.splitlines() if line.strip().startswith("return ")]
        assert not [line for line in returned if line in page and len(line.split()) > 3]


def test_guesses_are_committed_before_an_answer_is_revealed(notebook):
    cells = code(notebook)
    predicted = {tag: i for i, cell in enumerate(cells) for tag in tags(cell, "predict:")}
    for i, cell in enumerate(cells):
        for tag in tags(cell, "reveal:"):
            assert cell.metadata["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
            if tag in predicted:
                assert predicted[tag] < i
        if tags(cell, "predict:"):
            assert "checks.predict(" in cell.source
            assert "..." in cell.source
    text = prose(notebook)
    assert text.count("(predict") <= len(predicted)


def test_a_quiz_and_progress(path, notebook):
    cells = code(notebook)
    (quiz,) = (cell for cell in cells if "quiz" in tags(cell))
    assert quiz.source == f'checks.quiz("{path.name[:2]}", [..., ..., ..., ..., ..., ...])'
    (progress,) = (cell for cell in cells if "progress" in tags(cell))
    assert progress.source == "checks.progress()"


def test_code_fits_on_a_phone(notebook):
    cells = code(notebook)
    lengths = [sum(1 for line in cell.source.splitlines() if line.strip()) for cell in cells]
    assert len(cells) <= 42
    assert sum(lengths) <= 420
    assert max(lengths) <= 42
    assert sum(lengths) / len(lengths) <= 16
    assert all(len(line) <= 80 for cell in cells for line in cell.source.splitlines())


def test_no_plumbing(notebook):
    for cell in code(notebook):
        assert not re.search(r"os\.dup2|find_spec|TFMETA_|TF_CPP|rcParams|OmniglotUnavailable", cell.source)


def test_words(notebook):
    found = re.findall(UNWELCOME, prose(notebook), re.IGNORECASE)
    assert not found
    for cell in code(notebook):
        assert not re.search(OTHER_NAMES, cell.source)


def test_equations_are_numbered(notebook):
    equations = re.findall(r"\$\$(.+?)\$\$", prose(notebook), re.DOTALL)
    assert equations
    for equation in equations:
        assert re.search(r"\\tag\{[^}]+\}", equation), equation
    numbers = [re.search(r"\\tag\{([^}]+)\}", equation).group(1) for equation in equations]
    assert len(numbers) == len(set(numbers))


def test_from_scratch_is_compared(notebook):
    source = "\n".join(cell.source for cell in code(notebook))
    assert source.count("np.testing.assert_") >= 3
    assert "tfmeta." in source


def test_relative_links_resolve(notebook):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(notebook))
    assert links
    for link in links:
        if not link.startswith(("https://", "#")):
            assert (FOLDER / link).exists(), link


def test_setup_is_the_same_everywhere():
    setups = {code(read(path))[0].source for path in notebooks()}
    assert len(setups) == 1


def test_nothing_of_a_machine_in_the_metadata(path):
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert set(metadata) <= {"kernelspec", "language_info", "tfmeta"}


def test_readme_names_every_notebook_and_links_resolve():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in notebooks():
        assert f"({path.name})" in text
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("https://", "#")):
            assert (FOLDER / link).exists(), link
