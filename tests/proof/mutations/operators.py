"""What is changed in a line: Cosmic Ray's operators, of which some are left out, and four of our own.

Left out: what nearly always breaks at once (`+` made `<<`), and so tells nothing about the tests.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import parso.python.tree  # noqa: F401  before Cosmic Ray, whose own order of imports ends in a circle
from cosmic_ray.operators import (
    binary_operator_replacement,
    boolean_replacer,
    break_continue,
    comparison_operator_replacement,
    exception_replacer,
    number_replacer,
    remove_decorator,
    unary_operator_replacement,
    zero_iteration_for_loop,
)
from cosmic_ray.operators.operator import Operator
from parso.python.tree import Keyword

Position = tuple[tuple[int, int], tuple[int, int]]

_CHOSEN = {
    "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add", "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Div_Mul", "ReplaceBinaryOperator_FloorDiv_Mul", "ReplaceBinaryOperator_Mod_Mul",
    "ReplaceBinaryOperator_BitOr_BitAnd", "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_LtE_Lt", "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_GtE_Gt", "ReplaceComparisonOperator_GtE_Lt",
    "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd",
}  # fmt: skip


def _span(node: Any) -> Position:
    return (node.start_pos, node.end_pos)


def _ends_a_function(statement: Any) -> bool:
    body = statement.parent
    return body.type == "suite" and body.parent.type == "funcdef" and body.children[-1] is statement


class DropStatement(Operator):  # type: ignore[misc]  # Cosmic Ray has no types
    """A call, a `raise` or a `return` becomes `pass`."""

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type != "simple_stmt":
            return
        inner = node.children[0]
        if _ends_a_function(node) and inner.get_code().split() in (["return"], ["return", "None"]):
            return  # it would end there and so as well
        if (
            inner.type in {"raise_stmt", "return_stmt", "atom_expr", "yield_expr"}
            or inner.get_code().strip() == "return"
        ):
            yield _span(inner)

    def mutate(self, node: Any, _index: int) -> Any:
        inner = node.children[0]
        node.children[0] = Keyword("pass", inner.start_pos, inner.get_first_leaf().prefix)
        return node


class DropTerm(Operator):  # type: ignore[misc]  # Cosmic Ray has no types
    """`a and b and c` loses one of its terms."""

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type in {"and_test", "or_test"}:
            for term in node.children[::2]:
                yield _span(term)

    def mutate(self, node: Any, index: int) -> Any:
        children: list[Any] = node.children
        if index == 0:
            children[2].get_first_leaf().prefix = children[0].get_first_leaf().prefix
            del children[:2]
        else:
            del children[2 * index - 1 : 2 * index + 1]
        return node


class TurnMembership(Operator):  # type: ignore[misc]  # Cosmic Ray has no types
    """`in` becomes `not in`, and the other way round."""

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "comparison":
            for one in node.children[1::2]:
                if one.get_code().split() in (["in"], ["not", "in"]):
                    yield _span(one)

    def mutate(self, node: Any, index: int) -> Any:
        children: list[Any] = node.children
        found = [place for place in range(1, len(children), 2)
                 if children[place].get_code().split() in (["in"], ["not", "in"])]  # fmt: skip
        old = children[found[index]]
        turned = "not in" if old.get_code().split() == ["in"] else "in"
        children[found[index]] = Keyword(turned, old.start_pos, " ")
        return node


class DropKeyword(Operator):  # type: ignore[misc]  # Cosmic Ray has no types
    """A call loses a named argument, so that the default holds."""

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "arglist":
            for one in self._named(node):
                yield _span(one)

    def mutate(self, node: Any, index: int) -> Any:
        children: list[Any] = node.children
        place = children.index(self._named(node)[index])
        if place == 0:
            children[2].get_first_leaf().prefix = children[0].get_first_leaf().prefix
            del children[:2]
        else:
            del children[place - 1 : place + 1]
        return node

    @staticmethod
    def _named(node: Any) -> list[Any]:
        several: list[Any] = node.children
        if len(several) <= 2:  # one argument, with a comma
            return []
        return [one for one in several if one.type == "argument" and one.children[1].get_code() == "="]


_THEIRS = (
    *binary_operator_replacement.operators(),
    *comparison_operator_replacement.operators(),
    *unary_operator_replacement.operators(),
)
_WHOLE = (
    boolean_replacer.AddNot,
    boolean_replacer.ReplaceTrueWithFalse,
    boolean_replacer.ReplaceFalseWithTrue,
    boolean_replacer.ReplaceAndWithOr,
    boolean_replacer.ReplaceOrWithAnd,
    break_continue.ReplaceBreakWithContinue,
    break_continue.ReplaceContinueWithBreak,
    exception_replacer.ExceptionReplacer,
    number_replacer.NumberReplacer,
    remove_decorator.RemoveDecorator,
    zero_iteration_for_loop.ZeroIterationForLoop,
    DropStatement,
    DropTerm,
    TurnMembership,
    DropKeyword,
)
OPERATORS: Mapping[str, type[Operator]] = {
    one.__name__.replace("ReplaceBinaryOperator_", "").replace("ReplaceComparisonOperator_", "")
    .replace("ReplaceUnaryOperator_", ""): one
    for one in (*(one for one in _THEIRS if one.__name__ in _CHOSEN), *_WHOLE)
}  # fmt: skip
