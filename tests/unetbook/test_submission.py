"""The submission file: written, validated, and read back as it was."""

import numpy as np
import pytest

from unetbook import labels, scores, submission


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def predictions(rng):
    first = np.zeros((12, 9), np.int32)
    first[1:4, 1:4], first[4:8, 2:9], first[10, :] = 1, 2, 7
    return {"b": first, "a": np.zeros((5, 6), np.int32), "c": rng.integers(0, 4, (7, 8)).astype(np.int32)}


def shapes(answers):
    return {id_: answer.shape for id_, answer in answers.items()}


def test_what_was_written_is_read_back(tmp_path, rng):
    answers = predictions(rng)
    path = submission.write(tmp_path / "new" / "submission.csv", answers)
    back = submission.read(path, shapes(answers))
    assert set(back) == set(answers)
    for id_, answer in answers.items():
        assert np.array_equal(back[id_] > 0, answer > 0)
        numbers = np.unique(answer[answer > 0])
        assert all(np.array_equal(back[id_] == k, answer == number) for k, number in enumerate(numbers, start=1))
    order = sorted(answers)
    assert scores.dsb_score([answers[i] for i in order], [back[i] for i in order]) == 1


def test_the_format_is_the_challenges(tmp_path):
    answer = np.array([[0, 1, 1], [2, 0, 1]])
    path = submission.write(tmp_path / "s.csv", {"x": answer, "empty": np.zeros((2, 2), int)})
    assert path.read_bytes() == b"ImageId,EncodedPixels\nempty,\nx,3 1 5 2\nx,2 1\n"
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]


def test_nothing_is_written_where_an_image_is_wrong(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("old")
    for wrong, message in (
        ({"x": np.zeros((2, 2))}, "image x: "),
        ({"a,b": np.zeros((2, 2), int)}, "rename the image"),
        ({"": np.zeros((2, 2), int)}, "rename the image"),
        ({"a\u2028b": np.zeros((2, 2), int)}, "rename the image"),
        ({}, "no image"),
    ):
        with pytest.raises(ValueError, match=message):
            submission.write(path, wrong)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("Image,Pixels\n", "line 1: the header"),
        ("", "line 1: the header"),
        ("ImageId,EncodedPixels\na,1 2,3\n", "line 2: 3 cell"),
        ("ImageId,EncodedPixels\nz,1 2\n", "line 2: image 'z' is not asked for"),
        ("ImageId,EncodedPixels\na,1 2\nb,1 1\na,5 1\n", "line 4: rows of image a stand apart"),
        ("ImageId,EncodedPixels\na,1 2\na,\nb,\n", "line 3: image a has an empty row beside others"),
        ("ImageId,EncodedPixels\na,\na,1 2\nb,\n", "line 3: image a has an empty row beside others"),
        ("ImageId,EncodedPixels\na,1 2\na,2 1\nb,\n", r"line 3: shares 1 pixel\(s\) with an earlier object"),
        ("ImageId,EncodedPixels\na,8 2\nb,\n", "line 2: .*ends at pixel 9"),
        ("ImageId,EncodedPixels\na,1\nb,\n", "line 2: .*pairs"),
        ("ImageId,EncodedPixels\na,5 1 1 1\nb,\n", "line 2: .*begins before"),
        ("ImageId,EncodedPixels\nb,\na,1 2\n", "line 3: image a stands after b"),
        ('ImageId,EncodedPixels\na,"1 2"\nb,\n', "line 2: "),
        ("ImageId,EncodedPixels\na, \nb,\n", "line 2: .*one space between"),
        ("ImageId,EncodedPixels\na, \na,1 2\nb,\n", "line 2: .*one space between"),
        ("ImageId,EncodedPixels\na,1  2\nb,\n", "line 2: .*one space between"),
        ("ImageId,EncodedPixels\na,1 2 \nb,\n", "line 2: .*one space between"),
        ("ImageId,EncodedPixels\na,1\t2\nb,\n", "line 2: .*one space between"),
        ("ImageId,EncodedPixels\na,01 2\nb,\n", "line 2: .*plain digits"),
        ("ImageId,EncodedPixels\na,\u0661 2\nb,\n", "line 2: .*plain digits"),
        ("ImageId,EncodedPixels\na,1 2\n\nb,\n", "line 3: 1 cell"),
        ("ImageId,EncodedPixels\na,1 1\n", r"no row for 1 image\(s\), the first is b"),
    ],
)
def test_the_validator_names_file_and_line(tmp_path, rows, message):
    path = tmp_path / "s.csv"
    path.write_text(rows, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        submission.read(path, {"a": (2, 4), "b": (3, 3)})
    assert "s.csv" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        submission.read(tmp_path / "none.csv", {})


def test_rows_are_those_of_the_labels(tmp_path, rng):
    answer = rng.integers(0, 9, (20, 30)).astype(np.int32)
    path = submission.write(tmp_path / "s.csv", {"x": answer})
    written = [line.split(",")[1] for line in path.read_text().splitlines()[1:]]
    assert written == [labels.rle_encode(answer == k) for k in range(1, 9)]


def test_long_rows_and_files_that_are_no_text(tmp_path):
    answer = np.indices((600, 600)).sum(axis=0) % 2  # every other pixel: a row of over a million letters
    path = submission.write(tmp_path / "s.csv", {"x": labels.rle_rows(answer)})
    assert path.stat().st_size > 2**20 and np.array_equal(submission.read(path, {"x": (600, 600)})["x"], answer)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"s\.csv is no text in UTF-8"):
        submission.read(path, {"x": (600, 600)})


def test_no_draft_stays_where_the_file_cannot_be_put(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        submission.write(tmp_path / "folder", {"x": np.ones((2, 2), int)})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
