"""Records that can't be changed: built by place and by name, compared by kind, and never altered."""

import pytest

from rotation.frozen import Frozen


class Point(Frozen):
    x: int
    y: int = 7


class Pixel(Frozen):
    x: int
    y: int = 7


class Marker(Frozen):
    pass


def test_values_go_by_place_and_by_name_and_defaults_fill_in() -> None:
    assert (Point(1).x, Point(1).y, Point(x=1, y=2).y, Point(1, y=3).y) == (1, 7, 2, 3)


@pytest.mark.parametrize("wrong", [{}, {"y": 1}, {"x": 1, "z": 2}])
def test_what_is_missing_or_unknown_is_refused_with_the_fields_named(wrong: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point takes x, y, each once"):
        Point(**wrong)


@pytest.mark.parametrize("places", [(1, 2, 3), (1, 2)])
def test_one_value_too_many_or_twice_is_refused(places: tuple[int, ...]) -> None:
    with pytest.raises(TypeError, match="Point takes x, y, each once"):
        Point(*places, x=5)  # type: ignore[misc]


def test_a_record_equals_its_own_kind_alone() -> None:
    assert Point(1) == Point(1, 7)
    assert hash(Point(1)) == hash(Point(1, 7))
    assert Point(1) != Point(2)
    assert Point(1) != Pixel(1)
    assert len({Point(1), Pixel(1), Point(1, 7)}) == 2
    assert Marker() == Marker()


def test_a_record_is_matched_by_place() -> None:
    match Point(1):
        case Point(x, y):
            assert (x, y) == (1, 7)
        case _:
            pytest.fail("a point is a point")


def test_a_record_shows_its_fields() -> None:
    assert repr(Point(1)) == "Point(x=1, y=7)"


def test_a_record_can_not_be_altered() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match=r"Point\.x can't be changed"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"Point\.y can't be taken away"):
        del point.y
    assert point == Point(1)
