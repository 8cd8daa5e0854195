import hashlib
import http.server
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tomllib
import zipfile

import cv2
import numpy as np
import pytest
import tifffile

from tools.pairs import ROOT
from unetbook import __main__, progress
from unetbook.datasets import _archives, _files, dsb2018, fetching

STACK = np.arange(2 * 16 * 16, dtype=np.uint8).reshape(2, 16, 16)
LABELS = np.where(STACK > 99, 255, 0).astype(np.uint8)


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


def tiff(path, pixels):
    tifffile.imwrite(path, pixels)
    return path.read_bytes()


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def offered(tmp_path):
    """What the server offers: file names and bytes."""
    made = tmp_path / "made"
    made.mkdir()
    slices = {
        f"ISBI/{name}.tif": tiff(made / f"{name}.tif", pixels)
        for name, pixels in (("train-volume", STACK), ("train-labels", LABELS), ("test-volume", STACK))
    }
    nuclei = {
        "master/stage1_train/aa/images/aa.png": png(np.full((16, 16, 3), 9, np.uint8)),
        "master/stage1_train/aa/masks/1.png": png(np.pad(np.full((4, 4), 255, np.uint8), 6)),
    }
    lesions = {"ISIC_0000001.jpg": cv2.imencode(".jpg", np.full((16, 16, 3), 9, np.uint8))[1].tobytes()}
    truths = {"ISIC_0000001_segmentation.png": png(np.pad(np.full((4, 4), 255, np.uint8), 6))}
    sets = {"isbi.zip": slices, "nuclei.zip": nuclei, "lesions.zip": lesions, "truths.zip": truths}
    return {f"/{name}": zipped(made / name, members) for name, members in sets.items()}


