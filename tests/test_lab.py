"""`lab` in copies of the checkout, with stand-ins for Python, apt and TeX: nothing is installed, no network is used."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

TOOLS = ("bash", "cat", "chmod", "dirname", "echo", "env", "flock", "head", "mkdir", "mktemp", "pwd", "readlink", "rm")
TOOLS += ("sha256sum", "sleep", "tail", "true", "xargs")
TEX = ("latexmk", "kpsewhich", "pdftotext", "dot")

PYTHON = """
case $1 in
    -c) exit 0 ;;
    --version) echo "Python 3.11.0" ;;
    -m)
        echo "$*" >>"$CALLS"
        [ "$2" = venv ] || exit 0
        sleep 0.3
        mkdir -p .venv/bin
        for name in python uv; do
            printf '#!/bin/sh\\necho "%s $*" >>"$CALLS"\\n[ "$FAIL" != "%s" ]\\n' $name $name >.venv/bin/$name
            chmod +x .venv/bin/$name
        done ;;
esac
"""


class Checkout:
    """A copy of what `lab` reads, and a PATH on which only the given programs exist."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder, self.bin, self.calls = folder / "checkout", folder / "bin", folder / "calls"
        self.folder.mkdir()
        self.bin.mkdir()
        for name in ("lab", "apt.txt", "requirements.lock"):
            shutil.copy(repository / name, self.folder)
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        self.stub("id", "echo 0")
        self.stub("python3", PYTHON)
        for name in TEX:
            self.stub(name, "exit 0")

    def stub(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def without_tex(self) -> None:
        for name in TEX:
            (self.bin / name).unlink()

    def start(self, *arguments: str, **more: str) -> subprocess.Popen:
        environment = {"PATH": str(self.bin), "CALLS": str(self.calls), "FAIL": "", "TMPDIR": str(self.folder), **more}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([self.folder / "lab", *arguments], cwd="/", env=environment, **pipes)

    def run(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def log(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def checkout(tmp_path, repository):
    return Checkout(tmp_path, repository)


def test_without_arguments_it_says_how_it_is_used(checkout):
    code, out, _ = checkout.run()
    assert code == 2
    assert "usage: ./lab COMMAND" in out
    assert checkout.log() == []


def test_the_first_call_installs_the_lock_then_torch_then_the_package(checkout):
    code, out, err = checkout.run("pwd", PIP_FIND_LINKS="/wheels")
    assert (code, out.strip()) == (0, str(checkout.folder)), err
    installs = [line for line in checkout.log() if line.startswith("uv pip install")]
    assert [line.split("--python .venv/bin/python ")[1] for line in installs] == [
        "--require-hashes -r requirements.lock",
        "--find-links /wheels -c requirements.lock torch==2.13.0",
        "--no-deps -e .",
    ]


def test_the_second_call_installs_nothing_and_starts_at_once(checkout):
    checkout.run("pwd")
    before = checkout.log()
    started = time.monotonic()
    code, out, err = checkout.run("pwd")
    assert time.monotonic() - started < 1
    assert (code, out.strip(), err) == (0, str(checkout.folder), "")
    assert checkout.log() == before


@pytest.mark.parametrize("name", ["requirements.lock", "apt.txt", "lab"])
def test_a_change_of_what_it_installs_from_makes_the_next_call_install_again(checkout, name):
    checkout.run("pwd")
    before = len(checkout.log())
    with (checkout.folder / name).open("a") as file:
        file.write("# changed\n")
    checkout.run("pwd")
    assert len(checkout.log()) == 2 * before


def test_the_exit_code_is_that_of_the_command(checkout):
    assert checkout.run("bash", "-c", "exit 7")[0] == 7


def test_after_a_failed_installation_nothing_runs_and_the_next_call_tries_again(checkout):
    code, out, _ = checkout.run("pwd", FAIL="uv")
    assert code != 0
    assert out == ""
    assert checkout.run("pwd")[0] == 0


def test_two_first_calls_at_once_prepare_the_folder_once(checkout):
    calls = [checkout.start("pwd") for _ in range(2)]
    answers = [call.communicate(timeout=60) for call in calls]
    assert [call.returncode for call in calls] == [0, 0], answers
    assert sum(line.startswith("-m venv") for line in checkout.log()) == 1
    assert sum("waiting for another ./lab" in err for _, err in answers) <= 1


def test_without_root_the_missing_packages_are_named_in_one_line(checkout):
    checkout.without_tex()
    checkout.stub("id", "echo 1000")
    checkout.stub("sudo", "echo 'a password is required' >&2; exit 1")
    checkout.stub("apt-get", 'echo "apt-get $*" >>"$CALLS"')
    code, out, err = checkout.run("pwd")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "missing Debian packages" in err
    assert err.split(": ")[-1].split() == [
        "latexmk",
        "texlive-latex-recommended",
        "texlive-latex-extra",
        "texlive-fonts-recommended",
        "tex-gyre",
        "lmodern",
        "poppler-utils",
        "graphviz",
    ]
    assert checkout.log() == []


def test_without_root_nothing_is_said_when_nothing_is_missing(checkout):
    checkout.stub("id", "echo 1000")
    assert checkout.run("pwd")[0] == 0


def test_as_root_the_missing_packages_are_installed(checkout):
    checkout.without_tex()
    stubs = "; ".join(
        f'printf "#!/bin/sh\\n" >"{checkout.bin}/{name}"; chmod +x "{checkout.bin}/{name}"' for name in TEX
    )
    checkout.stub("apt-get", f'echo "apt-get $*" >>"$CALLS"; case "$*" in *install*) {stubs} ;; esac')
    code, _, err = checkout.run("pwd")
    assert code == 0, err
    assert any("install -y --no-install-recommends latexmk" in line for line in checkout.log())


def test_a_failing_apt_shows_the_end_of_its_log(checkout):
    checkout.without_tex()
    checkout.stub("apt-get", 'case "$*" in *install*) echo "E: the disk is full"; exit 100 ;; esac')
    code, out, err = checkout.run("pwd")
    assert (code, out) == (1, "")
    assert "installing Debian packages failed" in err
    assert err.rstrip().endswith("E: the disk is full")


def test_no_file_of_the_set_up_names_a_package_index(repository):
    files = ("lab", "requirements.in", "requirements.lock", "pyproject.toml", "workflow/envs/kv.yaml")
    for name in (*files, "requirements-record.in", "requirements-record.lock", "tools/record_wheels.sh"):
        text = (repository / name).read_text()
        assert "--index" not in text
        assert "--extra-index" not in text
        assert "://" not in text, f"{name} names a host"
    assert os.access(repository / "lab", os.X_OK)
