"""Which pictures to learn from, to choose on and to be tested on: no part may know what another is asked."""

from unetbook.splits.fields import same_field
from unetbook.splits.films import MARGIN, agreements, films
from unetbook.splits.groups import by_group, by_kind, fold, folds

__all__ = ["MARGIN", "agreements", "by_group", "by_kind", "films", "fold", "folds", "same_field"]
