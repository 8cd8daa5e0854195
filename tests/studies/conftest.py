"""What tests of studies share: a quick run into a folder of the test, and what ``unetbook.results`` reads of it."""

import pytest


@pytest.fixture
def quick_run(tmp_path, monkeypatch):
    """A function that runs a study as ``python -m studies run`` does, on a folder of data sets; a ``results.Study``.

    In float32, so that all machines test the same.
    """
    from studies import __main__, catalog, harness
    from unetbook import precision, results

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(harness.VARIABLE, str(tmp_path / "runs"))
    monkeypatch.setattr(results, "folder", lambda: tmp_path / "runs/quick")
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: False)

    def run(study, root, *arguments):
        monkeypatch.setenv("UNETBOOK_DATA", str(root))
        monkeypatch.setitem(catalog.STUDIES, study.name, study)
        assert __main__.main(["run", study.name, "--quick", *arguments]) == 0
        assert not (tmp_path / "results").exists()
        return results.study(study.name)

    return run
