#!/usr/bin/python3
"""The arithmetic of growth; run by ctest."""

import sys
import unittest

sys.dont_write_bytecode = True
from growth_curve import beyond, growth  # noqa: E402

TENS = [1, 10, 100, 1_000, 10_000]


class GrowthCurve(unittest.TestCase):
    def test_a_cost_that_nothing_changes_has_exponent_0(self):
        self.assertAlmostEqual(growth([(x, 7) for x in TENS]).exponent, 0)

    def test_a_cost_that_doubles_with_x_has_exponent_1(self):
        self.assertAlmostEqual(growth([(x, 3 * x) for x in TENS]).exponent, 1)

    def test_each_event_looking_at_all_others_is_beyond_linear(self):
        self.assertTrue(beyond(growth([(x, x ** 2) for x in TENS]), 1, 0.15))
        self.assertFalse(beyond(growth([(x, 3 * x) for x in TENS]), 1, 0.15))

    def test_a_knee_is_found_where_the_cost_begins_to_grow(self):
        found = growth([(2 ** i, 10 if i < 6 else 10 * 2 ** (i - 6)) for i in range(12)])
        self.assertAlmostEqual(found.knee, 2 ** 6)
        self.assertAlmostEqual(found.left, 0)
        self.assertAlmostEqual(found.right, 1)

    def test_what_grows_only_at_the_end_is_judged_by_the_end(self):
        late = growth([(2 ** i, 10 if i < 8 else 10 * 4 ** (i - 8)) for i in range(12)])
        self.assertLess(late.exponent, 1)
        self.assertTrue(beyond(late, 1, 0.15))

    def test_a_straight_curve_has_no_knee(self):
        self.assertIsNone(growth([(2 ** i, 10 * 2 ** i) for i in range(12)]).knee)

    def test_noise_of_a_tenth_is_no_knee(self):
        self.assertIsNone(growth([(2 ** i, 10 * (1 + 0.1 * (-1) ** i)) for i in range(12)]).knee)

    def test_points_at_0_are_on_no_line(self):
        self.assertAlmostEqual(growth([(0, 1)] + [(x, 7) for x in TENS]).exponent, 0)

    def test_two_points_are_no_curve(self):
        with self.assertRaises(ValueError):
            growth([(1, 1), (2, 2)])


if __name__ == "__main__":
    unittest.main()
