"""The README says what the notebooks say, and their title boxes what was measured."""

import nbformat
import overview
import pages
import pytest
import times

BOX = """# {title}

You learn something.

| | |
| --- | --- |
| **Goals** | say what it is |
| **Needs** | {needs} |
| **Time** | {time} on two CPU cores; a GPU changes nothing |
"""
MARKS = "".join(
    f"\n<!-- overview:{name}:begin -->\n<!-- overview:{name}:end -->\n" for name in ("map", "table", "paths")
)


def notebook_of(title="03 Waves", needs="nothing", time="about 1 minute", cells=(), seconds=None, cores=2):
    """A notebook with a title box, and with these further cells: texts, or pairs of a tag and code."""
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(BOX.format(title=title, needs=needs, time=time))]
    )
    for cell in cells:
        if isinstance(cell, str):
            made.cells.append(nbformat.v4.new_markdown_cell(cell))
        else:
            made.cells.append(nbformat.v4.new_code_cell(cell[1], metadata={"tags": [cell[0]]}))
    if seconds is not None:
        made.metadata["tfmeta"] = {"seconds_after_import": seconds, "cores": cores}
    return made


@pytest.fixture
def books():
    return {path.name[:2]: pages.read(path) for path in pages.notebooks()}


# ---- the pages as they stand ---------------------------------------------------------------------------------------
def test_the_readme_is_up_to_date():
    assert pages.FOLDER / "README.md" not in overview.stale(), "python tutorials/overview.py --write"


def test_the_picture_is_up_to_date(books):
    assert pages.FOLDER / "map.svg" not in overview.stale(), "python tutorials/overview.py --write"
    drawn = overview.picture(books)
    assert all(f">{number} " in drawn for number in books)


def test_the_time_in_the_title_box_is_the_measured_one(notebook):
    assert times.time_row(notebook) in (None, notebook.cells[0].source), "python tutorials/overview.py --write"


def test_the_paths_take_no_longer_than_they_promise(books):
    assert times.too_long(books) == []
    assert times.possible(books) == list(times.ROUTES)


def test_the_exercises_of_a_path_are_there(books):
    for route in times.ROUTES:
        found = {name for number in route.numbers for name in times.exercises(books[number])}
        assert set(route.exercises) <= found
    assert set(books) <= set(times.ALL), "two weeks hold all notebooks"


def test_a_notebook_that_is_there_is_planned_no_longer(books):
    graph = overview.course_map(books)
    for number in books:
        assert f'  {number}["{pages.title(books[number])}"]\n' in graph
    assert graph.count(":::planned\n") == len(set(overview.PLANNED) - set(books))
    assert graph.count("[") == len(set(overview.PLANNED) | set(books))


# ---- what is read from a notebook ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("box", "needed", "helpful"),
    [
        ("Keras and calculus; no earlier notebook", [], []),
        ("01 (episodes), 02 (the gradient through a gradient step)", ["01", "02"], []),
        ("04 (ProtoNet), 06 (MAML); 07 to 09 for the others", ["04", "06"], ["07", "08", "09"]),
        ("02 (MAML), 06; 07 helps", ["02", "06"], ["07"]),
    ],
)
def test_needs(box, needed, helpful):
    assert overview.needs(notebook_of(needs=box)) == (needed, helpful)


def test_an_arrow_is_drawn_once():
    needs = {"00": "nothing", "01": "Keras", "02": "01", "03": "01, 02", "04": "01, 03; 02 helps", "05": "01; 03 helps"}
    graph = overview.course_map({n: notebook_of(title=f"{n} Name", needs=text) for n, text in needs.items()})
    arrows = [line.split() for line in graph.splitlines() if ">" in line]
    mine = [arrow for arrow in arrows if arrow[2] <= "05"]
    assert mine == [
        ["00", "-.->", "01"], ["01", "-->", "02"], ["02", "-->", "03"], ["03", "-->", "04"], ["01", "-->", "05"],
        ["03", "-.->", "05"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "cores", "short", "long"),
    [
        (3, 2, "under 10 s", "less than 1 minute on two CPU cores"),
        (24, 2, "20 s", "less than 1 minute on two CPU cores"),
        (61, 2, "1 min", "about 1 minute on two CPU cores"),
        (90, 2, "2 min", "about 2 minutes on two CPU cores"),
        (222, 4, "4 min (4 cores)", "about 4 minutes on four CPU cores"),
        (1524, 16, "25 min (16 cores)", "about 25 minutes on 16 CPU cores"),
    ],
)
def test_times(seconds, cores, short, long):
    book = notebook_of(time="1 to 2 minutes", seconds=seconds, cores=cores)
    assert times.running(book) == short
    assert f"| **Time** | {long}; a GPU changes nothing |" in times.time_row(book)