@pytest.fixture
def server(offered):
    """A server on 127.0.0.1: its address, and what was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = offered.get(self.path.removesuffix("/broken").removesuffix("/stuck"))
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            whole = not self.path.endswith(("/broken", "/stuck"))
            self.wfile.write((content or b"")[: None if whole else 100])
            self.wfile.flush()
            if self.path.endswith("/stuck"):
                time.sleep(20)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads, running.block_on_close = True, False
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder for data, and no way to another server."""
    monkeypatch.setenv("UNETBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "data"


@pytest.fixture
def entry(server, monkeypatch):
    """A function that sets what the registry says of a data set."""

    def put(name, files, **more):
        known = {name: {"license": "CC0", "cite": "nobody", "files": files, **more}}
        monkeypatch.setattr(fetching, "registry", lambda: known)

    address, asked = server
    put.nuclei = lambda path="/nuclei.zip", **more: put(
        "dsb2018", [{"name": "stage1_train.zip", "url": address + path, "size": "1 KB", **more}]
    )
    put.address, put.asked = address, asked
    return put


def everything(place):
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*")) if place.exists() else []


def test_the_registry_names_each_data_set_with_address_and_license():
    known = fetching.registry()
    assert set(known) == set(__main__.DATASETS)
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert "datasets/registry.toml" in data["unetbook"]
    for facts in known.values():
        assert facts["license"] and facts["cite"] and facts["files"]
        for file in facts["files"]:
            assert file["url"].startswith("https://") and file["name"].endswith(".zip") and file["size"]
        assert all(len(sum_) == 64 for sum_ in facts.get("pixels", {}).values())


@pytest.mark.skipif("UNETBOOK_DATA" not in os.environ, reason="the real slices are not at hand: set UNETBOOK_DATA")
def test_the_sums_of_pixels_are_those_of_the_real_slices():
    try:
        folder = _files.find("isbi2012", ("train-volume.tif",), None, "")[0].parent
    except FileNotFoundError:
        pytest.skip("the real slices are not below UNETBOOK_DATA")
    fetching._check_pixels(folder, fetching.registry()["isbi2012"]["pixels"])


def test_a_good_file_is_downloaded_once(place, offered, entry, capsys):
    entry.nuclei(sha256=hashlib.sha256(offered["/nuclei.zip"]).hexdigest())
    assert __main__.main(["fetch", "dsb2018"]) == 0
    assert everything(place) == ["dsb2018", "dsb2018/stage1_train.zip"]
    printed = capsys.readouterr()
    assert "CC0" in printed.out and str(place / "dsb2018/stage1_train.zip") in printed.out and printed.err == ""
    assert len(dsb2018.load()) == 1 and dsb2018.load()[0].labels.sum() == 16
    assert __main__.main(["fetch", "dsb2018"]) == 0
    assert "nothing was downloaded" in capsys.readouterr().out and entry.asked == ["/nuclei.zip"]


def test_without_a_known_sum_it_is_told(place, offered, entry, capsys):
    entry.nuclei()
    assert __main__.main(["fetch", "dsb2018"]) == 0
    assert hashlib.sha256(offered["/nuclei.zip"]).hexdigest() in capsys.readouterr().out


def test_members_are_unpacked_and_their_pixels_checked(place, entry):
    names = ("train-volume.tif", "train-labels.tif", "test-volume.tif")
    sums = {name: hashlib.sha256((LABELS if "labels" in name else STACK).tobytes()).hexdigest() for name in names}
    file = {"name": "isbi.zip", "url": entry.address + "/isbi.zip", "size": "1 KB", "unpack": list(names)}
    entry("isbi2012", [file], pixels=sums)
    assert [path.name for path in fetching.fetch("isbi2012", report=str)] == list(names[:2])
    assert everything(place) == ["isbi2012", *sorted(f"isbi2012/{name}" for name in names)]
    entry("isbi2012", [file], pixels=sums | {"test-volume.tif": sums["train-labels.tif"]})
    with pytest.raises(ValueError, match=r"is not the data set isbi2012: test-volume\.tif holds other pixels.*By hand"):
        fetching.fetch("isbi2012", place / "other", report=str)
    entry("isbi2012", [{**file, "unpack": ["none.tif"]}])
    with pytest.raises(ValueError, match=r"it holds 0 files of the name none\.tif, not one"):
        fetching.fetch("isbi2012", place / "other", report=str)
    assert everything(place / "other") == []


def test_only_what_is_missing_is_downloaded(place, offered, entry):
    files = [
        {"name": f"ISIC-2017_Validation_{part}.zip", "url": f"{entry.address}/{name}.zip", "size": "1 KB"}
        for part, name in (("Data", "lesions"), ("Part1_GroundTruth", "truths"))
    ]
    entry("isic2017", files)
    (place / "isic2017").mkdir(parents=True)
    (place / "isic2017" / files[0]["name"]).write_bytes(offered["/lesions.zip"])
    assert len(fetching.fetch("isic2017", report=str)) == 2 and entry.asked == ["/truths.zip"]


WRONG = {
    "another sum": ({"sha256": "0" * 64}, "/nuclei.zip", r"another SHA-256 than 0000.*nothing of it was kept"),
    "broken off": ({}, "/nuclei.zip/broken", r"could not be downloaded \(the connection broke off\): try again"),
    "not found": ({}, "/nowhere.zip", r"could not be downloaded \(the server answered 404\): try again"),
    "another set": (
        {},
        "/lesions.zip",
        r"is not the data set dsb2018: .* holds no pictures as this data set names them",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_of_what_goes_wrong_one_line_names_the_address_and_nothing_is_kept(what, place, entry, capsys):
    more, path, said = WRONG[what]
    entry.nuclei(path, **more)
    assert __main__.main(["fetch", "dsb2018"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and everything(place) == []
    with pytest.raises(
        OSError if "could not" in said else ValueError, match=said + r".*By hand: Download stage1_train"
    ):
        fetching.fetch("dsb2018", report=str)
    assert what == "another set" or entry.address + path in error


def test_without_a_network_it_says_so(place, entry, capsys):
    entry.nuclei()
    known = fetching.registry()
    known["dsb2018"]["files"][0]["url"] = "http://127.0.0.1:9/nuclei.zip"  # nobody listens there
    assert __main__.main(["fetch", "dsb2018"]) == 1
    error = capsys.readouterr().err
    assert "http://127.0.0.1:9/nuclei.zip could not be downloaded (no connection)" in error and error.count("\n") == 1
    assert str(place.parent / "cache" / "unetbook" / "dsb2018") in error and everything(place) == []


def test_silence_is_not_waited_for(place, entry, monkeypatch):
    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)
    entry.nuclei("/nuclei.zip/stuck")
    with pytest.raises(ConnectionError, match="could not be downloaded"):
        fetching.fetch("dsb2018", report=str)
    assert everything(place) == []


def test_a_page_in_place_of_an_archive_is_told(place, offered, entry):
    offered["/login"] = b"<html>please log in</html>"
    entry.nuclei("/login")
    with pytest.raises(ValueError, match=r"/login sent is not the data set dsb2018: .*no zip archive"):
        fetching.fetch("dsb2018", report=str)
    assert everything(place) == []


def test_an_account_and_an_unknown_name_are_told(place, monkeypatch):
    facts = {"license": "CC0", "cite": "nobody", "account": "its publisher wants an account"}
    monkeypatch.setattr(fetching, "registry", lambda: {"dsb2018": facts})
    with pytest.raises(
        FileNotFoundError, match=r"dsb2018 cannot be .*: its publisher wants an account\. By hand: Download"
    ):
        fetching.fetch("dsb2018")
    with pytest.raises(ValueError, match="there is no data set 'dsb': known are dsb2018"):
        fetching.fetch("dsb")


def test_a_folder_that_cannot_be_written_is_named(place, entry):
    entry.nuclei()
    place.mkdir()
    (place / ".dsb2018.download").write_bytes(b"")
    with pytest.raises(OSError, match=r"nothing can be written into .*data \(.*\): give another folder"):
        fetching.fetch("dsb2018", report=str)


def test_what_a_killed_call_leaves_the_next_one_removes(place, entry):
    code = f"""
        from unetbook.datasets import fetching
        file = {{"name": "stage1_train.zip", "url": "{entry.address}/nuclei.zip/stuck", "size": "1 KB"}}
        fetching.registry = lambda: {{"dsb2018": {{"license": "CC0", "cite": "nobody", "files": [file]}}}}
        fetching.fetch("dsb2018")
    """
    entry.nuclei()
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.DEVNULL) as running:
        until = time.monotonic() + 60
        while not [name for name in everything(place) if name.startswith(".dsb2018.download/tmp")]:
            assert time.monotonic() < until and running.poll() is None
            time.sleep(0.05)
        with pytest.raises(OSError, match=r"another process downloads dsb2018 into .*: wait for it"):
            fetching.fetch("dsb2018", report=str)
        running.send_signal(signal.SIGKILL)
    assert len(everything(place)) >= 2 and "dsb2018" not in everything(place)
    fetching.fetch("dsb2018", report=str)
    assert everything(place) == ["dsb2018", "dsb2018/stage1_train.zip"]


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "C:/out.png", "..\\out.png"])
def test_a_member_that_leaves_the_folder_is_refused(name, place, offered, entry, tmp_path):
    offered["/nuclei.zip"] = zipped(tmp_path / "slip.zip", {name: b"out", "aa/images/aa.png": b""})
    entry.nuclei()
    with pytest.raises(ValueError, match=r"has a path that may leave the folder"):
        fetching.fetch("dsb2018", report=str)
    assert everything(place) == [] and not (tmp_path / "out.png").exists()


def test_a_member_that_unpacks_to_more_than_any_picture_is_refused_unread(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("aa/images/aa.png", bytes(10**6))
    monkeypatch.setattr(_archives, "MOST", 10**6)
    assert _archives.Members(tmp_path / "bomb.zip").names
    monkeypatch.setattr(_archives, "MOST", 10**6 - 1)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(ValueError, match=r"'aa/images/aa\.png' of .*bomb\.zip unpacks to"):
        _archives.Members(tmp_path / "bomb.zip")


def test_a_damaged_member_is_found_before_it_is_kept(place, offered, entry):
    at = offered["/nuclei.zip"].index(b"IDAT")
    offered["/nuclei.zip"] = offered["/nuclei.zip"][:at] + b"?" + offered["/nuclei.zip"][at + 1 :]
    entry.nuclei()
    with pytest.raises(ValueError, match=r"aa\.png in .* is damaged or cut short"):
        fetching.fetch("dsb2018", report=str)
    assert everything(place) == []


def test_a_bar_is_shown_where_somebody_looks_and_never_in_a_chapter(monkeypatch, capsys, place, entry):
    monkeypatch.delenv(progress.QUIET, raising=False)
    monkeypatch.setattr(progress, "looked_at", lambda: True)
    entry.nuclei()
    fetching.fetch("dsb2018", report=str)
    shown = capsys.readouterr().err
    assert "100%" in shown and "B/s" in shown and "<" in shown  # the time left
    monkeypatch.setenv(progress.QUIET, "1")
    for told in (None, True):
        with progress.bar(3, "tile", told) as steps:
            steps.update(3)
    assert capsys.readouterr().err == ""


def test_a_plain_import_needs_no_downloader():
    code = "import sys, unetbook.datasets.fetching; print({'pooch', 'requests', 'tqdm', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
