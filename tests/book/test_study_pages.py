"""Pages on how a study was checked are those that their results give."""

import pytest

from tools import pairs, study_pages


def test_every_page_has_its_study():
    assert {page.stem for page in pairs.pages() if page.stem.startswith("check-")} == {
        f"check-{name}" for name in study_pages.STUDIES
    }


@pytest.mark.parametrize("name", study_pages.STUDIES)
def test_page_is_what_the_results_give(name):
    stored = (pairs.PAGES / f"check-{name}.md").read_text(encoding="utf-8")
    assert stored == study_pages.STUDIES[name](), "the results have changed: make study-pages"


def test_a_difference_of_seeds_has_a_verdict():
    before, after = [{"dsb": 0.5}, {"dsb": 0.6}, {"dsb": 0.7}], [{"dsb": 0.51}, {"dsb": 0.612}, {"dsb": 0.711}]
    assert "| DSB score | 0.600 | 0.611 | +0.011 (+0.009 to +0.013) | differs |" in study_pages.compared(
        before, after, ["dsb"]
    )
    assert "undecided" in study_pages.compared(before, before[::-1], ["dsb"])
