"""The originals' own tests of their embedding classes, run on our stand-ins, and on the originals beside them.

Run by hand, from the repository's root, where the originals are installed and there is a package registry:

    python tests/faces/originals.py [PACKAGE …]

Each package's source distribution is fetched into a folder that goes afterwards; nothing of it is kept. Requests go to
a server on this machine. It prints, for each package, how many tests passed on the original and on ours, and the first
line of each failure of ours. Packages whose source distribution has no tests are named.
"""

# ruff: noqa: T201 - a command that prints

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embedbridge.providers._tiktoken_counter import vocabulary

TESTS = Path(__file__).parents[1]
PACKAGES = {
    "langchain-openai": ["OpenAIEmbeddings", "AzureOpenAIEmbeddings"],
    "langchain-aws": ["BedrockEmbeddings"],
    "langchain-cohere": ["CohereEmbeddings"],
    "langchain-google-genai": ["GoogleGenerativeAIEmbeddings"],
    "langchain-huggingface": ["HuggingFaceEmbeddings"],
    "langchain-mistralai": ["MistralAIEmbeddings"],
    "langchain-nvidia-ai-endpoints": ["NVIDIAEmbeddings"],
    "langchain-ollama": ["OllamaEmbeddings"],
    "langchain-voyageai": ["VoyageAIEmbeddings"],
    "llama-index-core": [],
    "llama-index-embeddings-bedrock": ["BedrockEmbedding"],
    "llama-index-embeddings-cohere": ["CohereEmbedding"],
    "llama-index-embeddings-google-genai": ["GoogleGenAIEmbedding"],
    "llama-index-embeddings-huggingface": ["HuggingFaceEmbedding"],
    "llama-index-embeddings-jinaai": ["JinaEmbedding"],
    "llama-index-embeddings-mistralai": ["MistralAIEmbedding"],
    "llama-index-embeddings-nvidia": ["NVIDIAEmbedding"],
    "llama-index-embeddings-ollama": ["OllamaEmbedding"],
    "llama-index-embeddings-openai": ["OpenAIEmbedding"],
    "llama-index-embeddings-text-embeddings-inference": ["TextEmbeddingsInference"],
    "llama-index-embeddings-voyageai": ["VoyageEmbedding"],
}
"""Package → the classes in whose place ours stand."""
NO_RECORDS = ["--disable-recording"] if find_spec("pytest_recording") else []
"""Recorded answers would be given to some clients and not to others."""
LONGEST = 300
"""Seconds for the tests of a package: some retry for long where there is no network."""
TOLD = "ORIGINALS"
"""The variable by which a run is told what to replace, and where to write what came of it."""


class Replaced:
    """A plugin of pytest: has our classes stand where a package has its own, and notes what came of each test."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told, self.found = told, {}

    def pytest_configure(self) -> None:
        """Before anything is collected."""
        package = importlib.import_module(self.told["module"])
        face = importlib.import_module(f"embedbridge.{self.told['face']}")
        providers = {"voyage": "/voyage/v1", "mistral": "/mistral/v1", "jina": "/jina/v1"}
        for name, path in providers.items():  # which no variable leads anywhere
            module = importlib.import_module(f"embedbridge.providers.{name}")
            getattr(module, f"{name.title()}Provider").official_url = f"{self.told['url']}{path}"
        for kind in self.told["kinds"] if self.told["ours"] else ():
            original = getattr(package, kind)  # which loads it, where it is loaded late
            for place in [name for name in sys.modules if name.startswith(self.told["module"])]:
                if place == self.told["module"] or vars(sys.modules[place]).get(kind) is original:
                    setattr(sys.modules[place], kind, getattr(face, kind))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """The worst of a test's phases counts."""
        if report.when == "call" or report.outcome != "passed":
            why = str(getattr(report.longrepr, "reprcrash", report.longrepr) or "")
            self.found[report.nodeid] = (report.outcome, why[-300:] if report.outcome == "failed" else "")

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot be read is a failure too."""
        if report.outcome == "failed":
            self.found[report.nodeid] = ("failed", str(report.longrepr)[-300:])

    def pytest_sessionfinish(self) -> None:
        """Write it down."""
        Path(self.told["found"]).write_text(json.dumps(self.found))


def fetch(package: str, folder: Path) -> Path | None:
    """The installed version's source distribution, unpacked; None where there is none."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package]
    done = subprocess.run([*command, "-d", str(folder), f"{package}=={version(package)}"], check=False)
    archives = list(folder.glob("*.tar.gz")) if done.returncode == 0 else []
    for archive in archives:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    return next((each for each in folder.iterdir() if each.is_dir()), None)


