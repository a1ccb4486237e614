"""What the README promises: its commands are whole, and the demo does what it says.

That its examples run is held by tests/test_door_signs.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from embedbridge.cli import main
from embedbridge.cli.demo import split_topics

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PLACES = (ROOT, ROOT / "src" / "embedbridge")
"""What the paths of a page begin at."""


def test_each_set_up_command_is_one_line_that_relies_on_nothing():
    commands = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)[:2]
    assert [command.count("\n") for command in commands] == [1, 1]
    assert commands[0].endswith("-m embedbridge demo\n")
    assert commands[1].endswith("-m pytest\n")
    assert all("torch==2.13.0" in command and command.startswith("python3 -m venv .venv") for command in commands)


def test_the_page_is_short_and_its_links_lead_somewhere():
    """What is deeper stands on the pages of the folders."""
    assert README.count("\n") <= 200
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert [link for link in links if not link.startswith("https:") and not (ROOT / link).exists()] == []
    titles = re.findall(r"^## (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors


def test_the_files_that_contributing_names_are_there():
    named = re.findall(r"`([\w./]+\.(?:py|toml|md))`", (ROOT / ".github" / "CONTRIBUTING.md").read_text())
    assert len(named) > 10
    assert [name for name in named if not any((place / name).exists() for place in PLACES)] == []


@pytest.mark.slow
def test_the_demo_agrees_between_frameworks_and_embeds_nothing_twice(tmp_path):
    command = [sys.executable, "-m", "embedbridge", "demo", "--question", "What does a generator yield?"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "between the vectors of the two frameworks: 0\n" in done.stdout
    assert "Embedded twice: nothing." in done.stdout
    assert "? What does a generator yield?" in done.stdout


def test_the_demo_takes_any_provider_and_fits_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo", "--model", "fake:64"]) == 0
    assert 0 < max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_the_demos_passages_are_distinct_so_that_no_tie_makes_its_answers_differ():
    passages = [passage for _, passage in split_topics()]
    assert len(set(passages)) == len(passages) > 600


def test_a_wrong_model_is_one_line_and_a_status(tmp_path):
    command = [sys.executable, "-m", "embedbridge", "demo", "--model", "opnai:x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown provider 'opnai'")
    assert done.stderr.count("\n") == 1