def test_a_notebook_without_a_time():
    assert times.running(notebook_of()) == "not timed yet"
    assert times.time_row(notebook_of()) is None


def test_a_time_that_cannot_be_found_is_named():
    book = notebook_of(seconds=3)
    book.cells[0].source = book.cells[0].source.replace("two CPU cores", "a laptop")
    with pytest.raises(ValueError, match="the row Time of '03 Waves'"):
        times.time_row(book)


def test_reading_counts_words_and_sets_deeper_sections_apart():
    book = notebook_of(
        cells=["## Setup\n\n" + "word " * 600, "## Deeper: more\n\n" + "word " * 390 + "\n\n## Train\n\nnow"]
    )
    assert times.reading(book) == (3, 2)
    assert "| 3 min + 2 |" in overview.table({"03": book}, {"03": "03_waves.ipynb"})


def test_exercises_count_their_stars():
    book = notebook_of(
        cells=["### 1. Draw ★★ (implement)", ("exercise:draw", "..."), "### 2. Say ★★★ (derive)\n\nHow?"]
    )
    assert times.exercises(book) == {"1. Draw": 15, "draw": 15, "2. Say": 30}


@pytest.mark.parametrize(
    ("minutes", "text"), [(0.2, "1 min"), (7, "7 min"), (38, "40 min"), (62, "1 h 00"), (218, "3 h 40")]
)
def test_hours(minutes, text):
    assert times.hours(minutes) == text


# ---- the script ----------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    pages.write(tmp_path / "README.md", f"# Mine\n{MARKS}\nThe end.\n")
    pages.write(tmp_path / "01_tasks.ipynb", pages.text_of(notebook_of(title="01 Tasks", seconds=130)))
    pages.write(tmp_path / "03_waves.ipynb", pages.text_of(notebook_of(needs="01")))
    return tmp_path


def test_what_is_stale_is_named_and_nothing_is_written(folder, capsys):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert overview.main([], folder) == 1
    printed = capsys.readouterr().out
    assert "01_tasks.ipynb: stale" in printed
    assert "README.md: stale" in printed
    assert "03_waves" not in printed
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_was_written_is_up_to_date(folder, capsys):
    assert overview.main(["--write"], folder) == 0
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# Mine\n")
    assert text.endswith("\nThe end.\n")
    assert "01 --> 03" in text
    assert "| [01 Tasks](01_tasks.ipynb) | say what it is | 2 min | 0 min |" in text
    assert "| [03 Waves](03_waves.ipynb) | say what it is | not timed yet | 0 min |" in text
    assert "about 2 minutes on two CPU cores" in pages.row(pages.read(folder / "01_tasks.ipynb"), "Time")
    capsys.readouterr()
    assert overview.main([], folder) == 0
    assert capsys.readouterr().out == ""


def test_a_page_without_marks_is_refused(folder):
    (folder / "README.md").write_text("# Mine\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"README\.md lacks the marks <!-- overview:map:begin -->"):
        overview.main([], folder)


def test_a_box_without_the_row_is_named(folder):
    book = notebook_of(title="05 Waves")
    book.cells[0].source = book.cells[0].source.replace("**Needs**", "**Wants**")
    pages.write(folder / "05_waves.ipynb", pages.text_of(book))
    with pytest.raises(SystemExit, match="the box of '05 Waves' has no row 'Needs'"):
        overview.main([], folder)
