"""Images and masks by their names, as the programs of others write them."""

from pathlib import Path

import pytest

from unetbook.datasets import pairing


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.png", "a.tif"),
        ("a.png", "a_mask.png"),
        ("a_img.tif", "a_masks.tif"),
        ("a.tif", "a_cp_masks.png"),
        ("a.png", "a_seg.png"),
        ("a.png", "mask_a.png"),
        ("image_a.png", "mask_a.png"),
        ("a_0000.tif", "a.tif"),
        ("a.ome.tif", "a.png"),
        ("A.PNG", "A-Labels.PNG"),
        ("fu\u0308r.png", "f\u00fcr.png"),
        ("scan_0001.png", "scan_0001_mask.png"),
    ],
)
def test_layouts_of_others(image, mask):
    image, mask = Path("images", image), Path("masks", mask)
    other, its = Path("images", "other.png"), Path("masks", "other.png")
    assert list(pairing.pairs([image, other], [its, mask]).values()) == [(image, mask), (other, its)]


def test_one_folder_holds_both():
    files = [Path(name) for name in ("a.png", "a_cp_masks.png", "b.png", "b_cp_masks.png", "c.png")]
    assert pairing.pairs(files, files) == {"a": (files[0], files[1]), "b": (files[2], files[3])}


def test_frames_are_no_channels():
    frames = [Path("images", f"scan_{number:04d}.png") for number in range(3)]
    assert [mask.name for _, mask in pairing.pairs(frames, [Path("masks", f.name) for f in frames]).values()] == [
        f.name for f in frames
    ]


def test_two_partners_are_refused():
    with pytest.raises(ValueError, match=r"a\.png pairs with two masks, .*a\.png and .*a_mask\.png: keep one"):
        pairing.pairs([Path("i/a.png")], [Path("m/a.png"), Path("m/a_mask.png")])
    with pytest.raises(ValueError, match=r"mask_a\.png pairs with two images, .*a\.png and .*image_a\.png: keep one"):
        pairing.pairs([Path("i/a.png"), Path("i/image_a.png")], [Path("m/mask_a.png")])
