"""What the README shows runs as it stands, and the files it names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)  # a fit; a scan; datasets on a GPU


def test_python_example_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    from gpudl4.cli.demo import write_field

    (tmp_path / "demo-output").mkdir()
    write_field(tmp_path / "demo-output", seed=5, n_pixels=130)
    monkeypatch.chdir(tmp_path)
    fit, scan, _ = EXAMPLES
    names = {}
    exec(fit, names)
    assert names["result"].success
    assert "extended-source.sigma" in capsys.readouterr().out
    exec(scan, names)
    assert names["stats"][0] == pytest.approx(names["result"].total_stat, abs=1e-6)


def test_gpu_example_runs(tmp_path, monkeypatch, device, capsys):
    from gpudl4.cli.demo import write_field

    (tmp_path / "demo-output").mkdir()
    write_field(tmp_path / "demo-output", seed=5, n_pixels=50)
    monkeypatch.chdir(tmp_path)
    _, _, gpu = EXAMPLES
    names = {}
    exec(gpu, names)
    assert names["datasets"][0].backend == device
    assert "cuda:0 WcsNDMap" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_links_and_file_names_exist(page):
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("http") or (path.parent / link).exists(), link
    for name in re.findall(r"`((?:gpudl4|kernels|tests|docs|benchmarks)/[\w/.]+\.\w+)`", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:core|maps|irf|models|io|likelihood|datasets|fit|plot|cli)/[\w/]+\.py)\b", text):
        assert (ROOT / "gpudl4" / name).exists(), name
