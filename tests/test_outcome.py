"""A call's value or exception goes from one process to another as it was."""

import pytest

from molre.errors import StoreError
from molre.outcome import caught, given


class Odd(Exception):
    """One that pickle cannot make again."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def refuse(error):
    raise error


def test_a_value_is_given_back():
    assert given(caught(divmod, 7, 2)) == (3, 1)


def test_an_error_of_ours_is_raised_with_its_class_and_sentence():
    with pytest.raises(StoreError, match=r"^the part is damaged$"):
        given(caught(refuse, StoreError("the part is damaged")))


def test_an_error_that_cannot_be_packed_is_told_by_its_name():
    with pytest.raises(RuntimeError, match=r"^Odd in a worker$"):
        given(caught(refuse, Odd(1, 2)))