def run(package: str, root: Path, files: list[str], url: str, *, ours: bool) -> dict[str, list[str]]:
    """What came of a package's tests, by test."""
    module = package.replace("llama-index-embeddings-", "llama_index.embeddings.").replace("-", "_")
    told = {"module": module, "kinds": PACKAGES[package], "url": url, "ours": ours, "found": str(root / "found.json")}
    told["face"] = "langchain" if package.startswith("langchain") else "llama_index"
    keys = ("OPENAI", "AZURE_OPENAI", "COHERE", "GOOGLE", "MISTRAL", "VOYAGE", "NVIDIA", "JINA", "JINAAI")
    places = {
        "OPENAI_API_BASE": f"{url}/v1",
        "OPENAI_BASE_URL": f"{url}/v1",
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_BASE": url,
        "OPENAI_API_VERSION": "2024-10-21",
        "AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT_NAME": "text-embedding-ada-002",
        "AZURE_OPENAI_DEPLOYMENT_NAME": "text-embedding-ada-002",
        "TIKTOKEN_CACHE_DIR": str(vocabulary() or ""),
        "CO_API_URL": url,
        "OLLAMA_HOST": url,
        "GOOGLE_GEMINI_BASE_URL": url,
        "NVIDIA_BASE_URL": f"{url}/nvidia/v1",
        "HF_HUB_OFFLINE": "1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    if "azure" in "".join(files):
        del places["OPENAI_API_BASE"], places["OPENAI_BASE_URL"]  # the original wants one address
    named = {f"{key}_API_KEY": "test-key" for key in keys} | places | {TOLD: json.dumps(told)}
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, __file__, *files, "-q", "-p", "no:cacheprovider", "-o", "addopts=", *NO_RECORDS]
    environment = {**os.environ, **named, "PYTHONPATH": path}
    try:
        subprocess.run(command, cwd=root, env=environment, check=False, capture_output=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        print(f"{package}, {'ours' if ours else 'the original'}: not done after {LONGEST} seconds", flush=True)
    found = root / "found.json"
    return json.loads(found.read_text()) if found.exists() else {}


def compare(package: str, url: str) -> None:
    """Print what came of a package's tests on the original and on ours."""
    with tempfile.TemporaryDirectory() as place:
        root = fetch(package, Path(place))
        mentioned = [] if root is None else sorted((root / "tests").rglob("test_*.py"))
        files = [str(each.relative_to(root)) for each in mentioned if _is_of(each, PACKAGES[package])]
        if not files:
            print(f"{package}: its source distribution has no tests of these classes")
            return
        for group in dict.fromkeys(map(_group, files)):
            some = [each for each in files if _group(each) == group]
            theirs, ours = (run(package, root, some, url, ours=each) for each in (False, True))
            print(f"{package}, {group}: {_passed(theirs)} on the original, {_passed(ours)} on ours", flush=True)
            for test, (outcome, why) in ours.items():
                if outcome == "failed":
                    also = " (and on the original)" if theirs.get(test, [""])[0] == "failed" else ""
                    print(f"    {test}{also}\n        {why.strip()[:400]!r}")


def _is_of(file: Path, kinds: list[str]) -> bool:
    text = file.read_text()
    return any(f"{kind}(" in text or f"return {kind}" in text for kind in kinds)


def _group(file: str) -> str:
    kind = "integration" if "integration" in file else "unit"
    return f"{kind}, Azure" if "azure" in file else kind


def _passed(found: dict[str, list[str]]) -> str:
    counted = [outcome for outcome, _ in found.values()]
    skipped = counted.count("skipped")
    return f"{counted.count('passed')} of {len(counted) - skipped} passed" + (
        f" ({skipped} skipped)" if skipped else ""
    )


def main() -> None:
    """Compare the packages that are named, or all."""
    from embedbridge.testing import FaultServer

    with FaultServer() as server:
        for package in sys.argv[1:] or PACKAGES:
            compare(package, server.url)


if __name__ == "__main__":
    if TOLD in os.environ:
        import pytest

        sys.exit(pytest.main(sys.argv[1:], plugins=[Replaced(json.loads(os.environ[TOLD]))]))
    main()
