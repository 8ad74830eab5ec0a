#!/usr/bin/python3
"""The arithmetic of the guard on speed; run by ctest."""

import sys
import unittest

sys.dont_write_bytecode = True
from guard_verdict import LEAST, LEAST_SHORT, MOST, Verdict, allowed, figures_for, ratio, ratios, tolerance  # noqa: E402


class GuardVerdict(unittest.TestCase):
    def test_a_machine_that_is_half_as_fast_changes_no_ratio(self):
        self.assertAlmostEqual(ratio(30, 10, 10), ratio(60, 20, 20))

    def test_a_machine_that_becomes_slower_meanwhile_counts_by_the_mean_of_both_looks(self):
        self.assertAlmostEqual(ratio(60, 10, 40), 3)

    def test_each_cost_is_compared_with_the_looks_around_it(self):
        self.assertEqual(ratios([30, 60], [10, 10, 40]), [3, 3])

    def test_a_cost_without_a_look_after_it_is_a_mistake(self):
        with self.assertRaises(ValueError):
            ratios([30, 60], [10, 10])

    def test_steady_series_still_leave_room_for_what_compilers_move(self):
        self.assertEqual(tolerance([3.0] * 10), LEAST)

    def test_the_slowest_series_seen_passes_with_a_margin(self):
        medians = [2.0, 2.0, 2.0, 2.0, 2.5]
        self.assertAlmostEqual(tolerance(medians), 1 + 1.5 * 0.25, places=2)
        self.assertGreater(tolerance(medians), 2.5 / 2.0)

    def test_twice_as_slow_is_never_within_tolerance_however_wild_the_series(self):
        self.assertEqual(tolerance([1, 1, 1, 9, 99]), MOST)
        self.assertLess(MOST, 2)

    def test_few_series_say_nothing_of_spread(self):
        self.assertEqual(tolerance([3.0, 3.0]), MOST)

    KINDS = [{"machine": {"kernel": "1"}, "measures": {"a": {"ratio": 9, "tolerance": 1.3}, "b": {"ratio": 1, "tolerance": 1.3}}},
             {"machine": {"kernel": "2"}, "measures": {"a": {"ratio": 3, "tolerance": 1.4}}},
             {"machine": {"kernel": "3"}, "measures": {"b": {"ratio": 2, "tolerance": 1.2}}}]

    def test_a_machine_is_compared_with_its_own_kind_and_for_the_rest_with_the_slowest(self):
        found, whose = figures_for({"kernel": "2"}, self.KINDS)
        self.assertEqual({name: one["ratio"] for name, one in found.items()}, {"a": 3, "b": 2})
        self.assertEqual(whose, "this kind of machine")

    def test_a_machine_of_no_known_kind_is_compared_with_the_slowest_of_each_measure(self):
        found, whose = figures_for({"kernel": "4"}, self.KINDS)
        self.assertEqual({name: one["ratio"] for name, one in found.items()}, {"a": 9, "b": 2})
        self.assertIn("the slowest of 3", whose)

    def test_how_far_a_measure_may_spread_has_been_seen_on_any_kind(self):
        found, _ = figures_for({"kernel": "1"}, self.KINDS)
        self.assertEqual({name: one["tolerance"] for name, one in found.items()}, {"a": 1.4, "b": 1.3})

    def test_the_short_form_has_more_room_and_still_not_twice_the_time(self):
        self.assertEqual(allowed(1.25, short=False), 1.25)
        self.assertEqual(allowed(1.25, short=True), LEAST_SHORT)
        self.assertEqual(allowed(1.6, short=True), 1.6)
        self.assertLess(LEAST_SHORT, 2)

    def test_twice_as_slow_fails_in_every_series(self):
        verdict = Verdict(committed=3, allowed=1.5)
        for _ in range(3):
            verdict.add([5.9, 6.0, 6.1])
            self.assertFalse(verdict.passed)
        self.assertAlmostEqual(verdict.best, 2)

    def test_committed_figures_of_code_twice_as_fast_fail(self):
        now = [3.0, 3.1, 2.9]
        as_committed, halved = Verdict(3.0, 1.5), Verdict(1.5, 1.5)
        as_committed.add(now)
        halved.add(now)
        self.assertTrue(as_committed.passed)
        self.assertFalse(halved.passed)

    def test_one_slow_pair_does_not_make_a_series_slow(self):
        verdict = Verdict(3, 1.25)
        verdict.add([3, 3, 30])
        self.assertTrue(verdict.passed)

    def test_a_series_within_tolerance_ends_the_repetitions(self):
        verdict = Verdict(3, 1.25)
        verdict.add([6, 6, 6])
        self.assertFalse(verdict.passed)
        verdict.add([3, 3, 3])
        self.assertTrue(verdict.passed)

    def test_without_a_series_nothing_has_passed(self):
        self.assertFalse(Verdict(3, 1.25).passed)


if __name__ == "__main__":
    unittest.main()
